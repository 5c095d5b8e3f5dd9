"""A real log under test: PostgreSQL, storage, a signer thread, an integrator driven
step by step.
"""

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from msgspec import Struct

from domain.node import Unreachable
from evidence import signer
from evidence.ids import new_id
from evidence.integrator import Integrator
from evidence.log import Append, Appended, Bulk, EventLog, Write
from evidence.opening import open_log
from evidence.signing import ask_status
from evidence.storage import Storage
from gpuaas_verify.note import Vkey
from tests.conftest import Database


class EvidenceStack:
    """`storage`, `socket`, `signer_state` under one folder; `integrate()` brings all up to date."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.storage = Storage(folder / "evidence")
        self.signer_state = folder / "signer"
        self.socket = folder / "s.sock"
        self.vkey_text = self.open()
        self.vkey = Vkey.parse(self.vkey_text)

    def open(self) -> str:
        url = self.database.app_url
        return open_log(url, self.storage.root, self.signer_state, "test.example")

    @contextmanager
    def signing(self) -> Iterator[None]:
        """The signer answers inside."""
        stop, ready = threading.Event(), threading.Event()
        arguments = (self.signer_state, self.socket, stop, ready.set)
        thread = threading.Thread(target=signer.serve, args=arguments)
        thread.start()
        try:
            assert ready.wait(60)
            yield
        finally:
            stop.set()
            thread.join()

    def integrate(self) -> int:
        """Everything in the log checked, laid out and signed; the signed size."""
        with (
            psycopg.connect(self.database.app_url, autocommit=True) as conn,
            closing(Integrator(conn, self.storage, self.socket)) as integrator,
        ):
            while integrator.step():
                continue
            return integrator.signed.size

    def append(self, appends: Sequence[Append]) -> list[Appended]:
        return asyncio.run(_append(self.database.app_url, appends))

    def fill(self, count: int) -> None:
        """`count` entries in streams of up to three versions."""
        made = 0
        while made < count:
            facts = tuple(Unreachable(n) for n in range(min(3, count - made)))
            self.append_later(one_stream(new_id("node"), 0, *facts))
            made += len(facts)
        self.flush()

    def append_later(self, append: Append) -> None:
        self._queue = [*getattr(self, "_queue", []), append]

    def flush(self) -> list[Appended]:
        queue, self._queue = getattr(self, "_queue", []), []
        return self.append(queue)

    def refused(self) -> int:
        return ask_status(self.socket).refused


async def _append(url: str, appends: Sequence[Append]) -> list[Appended]:
    log = await EventLog.open(url)
    try:
        answers = await log.append_many(appends)
    finally:
        await log.close()
    for answer in answers:
        if not isinstance(answer, Appended):
            raise answer
    return [answer for answer in answers if isinstance(answer, Appended)]


def one_stream(
    stream: str, expected: int, *facts: Struct, bulk: tuple[Bulk, ...] = (), org: str = "-"
) -> Append:
    """An append of these facts under a fresh command id."""
    command = hashlib.sha256(f"{stream} {expected}".encode()).hexdigest()
    writes = (Write(stream, org, expected, facts),)
    return Append(writes, "system-test", f"cmd:{command}", bulk=bulk)
