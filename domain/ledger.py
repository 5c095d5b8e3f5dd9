"""Double-entry transfers of one billing account, as contracts/rating.md section 5 prescribes."""

from hashlib import sha256
from typing import Final

from msgspec import Struct

from domain.errors import DomainError

LIMIT: Final = 10**38  # every |n| stays below (rating.md, head)


class Transfer(Struct, frozen=True, gc=False):
    """One row of the journal without `row` and `salt`; balances are debits minus credits."""

    id: str
    cause: int
    kind: str
    account: str
    debit: str
    credit: str
    currency: str
    amount_pico: int
    resource: str
    meter: str
    price: int | None
    period: str
    booked: str
    debit_seq: int
    debit_balance_pico: int
    credit_seq: int
    credit_balance_pico: int


class Order(Struct, frozen=True, gc=False):
    """What is to be posted; a negative `amount_pico` swaps debit and credit."""

    cause: int
    kind: str
    resource: str
    meter: str
    price: int | None
    period: str
    booked: str
    debit: str
    credit: str
    amount_pico: int
    start_us: int | None  # only kind `charge` names its piece


class Balance(Struct):
    """`seq` transfers have touched this ledger account; `pico` = debits minus credits."""

    seq: int = 0
    pico: int = 0


class Ledger(Struct):
    """The ledger accounts of one billing account, by name."""

    account: str
    currency: str
    balances: dict[str, Balance]


def post(ledger: Ledger, order: Order) -> Transfer:
    """The transfer, with both balances moved by it. `order.amount_pico` is not 0.

    Raises:
        DomainError: `rating.overflow` when a balance would leave |n| < 10^38.
    """
    amount, debit, credit = order.amount_pico, order.debit, order.credit
    if amount < 0:
        amount, debit, credit = -amount, credit, debit
    balances = ledger.balances
    to, by = balances.get(debit), balances.get(credit)
    if to is None:
        to = balances[debit] = Balance()
    if by is None:
        by = balances[credit] = Balance()
    if to.pico + amount >= LIMIT or by.pico - amount <= -LIMIT:
        raise DomainError("rating.overflow", f"a balance of {ledger.account} leaves 10^38")
    to.seq += 1
    to.pico += amount
    by.seq += 1
    by.pico -= amount
    return Transfer(
        transfer_id(order, ledger.currency),
        order.cause,
        order.kind,
        ledger.account,
        debit,
        credit,
        ledger.currency,
        amount,
        order.resource,
        order.meter,
        order.price,
        order.period,
        order.booked,
        to.seq,
        to.pico,
        by.seq,
        by.pico,
    )


def transfer_id(order: Order, currency: str) -> str:
    """What the transfer is known by, whatever its sides and its amount (rating.md section 5)."""
    price = "-" if order.price is None else order.price
    text = (
        f"gpuaas-transfer/1\n{order.cause}\n{order.kind}\n{order.resource}\n{order.meter}\n"
        f"{price}\n{order.period}\n{currency}\n"
    )
    if order.start_us is not None:
        text = f"{text}{order.start_us}\n"
    return sha256(text.encode()).hexdigest()
