"""A living stack and a crowd of SIMULATED agents on it, each with a runtime that renews a lease."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
from msgspec import Struct

from agent.simulator.crowd import Crowd, until
from agent.simulator.enrolling import Front, enrolled
from agent.simulator.member import Habits
from api.supervisor import Stack, running
from evidence.reader import Recorded, decode_entry, read_entries
from tests.terminal_stage import Office

_CALLERS = 16
_PATIENCE_S = 300.0
_PARTS = ("signer", "worker", "serve")


class Hall(Struct, frozen=True):
    """A stack without an agent of its own, and its one tenant."""

    stack: Stack
    office: Office

    def entries(self, first: int = 0) -> list[Recorded]:
        with psycopg.connect(self.stack.settings.database_url) as conn:
            return [decode_entry(raw) for _, raw, _ in read_entries(conn, first, 1_000_000)]


@contextmanager
def hall() -> Iterator[Hall]:
    """Everything the embedded stack has but agent and gateway; gone with the block."""
    place = Path(tempfile.mkdtemp(prefix="gpuaas-crowd-"))
    place.chmod(0o711)
    given = {"GPUAAS_DATA": str(place / "data"), "GPUAAS_SIGNER_STATE": str(place / "signer")}
    # asyncio's TLS holds 300 KiB a connection: thousands in one program are the simulator's own
    # cost, not an agent's. Figures of crowds are of loopback without TLS.
    given["GPUAAS_EMBEDDED_NATS_TLS"] = "0"
    os.environ.update(given)
    try:
        with running(lambda _: None, processes=_PARTS) as stack:
            office = Office(stack)
            office.furnish(0)
            yield Hall(stack, office)
            office.close()
    finally:
        for name in given:
            del os.environ[name]
        shutil.rmtree(place, ignore_errors=True)


def gathered(here: Hall, count: int, seed: int, habits: Habits) -> Crowd:
    """`count` nodes of one device each, enrolled over HTTP; nobody has connected yet."""
    front = Front(here.stack.url, here.office.operator)
    return Crowd(enrolled(front, seed, count, "T4", habits.gpus), habits, seed)


async def busy(here: Hall, crowd: Crowd, within_s: float) -> float:
    """Everybody is in and has a runtime that is usable; seconds the launches took."""
    crowd.start()
    count = len(crowd.members)
    assert await until(lambda: crowd.entered() == count, within_s), crowd.entered()
    began = time.monotonic()
    await asyncio.to_thread(_launched, here, count)
    assert await until(lambda: len(crowd.living()) == count, within_s, 1), len(crowd.living())
    return time.monotonic() - began


def _launched(here: Hall, count: int) -> None:
    body = {"project": here.office.project, "name": "r", "devices": 1, "gpu_milli": 1000}

    def one(_at: int) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        # On a machine too busy to hear all beats in 15 s, nodes are unreachable for a while.
        while (answer := here.office.post("/v1/runtimes", body)).status_code == 409:
            assert time.monotonic() < deadline, answer.text
            time.sleep(1)
        assert answer.status_code == 201, answer.text

    with ThreadPoolExecutor(_CALLERS) as pool:
        list(pool.map(one, range(count)))
