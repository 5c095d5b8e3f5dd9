"""Charge lines: what a piece of use costs, and where it is booked (rating.md section 4)."""

from bisect import bisect_right
from typing import Final

import msgspec
from msgspec import Struct

from domain import account
from domain.cover import Cover, prices
from domain.errors import DomainError
from domain.ledger import LIMIT, Ledger, Order, Transfer, post
from domain.pooling import Pool, Pooled, changes, pool_of, touch
from domain.pricebook import RESERVED
from domain.statement import LineKey, Sum
from domain.tariff import (
    NEVER,
    Covers,
    Price,
    Scope,
    Tariff,
    anywhere,
    gpu_scope,
    round_half_even,
    value,
)

READ: Final = "read"  # the state that readings are priced in
ITS_OWN: Final = "-"  # the project of what an account pays by itself


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
type PoolKey = tuple[Scope, str]  # what of, wherever, service period


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
    missing: tuple[str, ...] = ()


class Payer(Struct):
    """A billing account as far as charges need it; `starts` of its periods, in order."""

    opened: account.Opened
    ledger: Ledger
    periods: list[Service]
    starts: list[int]
    open_resources: "dict[str, Resource]"
    charged: "dict[str, Resource]"  # all that ever were
    pools: "dict[PoolKey, tuple[Service, Pool[Resource]]]"
    unsettled: "set[PoolKey]"  # of the cause at hand
    first_open: int = 0
    prepaid: bool = False
    usage_pico: int = 0  # charged while prepaid, of what nothing is held for
    owed: "dict[LineKey, int]" = {}  # the same by line, as far as no credit note took it back


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
    made: bool = False  # of a volume
    locked: bool = False  # of a volume: it is made, and costs nothing
    begun: bool = False
    first_us: int = 0  # when its first interval began
    spans: list[list[int]] = []  # [start, end, size] of what is charged, in order
    cuts: list[int] = []  # when its project moved: whoever has it, pays what it used there
    until_us: int = NEVER  # of a reservation: nothing beyond it is charged


def charge(
    tariff: Tariff, cause: int, it: Resource, start_us: int, end_us: int, sign: int, rows: Rows
) -> None:
    """Rate `[start_us, end_us)`, cut at period boundaries and price changes, into `rows`.

    With sign -1 it is the last that was charged of it. `settle` follows in the same cause.

    Raises:
        DomainError: `rating.no_period`, `rating.no_price`, `rating.overflow`.
    """
    _remember(it, start_us, end_us, sign)
    at = start_us
    while at < end_us:
        price, until = applicable(tariff, it, at)
        if price is None and it.scope[3] == RESERVED:
            at = until
            continue
        service = service_at(it, at)
        if price is None:
            raise DomainError("rating.no_price", f"nothing prices {it.id} at {at}")
        piece_end = min(end_us, service.end_us, until, cut_after(it, at))
        quantity = it.size * (piece_end - at)
        count(tariff, cause, it, (service, at, piece_end), price, sign, quantity, rows)
        at = piece_end


def applicable(tariff: Tariff, it: Resource, at: int) -> tuple[Price | None, int]:
    """The entry that prices the instant, or None, and the next instant at which another one may."""
    owner = it.account.ledger.account
    if it.cover is None:
        return tariff.at(owner, it.scope, at)
    said = tariff.lowered(owner, it.scope)
    return it.cover.at(at) if len(said[0]) == 1 else value(prices(it.cover, said), at)


def _remember(it: Resource, start_us: int, end_us: int, sign: int) -> None:
    """What is charged, should it be priced again."""
    spans = it.spans
    if sign < 0:
        while spans and spans[-1][0] >= start_us:
            spans.pop()
        if spans:
            spans[-1][1] = min(spans[-1][1], start_us)
    elif spans and spans[-1][1] == start_us and spans[-1][2] == it.size:
        spans[-1][1] = end_us
    else:
        if not spans:
            it.account.charged[it.id] = it
        spans.append([start_us, end_us, it.size])


def cut_after(it: Resource, instant: int) -> int:
    """When its project moves next; NEVER, if it is not known to."""
    index = bisect_right(it.cuts, instant) if it.cuts else 0
    return it.cuts[index] if index < len(it.cuts) else NEVER


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
    tariff: Tariff,
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
    owner = it.account
    covers: Covers = {}
    if tariff.is_committed:
        covers = tariff.covers(owner.ledger.account, it.scope, service.start_us)
    if price.shape is None and not covers:
        new = round_half_even(line.quantity * price.price_pico, price.divisor)
        delta = _moved(it, line, new)
        _book(cause, it, piece, price.position, line, (sign, quantity, delta), rows)
        return
    _book(cause, it, piece, price.position, line, (sign, quantity, 0), rows)
    key = (anywhere(it.scope), service.id)
    known = owner.pools.get(key)
    if known is None:
        known = owner.pools[key] = (service, pool_of(covers))
    place = (it.first_us, it.id, price.position)
    touch(known[1], place, Pooled(it, price, line, it.scope[2]))
    owner.unsettled.add(key)


