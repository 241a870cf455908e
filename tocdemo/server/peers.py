"""Whose program is at the other end of a connection: a loopback address is every local user's.

It must not know what is sent. Linux tells (`sock_diag(7)` in its manual pages); elsewhere, and where a
sandbox forbids the question, nobody does.
"""

from __future__ import annotations

import os
import socket
import struct
from functools import cache

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _REQUEST = 4, 20, 1
_HEADER = struct.Struct("=IHHII")  # length, kind, flags, number, sender
_ASK = struct.Struct("=BBBBI")  # family, protocol, extensions, padding, states
_NO_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)  # any interface
_ANSWER = struct.Struct("=BB2x48x12xII")  # family, state, …, user, inode
_ESTABLISHED = 1


def user_of_peer(connection: socket.socket) -> int | None:
    """The number of the user whose program holds the other end of this connection to the same machine; None
    when that end is closed or closing. OSError when the system does not tell.
    """
    there, here = connection.getpeername(), connection.getsockname()
    places = struct.pack("!HH", there[1], here[1]) + _packed(connection, there[0], here[0])
    body = _ASK.pack(connection.family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + places + _NO_COOKIE
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("this system does not tell whose a connection is")
    header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.sendto(header + body, (0, 0))
        answer = kernel.recv(4096)
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:  # an error: no such connection
        return None
    _, state, user, inode = _ANSWER.unpack_from(answer, _HEADER.size)
    # An end whose program closed it has no inode, and is said to be the superuser's.
    return user if state == _ESTABLISHED and inode else None


def _packed(connection: socket.socket, *addresses: str) -> bytes:
    return b"".join(socket.inet_pton(connection.family, each).ljust(16, b"\0") for each in addresses)


@cache
def are_told() -> bool:
    """Whether this system tells, seen by a connection from this process to itself."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname(), 1),
        ):
            connection, _ = listener.accept()
            with connection:
                return user_of_peer(connection) == os.geteuid()
    except OSError:
        return False
