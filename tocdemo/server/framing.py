"""Messages of the MongoDB wire protocol: bytes in, a request out; a reply in, bytes out.

It must not know what a command means: it checks lengths, opcodes and BSON, and says in one of two errors what
is wrong with them.

Source: the OP_MSG specification (https://github.com/mongodb/specifications, message/OP_MSG) and "MongoDB Wire
Protocol" in MongoDB's manual (OP_QUERY and OP_REPLY, which drivers still use for their first handshake).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError

_OP_REPLY = 1
_OP_QUERY = 2004
_OP_COMPRESSED = 2012
_OP_MSG = 2013
# 2001 to 2007 are the legacy opcodes from OP_UPDATE to OP_KILL_CURSORS, of which OP_QUERY is one.
_KNOWN_OPCODES = frozenset({_OP_REPLY, *range(2001, 2008), _OP_COMPRESSED, _OP_MSG})

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
MAX_MESSAGE_BYTES = 48_000_000

_CHECKSUM_PRESENT = 1
_MORE_TO_COME = 2
_EXHAUST_ALLOWED = 1 << 16
_REQUIRED_FLAGS = 0xFFFF & ~(_CHECKSUM_PRESENT | _MORE_TO_COME)

_HEADER = struct.Struct("<iiii")
_INT = struct.Struct("<i")
_UINT = struct.Struct("<I")
_HEADER_BYTES = _HEADER.size

# Dates that Python's datetime cannot hold stay as DatetimeMS; UUIDs stay Binary. What came in goes out
# unchanged.
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)

# Of OP_REPLY: AwaitCapable, cursor 0, starting at 0, 1 document.
_REPLY_FIELDS = struct.pack("<iqii", 8, 0, 0, 1)


class ProtocolError(Exception):
    """The bytes are no MongoDB message, or one that cannot be answered: the connection must end."""


class MalformedRequest(Exception):
    """The message's frame is whole but its content is not: answered with an error, the connection lives on.

    `request` is what is known of the message, enough to answer it; `message` says what is wrong, in one line;
    `code` is MongoDB's.
    """

    def __init__(self, request: Request, message: str, code: int = 22) -> None:
        super().__init__(message)
        self.request = request
        self.code = code


class Request(NamedTuple):
    """One command, as it came off the wire.

    `request_id` is the frame's, which a driver's command listener reports by the same name. The first key of
    `command` is the command's name, `$db` the database. `wants_reply` is False for an unacknowledged write
    (the flag moreToCome); `legacy` is True when it came as OP_QUERY and must be answered by OP_REPLY;
    `exhaust_allowed` says whether one getMore may be answered by all the batches to come.
    """

    request_id: int
    command: dict[str, Any]
    wants_reply: bool = True
    legacy: bool = False
    exhaust_allowed: bool = False


def read_frame(receive: Callable[[int], bytes]) -> bytes | None:
    """Read one whole message, with its header; None when the stream ended between two messages.

    `receive` is called with a number of bytes and returns exactly so many, or fewer at the end of the stream.
    ProtocolError when the length is impossible, the opcode unknown, or the stream ended inside a message.
    """
    head = receive(_HEADER_BYTES)
    if not head:
        return None
    if len(head) < _HEADER_BYTES:
        raise ProtocolError("the connection ended inside a message header")
    length, _, _, opcode = _HEADER.unpack(head)
    # Nothing is allocated before this check.
    if not _HEADER_BYTES <= length <= MAX_MESSAGE_BYTES:
        raise ProtocolError(
            f"a message length must be from {_HEADER_BYTES} to {MAX_MESSAGE_BYTES}, not {length}"
        )
    if opcode not in _KNOWN_OPCODES:
        raise ProtocolError(f"unknown opcode {opcode}")
    body = receive(length - _HEADER_BYTES) if length > _HEADER_BYTES else b""
    if len(body) < length - _HEADER_BYTES:
        raise ProtocolError("the connection ended inside a message")
    return head + body


def parse(frame: bytes) -> Request:
    """Make a request of a whole message. ProtocolError for an opcode that a MongoDB server does not take, or
    no longer takes; MalformedRequest for flags, sections or BSON that are broken.
    """
    length, request_id, _, opcode = _HEADER.unpack_from(frame)
    if opcode == _OP_MSG:
        return _parse_msg(frame, length, request_id)
    if opcode == _OP_QUERY:
        return _parse_query(frame, length, request_id)
    raise ProtocolError(f"opcode {opcode} is not supported: only OP_MSG, and OP_QUERY for the handshake")


def _parse_msg(frame: bytes, length: int, request_id: int) -> Request:
    if length < _HEADER_BYTES + 5:
        raise MalformedRequest(Request(request_id, {}), "OP_MSG has no section")
    (flags,) = _UINT.unpack_from(frame, _HEADER_BYTES)
    if not flags and length >= 26 and frame[20] == 0 and _INT.unpack_from(frame, 21)[0] == length - 21:
        # By far the commonest: one body section that fills the frame.
        return Request(request_id, _decode(frame[21:], request_id))
    wants_reply = not flags & _MORE_TO_COME
    empty = Request(request_id, {}, wants_reply)
    if flags & _REQUIRED_FLAGS:
        raise MalformedRequest(
            empty, f"OP_MSG has unknown required flag bits: {flags & _REQUIRED_FLAGS:#x}", 9
        )
    command = _read_sections(frame, length - 4 if flags & _CHECKSUM_PRESENT else length, empty)
    return Request(request_id, command, wants_reply, False, bool(flags & _EXHAUST_ALLOWED))


def _read_sections(frame: bytes, end: int, broken: Request) -> dict[str, Any]:
    command: dict[str, Any] | None = None
    sequences: dict[str, list[dict[str, Any]]] = {}
    position = _HEADER_BYTES + 4
    while position < end:
        kind = frame[position]
        position += 1
        size = _read_size(frame, position, end, broken)
        if kind == 0:
            if command is not None:
                raise MalformedRequest(broken, "OP_MSG has more than one body section", 40000)
            command = _decode(frame[position : position + size], broken)
        elif kind == 1:
            name, documents = _read_sequence(frame, position + 4, position + size, broken)
            if name in sequences:
                raise MalformedRequest(broken, f"OP_MSG has two document sequences named '{name}'", 40001)
            sequences[name] = documents
        else:
            raise MalformedRequest(broken, f"OP_MSG has a section of unknown kind {kind}", 40432)
        position += size
    if command is None:
        raise MalformedRequest(broken, "OP_MSG has no body section", 40587)
    for name in sequences:
        if name in command:
            raise MalformedRequest(
                broken, f"'{name}' stands both in the body and in a document sequence", 40001
            )
    command.update(sequences)
    return command


def _read_size(frame: bytes, position: int, end: int, broken: Request) -> int:
    if position + 5 > end:
        raise MalformedRequest(broken, "a section of OP_MSG is cut short")
    (size,) = _INT.unpack_from(frame, position)
    if size < 5 or position + size > end:
        raise MalformedRequest(broken, f"a section of OP_MSG has the impossible length {size}")
    return int(size)


def _read_sequence(frame: bytes, start: int, end: int, broken: Request) -> tuple[str, list[dict[str, Any]]]:
    zero = frame.find(b"\0", start, end)
    if zero < 0:
        raise MalformedRequest(broken, "a document sequence has no name")
    try:
        name = frame[start:zero].decode()
    except UnicodeDecodeError:
        raise MalformedRequest(broken, "the name of a document sequence is not UTF-8") from None
    documents = []
    position = zero + 1
    while position < end:
        size = _read_size(frame, position, end, broken)
        documents.append(_decode(frame[position : position + size], broken))
        position += size
    return name, documents


def _parse_query(frame: bytes, length: int, request_id: int) -> Request:
    broken = Request(request_id, {}, legacy=True)
    zero = frame.find(b"\0", _HEADER_BYTES + 4)
    if zero < 0:
        raise MalformedRequest(broken, "OP_QUERY has no collection name")
    namespace = frame[_HEADER_BYTES + 4 : zero].decode("utf-8", "replace")
    database, _, collection = namespace.partition(".")
    if collection != "$cmd":
        raise MalformedRequest(broken, "OP_QUERY is taken for commands only; use OP_MSG", 352)
    size = _read_size(frame, zero + 9, length, broken)
    command = _decode(frame[zero + 9 : zero + 9 + size], broken)
    if isinstance(command.get("$query"), dict):
        command = command["$query"]
    command["$db"] = database
    return Request(request_id, command, legacy=True)


def _decode(data: bytes, broken: Request | int) -> dict[str, Any]:
    """The document; MalformedRequest tells of `broken`, the request or, when no more is known, its id."""
    try:
        return bson.decode(data, CODEC)
    except (BSONError, ValueError, TypeError, OverflowError, RecursionError) as error:
        broken = broken if isinstance(broken, Request) else Request(broken, {})
        # bson wraps Python's RecursionError: "maximum recursion depth exceeded", or from 3.14 on this.
        if "recursion" in str(error) or "Stack overflow" in str(error):
            raise MalformedRequest(broken, "BSON is nested too deeply: 200 levels at most", 15) from None
        raise MalformedRequest(broken, f"Invalid BSON: {error}") from None


def encode_reply(
    request: Request, reply: dict[str, Any], response_id: int, *, more_to_come: bool = False
) -> bytes:
    """The bytes that answer a request, whose id and opcode decide the form. `response_id` is the frame's own
    request id; `more_to_come` says that another reply follows without a request.
    """
    document = bson.encode(reply, False, CODEC)
    if request.legacy:
        size = _HEADER_BYTES + len(_REPLY_FIELDS) + len(document)
        return _HEADER.pack(size, response_id, request.request_id, _OP_REPLY) + _REPLY_FIELDS + document
    size = _HEADER_BYTES + 5 + len(document)
    flags = b"\2\0\0\0\0" if more_to_come else b"\0\0\0\0\0"
    return _HEADER.pack(size, response_id, request.request_id, _OP_MSG) + flags + document
