"""The front door's prepaid wallets: terms, credit, what is there (as contracts/http.py)."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, Money, Taken
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
    """One grant: `left` of it is neither spent nor held."""

    id: str
    bucket: str
    reference: str
    amount: Money
    left: Money
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
    """`became`: granted, repeated, unmatched (no account of its currency), to_resolve (a dispute or
    refund: a person looks at it) or ignored.
    """

    event: str
    became: str


class KeptVolume(Given, frozen=True):
    """`held` for it until `held_until`; from `wipe_at` on a locked one is wiped."""

    id: str
    held: Money
    held_until: Instant | None
    wipe_at: Instant | None


class Wallet(Given, frozen=True):
    """`balance` is not spent; `held` of it covers what runs until its lease is over, and what of it
    was used and not charged yet; new runtimes may have `available`.

    `per_hour`: what is usable now costs, with volumes. `exhausted_at`: when, at that, nothing is
    left; null when nothing costs anything. `level`: percent of the last grant that was reached (50,
    80; 100: a lease or a volume could not be held for). The last lease that the credit pays for in
    full ends before that. A bank transfer that names `payment_reference` (ISO 11649) is credit of
    this account.
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
    payment_reference: str
    volumes: list[KeptVolume]
    version: int
