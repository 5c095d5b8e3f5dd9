"""The front door's prepaid wallets: terms, credit, what is there (as contracts/http.py)."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, Money, Reason, Taken
from contracts.http_money import MoneyNew

type Reference = Annotated[
    str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9][A-Za-z0-9._:/-]*$")
]


class TermsNew(Taken, frozen=True):
    """Of what is launched from now on; what runs keeps the terms it was launched under."""

    terms: Annotated[str, Meta(pattern="^(prepaid|postpaid)$")]


class Terms(Given, frozen=True):
    account: str
    terms: str
    version: int | None


class GrantNew(Taken, frozen=True, kw_only=True):
    """Credit, once per `reference`: the number of a payment, or of a promotion; nobody's name."""

    amount: MoneyNew
    bucket: Annotated[str, Meta(pattern="^(paid|promo)$")] = "paid"
    reference: Reference
    expires_at: Instant | None = None


class Grant(Given, frozen=True):
    """`balance` and `held` null: it was granted before."""

    id: str
    account: str
    bucket: str
    amount: Money
    reference: str
    expires_at: Instant | None
    balance: Money | None
    held: Money | None


class Credit(Given, frozen=True):
    """One grant: `left` of it is neither spent nor held; `returned`: charged back or refunded."""

    id: str
    bucket: str
    reference: str
    amount: Money
    left: Money
    returned: Money
    expires_at: Instant | None


class TopUpNew(Taken, frozen=True):
    """In the account's currency, in whole minor units."""

    amount: MoneyNew


class TopUpAsked(Given, frozen=True):
    """Paid at `url`, or, without one, by a bank transfer that names `payment_reference`."""

    account: str
    provider: str
    url: str | None
    payment_reference: str


class EventHeard(Given, frozen=True):
    """`became`: granted, charged_back, repeated, unmatched (no account of its currency), to_resolve
    (a dispute or a refund: a person looks at it) or ignored.
    """

    event: str
    became: str


class KeptVolume(Given, frozen=True):
    """`held` for it until `held_until`; from `wipe_at` on a locked one is wiped."""

    id: str
    held: Money
    held_until: Instant | None
    wipe_at: Instant | None


class Suspension(Given, frozen=True):
    """`about`: the grant, the invoice, or the account itself."""

    about: str
    reason: str
    since: Instant


class GiveBackNew(Taken, frozen=True, kw_only=True):
    """Once per `reference`. `payment`: the reference of the grant; no amount: all that may."""

    payment: Reference
    amount: MoneyNew | None = None
    reference: Reference


class GaveBack(Given, frozen=True):
    """`taken` was still in the wallet; the rest is in arrears. `balance` null: done before."""

    account: str
    grant: str
    reference: str
    amount: Money
    taken: Money
    balance: Money | None


class SuspendNew(Taken, frozen=True):
    reason: Reason


class ResumeNew(Taken, frozen=True, kw_only=True):
    """`about` none: whatever it is suspended for."""

    about: Annotated[str, Meta(max_length=60, pattern="^[a-z0-9-]*$")] = ""
    reason: Reason


class AccountStanding(Given, frozen=True):
    """`changed`: what it is suspended for, or is no more; none when it was so before."""

    account: str
    changed: list[str]
    version: int | None


class AsideNew(Taken, frozen=True, kw_only=True):
    """A line of a bank's statement that is nobody's yet; once per `line`, the bank's number."""

    line: Reference
    amount: MoneyNew
    text: Annotated[str, Meta(max_length=500)] = ""
    why: Reason = "names.nobody"


class Aside(Given, frozen=True):
    """`text` null: erased. `how` null: it waits; else `credit`, `payment` or `returned`."""

    id: str
    line: str
    amount: Money
    text: str | None
    why: str
    received_at: Instant
    how: str | None
    about: str | None


class ResolveNew(Taken, frozen=True, kw_only=True):
    """Exactly one: `account`, whose credit it becomes; `invoice`, which it pays; or `returned`."""

    account: Annotated[str, Meta(max_length=60)] = ""
    invoice: Annotated[str, Meta(max_length=60)] = ""
    returned: bool = False


class Resolution(Given, frozen=True):
    id: str
    how: str
    about: str


class Wallet(Given, frozen=True):
    """`balance` is not spent; `held` of it covers what runs until its lease is over, and what of it
    was used and not charged yet; new runtimes may have `available`.

    `per_hour`: what is usable now costs, with volumes. `exhausted_at`: when, at that, nothing is
    left; null when nothing costs anything. `level`: percent of the last grant that was reached (50,
    80; 100: a lease or a volume could not be held for). `arrears`: what chargebacks left owing;
    credit that is paid for meets it first. `suspended`: why nothing new begins. The last lease that
    the credit pays for in full ends before `exhausted_at`. A bank transfer that names
    `payment_reference` (ISO 11649) is credit of this account.
    """

    account: str
    terms: str
    balance: Money
    held: Money
    available: Money
    credits: list[Credit]
    runtimes: int
    per_hour: Money
    exhausted_at: Instant | None
    level: int
    arrears: Money
    suspended: list[Suspension]
    payment_reference: str
    volumes: list[KeptVolume]
    version: int
