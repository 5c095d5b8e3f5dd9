"""Budgets of an organization's scopes: what is told of them, and when nothing new may begin.

    Budgets -Set | Clear | Observe-> Budgets

A budget is an amount for one billing period of one account, for what lies below a scope and is
paid by that account. 50, 80 and 100 % are reached, and the forecast is above it, at most once each
while they stand: until its period is over, the budget is cleared, or set so high that what was
told is not so any more. While 100 % stands, `refuse` lets nothing new begin below the scope, and
`stop` ends what runs there as well. No money moves (contracts/facts.md, "Budgets").
"""

from collections.abc import Iterable
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.decider import Decider
from domain.errors import DomainError

PERCENTS: Final = (50, 80, 100)
SOFT: Final = "soft"
REFUSE: Final = "refuse"
STOP: Final = "stop"
MODES: Final = frozenset({SOFT, REFUSE, STOP})
HARD: Final = MODES - {SOFT}
EXHAUSTED: Final = "budget.exhausted"
_LIMIT: Final = 10**38


class Set(Struct, frozen=True):
    """`currency` is the account's; the caller has found that both are of one organization."""

    scope: str
    account: str
    currency: str
    amount_pico: int
    mode: str
    now_us: int


class Clear(Struct, frozen=True):
    scope: str
    now_us: int


class Observe(Struct, frozen=True):
    """What was spent below the scope in the account's period, which ends at `until_us`."""

    scope: str
    period: str
    until_us: int
    spent_pico: int
    forecast_pico: int
    now_us: int


type Command = Set | Clear | Observe


class BudgetSet(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.budget.set.v1"):
    scope: str
    account: str
    currency: str
    amount_pico: int
    mode: str
    decided_us: int


class Cleared(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.budget.cleared.v1"):
    scope: str
    decided_us: int


class Reached(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.budget.reached.v1"):
    scope: str
    period: str
    until_us: int
    percent: int
    spent_pico: int
    decided_us: int


class Forecast(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.budget.forecast.v1"):
    scope: str
    period: str
    until_us: int
    forecast_pico: int
    decided_us: int


type Event = BudgetSet | Cleared | Reached | Forecast


class Budget(Struct, frozen=True):
    """`reached` and `forecast` are what stands of one period, of `until_us` as well."""

    set: BudgetSet
    reached: tuple[Reached, ...] = ()
    forecast: Forecast | None = None

    def exhausted(self, now_us: int) -> Reached | None:
        """What said that all of it is spent, while that stands."""
        for one in self.reached:
            if one.percent == PERCENTS[-1] and now_us < one.until_us:
                return one
        return None


class Budgets(Struct, frozen=True):
    """By scope, in the order in which they were first set."""

    of: dict[str, Budget]


type State = Budgets


def decide(command: Command, state: State) -> list[Event]:
    """Raises: DomainError `budget.invalid`, `budget.account_differs`."""
    before = state.of.get(command.scope)
    match command:
        case Set():
            return _set(command, before)
        case Clear(scope, now_us):
            return [] if before is None else [Cleared(scope, now_us)]
        case Observe():
            return [] if before is None else _observed(command, before)
        case _:
            assert_never(command)


def _set(command: Set, before: Budget | None) -> list[Event]:
    if command.mode not in MODES or not 0 < command.amount_pico < _LIMIT:
        raise DomainError("budget.invalid", "an amount above 0, and a known mode")
    now = BudgetSet(
        *(command.scope, command.account, command.currency, command.amount_pico),
        *(command.mode, command.now_us),
    )
    if before is None:
        return [now]
    if before.set.account != command.account:
        facts: dict[str, int | str] = {"account": before.set.account}
        raise DomainError("budget.account_differs", "it counts another account", facts)
    return [] if replace(before.set, decided_us=command.now_us) == now else [now]


def _observed(seen: Observe, before: Budget) -> list[Event]:
    """What is reached and was not told of this period, the lowest first; a forecast is told while
    there is anything left.
    """
    amount = before.set.amount_pico
    place = (seen.scope, seen.period, seen.until_us)
    told = {one.percent for one in before.reached if one.period == seen.period}
    facts: list[Event] = [
        Reached(*place, percent, seen.spent_pico, seen.now_us)
        for percent in PERCENTS
        if percent not in told and 100 * seen.spent_pico >= percent * amount
    ]
    known = before.forecast is not None and before.forecast.period == seen.period
    left = PERCENTS[-1] not in told and seen.spent_pico < amount
    if left and not known and seen.forecast_pico > amount:
        facts.append(Forecast(*place, seen.forecast_pico, seen.now_us))
    return facts


def evolve(state: State, event: Event) -> State:
    before = state.of.get(event.scope)
    match event:
        case BudgetSet():
            after = Budget(event) if before is None else _again(before, event)
        case Cleared():
            return Budgets({name: one for name, one in state.of.items() if name != event.scope})
        case Reached(period=period):
            assert before is not None, "only a budget is reached"
            after = replace(_in(before, period), reached=(*_in(before, period).reached, event))
        case Forecast(period=period):
            assert before is not None, "only a budget is forecast"
            after = replace(_in(before, period), forecast=event)
        case _:
            assert_never(event)
    return Budgets({**state.of, event.scope: after})


def _again(before: Budget, event: BudgetSet) -> Budget:
    """What was told stands as far as it is so of the new amount."""
    amount = event.amount_pico
    kept = tuple(one for one in before.reached if 100 * one.spent_pico >= one.percent * amount)
    told = before.forecast
    return Budget(event, kept, told if told is not None and told.forecast_pico > amount else None)


def _in(before: Budget, period: str) -> Budget:
    """Only what was told of this period."""
    told = before.forecast
    return Budget(
        before.set,
        tuple(one for one in before.reached if one.period == period),
        told if told is not None and told.period == period else None,
    )


def barring(
    state: State, scopes: Iterable[str], account: str, now_us: int, modes: frozenset[str]
) -> tuple[Budget, Reached] | None:
    """The first of the scopes whose budget of this account is spent, in one of the modes."""
    for scope in scopes:
        found = state.of.get(scope)
        if found is None or found.set.account != account or found.set.mode not in modes:
            continue
        spent = found.exhausted(now_us)
        if spent is not None:
            return found, spent
    return None


def budget_stream(organization_id: str) -> str:
    """Where the budgets of all scopes of an organization stand: of the same UUID."""
    return "budget-" + organization_id.split("-", 1)[1]


DECIDER: Decider[State, Command, Event] = Decider(Budgets({}), decide, evolve)
