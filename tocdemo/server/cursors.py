"""Cursors: what find and aggregate found and a client has not fetched yet.

It must not know where documents come from. A cursor holds references to them, and they are never changed in
place, so it is cheap and shows the collection as it was when the query ran.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import bson
from bson import Int64

from .errors import CommandError
from .framing import CODEC, MAX_DOCUMENT_BYTES
from .query.values import Document

FIRST_BATCH = 101
_MAX_CURSORS = 10_000
_IDLE_SECONDS = 600.0


@dataclass
class Cursor:
    """An open cursor: the documents to come, how each is projected, whether their end is foretold (else it is
    only seen by asking for one more), and how many are left at most, by the query's limit.
    """

    cursor_id: int
    namespace: str
    documents: Iterator[Document]
    project: Callable[[Document], Document] | None
    used: float
    limited: bool
    foretold: bool
    left: int | None

    def batch(self, size: int | None) -> tuple[list[Document], bool]:
        """Up to `size` documents and 16 MiB of them, and whether the cursor is at its end."""
        batch: list[Document] = []
        room = MAX_DOCUMENT_BYTES
        while size is None or len(batch) < size:
            document = next(self.documents, None)
            if document is None:
                return batch, True
            shown = self.project(document) if self.project else document
            if size != 1:  # one document always has room
                room -= len(bson.encode(shown, False, CODEC))
            if room < 0 and batch:
                self.documents = itertools.chain((document,), self.documents)
                return batch, False
            batch.append(shown)
        if self.left is not None:
            self.left -= len(batch)
        if not self.foretold:
            return batch, self.left == 0
        following = next(self.documents, None)
        if following is None:
            return batch, True
        self.documents = itertools.chain((following,), self.documents)
        return batch, False


class Cursors:
    """The open cursors of one server: 10,000 at most, each ten minutes after its last use."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, Cursor] = OrderedDict()

    def first_batch(
        self,
        namespace: str,
        documents: Iterator[Document],
        project: Callable[[Document], Document] | None,
        size: int,
        *,
        single: bool = False,
        limited: bool = False,
        foretold: bool = True,
        left: int | None = None,
    ) -> Document:
        """The reply's `cursor` document, with up to `size` documents; the rest stays open unless `single`.
        `limited` says that the command had a maxTimeMS; `foretold` and `left`: see `Cursor`.
        """
        now = time.monotonic()
        cursor = Cursor(
            cursor_id=secrets.randbits(62) + 1,
            namespace=namespace,
            documents=documents,
            project=project,
            used=now,
            limited=limited,
            foretold=foretold,
            left=left,
        )
        batch, at_end = cursor.batch(size)
        if at_end or single:
            return {"id": Int64(0), "ns": namespace, "firstBatch": batch}
        self._make_room(now)
        self._open[cursor.cursor_id] = cursor
        return {"id": Int64(cursor.cursor_id), "ns": namespace, "firstBatch": batch}

    def next_batch(self, cursor_id: int, namespace: str, size: int | None) -> Document:
        """The reply's `cursor` document for getMore, with up to `size` documents, or as many as fit.
        CommandError 43 when there is no such cursor, 13 when it belongs to another collection.
        """
        cursor = self._open.get(cursor_id)
        if cursor is None:
            raise CommandError(43, f"cursor id {cursor_id} not found")
        if cursor.namespace != namespace:
            message = (
                f"Requested getMore on namespace '{namespace}', but cursor belongs to a different namespace"
            )
            raise CommandError(13, f"{message} {cursor.namespace}")
        cursor.used = time.monotonic()
        self._open.move_to_end(cursor_id)
        batch, at_end = cursor.batch(size)
        if at_end:
            del self._open[cursor_id]
        return {"id": Int64(0 if at_end else cursor_id), "ns": namespace, "nextBatch": batch}

    def is_limited(self, cursor_id: int) -> bool:
        """Whether the command that opened the cursor had a maxTimeMS, which then holds for its getMores."""
        return cursor_id in self._open and self._open[cursor_id].limited

    def kill(self, cursor_id: int) -> bool:
        """Close a cursor; whether there was one."""
        return self._open.pop(cursor_id, None) is not None

    def kill_namespace(self, namespace: str) -> None:
        """Close the cursors of a collection that is dropped."""
        for cursor_id in [c.cursor_id for c in self._open.values() if c.namespace == namespace]:
            del self._open[cursor_id]

    def _make_room(self, now: float) -> None:
        while self._open:
            oldest = next(iter(self._open.values()))
            if len(self._open) < _MAX_CURSORS and now - oldest.used < _IDLE_SECONDS:
                return
            del self._open[oldest.cursor_id]
