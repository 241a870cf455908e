"""A small MongoDB-compatible server for tests and lessons: real wire protocol, in memory, loopback only.

    from tocdemo.server import EmbeddedServer

    with EmbeddedServer(replica_set="rs0") as server:
        client = pymongo.MongoClient(server.uri)

It must not know the rest of the package. Read it in this order: `framing` (bytes), `server` (sockets and
threads), `dispatcher` (the way of a request), `context` (what a running command may use), `commands` (a
module for each kind), `sessions` (transactions and retries), `storage` (documents, snapshots, claims), and
below them `query` (filters, updates, projections, pipelines, BSON's order). `waiting`, `cursors` and `errors`
are small. `gate`, `failpoints` and `commandlog` are what tests direct it with. README.md lists what it does
and what it does not.
"""

from .commandlog import CommandRecord
from .gate import Gate, GateState, Hold, Pending
from .server import EmbeddedServer

__all__ = ["CommandRecord", "EmbeddedServer", "Gate", "GateState", "Hold", "Pending"]
