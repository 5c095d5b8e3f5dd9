"""Keeps the views at the head of the log: woken over NATS, polling on silence, one at a time."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg

from domain.errors import DomainError
from projections import live
from projections.views import step

BATCH: Final = 20_000
POLL_S: Final = 1.0
REPORT_S: Final = 5.0
COMPONENT: Final = "projections"
# Two runners never apply at once even without this lock (the position row is locked by each
# step); it keeps a second one from working for nothing. The session's end releases it.
_ONLY_ONE: Final = "SELECT pg_try_advisory_lock(7214036822)"


def _now_us() -> int:
    return time.time_ns() // 1000


class Wake:
    """A bell between threads: rung when the log has grown or the process is to end."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self.stopping = False

    def ring(self) -> None:
        self._rung.set()

    def stop(self) -> None:
        self.stopping = True
        self._rung.set()

    def wait(self, timeout_s: float) -> None:
        """Returns when rung, or after `timeout_s`; a ring before the call counts."""
        self._rung.wait(timeout_s)
        self._rung.clear()


def catch_up(conn: psycopg.Connection[Any], limit: int = BATCH) -> int:
    """Applies all there is; returns how many entries. Each step is durable by itself.

    Raises:
        DomainError: an entry cannot be applied; all before it was.
    """
    total = 0
    while True:
        try:
            done = step(conn, limit)
        except DomainError as error:
            # The entries before the bad one are good: apply them, then stop exactly there.
            first_bad = error.facts.get("position")
            before = live.position(conn)
            if isinstance(first_bad, int) and first_bad > before:
                step(conn, first_bad - before)
            raise
        total += done
        if done == 0:
            return total


def run(app_url: str, wake: Wake, on_applied: Callable[[int], None] | None = None) -> None:
    """Applies until `wake.stop()`. Returns then, or raises when it cannot go on.

    What it cannot apply it records as component `projections`, not ok, which turns readiness red,
    and raises. A lost connection raises too: the position is in the database, so the caller
    starts it again. While another runner holds the lock it stands by.

    Raises:
        DomainError: `projection.*` for an entry no view can apply.
        psycopg.OperationalError: the database went away.
    """
    with psycopg.connect(app_url, autocommit=True) as conn:
        reported = 0.0
        while not wake.stopping:
            row = conn.execute(_ONLY_ONE).fetchone()
            if row is not None and row[0]:
                break
            wake.wait(POLL_S)
        while not wake.stopping:
            try:
                done = catch_up(conn)
            except DomainError as error:
                live.report_component(conn, COMPONENT, False, _reason(error), _now_us())
                raise
            if done and on_applied is not None:
                on_applied(live.position(conn))
            if time.monotonic() - reported >= REPORT_S:
                reported = time.monotonic()
                live.report_component(conn, COMPONENT, True, "applying", _now_us())
            wake.wait(POLL_S)


def _reason(error: DomainError) -> str:
    return f"stopped at position {error.facts.get('position', '?')}: {error}"
