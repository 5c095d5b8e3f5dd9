"""Servers of our own: one answers as it is told, one gives the answers it has and keeps what was asked."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """`status` 0: the line is cut before a byte of an answer."""

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


class Asked(NamedTuple):
    what: str
    headers: dict[str, str]
    body: Any


@contextmanager
def answering(answer: Callable[[Asked], Answer]) -> Iterator[str]:
    """The URL of a server that answers each request so."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = _said(raw)
            given = answer(Asked(f"{self.command} {self.path}", headers, body))
            if not given.status:
                self.close_connection = True
                return
            data = given.body if isinstance(given.body, bytes) else json.dumps(given.body).encode()
            self.send_response(given.status)
            for name, value in given.headers:
                self.send_header(name, value)
            if "Transfer-Encoding" not in dict(given.headers):
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815 - the names that the server looks for

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving(*answers: Answer) -> Iterator[tuple[str, list[Asked]]]:
    """Its URL, and what was asked so far; each answer is given once, and all of them are."""
    waiting, asked = list(answers), list[Asked]()

    def next_one(request: Asked) -> Answer:
        asked.append(request)
        return waiting.pop(0)

    with answering(next_one) as url:
        yield url, asked
    assert not waiting, "all were asked for"


def _said(raw: bytes) -> Any:
    """A body's JSON; of a form its bytes, None for nothing."""
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw


def problem(code: str, **facts: int | str) -> dict[str, Any]:
    """A refusal's body."""
    said = {"code": code, "detail": "no", "remedy": "do", "title": "t", "status": 0}
    return {**said, "facts": facts, "correlation_id": "c", "errors": []}
