"""The front door's credit of accounts that pay later: limits, dunning (as contracts/http.py)."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, Money, Taken
from contracts.http_money import MoneyNew
from contracts.http_wallet import Suspension

type CreditDays = Annotated[int, Meta(ge=0, le=3650)]
type Reminders = Annotated[tuple[CreditDays, ...], Meta(max_length=12)]


class CreditTermsNew(Taken, frozen=True, kw_only=True):
    """`limit` of what is used and not paid; none: no limit. Days: where no seller says, an invoice
    is due `due_days` after it is issued; the others count from when it was due, 0 = never.
    """

    limit: MoneyNew | None = None
    due_days: CreditDays = 14
    remind_days: Reminders = ()
    suspend_days: CreditDays = 0
    stop_days: CreditDays = 0


class CreditTerms(Given, frozen=True):
    limit: Money | None
    due_days: int
    remind_days: list[int]
    suspend_days: int
    stop_days: int


class DunningStep(Given, frozen=True):
    """`step`: due, reminded, suspended or stopped, `days` after the invoice was due."""

    invoice: str
    step: str
    days: int
    due_minor: int
    due_at: Instant
    at: Instant


class AccountCredit(Given, frozen=True):
    """`terms` null: none were ever set. `used`: what is posted as used and not paid, invoiced or
    not; `over`: that was told to be above the limit, with what was used then. While it stands, or
    anything in `suspended`, or a step `suspended` or `stopped`, nothing new begins.
    """

    account: str
    terms: CreditTerms | None
    used: Money
    over: Money | None
    suspended: list[Suspension]
    dunning: list[DunningStep]
    version: int
