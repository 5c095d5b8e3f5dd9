"""Between the agent and the program that holds a PTY: length, kind, body, on a Unix socket."""

import os
import socket
import struct
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

# Agent to host.
FRAME, ATTACH, END, UNTIL = b"F", b"A", b"E", b"U"
# Host to agent; a FRAME goes both ways.
REPLY = b"R"

HEAD: Final = struct.Struct(">Ic")
MOST: Final = 65_536
MARK: Final = "GPUAAS_TERMINAL"  # in the environment of all that runs in a session
SOCKET: Final = "socket"
SETTINGS: Final = "settings.json"
PID: Final = "pid"


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """What a host is started with, in its folder. `user`: the uid to run as, -1 = as it is.

    `until_us`: CLOCK_BOOTTIME at which it ends unless the agent moves that on.
    """

    node: str
    session: str
    allocation: str
    key: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    banner: str
    user: int
    columns: int
    rows: int
    until_us: int


class Refusal(Struct, frozen=True, forbid_unknown_fields=True):
    """How many frames were refused, by code, for the agent's counts."""

    code: str
    times: int


def packed(kind: bytes, body: bytes) -> bytes:
    return HEAD.pack(len(body), kind) + body


class Unpacker:
    """Messages out of a stream of bytes, however it is cut."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The (kind, body) that are whole now. Raises: ValueError for an oversized one."""
        self._held += data
        found = []
        while len(self._held) >= HEAD.size:
            length, kind = HEAD.unpack_from(self._held)
            if length > MOST:
                raise ValueError(f"a message of {length} bytes")
            if len(self._held) < HEAD.size + length:
                break
            found.append((kind, bytes(self._held[HEAD.size : HEAD.size + length])))
            del self._held[: HEAD.size + length]
        return found


def listening(folder: Path) -> socket.socket:
    """A socket in `folder` (mode 0700), however long the folder's path is."""
    (folder / SOCKET).unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    place = os.open(folder, os.O_PATH)
    try:
        made.bind(f"/proc/self/fd/{place}/{SOCKET}")
    finally:
        os.close(place)
    made.listen(4)
    made.setblocking(False)
    return made


def connected(folder: Path) -> socket.socket:
    """The agent's end. Raises: OSError when no host listens there, or it is stuck."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.setblocking(False)
    place = os.open(folder, os.O_PATH)
    try:
        made.connect(f"/proc/self/fd/{place}/{SOCKET}")
    except OSError:
        made.close()
        raise
    finally:
        os.close(place)
    return made


def settings_of(folder: Path) -> Settings:
    """Raises: OSError, msgspec.DecodeError when there are none."""
    return msgspec.json.decode((folder / SETTINGS).read_bytes(), type=Settings)
