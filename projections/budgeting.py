"""Budgets: what is spent below their scopes, seen as it is used; told once a threshold is reached.

Spent is what is charged for use in the account's period that is open now, and what use until now
would add to it; the forecast is the same at the end of the period, if all that is open goes on
(contracts/facts.md, "Budgets").
"""

import time
from collections.abc import Iterable
from typing import Any, Final

import psycopg
from msgspec import Struct

from domain import budget, period, project, reservation, runtime, volume_facts
from domain.errors import DomainError
from domain.rating import Books, Transfer
from evidence.append import Append, Write
from evidence.log import EventLog
from projections.entries import Entry
from projections.months import command_id

ACTOR: Final = "system-budgets"
TAGS: Final = frozenset(
    f"gpuaas.{name}.v1"
    for name in (
        "budget.set",
        "budget.cleared",
        "budget.reached",
        "budget.forecast",
        "project.created",
        "project.moved",
        "runtime.requested",
        "volume.created",
        "reservation.made",
        "period.opened",
    )
)
_SEEN: Final = """
INSERT INTO live.budget AS b (scope, period, until_us, spent_pico, forecast_pico, seen_us)
VALUES (%(scope)s, %(period)s, %(until)s, %(spent)s, %(forecast)s, %(now)s)
ON CONFLICT (scope) DO UPDATE SET period = excluded.period, until_us = excluded.until_us,
  spent_pico = excluded.spent_pico, forecast_pico = excluded.forecast_pico,
  seen_us = excluded.seen_us
WHERE b.seen_us <= excluded.seen_us
"""
_SHARE: Final = 20  # looking takes at most so small a part of the time: one in twenty


class Told(Struct):
    """Budgets of one organization, and how far their stream has come."""

    org: str
    state: budget.State
    version: int = 0


