"""Charge lines: what a piece of use costs, and where it is booked (rating.md section 4)."""

from bisect import bisect_right

from msgspec import Struct

from domain import account
from domain.cover import Cover
from domain.errors import DomainError
from domain.ledger import LIMIT, Ledger, Order, Transfer, post
from domain.statement import LineKey, Sum
from domain.tariff import Price, Scope, Tariff, round_half_even


class RatedInterval(Struct, frozen=True, gc=False):
    """One piece of a charge, without `row` and `salt` (rating.md section 4)."""

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


type Rows = tuple[list[RatedInterval], list[Transfer]]


class Service(Struct):
    """A period of an account: what is booked there so far, by invoice line."""

    id: str
    start_us: int
    end_us: int
    sequence: int
    sums: dict[LineKey, Sum]
    closed: bool = False
    finalized: bool = False
    simulated: bool = False


class Payer(Struct):
    """A billing account as far as charges need it; `starts` of its periods, in order."""

    opened: account.Opened
    ledger: Ledger
    periods: list[Service]
    starts: list[int]
    open_resources: "dict[str, Resource]"
    first_open: int = 0


class Resource(Struct):
    """A runtime, or a volume that is metered: what is charged by size and time."""

    id: str
    order: int  # its first fact's log position: the order in which a period's close charges
    account: Payer
    project: str
    size: int  # milli-GPU, or MiB
    lines: dict[tuple[int, str], Sum]  # (price position, service period)
    scope: Scope = ("", "", "", "", "")
    simulated: bool = False
    started_us: int | None = None  # of the open interval
    done_us: int = 0  # how far the open interval is charged
    cover: Cover | None = None  # of a prepaid runtime: nothing beyond it is charged


def charge(
    tariff: Tariff, cause: int, it: Resource, start_us: int, end_us: int, sign: int, rows: Rows
) -> None:
    """Rate `[start_us, end_us)`, cut at period boundaries and price changes, into `rows`.

    Raises:
        DomainError: `rating.no_period`, `rating.no_price`, `rating.overflow`.
    """
    owner = it.account
    at = start_us
    while at < end_us:
        service = service_at(it, at)
        if it.cover is None:
            price, until = tariff.at(owner.ledger.account, it.scope, at)
        else:
            price, until = it.cover.at(at)
        if price is None:
            raise DomainError("rating.no_price", f"nothing prices {it.id} at {at}")
        piece_end = min(end_us, service.end_us, until)
        quantity = it.size * (piece_end - at)
        count(cause, it, (service, at, piece_end), price, sign, quantity, rows)
        at = piece_end


def service_at(it: Resource, instant: int) -> Service:
    """The period of the resource's account that the instant lies in.

    Raises:
        DomainError: `rating.no_period`.
    """
    owner = it.account
    index = bisect_right(owner.starts, instant) - 1
    if index < 0 or owner.periods[index].end_us <= instant:
        raise DomainError("rating.no_period", f"no period of {it.id} covers {instant}")
    return owner.periods[index]


def count(
    cause: int,
    it: Resource,
    piece: tuple[Service, int, int],
    price: Price,
    sign: int,
    quantity: int,
    rows: Rows,
) -> None:
    """A piece (service period, start, end) of use at one price: its charge line moves by it."""
    service = piece[0]
    line = it.lines.get((price.position, service.id))
    if line is None:
        line = it.lines[price.position, service.id] = Sum()
    line.quantity += sign * quantity
    new = round_half_even(line.quantity * price.price_pico, price.divisor)
    if not (-LIMIT < new < LIMIT and -LIMIT < line.quantity < LIMIT):
        raise DomainError("rating.overflow", f"a charge line of {it.id} leaves 10^38")
    delta = new - line.amount_pico
    line.amount_pico = new
    _book(cause, it, piece, price.position, line, (sign, quantity, delta), rows)


def _book(
    cause: int,
    it: Resource,
    piece: tuple[Service, int, int],
    price: int,
    line: Sum,
    moved: tuple[int, int, int],
    rows: Rows,
) -> None:
    """The rated interval and its transfer, summed into the invoice of the booked period."""
    owner = it.account
    service, start_us, end_us = piece
    sign, quantity, delta = moved
    booked = service
    if service.closed:
        if owner.first_open == len(owner.periods):
            raise DomainError("rating.no_period", f"no open period books {it.id}")
        booked = owner.periods[owner.first_open]
    name, model, *_ = it.scope
    sku = f"{name}:{model}"
    key = LineKey(it.project, sku, price, service.id)
    total = booked.sums.get(key)
    if total is None:
        total = booked.sums[key] = Sum()
    total.quantity += sign * quantity
    total.amount_pico += delta
    booked.simulated |= it.simulated
    rows[0].append(
        RatedInterval(
            *(cause, it.id, name, price, service.id, booked.id, start_us, end_us, sign),
            *(quantity, line.quantity, line.amount_pico),
        )
    )
    if delta:
        order = Order(
            *(cause, "charge", it.id, name, price, service.id, booked.id),
            *("unbilled", f"revenue:{sku}", delta, start_us),
        )
        rows[1].append(post(owner.ledger, order))
