"""A bare connection, for what no driver would send."""

import socket
import struct

import bson


class Wire:
    """Frames by hand. `reply` is None when the server closed the connection."""

    def __init__(self, server, timeout=5.0):
        self.socket = socket.create_connection((server.host, server.port), timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def command(self, command, flags=0, request_id=7):
        self.send(message(command, flags, request_id))
        return self.reply()

    def reply(self):
        head = self._exactly(16)
        if head is None:
            return None
        length, _, _, opcode = struct.unpack("<iiii", head)
        body = self._exactly(length - 16)
        return bson.decode(body[5:] if opcode == 2013 else body[20:])

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                piece = self.socket.recv(size - len(data))
            except ConnectionError:
                return None
            if not piece:
                return None
            data += piece
        return data


def message(command, flags=0, request_id=7):
    return frame(struct.pack("<I", flags) + b"\0" + bson.encode(command), request_id)


def frame(body, request_id=7, opcode=2013, length=None):
    return struct.pack("<iiii", 16 + len(body) if length is None else length, request_id, 0, opcode) + body
