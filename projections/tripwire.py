"""No time of a closed period is charged twice: the tripwire behind rating (MONEY.md section 4).

When a period is closed and all that it causes is in the views, what is charged of the resources
booked in it is summed up: charges less what was taken back, by time. Time that is charged once is a
row of `live.charged_span`, which the database holds apart by an exclusion constraint; time that is
charged more often, or less than not at all, is a row that is frozen. A frozen row suspends its
account, in the log, and is a reason not to be ready; other accounts go on. Rating itself pays
nothing for it: one sweep of the rows at each close (docs/adr/0032).
"""

import time
from typing import Any, Final

import psycopg
from msgspec import Struct

from domain import credit
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.log import EventLog
from projections.dunning import Dunning
from projections.months import command_id
from projections.rater import Rater
from projections.views import applied

ACTOR: Final = "system-tripwire"
TWICE: Final = "books.charged_twice"
AT_ONCE: Final = 50
_SHARE: Final = 20  # looking takes at most so small a part of the time: one in twenty
_HEAD: Final = "SELECT next_position FROM log.head"
# Periods whose close was folded, and that were not looked at since.
_CLOSED: Final = """
SELECT c.period, p.account FROM views.period_close c
JOIN views.period p ON p.period = c.period AND p.to_position IS NULL
WHERE c.to_position IS NULL AND c.from_position < %(before)s
  AND NOT EXISTS (SELECT FROM live.period_checked k WHERE k.period = c.period)
ORDER BY c.from_position LIMIT %(limit)s
"""
# What a period's rows are of; commitments and readings may overlap, what runs or stands may not.
_TOUCHED: Final = """
SELECT DISTINCT r.resource FROM views.rated_interval r
WHERE r.booked = %(period)s AND r.end_us > r.start_us
  AND r.meter IN ('gpu.time', 'storage.capacity')
  AND (r.resource LIKE 'runtime-%%' OR r.resource LIKE 'volume-%%'
    OR r.resource LIKE 'reservation-%%')
"""
_FORGET: Final = "DELETE FROM live.charged_span WHERE resource = ANY(%(resources)s)"
# Net of what was taken back, by time: how often each moment of closed periods is charged.
_SWEEP: Final = """
WITH edges AS (
  SELECT r.resource, r.meter, e.at, sum(e.depth) AS depth
  FROM views.rated_interval r
  JOIN views.period_close c ON c.period = r.period AND c.to_position IS NULL
  CROSS JOIN LATERAL (VALUES (r.start_us, r.sign), (r.end_us, -r.sign)) e (at, depth)
  WHERE r.resource = ANY(%(resources)s) AND r.end_us > r.start_us
    AND r.meter IN ('gpu.time', 'storage.capacity')
  GROUP BY r.resource, r.meter, e.at HAVING sum(e.depth) <> 0),
steps AS (
  SELECT resource, meter, at, lead(at) OVER w AS until, sum(depth) OVER w AS depth FROM edges
  WINDOW w AS (PARTITION BY resource, meter ORDER BY at))
INSERT INTO live.charged_span (resource, meter, span, account, times, frozen)
SELECT resource, meter, int8range(at::bigint, until::bigint), %(account)s, depth, depth <> 1
FROM steps WHERE depth <> 0
"""
_CHECKED: Final = "INSERT INTO live.period_checked (period) VALUES (%(period)s)"
_UNTOLD: Final = """
SELECT account, resource FROM live.charged_span WHERE frozen AND NOT told
GROUP BY account, resource ORDER BY account, resource
"""
_TOLD: Final = """
UPDATE live.charged_span SET told = true WHERE frozen AND resource = %(resource)s
"""


class Tripped(Struct, frozen=True):
    """What is not charged once, and who pays for it."""

    account: str
    resource: str


class Wire:
    """Belongs to one worker; where it stands is in the database."""

    def __init__(self) -> None:
        self.look_at = 0.0  # of the monotonic clock
        self._armed: tuple[int, int] | None = None  # folded to, and the log's size with its seals

    def look(self, conn: psycopg.Connection[Any], rater: Rater) -> list[Tripped]:
        """Looks at periods that were closed before, once all their rows are in the views; what is
        frozen and was not told yet.
        """
        if self._armed is None and rater.settled:
            head = conn.execute(_HEAD).fetchone()
            assert head is not None, "it has one row"
            self._armed = (rater.at, int(head[0]))
        elif self._armed is not None and applied(conn) >= self._armed[1]:
            before, self._armed = self._armed[0], None
            for period, account in conn.execute(
                _CLOSED, {"before": before, "limit": AT_ONCE}
            ).fetchall():
                check(conn, str(period), str(account))
        return [Tripped(*row) for row in conn.execute(_UNTOLD).fetchall()]


def check(conn: psycopg.Connection[Any], period: str, account: str) -> None:
    """What is charged of the period's resources, as far as their periods are closed; once, in one
    transaction. Raises: psycopg.errors.ExclusionViolation when two rows that are charged once
    overlap, which the sweep cannot make.
    """
    with conn.transaction():
        found = [row[0] for row in conn.execute(_TOUCHED, {"period": period}).fetchall()]
        conn.execute(_FORGET, {"resources": found})
        conn.execute(_SWEEP, {"resources": found, "account": account})
        conn.execute(_CHECKED, {"period": period})


async def freeze_due(
    log: EventLog, wire: Wire, conn: psycopg.Connection[Any], rater: Rater, now_us: int
) -> int:
    """Suspends the accounts that the wire tripped on, for what is charged twice; how many facts.

    Two at once are harmless, and so is a crash between the append and the mark: it stands already.
    """
    began = time.monotonic()
    if began < wire.look_at:
        return 0
    done = 0
    for one in wire.look(conn, rater):
        done += await _freeze(log, rater.dunning, one, now_us)
        if _stands(rater.dunning, one):
            conn.execute(_TOLD, {"resource": one.resource})
    wire.look_at = time.monotonic() + _SHARE * (time.monotonic() - began)
    return done


def _stands(dunning: Dunning, one: Tripped) -> bool:
    owing = dunning.accounts.get(one.account)
    return owing is not None and any(
        each.about == one.resource for each in owing.standing.suspended
    )


async def _freeze(log: EventLog, dunning: Dunning, one: Tripped, now_us: int) -> int:
    owing = dunning.accounts.get(one.account)
    if owing is None:
        return 0
    facts = tuple(credit.decide(credit.Suspend(one.resource, TWICE, now_us), owing.standing))
    if not facts:
        return 0
    write = Write(one.account, owing.org, owing.version, facts)
    cause = command_id(ACTOR, f"{one.account}\n{one.resource}\n{owing.version}")
    try:
        done = await log.append(Append((write,), ACTOR, cause))
    except DomainError as error:
        if error.code != "log.version_stale":
            raise
        return 0
    return 0 if done.repeated else len(facts)
