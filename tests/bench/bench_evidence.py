"""What the evidence costs: chain, integrator and signer beside commands; signing lag;
verification.
"""

import asyncio
import contextlib
import gc
import json
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
import uvloop

from api.embedded.postgres import Postgres
from evidence import batch, custody, signer
from evidence.bundle import StorageSource, write_tar
from evidence.ids import new_id
from evidence.integrator import Integrator
from evidence.log import EventLog
from evidence.opening import open_log
from evidence.storage import Storage
from evidence.tail import published_size
from gpuaas_verify.bundle import Scope, Trust, verify_path
from gpuaas_verify.merkle import leaf_hash, root_hash
from gpuaas_verify.note import Vkey
from gpuaas_verify.pool import COLLECT_EVERY, cores
from tests.bench.bench_log import (
    CALLERS,
    EVENTS,
    Measured,
    Urls,
    as_served,
    command_rate,
    copy_rate,
    fresh_database,
    ingest_rate,
    row,
    starting,
    stored_rows,
)

ROUNDS = 3
TURNS = 6
PARTS = 8
LAG_SECONDS = 5.0
SPAWN = multiprocessing.get_context("spawn")


class Running:
    """An opened log with its signer and its custody in processes of their own."""

    def __init__(self, urls: Urls, folder: Path, *, keep: bool = True) -> None:
        self.url = url = urls["app"]
        self.owner_url = urls["owner"]
        self.storage = Storage(folder / "evidence")
        self.socket = folder / "s.sock"
        self.vkey = open_log(url, self.storage.root, folder / "signer", "bench.example")
        self._children = [_child(signer.run, folder / "signer", self.socket)]
        while not self.socket.exists():
            time.sleep(0.01)
        if keep:
            self._children.append(_child(custody.run, url, self.storage.root, self.socket, None))
            self.wait_for(1)

    def wait_for(self, size: int) -> None:
        while published_size(self.storage) < size:
            time.sleep(0.005)

    def close(self) -> None:
        for child in reversed(self._children):
            assert child.pid is not None
            os.kill(child.pid, signal.SIGTERM)
            child.join()


def _child(target: Callable[..., int], *arguments: object) -> BaseProcess:
    child = SPAWN.Process(target=target, args=arguments)
    child.start()
    return child


@contextlib.contextmanager
def running(server: Postgres, *, keep: bool = True) -> Iterator[Running]:
    with fresh_database(server) as urls, tempfile.TemporaryDirectory() as folder:
        found = Running(urls, Path(folder), keep=keep)
        try:
            yield found
        finally:
            found.close()


@contextlib.contextmanager
def unchained() -> Iterator[None]:
    """The same recorder without its chain: every entry names zeros as its past."""
    names = vars(batch)
    chained = names["leaf_hash"]
    names["leaf_hash"] = lambda _entry: bytes(32)
    try:
        yield
    finally:
        names["leaf_hash"] = chained


def commands(server: Postgres) -> list[Measured]:
    """One-event commands with chain, integrator and signer, against the recorder without them.

    Both sides take turns at going first, so that a machine that changes its mood is fair to both.
    """
    plain: list[float] = []
    beside: list[float] = []
    whole: list[tuple[float, float]] = []
    for turn in range(TURNS):
        for with_evidence in (turn % 2 == 0, turn % 2 != 0):
            if with_evidence:
                whole.append(_rate(server))
            else:
                plain.append(_plain_rate(server))
        with _idler():
            beside.append(_plain_rate(server))
    caught_up = [behind for _, behind in whole]
    name = "the recorder without chain, integrator and signer"
    value, base = statistics.mean(rate for rate, _ in whole), statistics.mean(plain)
    spun = statistics.mean(beside)
    return [
        row("commands with chain, integrator, signer", value, "commands/s", name, base),
        row("commands without them, beside an idle-priority loop", spun, "commands/s", name, base),
        row("signed after the last command", statistics.median(caught_up) * 1e3, "ms", "none", 0),
    ]


