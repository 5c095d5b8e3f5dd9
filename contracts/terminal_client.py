"""What a client of a terminal and the API say over the WebSocket: binary messages, each a kind
(1 byte), an offset (8 bytes, big-endian) and data.

A client opens `/v1/terminals/<session>?ticket=…&from=N` and gets HELLO, then output from N on. It
acknowledges what it has taken in and grants a window; it sends input at most up to `limit`. After a
lost connection it asks for a new ticket, comes back with `from` = the output it has, and sends
again the input that HELLO does not count as typed.
"""

import struct
from typing import Final

from msgspec import Struct

from contracts.signing import FleetError
from contracts.terminal import MAX_SIDE, PIECE, WINDOW

# Client to API.
INPUT, ACK, RESIZE, PING, CLOSE = 1, 2, 3, 4, 5
# API to client.
HELLO, OUTPUT, TYPED, GAP, EXIT, PONG = 16, 17, 18, 19, 20, 21

# Why the API closed: the session is over (reason: why), another connection has taken it, the
# client broke the rules, the node cannot be reached.
OVER, TAKEN, RULES, UNREACHABLE = 4000, 4001, 4002, 4003

_HEAD: Final = struct.Struct(">BQ")
_U32: Final = struct.Struct(">I")
_U64: Final = struct.Struct(">Q")
_PAIR: Final = struct.Struct(">QQ")
_SIZE: Final = struct.Struct(">HH")
_EXIT: Final = struct.Struct(">h")
MOST: Final = _HEAD.size + PIECE


class Message(Struct, frozen=True):
    kind: int
    offset: int
    data: bytes


def message(kind: int, offset: int = 0, data: bytes = b"") -> bytes:
    return _HEAD.pack(kind, offset) + data


def opened(raw: bytes) -> Message:
    """Raises: FleetError term.malformed."""
    if not _HEAD.size <= len(raw) <= MOST:
        raise FleetError("term.malformed", f"{len(raw)} bytes")
    kind, offset = _HEAD.unpack_from(raw)
    return Message(kind, offset, bytes(raw[_HEAD.size :]))


def hello(start: int, typed: int, limit: int) -> bytes:
    """Output comes from `start`; input is taken up to `typed`, and may go on up to `limit`."""
    return message(HELLO, start, _PAIR.pack(typed, limit))


def open_hello(data: bytes) -> tuple[int, int]:
    """(typed, limit). Raises: FleetError term.malformed."""
    typed, limit = _unpacked(_PAIR, data)
    return typed, limit


def typed(offset: int, limit: int) -> bytes:
    return message(TYPED, offset, _U64.pack(limit))


def ack(offset: int, window: int = WINDOW) -> bytes:
    """All output before `offset` has arrived; as much as `window` more may be on its way."""
    return message(ACK, offset, _U32.pack(window))


def open_window(data: bytes) -> int:
    """Raises: FleetError term.malformed."""
    return _unpacked(_U32, data)[0]


def open_limit(data: bytes) -> int:
    """The limit of TYPED, the beginning of GAP. Raises: FleetError term.malformed."""
    return _unpacked(_U64, data)[0]


def gap(start: int, end: int) -> bytes:
    """Output from `start` is lost; what comes next begins at `end`."""
    return message(GAP, end, _U64.pack(start))


def resize(columns: int, rows: int) -> bytes:
    return message(RESIZE, 0, _SIZE.pack(columns, rows))


def open_size(data: bytes) -> tuple[int, int]:
    """(columns, rows). Raises: FleetError term.malformed."""
    columns, rows = _unpacked(_SIZE, data)
    if not (1 <= columns <= MAX_SIDE and 1 <= rows <= MAX_SIDE):
        raise FleetError("term.malformed", f"{columns} x {rows}")
    return columns, rows


def exited(offset: int, status: int) -> bytes:
    return message(EXIT, offset, _EXIT.pack(status))


def open_exit(data: bytes) -> int:
    """Raises: FleetError term.malformed."""
    return _unpacked(_EXIT, data)[0]


def _unpacked(form: struct.Struct, data: bytes) -> tuple[int, ...]:
    if len(data) != form.size:
        raise FleetError("term.malformed", f"{len(data)} bytes, not {form.size}")
    return form.unpack(data)
