"""A standalone and a replica set for each test, and PyMongo clients of them."""

import pymongo
import pytest

from tocdemo.server import EmbeddedServer


@pytest.fixture
def standalone():
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def replica_set():
    with EmbeddedServer(replica_set="rs0") as server:
        yield server


@pytest.fixture
def short_lived():
    """A replica set on which a transaction lives for half a second."""
    with EmbeddedServer(replica_set="rs0", transaction_lifetime=0.5) as server:
        yield server


@pytest.fixture
def client(standalone):
    with pymongo.MongoClient(standalone.uri, serverSelectionTimeoutMS=5000) as client:
        yield client


@pytest.fixture
def replica_client(replica_set):
    with pymongo.MongoClient(replica_set.uri, serverSelectionTimeoutMS=5000) as client:
        yield client
