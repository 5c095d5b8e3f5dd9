"""What is not in the log: what processes say of themselves now, and waiting for the views."""

import time
from typing import Any, Final

import psycopg

from domain.errors import DomainError
from projections.views import applied

_REPORT: Final = """
INSERT INTO live.component AS c (name, ok, detail, reported_us, changed_us)
VALUES (%(name)s, %(ok)s, %(detail)s, %(now)s, %(now)s)
ON CONFLICT (name) DO UPDATE SET ok = excluded.ok, detail = excluded.detail,
  reported_us = excluded.reported_us,
  changed_us = CASE WHEN c.ok = excluded.ok THEN c.changed_us ELSE excluded.reported_us END
WHERE c.reported_us <= excluded.reported_us
"""
_REFUSED: Final = """
INSERT INTO live.refusal AS r (name, count, detail, last_us)
VALUES (%(name)s, 1, %(detail)s, %(now)s)
ON CONFLICT (name) DO UPDATE SET count = r.count + 1, detail = excluded.detail,
  last_us = greatest(r.last_us, excluded.last_us)
"""
_MAX_DETAIL: Final = 2_000
_FIRST_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.05


def report_component(
    conn: psycopg.Connection[Any], name: str, ok: bool, detail: str, now_us: int
) -> None:
    """Records what a process says of itself now; an older report never replaces a newer one.

    `name` is one of the process's own, `signer` or `agent.node-…`; `detail` is one sentence.
    Committed with the caller's transaction.
    """
    report = {"name": name, "ok": ok, "detail": _printable(detail), "now": now_us}
    conn.execute(_REPORT, report)


def count_refusal(conn: psycopg.Connection[Any], name: str, detail: str, now_us: int) -> None:
    """Counts one refused message, by kind: `signature`, `sequence`, `unknown_node`."""
    conn.execute(_REFUSED, {"name": name, "detail": _printable(detail), "now": now_us})


def _printable(detail: str) -> str:
    # What a peer sent may be quoted in it, and a NUL cannot be stored.
    return detail[:_MAX_DETAIL].replace("\0", "\\0")


def position(conn: psycopg.Connection[Any]) -> int:
    """How many entries the views have applied."""
    return applied(conn)


def wait_for(conn: psycopg.Connection[Any], at: int, timeout_s: float) -> int:
    """Returns once the entry at position `at` is in the views, with their position.

    `conn` is in autocommit mode. Reads often at first, then every 50 ms.

    Raises:
        DomainError: `view.behind` after `timeout_s`; the caller answers 503 with Retry-After.
    """
    until = time.monotonic() + timeout_s
    pause = _FIRST_PAUSE_S
    while (now := applied(conn)) <= at:
        left = until - time.monotonic()
        if left <= 0:
            raise DomainError(
                "view.behind",
                f"the views have not reached position {at} yet",
                {"position": at, "applied": now},
            )
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE_S)
    return now
