"""A NATS connection as cheap as one can be: one protocol object, no task, no queue of its own.

`nats-py` keeps three tasks and several queues a connection; thousands of agents in one process
need less. What is spoken is the same (docs.nats.io, "Client Protocol"), and the server is a real
one: it lets in, cuts off and refuses as it does with any node.
"""

import asyncio
import base64
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from contracts import nkeys

_END: Final = b"\r\n"
_LARGEST: Final = 1 << 20


class _Info(Struct):
    nonce: str = ""


class Heard(Struct, frozen=True, gc=False):
    """One message: `status` is the number of a JetStream notice (404, 408, 503, …), else 0."""

    subject: str
    reply: str
    data: bytes
    status: int = 0


class Line(asyncio.Protocol):
    """One connection under one name, proven by its NATS key; it ends with its socket.

    `entered` is called once the server has let it in, `heard` for each message, `over` once at
    the end, let in or not. None of them may block.
    """

    def __init__(
        self,
        name: str,
        key: Ed25519PrivateKey,
        listens: str,
        heard: Callable[[Heard], None],
        entered: Callable[[], None],
        over: Callable[[], None],
    ) -> None:
        self._name = name
        self._key = key
        self._listens = listens
        self._heard = heard
        self._entered = entered
        self._over = over
        self._left = b""
        self._in = False
        self._transport: asyncio.Transport | None = None

    @property
    def is_in(self) -> bool:
        """True between the server's first answer and the end."""
        return self._in

    def publish(self, subject: str, data: bytes, reply: str = "") -> None:
        """Handed to the socket; nothing is known of its arrival. Nothing while not let in."""
        if self._transport is None or not self._in:
            return
        head = f"PUB {subject} {reply} {len(data)}" if reply else f"PUB {subject} {len(data)}"
        self._transport.write(b"".join((head.encode(), _END, data, _END)))

    def cut(self) -> None:
        """The connection is torn off, as a network would; `over` follows."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the protocol's
        self._in = False
        self._transport = None
        self._over()

    def data_received(self, data: bytes) -> None:
        text = self._left + data if self._left else data
        at = 0
        while True:
            end = text.find(_END, at)
            if end < 0:
                break
            taken = self._take(text, at, end)
            if taken < 0:
                break
            at = taken
        self._left = text[at:]
        if len(self._left) > _LARGEST:
            self.cut()

    def _take(self, text: bytes, at: int, end: int) -> int:
        """Where the next message begins; -1 while this one is not whole."""
        verb = text[at : at + 4]
        if verb == b"MSG ":
            return self._message(text, text[at + 4 : end].decode().split(), end + 2, 0)
        if verb == b"HMSG":
            fields = text[at + 5 : end].decode().split()
            return self._message(text, fields, end + 2, int(fields.pop(-2)))
        if verb == b"PING":
            self._write(b"PONG\r\n")
        elif verb == b"PONG" and not self._in:
            self._in = True
            self._write(f"SUB {self._listens} 1\r\n".encode())
            self._entered()
        elif verb == b"INFO" and not self._in:
            self._prove(msgspec.json.decode(text[at + 5 : end], type=_Info).nonce)
        return end + 2

    def _message(self, text: bytes, fields: list[str], begin: int, head: int) -> int:
        size = int(fields[-1])
        after = begin + size + 2
        if len(text) < after:
            return -1
        reply = fields[2] if len(fields) == 4 else ""
        status = 0
        if head:
            # `NATS/1.0 404 No Messages`: a message with a header and no status has none here.
            words = text[begin : begin + head].split(_END, 1)[0].split()
            status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        data = text[begin + head : begin + size]
        self._heard(Heard(fields[0], reply, data, status))
        return after

    def _prove(self, nonce: str) -> None:
        said = {
            "verbose": False,
            "pedantic": False,
            "tls_required": False,
            "lang": "gpuaas-simulator",
            "version": "1",
            "protocol": 1,
            "headers": True,
            "no_responders": True,
            "name": self._name,
            "nkey": nkeys.public(self._key, nkeys.USER),
            "sig": base64.b64encode(self._key.sign(nonce.encode())).decode("ascii"),
        }
        self._write(b"CONNECT " + msgspec.json.encode(said) + b"\r\nPING\r\n")

    def _write(self, raw: bytes) -> None:
        if self._transport is not None:
            self._transport.write(raw)
