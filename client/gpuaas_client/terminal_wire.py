"""What a client of a terminal and the API say over the WebSocket: binary messages, each a kind
(1 byte), an offset (8 bytes, big-endian) and data. As contracts/terminal_client.py says it.
"""

import struct
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

INPUT, ACK, RESIZE, CLOSE = 1, 2, 3, 5
HELLO, OUTPUT, TYPED, GAP, EXIT = 16, 17, 18, 19, 20
# Why the API closed: the session is over, another connection has taken it, the client broke the
# rules, the node cannot be reached.
OVER, TAKEN, RULES, UNREACHABLE = 4000, 4001, 4002, 4003
WINDOW: Final = 256 * 1024
PIECE: Final = 16 * 1024
MAX_SIDE: Final = 1000

_HEAD: Final = struct.Struct(">BQ")
_U32: Final = struct.Struct(">I")
_U64: Final = struct.Struct(">Q")
_PAIR: Final = struct.Struct(">QQ")
_SIZE: Final = struct.Struct(">HH")
_EXIT: Final = struct.Struct(">h")


def message(kind: int, offset: int = 0, data: bytes = b"") -> bytes:
    return _HEAD.pack(kind, offset) + data


def resize(columns: int, rows: int) -> bytes:
    return message(RESIZE, 0, _SIZE.pack(*bounded(columns, rows)))


def bounded(columns: int, rows: int) -> tuple[int, int]:
    """As large as the API takes a terminal to be: COLUMNS may say anything."""
    return max(1, min(columns, MAX_SIDE)), max(1, min(rows, MAX_SIDE))


class Shown(Struct, frozen=True):
    """What is to be written to the screen; `gap`: bytes of output that are lost before it."""

    data: bytes
    gap: int = 0


class Exited(Struct, frozen=True):
    status: int


class Line:
    """One session as its client has it, over any number of connections; no I/O of its own.

    `shown`: output bytes that arrived. Input that was not taken is kept and sent again.
    """

    def __init__(self) -> None:
        self.shown = 0
        self._typed = 0
        self._sent = 0
        self._limit = 0
        self._pending = bytearray()

    def take(self, raw: bytes) -> Shown | Exited | None:
        """What a message of the API means for the person. Raises: ValueError for none of ours."""
        if len(raw) < _HEAD.size:
            raise ValueError(f"{len(raw)} bytes")
        kind, offset = _HEAD.unpack_from(raw)
        data = raw[_HEAD.size :]
        try:
            return self._taken(kind, offset, data)
        except struct.error as error:
            raise ValueError(f"kind {kind}: {len(data)} bytes") from error

    def _taken(self, kind: int, offset: int, data: bytes) -> Shown | Exited | None:
        match kind:
            case _ if kind == HELLO:
                typed, limit = _PAIR.unpack(data)
                self._accept(typed, limit)
                self._sent = typed
                self.shown = offset
            case _ if kind == OUTPUT:
                if offset != self.shown:
                    raise ValueError(f"output at {offset}, not at {self.shown}")
                self.shown += len(data)
                return Shown(data)
            case _ if kind == TYPED:
                self._accept(offset, _U64.unpack(data)[0])
            case _ if kind == GAP:
                [start] = _U64.unpack(data)
                self.shown = offset
                return Shown(b"", offset - start)
            case _ if kind == EXIT:
                return Exited(_EXIT.unpack(data)[0])
        return None

    def _accept(self, typed: int, limit: int) -> None:
        if not self._typed <= typed <= self._typed + len(self._pending):
            raise ValueError(f"{typed} bytes typed, of {self._typed + len(self._pending)}")
        del self._pending[: typed - self._typed]
        self._typed, self._limit = typed, limit

    def type(self, data: bytes) -> None:
        """Kept until the node has taken it."""
        self._pending += data

    def sends(self) -> Iterator[bytes]:
        """Messages of input, as far as the API allows by now."""
        while self._sent < min(self._typed + len(self._pending), self._limit):
            begin = self._sent - self._typed
            most = min(PIECE, self._limit - self._sent)
            data = bytes(self._pending[begin : begin + most])
            at, self._sent = self._sent, self._sent + len(data)
            yield message(INPUT, at, data)

    def ack(self) -> bytes:
        """All output so far has arrived; a window more may be on its way."""
        return message(ACK, self.shown, _U32.pack(WINDOW))
