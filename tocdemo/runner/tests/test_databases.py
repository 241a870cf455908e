"""A run's database: its own, gone afterwards, and nobody else's is ever touched."""

import errno
import getpass
import os
import re
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

import dns.resolver
import pymongo
import pytest

from tocdemo.runner import databases
from tocdemo.runner.databases import NoDatabase, open_database
from tocdemo.runner.options import RunOptions
from tocdemo.server import EmbeddedServer
from tocdemo.subject.tests.projects import NO_DATABASE_NEEDED, lay_out, run_pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def server():
    with EmbeddedServer() as started:
        yield started


@pytest.fixture
def client(server):
    """A client of the server, on which somebody keeps a database `precious`."""
    with pymongo.MongoClient(server.uri) as client:
        client.precious.things.insert_one({"_id": "mine"})
        yield client
        client.drop_database("precious")


@pytest.fixture
def silent_uri():
    """The URI of a port at which nobody answers: it is taken, and does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"mongodb://somebody:secret@127.0.0.1:{taken.getsockname()[1]}/"


def names(client):
    return set(client.list_database_names())


# --- What is refused


@pytest.mark.parametrize("path", ["mine", "mine?replicaSet=rs0", "mine.books"])
def test_a_uri_that_names_a_database_is_refused(path):
    with pytest.raises(NoDatabase) as refused, open_database(f"mongodb://127.0.0.1:1/{path}"):
        pass
    assert "names the database 'mine'" in str(refused.value)
    assert "leave the name out" in str(refused.value)
    assert "authSource=mine" in str(refused.value)


@pytest.mark.parametrize("backend", ["embeded", "127.0.0.1:27017", "http://127.0.0.1/", ""])
def test_an_unknown_backend_is_answered_with_the_choices(backend):
    with pytest.raises(NoDatabase, match="There is no backend") as refused, open_database(backend):
        pass
    assert all(name in str(refused.value) for name in databases.BACKENDS)
    assert "mongodb://127.0.0.1:27017/" in str(refused.value)


@pytest.mark.parametrize("uri", ["mongodb://", "mongodb://127.0.0.1:port/", "mongodb://127.0.0.1:0/"])
def test_a_malformed_uri_is_refused(uri):
    with pytest.raises(NoDatabase, match=r"cannot be used: .*Expected one of"), open_database(uri):
        pass


def test_a_server_that_does_not_answer_is_given_three_seconds(silent_uri):
    begin = time.monotonic()
    with pytest.raises(NoDatabase) as refused, open_database(silent_uri):
        pass
    assert time.monotonic() - begin < 8  # the driver's own limit is 30 s
    assert str(refused.value).startswith("No MongoDB answers at mongodb://127.0.0.1:")
    assert "secret" not in str(refused.value)
    assert "leave TOCDEMO_MONGO_URI unset" in str(refused.value)


SECRET = [
    "mongodb://somebody:s3cret@127.0.0.1:1/{}",
    " mongodb://somebody:s3cret@127.0.0.1:1/{}",
    "'mongodb://somebody:s3cret@127.0.0.1:1/{}'",
    '"mongodb://somebody:s3cret@127.0.0.1:1/{}"',
    "MONGODB://somebody:s3cret@127.0.0.1:1/{}",
    "mongo://somebody:s3cret@127.0.0.1:1/{}",
    "mongodb:/somebody:s3cret@127.0.0.1:1/{}",
    "somebody:s3cret@127.0.0.1:1/{}",
    "mongodb://somebody:s3cret/2@127.0.0.1:1/{}",
    "mongodb://somebody:2/s3cret@127.0.0.1:1/{}",
    "mongodb://somebody:2@3/s3cret@127.0.0.1:1/{}",
    "mongodb://somebody:2@s3cret?4@127.0.0.1:1/{}",
    "mongodb://somebody:1?s3cret@127.0.0.1:1/{}",
    "mongodb://somebody:s3cret:2@127.0.0.1:1/{}",
    "mongodb://somebody:s3cret%zz@127.0.0.1:1/{}",
    "mongodb://127.0.0.1:1/{}?tls=true&tlsCertificateKeyFilePassword=s3cret",
    "mongodb://127.0.0.1:1/{}?tlsCertificateKeyFile=/s3cret",
    "mongodb://somebody:s3cret@127.0.0.1:1/{}?authMechanism=s3cret",
    "mongodb://u:s3cret@127.0.0.1:1/{}?authMechanism=MONGODB-AWS&authMechanismProperties="
    "AWS_SESSION_TOKEN:s3cret",
    "mongodb://127.0.0.1:1/{}?authMechanismProperties=AWS_SESSION_TOKEN:a@s3cret",
    "mongodb://127.0.0.1:s3cret@{}",
]


@pytest.mark.parametrize("uri", [each.format(name) for each in SECRET for name in ("", "mine")])
def test_no_message_says_what_a_uri_keeps_secret(uri, monkeypatch):
    monkeypatch.setattr(databases, "ANSWER_WITHIN_MS", 50)
    with pytest.raises(NoDatabase) as refused, open_database(uri):
        pass
    said = "".join(traceback.format_exception(refused.value.with_traceback(None)))
    assert "s3cret" not in said + databases.without_secrets(uri)
    assert "somebody" not in said
    assert "s3cret" not in f"{databases.Database(uri, 'name', 'motor')} {RunOptions(backend=uri)}"


def test_no_lesson_prints_a_uri():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "lessons").glob("*.md")]
    assert texts
    assert not any(re.search(r"print\(.*uri|^ *\w+\.uri$", text, re.MULTILINE) for text in texts)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("embedded", "embedded"),
        ("127.0.0.1:27017", "127.0.0.1:27017"),
        ("mongodb://a:b@one:1,[::1]:2/?replicaSet=rs0", "mongodb://one:1,[::1]:2/"),
        ("mongodb+srv://a:b@example.net", "mongodb+srv://example.net/"),
        ("mongodb://a:b@%2Ftmp%2Fmongodb-27017.sock/", "mongodb://%2Ftmp%2Fmongodb-27017.sock/"),
    ],
)
def test_what_is_no_secret_is_shown(uri, shown):
    assert databases.without_secrets(uri) == shown


def test_a_login_that_is_refused_is_no_missing_answer(server, client):
    refusal = {"failCommands": ["ping"], "errorCode": 18}
    client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=refusal)
    with pytest.raises(NoDatabase) as refused, open_database(server.uri):
        pass
    assert "answers, and refuses the login" in str(refused.value)
    assert "Look at the user, the password and authSource" in str(refused.value)


def test_a_name_without_an_answer_in_dns_is_given_three_seconds(monkeypatch):
    """A name server that never answers: a port of this machine that is taken, and does not listen."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], silent.getsockname()[1]
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        begin = time.monotonic()
        with (
            pytest.raises(NoDatabase) as refused,
            open_database("mongodb+srv://a:s3cret@cluster.example.net/"),
        ):
            pass
    assert time.monotonic() - begin < 8  # the driver's own limit is 20 s
    assert str(refused.value).startswith(
        "No MongoDB answers at mongodb+srv://cluster.example.net/ within 3 s"
    )