def settle(cause: int, owner: Payer, rows: Rows) -> None:
    """Every line of a pool that the cause has touched costs what the whole pool makes of it.

    In a pool lines stand in the order of their resources' starts, then ids, then prices; so what a
    line costs follows from the quantities alone, whatever the order in which they came.

    Raises:
        DomainError: `rating.overflow`, `rating.no_period`.
    """
    if not owner.unsettled:
        return
    for key in sorted(owner.unsettled):
        service, pool = owner.pools[key]
        piece = (service, service.start_us, service.start_us)
        for place, one, amount in changes(pool):
            delta = _moved(one.it, one.line, amount)
            if delta:
                _book(cause, one.it, piece, place[2], one.line, (1, 0, delta), rows)
    owner.unsettled.clear()


def pay_commitments(tariff: Tariff, cause: int, owner: Payer, service: Service, rows: Rows) -> None:
    """What the account has committed itself to in a period, when it closes."""
    name = owner.ledger.account
    for one in tariff.commitments(name, service.start_us):
        it = Resource(name, cause, owner, ITS_OWN, 0, {}, one.scope)
        line = it.lines[one.price.position, service.id] = Sum(one.quantity)
        piece = (service, service.start_us, service.end_us)
        due = round_half_even(one.quantity * one.price.price_pico, one.price.divisor)
        moved = (1, one.quantity, _moved(it, line, due))
        _book(cause, it, piece, one.price.position, line, moved, rows)


def _moved(it: Resource, line: Sum, new: int) -> int:
    """By how much its amount moves when the line costs `new`."""
    if abs(new) >= LIMIT or abs(line.quantity) >= LIMIT:
        raise DomainError("rating.overflow", f"a charge line of {it.id} leaves 10^38")
    delta = new - line.amount_pico
    line.amount_pico = new
    return delta


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
        booked = open_period(owner, it.id)
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
        if owner.prepaid and (it.scope[3] == READ or it.id == owner.ledger.account):
            owner.usage_pico += delta
            owner.owed[key] = owner.owed.get(key, 0) + delta
        order = Order(
            *(cause, "charge", it.id, name, price, service.id, booked.id),
            *("unbilled", f"revenue:{sku}", delta, start_us),
        )
        rows[1].append(post(owner.ledger, order))


def open_period(owner: Payer, what: str) -> Service:
    """The first that is not closed: what comes late is booked there.

    Raises: DomainError `rating.no_period`.
    """
    if owner.first_open == len(owner.periods):
        raise DomainError("rating.no_period", f"no open period books {what}")
    return owner.periods[owner.first_open]


def row_bytes(row: RatedInterval | Transfer, number: int, salt: str) -> bytes:
    """The bulk row's canonical JSON: `row` and `salt` (32 hex digits) first, then the fields."""
    return b'{"row":%d,"salt":"%b",%b' % (number, salt.encode(), msgspec.json.encode(row)[1:])


def covered(it: Resource, end_us: int) -> int:
    """The instant, or the end of what its holds cover, or of a reservation: nothing after it is
    charged.
    """
    if it.started_us is None:
        return end_us
    last_us = it.until_us if it.cover is None else min(it.until_us, it.cover.until_us)
    return end_us if last_us == NEVER else max(it.started_us, min(end_us, last_us))


def begin(it: Resource, start_us: int) -> None:
    """Open an interval, unless one is open."""
    if it.started_us is None:
        if not it.begun:
            it.begun, it.first_us = True, start_us
        it.started_us = it.done_us = start_us
        it.account.open_resources[it.id] = it


def cease(tariff: Tariff, cause: int, it: Resource, end_us: int, rows: Rows) -> int:
    """Close its open interval: charge what is missing, or take back what never happened; the
    instant at which it ends.

    Raises:
        DomainError: as `charge`.
    """
    start, done, end_us = it.started_us, it.done_us, covered(it, end_us)
    assert start is not None, "it is open"
    it.started_us = None
    del it.account.open_resources[it.id]
    if end_us > done:
        charge(tariff, cause, it, done, end_us, 1, rows)
    elif end_us < done:
        charge(tariff, cause, it, max(end_us, start), done, -1, rows)
    settle(cause, it.account, rows)
    return end_us


def go_first(it: Resource) -> None:
    """It is spot: priced in that state."""
    it.scope = gpu_scope(it.scope[1], it.scope[4], spot=True, region=it.scope[2])
