"""The simulator's own NATS connection, byte by byte, and its crowd, seed by seed."""

import asyncio
import base64
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.simulator.enrolling import key_of
from agent.simulator.line import Heard, Line
from contracts import nkeys

INFO = b'INFO {"server_id":"x","nonce":"abc"}\r\n'
SPOKEN = (
    INFO + b"PONG\r\n"
    b"MSG _INBOX.n.receipt 1 5\r\nhello\r\n"
    b"MSG _INBOX.n.cmd 1 $JS.ACK.x 2\r\n\r\n\r\n"
    b"HMSG _INBOX.n.cmd 1 28 28\r\nNATS/1.0 404 No Messages\r\n\r\n\r\n"
    b"PING\r\n"
    b"HMSG _INBOX.n.lease 1 back 12 15\r\nNATS/1.0\r\n\r\nyes\r\n"
)
MEANT = [
    Heard("_INBOX.n.receipt", "", b"hello"),
    Heard("_INBOX.n.cmd", "$JS.ACK.x", b"\r\n"),
    Heard("_INBOX.n.cmd", "", b"", 404),
    Heard("_INBOX.n.lease", "back", b"yes"),
]


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.torn = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.torn = True


def spoken_to(key: Ed25519PrivateKey, pieces: list[bytes]) -> tuple[list[Heard], Wire, list[str]]:
    heard: list[Heard] = []
    met: list[str] = []
    line = Line(
        *(
            "n",
            key,
            "_INBOX.n.>",
            heard.append,
            lambda: met.append("in"),
            lambda: met.append("over"),
        )
    )
    wire = Wire()
    line.connection_made(wire)
    for piece in pieces:
        line.data_received(piece)
    return heard, wire, met


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_what_a_server_says_means_the_same_however_it_is_cut(size: int) -> None:
    """TCP keeps no borders: any cut of the bytes gives the same messages, answers and signature."""
    key = key_of(1, 0, "nats")
    pieces = [SPOKEN[at : at + size] for at in range(0, len(SPOKEN), size)]
    heard, wire, met = spoken_to(key, pieces)
    assert heard == MEANT
    assert met == ["in"]
    connect, *others = wire.written.split(b"\r\n")
    assert others == [b"PING", b"SUB _INBOX.n.> 1", b"PONG", b""]
    said = msgspec.json.decode(connect.removeprefix(b"CONNECT "))
    assert said["nkey"] == nkeys.public(key, nkeys.USER)
    key.public_key().verify(base64.b64decode(said["sig"]), b"abc")


def test_endless_rubbish_ends_the_connection() -> None:
    """A server that never ends a line costs a bounded memory."""
    _, wire, _ = spoken_to(key_of(1, 0, "nats"), [INFO, b"x" * ((1 << 20) + 1)])
    assert wire.torn


def test_a_seed_names_its_crowd() -> None:
    """The same seed makes the same keys, another member or seed makes others."""
    first = key_of(1, 0, "event").private_bytes_raw()
    assert first == key_of(1, 0, "event").private_bytes_raw()
    others = {key_of(*one).private_bytes_raw() for one in ((1, 1, "event"), (2, 0, "event"))}
    assert first not in others
    assert len(others) == 2