@pytest.mark.parametrize("hosts", [["127.0.0.1", "::1"], ["::1"], []])
def test_one_loopback_address_is_enough_and_none_is_a_sentence(monkeypatch, hosts):
    class Server(EmbeddedServer):
        def start(self):
            if self.host not in hosts:
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            return self

    monkeypatch.setattr(databases, "EmbeddedServer", Server)
    make = databases._embedded_server.__wrapped__
    if hosts:
        assert make(None).host == hosts[0]
    else:
        with pytest.raises(NoDatabase, match=r"neither on 127\.0\.0\.1 nor on ::1"):
            make(None)


def test_too_many_open_files_are_not_taken_for_a_missing_address(monkeypatch):
    def start(self):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(EmbeddedServer, "start", start)
    with pytest.raises(OSError, match="Too many"):
        databases._embedded_server.__wrapped__(None)


def test_pytest_says_why_it_cannot_begin_and_runs_nothing(tmp_path):
    outcome = run_pytest(lay_out(tmp_path), TOCDEMO_MONGO_URI="mongodb://127.0.0.1:1/mine")

    assert outcome.code == 4, outcome.text
    assert "names the database 'mine'" in outcome.text
    assert "Traceback" not in outcome.text
    assert "passed" not in outcome.text


def test_the_conftest_refuses_a_database_that_is_not_the_tests_own(tmp_path, server, client):
    """Without the project's plugin the settings are the caller's: then the conftest stands in the way."""
    outcome = run_pytest(
        lay_out(tmp_path),
        *("-o", "addopts=", "-o", "asyncio_mode=strict"),
        DATABASE_URI=server.uri,
        DATABASE_NAME="precious",
    )

    assert outcome.code == 2, outcome.text
    assert "DATABASE_NAME is 'precious'" in outcome.text
    assert "must start with 'toctest_'" in outcome.text
    assert client.precious.things.find_one() == {"_id": "mine"}


