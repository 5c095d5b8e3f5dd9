"""Budgets of scopes, and what was told of them since they were first set."""

from typing import Final

from domain import budget
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

FORECAST: Final = "forecast"
SHAPES: Final = (
    Shape(
        "budget",
        ("scope",),
        "scope, from_position, to_position, organization, account, currency, amount_pico, mode, "
        "decided_us",
        hashed=True,
    ),
    Shape(
        "budget_alert",
        ("scope", "what"),
        "scope, what, from_position, to_position, organization, period, until_us, amount_pico, "
        "decided_us",
        types=("text", "text"),
        hashed=True,
    ),
)


def _set(b: Batch, e: Entry, f: budget.BudgetSet) -> None:
    tail = (
        f"{e.org}\t{text(f.account)}\t{text(f.currency)}\t{f.amount_pico}\t{text(f.mode)}\t"
        f"{f.decided_us}"
    )
    b["budget"].open(f.scope, e.position, f"{text(f.scope)}\t{e.position}", tail)


def _cleared(b: Batch, e: Entry, f: budget.Cleared) -> None:
    b["budget"].close(f.scope, e.position)
    for what in (*map(str, budget.PERCENTS), FORECAST):
        b["budget_alert"].close((f.scope, what), e.position)


def _reached(b: Batch, e: Entry, f: budget.Reached) -> None:
    _told(b, e, f, str(f.percent), f.spent_pico)


def _forecast(b: Batch, e: Entry, f: budget.Forecast) -> None:
    _told(b, e, f, FORECAST, f.forecast_pico)


def _told(
    b: Batch, e: Entry, f: budget.Reached | budget.Forecast, what: str, amount_pico: int
) -> None:
    head = f"{text(f.scope)}\t{what}\t{e.position}"
    tail = f"{e.org}\t{text(f.period)}\t{f.until_us}\t{amount_pico}\t{f.decided_us}"
    b["budget_alert"].open((f.scope, what), e.position, head, tail)


APPLY: Final[dict[type, Apply]] = {
    budget.BudgetSet: _set,
    budget.Cleared: _cleared,
    budget.Reached: _reached,
    budget.Forecast: _forecast,
}
