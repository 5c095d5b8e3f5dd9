"""The payment port: how money is asked for, and what a provider says has moved.

Two implementations: `api.bank.Transfers` (a bank's statements, offline), `stripe.Stripe` (HTTP).
Credit is granted by neither: whoever reads them grants it, once per `reference`, for ever.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from msgspec import Struct

IN: Final = "in"
BACK: Final = "back"  # refunded, disputed, or taken back by the bank
OUT: Final = "out"  # paid out, or spent otherwise


class TopUp(Struct, frozen=True):
    """`key`: a repeat with it asks for the same payment."""

    account: str
    amount_pico: int
    currency: str
    key: str


class Asked(Struct, frozen=True):
    """Where the payer pays: a page, or a transfer that names `payment_reference`."""

    provider: str
    url: str
    payment_reference: str


class Movement(Struct, frozen=True):
    """`number`: the provider's, unique for ever. `reference`: of the grant that a payment is; empty
    for what is none. `amount_pico` in `currency`, as the payer paid it; out and back are negative.
    """

    number: str
    reference: str
    kind: str
    amount_pico: int
    currency: str


class PaymentPort(Protocol):
    """Not durable: a movement is known once it is granted, or in a report. Movements come in any
    order, and again whenever asked for. Safe to use from several threads; whoever asks retries.
    """

    @property
    def name(self) -> str:
        """What references of its payments begin with, before a colon."""

    def ask(self, wanted: TopUp) -> Asked:
        """Raises: DomainError `payment.*`."""

    def movements(self, since_s: int) -> Iterable[Movement]:
        """All since then, in seconds since the epoch. Raises: DomainError `payment.*`, `bank.*`."""