# --- What is given, and taken back


def test_the_environment_chooses_the_backend(monkeypatch):
    monkeypatch.delenv("TOCDEMO_BACKEND", raising=False)
    monkeypatch.delenv("TOCDEMO_MONGO_URI", raising=False)
    assert databases.chosen_backend() == "embedded"
    monkeypatch.setenv("TOCDEMO_MONGO_URI", "mongodb://somewhere/")
    assert databases.chosen_backend() == "mongodb://somewhere/"
    monkeypatch.setenv("TOCDEMO_BACKEND", "mock")
    assert databases.chosen_backend() == "mock"


@pytest.mark.parametrize("backend", databases.BACKENDS)
def test_each_backend_has_a_driver_and_a_database_of_its_own(backend):
    drivers = {"embedded": "motor", "replica-set": "motor", "pymongo": "pymongo", "mock": "mongomock"}

    with open_database(backend) as one, open_database(backend) as two:
        assert one.driver == drivers[backend]
        assert one.name != two.name
        assert one.name.startswith("toctest_")
        assert getpass.getuser() not in one.name
        assert ("replicaSet=rs0" in one.uri) == (backend == "replica-set")
        assert one.environment()["DATABASE_NAME"] == one.name


def test_the_runs_database_is_dropped_and_no_other(server, client):
    before = names(client)

    with open_database(server.uri) as own:
        client[own.name].books.insert_one({"title": "Mine for a while"})
        assert own.name in names(client)

    assert names(client) == before
    assert client.precious.things.find_one() == {"_id": "mine"}


def test_the_database_is_dropped_when_a_run_breaks(server, client):
    def break_while_open():
        with open_database(server.uri) as own:
            client[own.name].books.insert_one({})
            raise KeyError(own.name)

    with pytest.raises(KeyError) as broke:
        break_while_open()

    assert broke.value.args[0] not in names(client)


def test_a_run_on_a_real_uri_leaves_what_it_found(tmp_path, server, client):
    before = names(client)

    outcome = run_pytest(
        lay_out(tmp_path), "-k", "success", TOCDEMO_MONGO_URI=server.uri, DATABASE_NAME="precious"
    )

    assert outcome.code == 0, outcome.text
    assert any(record.collection == "books" for record in server.log.records)
    assert names(client) == before
    assert client.precious.things.find_one() == {"_id": "mine"}


BEFORE_AND_AFTER = """
import os, sys, pytest
os.environ["DATABASE_NAME"] = "before"
os.environ.pop("DATABASE_URI", None)
before = dict(os.environ)
code = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]])
sys.exit(code or (0 if dict(os.environ) == before else 9))
"""


def test_the_environment_is_put_back(tmp_path):
    copy = lay_out(tmp_path)
    script = tmp_path / "before_and_after.py"
    script.write_text(BEFORE_AND_AFTER)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, str(script), "-k", NO_DATABASE_NEEDED]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
