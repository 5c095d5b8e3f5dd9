"""Sealed rows: rated intervals, transfers, and what follows from them: charge lines, balances."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from domain import sealing
from domain.errors import DomainError
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, nullable, text

SHAPES: Final = (
    Shape(
        "rated_interval",
        (),
        '"row", from_position, to_position, cause, resource, meter, price, period, booked, '
        "start_us, end_us, sign, quantity, line_quantity, line_amount_pico",
    ),
    Shape(
        "charge_line",
        ("resource", "meter", "price", "period"),
        "resource, meter, price, period, from_position, to_position, quantity, amount_pico",
        types=("text", "text", "bigint", "text"),
    ),
    Shape(
        "transfer",
        (),
        '"row", from_position, to_position, id, cause, kind, account, debit, credit, currency, '
        "amount_pico, resource, meter, price, period, booked, debit_seq, debit_balance_pico, "
        "credit_seq, credit_balance_pico",
    ),
    Shape(
        "balance",
        ("account", "ledger"),
        "account, ledger, from_position, to_position, currency, seq, balance_pico",
        types=("text", "text"),
    ),
    Shape(
        "seal",
        ("stream",),
        'stream, from_position, to_position, "table", first_row, count, root, prev_seal, through, '
        "total",
    ),
)


class IntervalRow(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A `rated_interval` row, contracts/rating.md section 4."""

    row: int
    salt: str
    cause: int
    resource: str
    meter: str
    price: int
    period: str
    booked: str
    start_us: int
    end_us: int
    sign: int
    quantity: int
    line_quantity: int
    line_amount_pico: int


class TransferRow(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A `transfer` row, contracts/rating.md section 5."""

    row: int
    salt: str
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


_INTERVAL: Final = msgspec.json.Decoder(IntervalRow)
_TRANSFER: Final = msgspec.json.Decoder(TransferRow)


def _rows[T](b: Batch, seal: Any, decoder: msgspec.json.Decoder[T]) -> list[T]:
    try:
        return [decoder.decode(raw) for raw in b.sealed(seal.table, seal.first_row, seal.count)]
    except msgspec.DecodeError as error:
        raise DomainError("projection.malformed_row", f"{seal.table}: {error}") from error


def _seal(b: Batch, e: Entry, f: Any, total: int) -> None:
    tail = (
        f"{text(f.table)}\t{f.first_row}\t{f.count}\t{text(f.root)}\t{nullable(f.prev_seal)}\t"
        f"{f.through}\t{total}"
    )
    b["seal"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)


def _intervals(b: Batch, e: Entry, f: sealing.IntervalsSealed) -> None:
    intervals, lines = b["rated_interval"], b["charge_line"]
    at = e.position
    for r in _rows(b, f, _INTERVAL):
        resource, meter, period = text(r.resource), text(r.meter), text(r.period)
        intervals.add(
            f"{r.row}\t{at}",
            f"{r.cause}\t{resource}\t{meter}\t{r.price}\t{period}\t{text(r.booked)}\t"
            f"{r.start_us}\t{r.end_us}\t{r.sign}\t{r.quantity}\t{r.line_quantity}\t"
            f"{r.line_amount_pico}",
        )
        # The row carries the line's totals after it; the seal's last row of a line stands.
        lines.open(
            (r.resource, r.meter, r.price, r.period),
            at,
            f"{resource}\t{meter}\t{r.price}\t{period}\t{at}",
            f"{r.line_quantity}\t{r.line_amount_pico}",
        )
    _seal(b, e, f, f.quantity_sum)


def _transfers(b: Batch, e: Entry, f: sealing.TransfersSealed) -> None:
    transfers, balances = b["transfer"], b["balance"]
    at = e.position
    for r in _rows(b, f, _TRANSFER):
        account, currency = text(r.account), text(r.currency)
        debit, credit = text(r.debit), text(r.credit)
        transfers.add(
            f"{r.row}\t{at}",
            f"{text(r.id)}\t{r.cause}\t{text(r.kind)}\t{account}\t{debit}\t{credit}\t{currency}\t"
            f"{r.amount_pico}\t{text(r.resource)}\t{text(r.meter)}\t{nullable(r.price)}\t"
            f"{text(r.period)}\t{text(r.booked)}\t{r.debit_seq}\t{r.debit_balance_pico}\t"
            f"{r.credit_seq}\t{r.credit_balance_pico}",
        )
        balances.open(
            (r.account, r.debit),
            at,
            f"{account}\t{debit}\t{at}",
            f"{currency}\t{r.debit_seq}\t{r.debit_balance_pico}",
            new=r.debit_seq == 1,
        )
        balances.open(
            (r.account, r.credit),
            at,
            f"{account}\t{credit}\t{at}",
            f"{currency}\t{r.credit_seq}\t{r.credit_balance_pico}",
            new=r.credit_seq == 1,
        )
    _seal(b, e, f, f.amount_sum_pico)


APPLY: Final[dict[type, Apply]] = {
    sealing.IntervalsSealed: _intervals,
    sealing.TransfersSealed: _transfers,
}
