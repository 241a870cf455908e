"""Whose program may use a server: its own user's, on a system that tells."""

import os
import socket
import subprocess
import sys

import pymongo
import pytest

from tocdemo.server import EmbeddedServer, peers

from .wire import Wire

NOBODY = 65534
_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a connection is")
_OTHER_USER = """
import os, sys
sys.path[:0] = sys.argv[3:]
import pymongo
os.setgroups([])
os.setresgid(*[int(sys.argv[2])] * 3)
os.setresuid(*[int(sys.argv[2])] * 3)
client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=1500)
client.drop_database("d")
"""


@_LINUX
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_user_at_the_other_end_is_known_until_it_is_closed(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        connection, _ = listener.accept()
        with connection:
            assert peers.are_told()
            assert peers.user_of_peer(connection) == os.geteuid()
            client.sendall(b"a command")
            client.close()
            assert peers.user_of_peer(connection) is None  # the system would say: the superuser's


@_LINUX
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the superuser can become another user"
)
def test_another_local_user_can_neither_read_nor_drop_anything():
    with EmbeddedServer() as server, pymongo.MongoClient(server.uri) as client:
        client.d.c.insert_one({"_id": 1})
        command = [sys.executable, "-c", _OTHER_USER, server.uri, str(NOBODY), *sys.path]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "answers only the user who started it" in other.stderr
        assert "'code': 13" in other.stderr
        assert client.d.c.find_one() == {"_id": 1}


@_LINUX
def test_a_connection_of_another_user_is_refused_with_a_sentence(monkeypatch):
    monkeypatch.setattr(peers, "are_told", lambda: True)
    monkeypatch.setattr(peers, "user_of_peer", lambda _connection: os.geteuid() + 1)
    with EmbeddedServer() as server, Wire(server) as wire:
        for command in ({"hello": 1}, {"dropDatabase": 1}, {"nonsense": 1}):
            reply = wire.command({**command, "$db": "d"})
            assert (reply["ok"], reply["code"], reply["codeName"]) == (0, 13, "Unauthorized")


def test_where_the_system_does_not_tell_every_user_is_served(monkeypatch):
    monkeypatch.setattr(peers, "are_told", lambda: False)
    monkeypatch.delattr(peers, "user_of_peer")
    with EmbeddedServer() as server, Wire(server) as wire:
        assert wire.command({"ping": 1, "$db": "d"})["ok"] == 1