class Spending:
    """A fold of what charges and budgets say; belongs to one rater."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}
        self.look_at = 0.0  # of the monotonic clock
        self._projects: dict[str, tuple[str, ...]] = {}
        self._scopes: dict[str, tuple[str, ...]] = {}  # by resource
        self._charged: dict[tuple[str, str], int] = {}  # by scope and service period
        self._periods: dict[str, list[tuple[str, period.Opened]]] = {}

    def apply(self, entry: Entry, fact: Struct) -> None:
        """Remembers the fact; `moved` those that move a project."""
        match fact:
            case project.Created(organization=org, department=department):
                self._projects[entry.stream] = (entry.stream, department, org)
            case runtime.Requested() | volume_facts.Created():
                self._scopes[entry.stream] = (fact.project, fact.department, entry.org)
            case reservation.Made(project=name) if name in self._projects:
                self._scopes[entry.stream] = self._projects[name]
            case period.Opened():
                self._periods.setdefault(fact.account, []).append((entry.stream, fact))
            case budget.BudgetSet() | budget.Cleared() | budget.Reached() | budget.Forecast():
                told = self.told.get(entry.stream)
                if told is None:
                    told = self.told[entry.stream] = Told(entry.org, budget.DECIDER.initial)
                told.state, told.version = budget.evolve(told.state, fact), entry.version
            case _:
                pass

    def moved(self, stream: str, fact: project.Moved, books: Books) -> None:
        """From here on the project is another department's: what it has used and was not charged
        for is the one's before, whenever it will be charged.
        """
        before = self._projects.get(stream)
        if before is None:
            return
        _, department, org = before
        mine = {name for name, of in self._scopes.items() if of[0] == stream} | {stream}
        for account in list(self._periods):
            current = self._current(account, fact.moved_us)
            used = {} if current is None else books.accrued(current[0], fact.moved_us)
            pico = sum(more for name, more in used.items() if name in mine)
            if current is not None and pico:
                for scope, change in ((department, pico), (fact.department, -pico)):
                    key = (scope, current[0])
                    self._charged[key] = self._charged.get(key, 0) + change
        now = (stream, fact.department, org)
        self._projects[stream] = now
        self._scopes |= dict.fromkeys(mine - {stream}, now)

    def charged(self, transfers: Iterable[Transfer]) -> None:
        """Remembers what was charged, or taken back, by the scopes it counts in."""
        for one in transfers:
            if one.kind == "charge":
                pico = one.amount_pico if one.debit == "unbilled" else -one.amount_pico
                for scope in self._below(one.resource):
                    key = (scope, one.period)
                    self._charged[key] = self._charged.get(key, 0) + pico

    def look(self, books: Books, now_us: int) -> dict[str, list[budget.Observe]]:
        """By stream: what is to be seen of each of its budgets whose account has a period now."""
        more: dict[str, dict[str, tuple[int, int]]] = {}
        found: dict[str, list[budget.Observe]] = {}
        for stream, told in self.told.items():
            for scope, one in told.state.of.items():
                current = self._current(one.set.account, now_us)
                if current is None:
                    continue
                name, opened = current
                if name not in more:
                    more[name] = self._accrued(books, name, now_us, opened.end_us)
                used, coming = more[name].get(scope, (0, 0))
                charged = self._charged.get((scope, name), 0)
                found.setdefault(stream, []).append(
                    budget.Observe(
                        *(scope, name, opened.end_us, charged + used, charged + coming, now_us)
                    )
                )
        return found

    def _current(self, account: str, now_us: int) -> tuple[str, period.Opened] | None:
        for name, opened in reversed(self._periods.get(account, ())):
            if opened.start_us <= now_us < opened.end_us:
                return name, opened
        return None

    def _accrued(
        self, books: Books, name: str, now_us: int, end_us: int
    ) -> dict[str, tuple[int, int]]:
        """By scope: what is used and not charged yet now, and what will be at the period's end."""
        found: dict[str, tuple[int, int]] = {}
        looks = (books.accrued(name, now_us), books.accrued(name, end_us, beyond=True))
        for index, moved in enumerate(looks):
            for resource, pico in moved.items():
                for scope in self._below(resource):
                    so_far = list(found.get(scope, (0, 0)))
                    so_far[index] += pico
                    found[scope] = (so_far[0], so_far[1])
        return found

    def _below(self, resource: str) -> tuple[str, ...]:
        return self._scopes.get(resource) or self._projects.get(resource, ())


async def tell_due(
    log: EventLog, spending: Spending, books: Books, conn: psycopg.Connection[Any], now_us: int
) -> int:
    """Says what is reached and was not said yet; returns how many facts it appended.

    Two at once are harmless: what is due follows from the stream's version, so one loses by it and
    finds the other's facts on the next fold. A crash leaves nothing behind: it is due again.
    """
    began = time.monotonic()
    if not spending.told or began < spending.look_at:
        return 0
    done = 0
    for stream, seen in spending.look(books, now_us).items():
        done += await _tell(log, stream, spending.told[stream], seen)
        _show(conn, seen)
    spending.look_at = time.monotonic() + _SHARE * (time.monotonic() - began)
    return done


async def _tell(log: EventLog, stream: str, told: Told, seen: list[budget.Observe]) -> int:
    facts: list[budget.Event] = []
    state = told.state
    for one in seen:
        for fact in budget.decide(one, state):
            state = budget.evolve(state, fact)
            facts.append(fact)
    if not facts:
        return 0
    write = Write(stream, told.org, told.version, tuple(facts))
    cause = command_id(ACTOR, f"{stream}\n{told.version}")
    try:
        done = await log.append(Append((write,), ACTOR, cause))
    except DomainError as error:
        if error.code != "log.version_stale":
            raise
        return 0
    return 0 if done.repeated else len(facts)


def _show(conn: psycopg.Connection[Any], seen: list[budget.Observe]) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            _SEEN,
            [
                {
                    "scope": one.scope, "period": one.period, "until": one.until_us,
                    "spent": one.spent_pico, "forecast": one.forecast_pico, "now": one.now_us,
                }
                for one in seen
            ],
        )  # fmt: skip
