"""Budgets of organizations, departments and projects; as http.py, whose terms they use."""

from typing import Annotated

from msgspec import Meta

from contracts.http import AccountId, Given, Instant, Money, ScopeId, Taken
from contracts.http_money import MoneyNew


class BudgetNew(Taken, frozen=True, kw_only=True):
    """For each billing period of the account, of what lies below the scope and is paid by it.

    `soft` only tells; `refuse` lets nothing new begin once all of it is spent; `stop` stops what
    runs as well. Without `account`: the one that it counts already, or the project's, or the only
    one of the organization.
    """

    scope: ScopeId
    amount: MoneyNew
    mode: Annotated[str, Meta(pattern="^(soft|refuse|stop)$")] = "soft"
    account: AccountId | None = None


class BudgetEnd(Taken, frozen=True):
    scope: ScopeId


class BudgetAlert(Given, frozen=True):
    """`what`: `50`, `80` or `100` percent spent, or `forecast`; `amount` was spent or forecast."""

    what: str
    amount: Money
    at: Instant


class Budget(Given, frozen=True):
    """`spent` in the period that ends at `period_end`, and what it comes to by then if all that
    runs goes on, as seen at `seen_at`; null until the worker has looked, and in an answer to a
    change. `alerts` of that period that hold for the amount.
    """

    organization: str
    scope: str
    account: str | None
    amount: Money | None
    mode: str | None
    spent: Money | None
    forecast: Money | None
    period_end: Instant | None
    seen_at: Instant | None
    alerts: list[BudgetAlert]
