"""A served API to be attacked over real sockets, and whether anything came of it."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg

from api.tokens import developer_token
from tests import raw_http, stored
from tests.conftest import Database
from tests.integration.served import Served, served
from tests.raw_http import Answer, head

MAKE: Final = "POST /v1/organizations HTTP/1.1"
_DENIED: Final = """
SELECT count(*) FROM log.entry
WHERE position('"tag":"gpuaas.access.denied.v1"'::bytea IN entry) > 0
   OR position('"tag":"gpuaas.access.batch_sealed.v1"'::bytea IN entry) > 0
"""
# Claims of refused requests are freed a moment later, last uses written, refused calls counted.
_PASSING: Final = frozenset(("api.claim", "api.key_used", "log.bulk_row"))


class Attacked:
    """The server, an operator's token, and a client that keeps its connections."""

    def __init__(self, api: Served, database: Database) -> None:
        self.api, self.database = api, database
        self.port = api.settings.http_port
        self.token = developer_token(api.settings)

    def acting(self, *fields: str, first: str = MAKE, body: bytes = b"") -> bytes:
        """An operator's request to make something."""
        own = (f"Authorization: Bearer {self.token}", f"Idempotency-Key: {uuid.uuid4().hex}")
        return head(first, *own, "Content-Type: application/json", *fields, body=body)

    def sized(self, body: bytes, *fields: str, first: str = MAKE) -> bytes:
        return self.acting(f"Content-Length: {len(body)}", *fields, first=first, body=body)

    def ask(self, data: bytes, **more: Any) -> Answer:
        return raw_http.ask(self.port, data, **more)

    def counts(self) -> dict[str, int]:
        """Rows by table; facts of who was denied what are what an attack leaves."""
        found = stored.counts(self.database)
        with psycopg.connect(self.database.superuser_url) as conn:
            denied = conn.execute(_DENIED).fetchone()
        assert denied is not None
        found["log.entry"] -= denied[0]
        return {name: rows for name, rows in found.items() if name not in _PASSING}

    def lives(self) -> None:
        """Somebody well-meant is served as ever."""
        answer = self.ask(
            head("GET /v1/organizations HTTP/1.1", f"Authorization: Bearer {self.token}")
        )
        assert answer.status == 200, answer
        assert self.api.child.poll() is None


@contextlib.contextmanager
def attacking(database: Database, nats_url: str, folder: Path) -> Iterator[Attacked]:
    with served(database, nats_url, folder) as api:
        yield Attacked(api, database)


@contextlib.contextmanager
def untouched_by(attacked: Attacked) -> Iterator[None]:
    """Nothing is stored meanwhile, nothing is said to be broken, and others are served after."""
    before = attacked.counts()
    yield
    after = attacked.counts()
    changed = {name: rows for name, rows in after.items() if rows != before.get(name)}
    assert not changed, changed
    attacked.lives()
    assert "Traceback" not in attacked.api.log.read_text()


def refused(answer: Answer, status: int, code: str = "") -> None:
    assert (answer.status, answer.code) == (status, code), answer
