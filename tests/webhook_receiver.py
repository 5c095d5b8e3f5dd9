"""A receiver of webhooks: a real HTTP server that keeps what it is sent and answers as it is told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Heard(msgspec.Struct, frozen=True):
    headers: dict[str, str]
    body: bytes
    at_s: float = msgspec.field(default_factory=time.monotonic)

    @property
    def event(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def position(self) -> int:
        return int(self.event["id"])


class Receiver:
    """`answer`: the status for what was heard; 200 unless a test says otherwise."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.answer: Callable[[Heard], int] = lambda _: 200
        self.more: dict[str, str] = {}
        self.url = ""
        self.port = 0

    def positions(self) -> list[int]:
        return [one.position for one in list(self.heard)]


@contextmanager
def receiving(host: str = "127.0.0.1", port: int = 0, tls: Any = None) -> Iterator[Receiver]:
    """Listens for the length of the block; `tls`: a server's context."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            told = Heard({name.lower(): text for name, text in self.headers.items()}, body)
            found.heard.append(told)
            self.send_response(found.answer(told))
            for name, text in found.more.items():
                self.send_header(name, text)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer((host, port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    found.port = server.server_port
    found.url = f"{'http' if tls is None else 'https'}://{host}:{found.port}/hook?of=a"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
