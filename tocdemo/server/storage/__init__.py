"""Storage: collections in memory, unique indexes, snapshots, and the claims of transactions on documents.

It must not know the wire, sessions or commands. Everything here runs under one lock, `Storage.lock`, which
whoever calls must hold.

How it works: a stored document is never changed in place, only replaced, so a snapshot is a shallow copy; a
table that a snapshot holds is copied before it is next written. A transaction writes to tables of its own
and claims, in one dictionary, each `_id` and each unique key that it wrote: another transaction that wants
one of them gets WriteConflict (the first writer wins), a plain write waits. While transactions are open, the
version of each key's last write is kept: a key written after a transaction's snapshot is a conflict too,
also when it was put and taken away again.
"""

from .collections import Change, Collection, Index, check_namespace, check_storable, duplicate_key
from .lookup import find_documents
from .storage import Storage
from .transactions import Blocked, Transaction

__all__ = [
    "Blocked",
    "Change",
    "Collection",
    "Index",
    "Storage",
    "Transaction",
    "check_namespace",
    "check_storable",
    "duplicate_key",
    "find_documents",
]
