"""The server in a process of its own."""

import signal
import socket
import subprocess
import sys

import pymongo
import pytest

from tocdemo.server import EmbeddedServer
from tocdemo.server.serve import serve

COMMAND = [sys.executable, "-m", "tocdemo.server.serve"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_uri_first_and_ends_cleanly_on_a_signal(number):
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--replica-set", "rs9"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        uri = process.stdout.readline().strip()
        assert uri.endswith("/?replicaSet=rs9")
        with pymongo.MongoClient(uri, serverSelectionTimeoutMS=5000) as client:
            client.d.c.insert_one({})
            process.send_signal(number)
            assert process.wait(5) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_a_busy_port_is_one_line_that_says_what_to_do(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert serve(port=taken.getsockname()[1]) == 2
    assert "is taken by another program; choose another one" in capsys.readouterr().err


def test_another_address_than_loopback_is_refused_with_the_reason(capsys):
    assert serve(host="0.0.0.0", port=0) == 2
    error = capsys.readouterr().err
    assert "loopback only" in error
    assert "TOCDEMO_MONGO_URI" in error


def test_a_killed_process_leaves_nothing_behind():
    """The server is threads of the process, so there is nothing that could stay; its port is free at once."""
    script = "from tocdemo.server import EmbeddedServer; import time; s = EmbeddedServer().start(); "
    script += "print(s.port, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline())
    process.kill()
    process.wait(5)
    process.stdout.close()
    with EmbeddedServer(port=port) as server:
        assert server.port == port
