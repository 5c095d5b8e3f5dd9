"""What a period's use would cost under other entries: the platform's own rating, nothing posted."""

from collections.abc import Iterable

from msgspec import Struct

from domain import account
from domain.charging import (
    Payer,
    Resource,
    Rows,
    Service,
    charge,
    count,
    pay_commitments,
    settle,
)
from domain.errors import DomainError
from domain.ledger import Ledger
from domain.statement import InvoiceLine, state_lines
from domain.tariff import Scope, Tariff


class Used(Struct, frozen=True):
    """What of a resource is charged in the period: `(start, end, size)` in order; `first_us`: when
    its first interval began.
    """

    resource: str
    project: str
    scope: Scope
    first_us: int
    spans: tuple[tuple[int, int, int], ...]


class Read(Struct, frozen=True):
    """What of a resource is charged of readings: `(start, end, quantity)`, each begun at one price
    and none across a change of it; taken back is below 0.
    """

    resource: str
    project: str
    scope: Scope
    pieces: tuple[tuple[int, int, int], ...]


class Estimate(Struct, frozen=True):
    lines: tuple[InvoiceLine, ...]
    total_pico: int
    total_minor: int


def estimate(
    tariff: Tariff,
    opened: account.Opened,
    period: tuple[str, str, int, int],
    uses: Iterable[Used],
    read: Iterable[Read] = (),
) -> Estimate:
    """What `uses`, what was `read` and commitments come to in the period (account, id, start, end).
    Memory grows with lines, and with resources where tiers count.

    Raises:
        DomainError: `rating.no_price`, `rating.overflow`.
    """
    name, period_id, start_us, end_us = period
    service = Service(period_id, start_us, end_us, 1, {})
    ledger = Ledger(name, opened.currency, {})
    payer = Payer(opened, ledger, [service], [start_us], {}, {}, {}, set())
    for used in uses:
        it = Resource(used.resource, 0, payer, used.project, 0, {}, used.scope)
        it.first_us = used.first_us
        rows: Rows = ([], [])
        for since, until, size in used.spans:
            it.size = size
            charge(tariff, 0, it, since, until, 1, rows)
        payer.charged.clear()
    lines: dict[tuple[str, Scope], Resource] = {}  # whose lines what is read is in
    for told in read:
        rows = ([], [])
        for since, until, quantity in told.pieces:
            price, _ = tariff.at(name, told.scope, since)
            if price is None:
                raise DomainError("rating.no_price", f"nothing prices {told.resource} at {since}")
            meter, model, region, state, currency = told.scope
            if told.resource == told.project:  # it stands nowhere: where its entry prices
                region = price.region
            key = (told.resource, (meter, model, region, state, currency))
            if key not in lines:
                lines[key] = Resource(told.resource, 0, payer, told.project, 0, {}, key[1])
            sign = 1 if quantity >= 0 else -1
            piece = (service, since, until)
            count(tariff, 0, lines[key], piece, price, sign, abs(quantity), rows)
    rows = ([], [])
    pay_commitments(tariff, 0, payer, service, rows)
    settle(0, payer, rows)
    return Estimate(*state_lines(service.sums, opened.minor_digits))


def net(pieces: Iterable[tuple[int, int, int]]) -> tuple[tuple[int, int, int], ...]:
    """`(start, end, size)` in order of time: pieces of size above and below 0 laid over each other;
    where they cancel out there is nothing.
    """
    steps: dict[int, int] = {}
    for start, end, size in pieces:
        steps[start] = steps.get(start, 0) + size
        steps[end] = steps.get(end, 0) - size
    found: list[tuple[int, int, int]] = []
    since = level = 0
    for at in sorted(steps):
        if steps[at]:
            if level:
                found.append((since, at, level))
            since, level = at, level + steps[at]
    return tuple(found)
