"""Integrator, scrubber and heartbeat kept running: one process, or threads and a task of one.

Each part reports its condition (`evidence.condition`) and goes on after a fault: the signature
stays out until what was wrong is right again, and readiness shows since when.
"""

import asyncio
import gc
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from domain.errors import DomainError
from evidence.condition import Condition, Fault, be_nice, fault_of, now_us, report
from evidence.heartbeat import Pulse, keep_beating, log_stream
from evidence.integrator import Integrator
from evidence.scrubber import keep_scrubbing
from evidence.signing import ask_status
from evidence.storage import Storage
from evidence.tail import BOUND_MS, gated
from gpuaas_verify.errors import Invalid

WAKE_SUBJECT: Final = "gpuaas.v1.log.head"
POLL_MS: Final = 50  # without a wake-up, doubled while nothing comes
IDLE_MS: Final = 250  # up to this: what a lost wake-up costs any reader of the log
SPACING_MS: Final = 100  # signatures at most 10 times a second: each costs the disk a few syncs
NICE: Final = 5  # of the integrator's thread
# Thousands of rows come and go at each step, none in a cycle: at Python's default the collector
# takes 6 % of the integrator's time. For the composition root: it is a setting of the process.
COLLECT: Final = (20_000, 50, 50)
_RETRY_S: Final = 1
_REPORT_S: Final = 1


class Reporter:
    """The integrator's condition, written when it changes and once a second."""

    def __init__(self, storage: Storage, socket: Path) -> None:
        self._storage = storage
        self._socket = socket
        self._last = time.monotonic() - _REPORT_S
        self._fault: Fault | None = None

    def well(self, signed: int, seen: int) -> None:
        if self._fault is not None or time.monotonic() - self._last >= _REPORT_S:
            self._fault = None
            self._write(Condition(now_us(), signed, seen - signed))

    def fault(self, error: Exception) -> None:
        found = fault_of(error)
        if self._fault is None or self._fault.code != found.code:
            self._fault = found
        self._write(Condition(now_us(), fault=self._fault))

    def _write(self, condition: Condition) -> None:
        self._last = time.monotonic()
        report(self._storage, "integrator", condition)
        report(self._storage, "signer", signer_condition(self._socket))


def signer_condition(socket: Path) -> Condition:
    """The signer's own word: what it signed, how often it refused; a fault when it is not there."""
    try:
        status = ask_status(socket)
    except DomainError as error:
        return Condition(now_us(), fault=fault_of(error))
    if status.size is None:
        missing = DomainError("signer.state_missing", "the signer lost its state; it signs nothing")
        return Condition(now_us(), fault=fault_of(missing), refused=status.refused)
    return Condition(now_us(), status.size, refused=status.refused)


def keep_integrated(
    database_url: str,
    storage: Storage,
    socket: Path,
    wake: threading.Event,
    stop: threading.Event,
) -> None:
    """Until `stop`: every step that is due; a fault stops signing, is reported and tried again.

    Yields to the callers of the log where the machine is full: the gate bounds how far it may lag.
    """
    be_nice(NICE)
    reporter = Reporter(storage, socket)
    while not stop.is_set():
        try:
            with (
                psycopg.connect(database_url, autocommit=True) as conn,
                closing(Integrator(conn, storage, socket)) as integrator,
            ):
                _integrate(integrator, reporter, wake, stop)
        except (Invalid, DomainError, psycopg.Error, OSError) as error:
            # A second worker stands by: the first one speaks for the integrator, and when it is
            # gone its word grows old.
            if not (isinstance(error, DomainError) and error.code == "integrator.second"):
                reporter.fault(error)
            stop.wait(_RETRY_S)


def _integrate(
    integrator: Integrator, reporter: Reporter, wake: threading.Event, stop: threading.Event
) -> None:
    pause_ms = POLL_MS
    while not stop.is_set():
        began, before = time.monotonic(), integrator.signed.size
        behind = integrator.step()
        reporter.well(integrator.signed.size, integrator.size)
        if not behind:
            if integrator.signed.size != before:
                stop.wait(max(0, SPACING_MS / 1000 - (time.monotonic() - began)))
                pause_ms = POLL_MS
            else:
                wake.wait(pause_ms / 1000)
                pause_ms = min(2 * pause_ms, IDLE_MS)
            wake.clear()


async def keep(
    database_url: str,
    storage: Path,
    socket: Path,
    nats_url: str | None,
    stop: asyncio.Event,
    bound_ms: int = BOUND_MS,
    tls: ssl.SSLContext | None = None,
) -> None:
    """All three until `stop`. Without NATS the integrator polls. `tls`: by which NATS is reached.

    Raises: DomainError log.not_opened, log.unavailable at the start only; what a part ended with.
    """
    files = Storage(storage)
    wake, ending = threading.Event(), threading.Event()
    async with gated(database_url, files, bound_ms) as log:
        pulse = Pulse(log, *log_stream(database_url))
        parts = [
            asyncio.create_task(keep_beating(pulse, files, stop)),
            asyncio.create_task(log.broken()),
            _thread(keep_integrated, database_url, files, socket, wake, ending),
            _thread(keep_scrubbing, database_url, files, ending),
        ]
        # Beside the rest: while NATS is away the integrator polls, and nothing waits for it.
        listening = [asyncio.create_task(_listen(nats_url, wake, stop, tls))] if nats_url else []
        try:
            # A part ends by itself only when told to, or by a bug: then all end, and say so.
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            ending.set()
            wake.set()
            for task in (parts[0], parts[1], *listening):
                task.cancel()
            await asyncio.gather(*parts, *listening, return_exceptions=True)


def _thread(target: Callable[..., None], *arguments: object) -> asyncio.Future[None]:
    """A thread of its own (its niceness stays its own), and how it ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if not ended.done():
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

    def body() -> None:
        failed: BaseException | None = None
        try:
            target(*arguments)
        except BaseException as error:  # noqa: BLE001 - handed to the loop, which raises it
            failed = error
        loop.call_soon_threadsafe(tell, failed)

    threading.Thread(target=body, name=target.__name__).start()
    return ended


async def _listen(
    nats_url: str, wake: threading.Event, stop: asyncio.Event, tls: ssl.SSLContext | None
) -> None:
    """Sets `wake` at each new head until cancelled; a wake-up is a hint and may be lost."""
    # The integrator of a replay listens to nobody, and starts sooner without a client.
    from evidence.line import client_with, with_tls

    async def woken(_message: object) -> None:
        wake.set()

    async def quiet(_error: Exception) -> None:
        wake.set()

    client = client_with(tls)
    await client.connect(nats_url, error_cb=quiet, max_reconnect_attempts=-1, **with_tls(tls))
    try:
        await client.subscribe(WAKE_SUBJECT, cb=woken)
        await stop.wait()
    finally:
        await client.close()


def run(database_url: str, storage: Path, socket: Path, nats_url: str | None) -> int:
    """The process: 0 after SIGTERM or SIGINT, 1 with one sentence when it cannot start."""
    gc.set_threshold(*COLLECT)
    try:
        asyncio.run(_until_signal(database_url, storage, socket, nats_url))
    except DomainError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _until_signal(
    database_url: str, storage: Path, socket: Path, nats_url: str | None
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await keep(database_url, storage, socket, nats_url, stop)
