"""A small MongoDB-compatible server for tests and lessons: real wire protocol, in memory, loopback only."""

from .server import EmbeddedServer

__all__ = ["EmbeddedServer"]
