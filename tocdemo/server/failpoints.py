"""Fail points: errors on demand, by MongoDB's own `configureFailPoint`.

It must not know how a command is run: it says what has to become of it. Source: "The failCommand Fail Point"
in MongoDB's `src/mongo/db/commands/failcommand.md` and the drivers' transactions test format.

    client.admin.command("configureFailPoint", "failCommand", mode={"times": 1},
                         data={"failCommands": ["insert"], "errorCode": 91, "errorLabels":
                         ["RetryableWriteError"]})
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import CommandError, not_implemented
from .query.values import Document, is_number

_KNOWN = ("failCommand", "onPrimaryTransactionalWrite", "maxTimeAlwaysTimeOut")
_NEVER_FAILS = frozenset({"configurefailpoint"})
_MAX_BLOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Failure:
    """What a command that met a fail point must do: sleep first, close the connection without a reply, answer
    with an error code and not run (None to run), with exactly these labels (None for those that the server
    adds by itself), or run and add a writeConcernError to the reply.
    """

    block_seconds: float
    close_connection: bool
    error_code: int | None
    error_labels: list[str] | None
    write_concern_error: Document | None


@dataclass
class _FailPoint:
    data: Document
    skip: int = 0
    times: int | None = None
    commands: frozenset[str] = field(default_factory=frozenset)


class FailPoints:
    """The fail points of one server; its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: dict[str, _FailPoint] = {}

    @property
    def in_use(self) -> bool:
        """Whether any is on."""
        return bool(self._points)

    def configure(self, command: Document) -> None:
        """Do what a command `{"configureFailPoint": "failCommand", "mode": …, "data": {…}}` says.

        Mode is "off", "alwaysOn", `{"times": n}` or `{"skip": n}`; data may hold failCommands, errorCode,
        errorLabels, closeConnection, blockConnection with blockTimeMS, writeConcernError, appName and
        namespace. CommandError for another fail point, mode or data.
        """
        name = command["configureFailPoint"]
        if name not in _KNOWN:
            raise not_implemented(f"the fail point '{name}'")
        mode, data = command.get("mode"), command.get("data", {})
        point = _FailPoint(data)
        if isinstance(mode, dict) and len(mode) == 1 and next(iter(mode)) in ("times", "skip"):
            ((kind, number),) = mode.items()
            if not is_number(number) or number < 0:
                raise CommandError(2, f"'{kind}' must be a whole number from 0")
            if kind == "times":
                point.times = int(number)
            else:
                point.skip = int(number)
        elif mode not in ("alwaysOn", "off"):
            raise CommandError(2, "mode must be 'off', 'alwaysOn', {times: n} or {skip: n}")
        _check_data(name, mode, data)
        point.commands = frozenset(command.lower() for command in data.get("failCommands", ()))
        with self._lock:
            if mode == "off" or point.times == 0:
                self._points.pop(name, None)
            else:
                self._points[name] = point

    def hit(self, command: str, app_name: str, namespace: str) -> Failure | None:
        """What happens to a command (its name in lower case), if anything; counts it. `app_name` is the
        client's application name from its hello, `namespace` database and collection, joined by a dot.
        """
        with self._lock:
            point = self._points.get("failCommand")
            if point is None or command not in point.commands or command in _NEVER_FAILS:
                return None
            data = point.data
            if data.get("appName", app_name) != app_name or data.get("namespace", namespace) != namespace:
                return None
            if not self._counts("failCommand", point):
                return None
        block = data.get("blockTimeMS", 0) / 1000 if data.get("blockConnection") else 0.0
        return Failure(
            block_seconds=min(block, _MAX_BLOCK_SECONDS),
            close_connection=bool(data.get("closeConnection")),
            error_code=data.get("errorCode"),
            error_labels=data.get("errorLabels"),
            write_concern_error=data.get("writeConcernError"),
        )

    def times_out(self) -> bool:
        """Whether a command with a maxTimeMS must exceed it (maxTimeAlwaysTimeOut)."""
        with self._lock:
            point = self._points.get("maxTimeAlwaysTimeOut")
            return point is not None and self._counts("maxTimeAlwaysTimeOut", point)

    def hit_write(self, statements: int) -> Literal["", "before", "after"]:
        """What onPrimaryTransactionalWrite does to a retryable write, asked once before each: nothing (""),
        close the connection without writing ("before", by failBeforeCommitExceptionCode), or write and then
        close it ("after"). `statements` says how many documents or statements the command holds: `skip` and
        `times` count these.
        """
        with self._lock:
            for _ in range(statements):
                point = self._points.get("onPrimaryTransactionalWrite")
                if point is not None and self._counts("onPrimaryTransactionalWrite", point):
                    return "before" if "failBeforeCommitExceptionCode" in point.data else "after"
        return ""

    def _counts(self, name: str, point: _FailPoint) -> bool:
        if point.skip > 0:
            point.skip -= 1
            return False
        if point.times is not None:
            point.times -= 1
            if point.times == 0:
                del self._points[name]
        return True


def _check_data(name: str, mode: Any, data: Any) -> None:
    if not isinstance(data, dict):
        raise CommandError(14, "data must be a document")
    if mode == "off" or name != "failCommand":
        return
    commands = data.get("failCommands", [])  # without it none fails: `shouldActivateFailCommandFailPoint`
    if not isinstance(commands, list) or not all(isinstance(command, str) for command in commands):
        raise CommandError(2, "data.failCommands must be a list of command names")
    for key, kind in (
        ("errorCode", int),
        ("errorLabels", list),
        ("writeConcernError", dict),
        ("blockTimeMS", int),
    ):
        if key in data and not isinstance(data[key], kind):
            raise CommandError(14, f"data.{key} must be a {kind.__name__}")
    if data.get("blockConnection") and data.get("blockTimeMS", -1) < 0:
        raise CommandError(2, "blockConnection needs blockTimeMS, from 0")
