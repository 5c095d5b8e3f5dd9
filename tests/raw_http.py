"""HTTP as bytes, as no well-meant client would say it."""

import json
import socket
import time
from collections.abc import Iterable
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """`status` 0: the connection was closed without a word. `open`: it still stands afterwards."""

    status: int
    headers: dict[str, str]
    body: bytes
    open: bool
    took_s: float

    @property
    def code(self) -> str:
        """Of a problem of ours; empty where the server itself answered."""
        if self.headers.get("content-type") != "application/problem+json":
            return ""
        found: Any = json.loads(self.body)["code"]
        return str(found)


def head(first: str, *fields: str, body: bytes = b"") -> bytes:
    """A request with a Host; fields as they are."""
    return "\r\n".join((first, "Host: api", *fields, "", "")).encode("latin-1") + body


def ask(
    port: int, data: bytes, *, wait_s: float = 10, drip: Iterable[tuple[float, bytes]] = ()
) -> Answer:
    """What is answered; `drip`: more bytes, each after so many seconds, as long as they are taken."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as line:
        raw, still = b"", True
        try:
            line.sendall(data)
            for pause_s, more in drip:
                line.settimeout(pause_s)
                try:
                    raw = line.recv(65_536)
                    break
                except TimeoutError:
                    line.sendall(more)
            line.settimeout(wait_s)
            while still and not _whole(raw):
                got = line.recv(65_536)
                raw, still = raw + got, bool(got)
            took_s = time.monotonic() - began
            if still:
                line.settimeout(0.05)
                still = bool(line.recv(1) or False)
        except TimeoutError:
            took_s = time.monotonic() - began
        except OSError:
            still, took_s = False, time.monotonic() - began
    return _answer(raw, still=still, took_s=took_s)


def _whole(raw: bytes) -> bool:
    top, found, rest = raw.partition(b"\r\n\r\n")
    return bool(found) and len(rest) >= int(_fields(top).get("content-length", "0"))


def _fields(top: bytes) -> dict[str, str]:
    lines = top.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}


def _answer(raw: bytes, *, still: bool, took_s: float) -> Answer:
    top, _, rest = raw.partition(b"\r\n\r\n")
    status = int(top.split(b" ")[1]) if top else 0
    return Answer(status, _fields(top), rest, still, took_s)
