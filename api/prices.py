"""Price entries: publish, list. An entry never changes; a new one takes over from its instant."""

from typing import Any, Final

import msgspec
import psycopg
from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody

from api.acting import Done, Said
from api.auth import unknown
from api.body import FrontRequest
from api.changing import settled, target
from api.currencies import minor_digits
from api.edge import instant, money, now_us, parse_instant, pico_of
from api.services import Services, services_of
from api.viewing import reachable, sliced, viewed
from contracts.http import Page
from contracts.http_money import Price, PriceNew
from contracts.http_prices import Tier
from domain import account, price_facts, pricebook
from domain.decider import fold
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.reader import Recorded
from projections import billing_read, tenancy_read

# The one price book: the one the log has, else the one that shares the log stream's UUID.
_PROJECTS: Final = 100_000  # more than an organization has
_BOOK: Final = """
SELECT coalesce(
  (SELECT stream FROM log.entry WHERE stream > 'pricebook-' AND stream < 'pricebook.' LIMIT 1),
  (SELECT replace(stream, 'log-', 'pricebook-') FROM log.entry WHERE position = 0))
"""


@post("/v1/prices")
async def publish_price(request: FrontRequest, data: JSONBody[PriceNew]) -> Response[Price]:
    """Effective from now on at the earliest: time already used keeps its price."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        minor_digits(data.price.currency)
        await same_currency(services, request, data.account, data.price.currency)
        book = await services.reads.ask(book_stream)

        async def attempt() -> Done:
            recorded = await services.log.read_stream(book)
            state = fold(pricebook.DECIDER, [one.fact for one in recorded])  # type: ignore[misc]
            facts = tuple(pricebook.decide(_command(data), state))
            if not facts:
                return Done(nothing=_known(recorded, _entry(state, data)))
            write = Write(book, "-", len(recorded), facts)
            append = Append((write,), request.user.actor, cause)
            return Done(await services.log.append(append), (write,))

        return await settled(services, book, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Price:
        fact = said[0].fact
        assert isinstance(fact, pricebook.EntryPublished), "the outcome of this route"
        return _published(said[0].position, fact)

    return await services.acting.perform(request, do, answer)


@get("/v1/prices")
async def list_prices(
    request: FrontRequest,
    account: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Price]:
    """In order of publication; tenants see the default entries and those of their own accounts,
    whoever may see parts of an organization only those of the accounts that pay for them.
    """
    reach = await reachable(request)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(billing_read.prices, account, position)
    rows = [row for row in rows if row.named == price_facts.LIST]
    if not request.user.reads_all:
        own = await services.reads.ask(billing_read.accounts, organization=reach, as_of=position)
        paying = await services.reads.ask(
            tenancy_read.projects, organization=reach, limit=_PROJECTS, as_of=position
        )
        names = {"default", *(one.account for one in own), *(one.account for one in paying)}
        rows = [row for row in rows if row.account in names]
    return sliced([_listed(row) for row in rows], ("position",), (cursor, limit))


def book_stream(conn: psycopg.Connection[Any]) -> str:
    """The one stream of all prices. Raises: DomainError log.unavailable."""
    row = conn.execute(_BOOK).fetchone()
    if row is None or row[0] is None:
        raise DomainError("log.unavailable", "the log is not open yet")
    return str(row[0])


async def same_currency(
    services: Services, request: FrontRequest, name: str, currency: str
) -> None:
    """Raises: DomainError resource.unknown, price.invalid when the account has another currency."""
    if name == "default":
        return
    found = await target(services, request.user, name, "account")
    opened = found.facts[0]
    if not isinstance(opened, account.Opened):
        raise unknown("account")
    if opened.currency != currency:
        raise DomainError("price.invalid", "the account has another currency")


def _command(data: PriceNew) -> pricebook.PublishEntry:
    return pricebook.PublishEntry(
        account=data.account,
        meter=data.meter,
        model=data.model,
        region=data.region,
        state=data.state,
        currency=data.price.currency,
        effective_from_us=_effective(data),
        price_pico=pico_of(data.price),
        divisor=data.divisor,
        now_us=now_us(),
    )


def _effective(data: PriceNew) -> int:
    return parse_instant(data.effective_from)


def _entry(state: pricebook.Book, data: PriceNew) -> pricebook.EntryPublished:
    key = (
        price_facts.LIST,
        0,
        data.account,
        data.meter,
        data.model,
        data.region,
        data.state,
        _effective(data),
    )
    found = state.entries[key]
    assert isinstance(found, pricebook.EntryPublished), "said again, it is the same fact"
    return found


def _known(recorded: list[Recorded], entry: pricebook.EntryPublished) -> Price:
    """The entry as it was published before, by its own position."""
    return _published(next(one.position for one in recorded if one.fact == entry), entry)


def _published(position: int, entry: pricebook.EntryPublished | billing_read.Price) -> Price:
    return Price(
        position=position,
        account=entry.account,
        meter=entry.meter,
        model=entry.model,
        region=entry.region,
        state=entry.state,
        price=money(entry.price_pico, entry.currency),
        divisor=str(entry.divisor),
        effective_from=instant(entry.effective_from_us),
        published_at=instant(entry.published_us),
    )


def _listed(row: billing_read.Price) -> Price:
    plain = _published(row.from_position, row)
    if not row.tiers:
        return plain
    tiers = msgspec.json.decode(row.tiers, type=tuple[price_facts.Tier, ...])
    return msgspec.structs.replace(
        plain,
        free=str(row.free),
        tiers=shown_tiers(tiers, row.currency),
        minimum=money(row.minimum_pico, row.currency),
    )


def shown_tiers(tiers: tuple[price_facts.Tier, ...], currency: str) -> list[Tier]:
    """Tiers as they are shown; counts as text, as all that may be wide."""
    return [
        Tier(
            up_to=None if tier.up_to is None else str(tier.up_to),
            price=money(tier.price_pico, currency),
        )
        for tier in tiers
    ]