@contextlib.contextmanager
def _idler() -> Iterator[None]:
    """A process that asks for nothing but time nobody else wants.

    What the commands lose to it, they lose to the machine: to cores that slow each other down.
    """
    child = SPAWN.Process(target=_spin, daemon=True)
    child.start()
    try:
        yield
    finally:
        child.kill()
        child.join()


def _spin() -> None:
    os.nice(19)
    while True:
        sum(range(1000))


def _plain_rate(server: Postgres) -> float:
    with fresh_database(server) as urls, unchained(), as_served():
        return uvloop.run(command_rate(urls["app"]))[0]


def _rate(server: Postgres) -> tuple[float, float]:
    """(commands/s, seconds until the last of them was signed)."""
    with running(server) as log, as_served():
        rate = uvloop.run(command_rate(log.url))[0]
        began = time.perf_counter()
        log.wait_for(_size(log.url))
        return rate, time.perf_counter() - began


def _size(url: str) -> int:
    with psycopg.connect(url) as conn:
        found = conn.execute("SELECT next_position FROM log.head").fetchone()
        assert found is not None
        return int(found[0])


def lag(server: Postgres) -> list[Measured]:
    """Commit to a published checkpoint that covers it, p50 and p99, at half of the full load."""
    with running(server) as log:
        full = uvloop.run(command_rate(log.url))[0]
        log.wait_for(_size(log.url))
        rate, waits = uvloop.run(_lags(log, full / 2))
    waits.sort()
    at = f"{rate:.0f} commands/s"
    return [
        row("commit to signed checkpoint, p50", waits[len(waits) // 2] * 1e3, "ms", at, 0),
        row("commit to signed checkpoint, p99", waits[len(waits) * 99 // 100] * 1e3, "ms", at, 0),
    ]


async def _lags(running: Running, rate: float) -> tuple[float, list[float]]:
    log = await EventLog.open(running.url)
    committed: list[tuple[int, float]] = []
    gap = CALLERS / rate
    end = time.perf_counter() + LAG_SECONDS

    last = 0

    async def caller(number: int) -> None:
        nonlocal last
        due = time.perf_counter() + gap * number / CALLERS
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            done = await log.append(starting(new_id("runtime"), 0))
            committed.append((done.last, time.perf_counter()))
            last = max(last, done.last)
            due += gap

    signed: list[tuple[int, float]] = []

    async def watch() -> None:
        while time.perf_counter() < end or signed[-1][0] <= last:
            await asyncio.sleep(0.002)
            size = published_size(running.storage)
            if not signed or size > signed[-1][0]:
                signed.append((size, time.perf_counter()))

    begun = time.perf_counter()
    watching = asyncio.create_task(watch())
    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    took = time.perf_counter() - begun
    await watching
    await log.close()
    return len(committed) / took, _covered(sorted(committed), signed)


def _covered(committed: list[tuple[int, float]], signed: list[tuple[int, float]]) -> list[float]:
    """Seconds from each commit until it was covered; 0 when it was already."""
    waits, at = [], 0
    for position, when in committed:
        while signed[at][0] <= position:
            at += 1
        waits.append(max(0.0, signed[at][1] - when))
    return waits


def ingest(server: Postgres) -> list[Measured]:
    """Batch ingest, 1,000 events per append, integrator and signer running, vs COPY of rows of the
    same bytes; what is signed only after the last append is not waited for.
    """
    ours: list[float] = []
    copied: list[float] = []
    for _ in range(ROUNDS):
        with running(server) as log:
            ours.append(uvloop.run(ingest_rate(log.url)))
            log.wait_for(EVENTS)
            with psycopg.connect(log.url) as conn:
                rows = stored_rows(conn)
            copied.append(copy_rate(log.owner_url, rows))
    value, baseline = statistics.median(ours), statistics.median(copied)
    return [row("batch ingest, 1,000 events per append", value, "events/s", "COPY", baseline)]


def integrate(server: Postgres) -> list[Measured]:
    """Entries/s of one integrator catching up, against hashing and json.loads of the same bytes."""
    with running(server, keep=False) as log:
        uvloop.run(ingest_rate(log.url))
        took = _integrate(log)
        entries = _entries(log.storage)
    base = len(entries) / _hash_and_load(entries)
    name = "leaf and node hashing + json.loads, one core"
    return [row("integrator catching up", len(entries) / took, "entries/s", name, base)]


def _integrate(log: Running) -> float:
    began = time.perf_counter()
    with (
        psycopg.connect(log.url, autocommit=True) as conn,
        contextlib.closing(Integrator(conn, log.storage, log.socket)) as integrator,
    ):
        while integrator.step():
            continue
    return time.perf_counter() - began


def _entries(storage: Storage) -> list[bytes]:
    size = published_size(storage)
    found: list[bytes] = []
    for index in range((size + 255) // 256):
        found += storage.entries(index, min(256, size - 256 * index))
    return found


def _hash_and_load(entries: list[bytes]) -> float:
    began = time.perf_counter()
    root_hash([leaf_hash(entry) for entry in entries])
    for entry in entries:
        json.loads(entry)
    return time.perf_counter() - began


def _hash_and_load_at(path: Path) -> float:
    """As `_hash_and_load`, of a file of 4-byte lengths and entries."""
    data = path.read_bytes()
    entries, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        entries.append(data[at + 4 : end])
        at = end
    return _hash_and_load(entries)


def verify(server: Postgres) -> list[Measured]:
    """Offline verification of > 65,536 entries, books and attestations aside, on the same cores."""
    with running(server, keep=False) as log, tempfile.TemporaryDirectory() as folder:
        uvloop.run(ingest_rate(log.url))
        uvloop.run(ingest_rate(log.url))
        _integrate(log)
        path = Path(folder) / "bundle.tar"
        write_tar(StorageSource(log.storage), path)
        measured = verification(path, _entries(log.storage), log.vkey, Path(folder))
    return [row("offline verification", *measured)]


def verification(
    path: Path, entries: list[bytes], vkey: str, folder: Path
) -> tuple[float, str, str, float]:
    """Value, unit, baseline and its value: a bundle verified, against hashing + json.loads."""
    parts = _split(entries, folder)
    trust = Trust((Vkey.parse(vkey),))
    ours, base = [], []
    for _ in range(2 * ROUNDS):
        base.append(_loaded(parts))
        # As an auditor would: in a process that does nothing else. Its start is not counted,
        # that of its workers is; the baseline's workers are warm.
        with ProcessPoolExecutor(1, mp_context=SPAWN) as alone:
            ours.append(alone.submit(_verified, path, trust).result())
    name = f"hashing + json.loads of the same entries, {cores()} processes on the same cores"
    return len(entries) / min(ours), "entries/s", name, len(entries) / min(base)


def _split(entries: list[bytes], folder: Path) -> list[Path]:
    parts = []
    count = PARTS * cores()  # so that a core that others use as well is given less
    for number in range(count):
        path = folder / f"part-{number}"
        share = entries[number * len(entries) // count : (number + 1) * len(entries) // count]
        path.write_bytes(b"".join(len(e).to_bytes(4, "big") + e for e in share))
        parts.append(path)
    return parts


def _loaded(parts: list[Path]) -> float:
    """Seconds, one worker per core, warm, with the verifier's own rule for the collector."""
    with SPAWN.Pool(cores(), gc.set_threshold, (COLLECT_EVERY,)) as pool:
        pool.map(abs, range(len(parts)))
        began = time.perf_counter()
        pool.map(_hash_and_load_at, parts, chunksize=1)
        return time.perf_counter() - began


def _verified(path: Path, trust: Trust) -> float:
    began = time.perf_counter()
    report = verify_path(path, trust, Scope(jobs=cores(), attestations=False, books=False))
    took = time.perf_counter() - began
    assert report.valid, report.error
    return took


BENCHES: list[Callable[[Postgres], list[Measured]]] = [commands, ingest, lag, integrate, verify]
