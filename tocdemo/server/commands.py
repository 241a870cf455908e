"""Commands: a request in, a reply document out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any

import mongomock
from bson import Int64
from pymongo.errors import DuplicateKeyError, OperationFailure

from .framing import Request

Document = dict[str, Any]


class Dispatcher:
    """Runs commands on one mongomock client, one at a time."""

    def __init__(self, address: str, replica_set: str | None = None) -> None:
        self._address = address
        self._replica_set = replica_set
        self._client = mongomock.MongoClient()
        self._lock = threading.RLock()
        self._cursors: dict[int, tuple[str, Any]] = {}
        self._cursor_ids = count(1)
        self._commands: dict[str, Callable[[Document], Document]] = {
            name.removeprefix("_do_").lower(): getattr(self, name)
            for name in dir(self)
            if name.startswith("_do_")
        }

    def run(self, request: Request) -> Document:
        """Run one command and return its reply."""
        command = request.command
        name = next(iter(command), "")
        function = self._commands.get(name.lower())
        if function is None:
            return _error(f"no such command: '{name}'", 59, "CommandNotFound")
        try:
            with self._lock:
                return {**function(command), "ok": 1.0}
        except DuplicateKeyError as error:
            return _error(str(error), 11000, "DuplicateKey")
        except OperationFailure as error:
            return _error(str(error), error.code or 2, "BadValue")
        except NotImplementedError as error:
            return _error(str(error), 238, "NotImplemented")
        except Exception as error:
            return _error(f"{type(error).__name__}: {error}", 2, "BadValue")

    def _collection(self, command: Document) -> Any:
        return self._client[command["$db"]][next(iter(command.values()))]

    def _do_hello(self, command: Document) -> Document:
        reply = {
            "isWritablePrimary": True,
            "ismaster": True,
            "helloOk": True,
            "maxBsonObjectSize": 16777216,
            "maxMessageSizeBytes": 48000000,
            "maxWriteBatchSize": 100000,
            "localTime": datetime.now(UTC),
            "logicalSessionTimeoutMinutes": 30,
            "connectionId": 1,
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "readOnly": False,
        }
        if self._replica_set:
            reply |= {
                "setName": self._replica_set,
                "setVersion": 1,
                "secondary": False,
                "hosts": [self._address],
            }
            reply |= {"primary": self._address, "me": self._address}
        return reply

    _do_ismaster = _do_hello

    def _do_ping(self, command: Document) -> Document:
        return {}

    _do_endsessions = _do_ping
    _do_killcursors = _do_ping

    def _do_buildinfo(self, command: Document) -> Document:
        return {"version": "7.0.0", "versionArray": [7, 0, 0, 0]}

    def _do_insert(self, command: Document) -> Document:
        collection, errors, n = self._collection(command), [], 0
        for index, document in enumerate(command["documents"]):
            try:
                collection.insert_one(document)
                n += 1
            except DuplicateKeyError as error:
                errors.append({"index": index, "code": 11000, "errmsg": str(error)})
                if command.get("ordered", True):
                    break
        return {"n": n, **({"writeErrors": errors} if errors else {})}

    def _do_update(self, command: Document) -> Document:
        collection, n, modified, upserted = self._collection(command), 0, 0, []
        for index, item in enumerate(command["updates"]):
            change = item["u"]
            replacing = isinstance(change, dict) and not next(iter(change), "").startswith("$")
            method = "replace_one" if replacing else "update_many" if item.get("multi") else "update_one"
            result = getattr(collection, method)(item["q"], change, upsert=item.get("upsert", False))
            n += result.matched_count
            modified += result.modified_count or 0
            if result.upserted_id is not None:
                n += 1 - result.matched_count
                upserted.append({"index": index, "_id": result.upserted_id})
        return {"n": n, "nModified": modified, **({"upserted": upserted} if upserted else {})}

    def _do_delete(self, command: Document) -> Document:
        collection, n = self._collection(command), 0
        for item in command["deletes"]:
            method = collection.delete_one if item.get("limit") else collection.delete_many
            n += method(item["q"]).deleted_count
        return {"n": n}

    def _do_findandmodify(self, command: Document) -> Document:
        collection = self._collection(command)
        query, sort = command.get("query", {}), list(command.get("sort", {}).items()) or None
        if command.get("remove"):
            value = collection.find_one_and_delete(query, command.get("fields"), sort=sort)
            return {"value": value, "lastErrorObject": {"n": int(value is not None)}}
        change = command["update"]
        replacing = isinstance(change, dict) and not next(iter(change), "").startswith("$")
        method = collection.find_one_and_replace if replacing else collection.find_one_and_update
        options = {
            "sort": sort,
            "upsert": command.get("upsert", False),
            "return_document": command.get("new", False),
        }
        value = method(query, change, command.get("fields"), **options)
        return {
            "value": value,
            "lastErrorObject": {"n": int(value is not None), "updatedExisting": value is not None},
        }

    def _do_find(self, command: Document) -> Document:
        limit = command.get("limit", 0)
        documents = self._collection(command).find(
            command.get("filter"), command.get("projection") or None, command.get("skip", 0), limit
        )
        if command.get("sort"):
            documents = documents.sort(list(command["sort"].items()))
        return self._first_batch(command, iter(documents), command.get("batchSize", 101))

    def _do_aggregate(self, command: Document) -> Document:
        documents = self._collection(command).aggregate(command["pipeline"])
        return self._first_batch(command, iter(documents), command.get("cursor", {}).get("batchSize", 101))

    def _first_batch(self, command: Document, documents: Any, size: int) -> Document:
        namespace = f"{command['$db']}.{next(iter(command.values()))}"
        rest = list(documents)
        cursor_id = 0
        if len(rest) > size and not command.get("singleBatch"):
            cursor_id = next(self._cursor_ids)
            self._cursors[cursor_id] = (namespace, iter(rest[size:]))
        return {"cursor": {"id": Int64(cursor_id), "ns": namespace, "firstBatch": rest[:size]}}

    def _do_getmore(self, command: Document) -> Document:
        if command["getMore"] not in self._cursors:
            raise OperationFailure(f"cursor id {command['getMore']} not found", 43)
        namespace, documents = self._cursors[command["getMore"]]
        batch = list(islice(documents, command.get("batchSize") or 1000))
        if not batch or len(batch) < (command.get("batchSize") or 1000):
            del self._cursors[command["getMore"]]
            return {"cursor": {"id": Int64(0), "ns": namespace, "nextBatch": batch}}
        return {"cursor": {"id": Int64(command["getMore"]), "ns": namespace, "nextBatch": batch}}

    def _do_count(self, command: Document) -> Document:
        return {"n": self._collection(command).count_documents(command.get("query", {}))}

    def _do_distinct(self, command: Document) -> Document:
        return {"values": self._collection(command).distinct(command["key"], command.get("query", {}))}

    def _do_drop(self, command: Document) -> Document:
        self._collection(command).drop()
        return {}

    def _do_create(self, command: Document) -> Document:
        self._client[command["$db"]].create_collection(command["create"])
        return {}

    def _do_createindexes(self, command: Document) -> Document:
        for index in command["indexes"]:
            options = {k: index[k] for k in ("name", "unique", "sparse") if k in index}
            self._collection(command).create_index(list(index["key"].items()), **options)
        return {}

    def _do_dropdatabase(self, command: Document) -> Document:
        self._client.drop_database(command["$db"])
        return {"dropped": command["$db"]}

    def _do_listdatabases(self, command: Document) -> Document:
        names = self._client.list_database_names()
        return {"databases": [{"name": name, "sizeOnDisk": Int64(0), "empty": False} for name in names]}

    def _do_listcollections(self, command: Document) -> Document:
        names = self._client[command["$db"]].list_collection_names()
        batch = [{"name": name, "type": "collection", "options": {}, "info": {}} for name in names]
        return {
            "cursor": {"id": Int64(0), "ns": f"{command['$db']}.$cmd.listCollections", "firstBatch": batch}
        }


def _error(message: str, code: int, name: str) -> Document:
    return {"ok": 0.0, "errmsg": message, "code": code, "codeName": name}
