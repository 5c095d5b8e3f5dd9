"""Tiered entries and named books of them: publish, list, show. An edition is whole or not there."""

from collections.abc import Callable

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said
from api.admission.wire import Held
from api.auth import unknown
from api.body import FrontRequest
from api.changing import settled, still
from api.currencies import minor_digits
from api.edge import instant, money, now_us, parse_instant, pico_of
from api.prices import book_stream, same_currency, shown_tiers
from api.services import Services, services_of
from api.viewing import sliced, viewed
from contracts.http import Given, Page
from contracts.http_money import MoneyNew
from contracts.http_prices import Book, BookListed, BookNew, Tiered, TieredNew
from domain import price_facts, pricebook
from domain.decider import fold
from evidence.append import Append, Write
from evidence.reader import Recorded
from projections import billing_read, prices_read

type Nothing = Callable[[list[Recorded], pricebook.Book], Given]


async def priced(
    services: Services,
    request: FrontRequest,
    cause: str,
    command: pricebook.Command,
    nothing: Nothing,
    rests: Held = (),
) -> Done:
    """The command's facts on the one stream of prices, or what there is of them already; `rests`:
    what If-Match named. Raises: DomainError if_match.stale, what the decider refuses.
    """
    stream = await services.reads.ask(book_stream)

    async def attempt() -> Done:
        await still(services, rests)
        recorded = await services.log.read_stream(stream)
        state = fold(pricebook.DECIDER, [one.fact for one in recorded])  # type: ignore[misc]
        facts = tuple(pricebook.decide(command, state))
        if not facts:
            return Done(nothing=nothing(recorded, state))
        write = Write(stream, "-", len(recorded), facts)
        append = Append((write,), request.user.actor, cause, rests)
        return Done(await services.log.append(append), (write,))

    return await settled(services, stream, attempt)


@post("/v1/prices/tiered")
async def publish_tiered(request: FrontRequest, data: JSONBody[TieredNew]) -> Response[Tiered]:
    """An entry of the list; effective from now on at the earliest."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        await _check(services, request, data)
        entry = shaped(data)

        def known(recorded: list[Recorded], state: pricebook.Book) -> Given:
            key = (price_facts.LIST, 0, *msgspec.structs.astuple(entry)[:5])
            fact = state.entries[(*key, entry.effective_from_us)]
            assert isinstance(fact, price_facts.ShapedEntry), "said again, it is the same fact"
            return given(next(one.position for one in recorded if one.fact == fact), fact)

        return await priced(
            services, request, cause, pricebook.PublishShaped(entry, now_us()), known
        )

    def answer(said: tuple[Said, ...], _: bool) -> Tiered:
        fact = said[0].fact
        assert isinstance(fact, price_facts.ShapedEntry), "the outcome of this route"
        return given(said[0].position, fact)

    return await services.acting.perform(request, do, answer)


@post("/v1/price-books/{name:str}")
async def publish_book(
    request: FrontRequest, name: FromPath[str], data: JSONBody[BookNew]
) -> Response[BookListed]:
    """All entries and the edition in one append. The same entries again are the same edition."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        for entry in data.entries:
            await _check(services, request, entry)
        entries = tuple(shaped(entry) for entry in data.entries)

        def known(_: list[Recorded], state: pricebook.Book) -> Given:
            edition = state.editions[name]
            count = sum(1 for key in state.entries if key[:2] == (name, edition))
            at = max(one.published_us for key, one in state.entries.items() if key[0] == name)
            return BookListed(name=name, edition=edition, entries=count, published_at=instant(at))

        command = pricebook.PublishBook(name, entries, now_us())
        return await priced(services, request, cause, command, known)

    def answer(said: tuple[Said, ...], _: bool) -> BookListed:
        fact = said[-1].fact
        assert isinstance(fact, price_facts.BookPublished), "the outcome of this route"
        at = instant(fact.published_us)
        return BookListed(
            name=fact.book, edition=fact.edition, entries=fact.entries, published_at=at
        )

    return await services.acting.perform(request, do, answer, versioned=False)


@get("/v1/price-books")
async def list_books(
    request: FrontRequest,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[BookListed]:
    """Every edition of every book, in order of publication."""
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(prices_read.editions, None, position)
    items = [
        BookListed(
            name=row.name, edition=row.edition, entries=row.entries,
            published_at=instant(row.published_us),
        )
        for row in rows
    ]  # fmt: skip
    return sliced(
        items,
        (
            "name",
            "edition",
        ),
        (cursor, limit),
    )


@get("/v1/price-books/{name:str}")
async def show_book(
    request: FrontRequest,
    name: FromPath[str],
    edition: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Book:
    services, position = await viewed(request, as_of)
    found = await edition_of(services, name, edition, position)
    rows = await services.reads.ask(prices_read.entries, name, found.edition, position)
    return Book(
        name=name,
        edition=found.edition,
        published_at=instant(found.published_us),
        entries=[_listed(row) for row in rows],
    )


async def edition_of(
    services: Services, name: str, edition: int | None, position: int | None
) -> prices_read.Edition:
    """The book's edition, its latest for None. Raises: DomainError resource.unknown."""
    rows = await services.reads.ask(prices_read.editions, name, position)
    found = [row for row in rows if edition in {None, row.edition}]
    if not found:
        raise unknown("price-book")
    return found[-1]


async def _check(services: Services, request: FrontRequest, data: TieredNew) -> None:
    minor_digits(data.currency)
    await same_currency(services, request, data.account, data.currency)


def amount(text: str, currency: str) -> int:
    """Pico of an amount that stands without its currency."""
    return pico_of(MoneyNew(amount=text, currency=currency))


def shaped(data: TieredNew) -> pricebook.Shaped:
    """The entry as the decider takes it."""
    tiers = tuple(
        price_facts.Tier(
            None if tier.up_to is None else int(tier.up_to), amount(tier.price, data.currency)
        )
        for tier in data.tiers
    )
    return pricebook.Shaped(
        *(data.account, data.meter, data.model, data.region, data.state, data.currency),
        *(parse_instant(data.effective_from), data.divisor, int(data.free), tiers),
        amount(data.minimum, data.currency),
    )


def given(position: int, fact: price_facts.ShapedEntry) -> Tiered:
    """The entry as it is shown."""
    return _shown(position, (fact.book, fact.edition), fact, fact.tiers)


def _listed(row: billing_read.Price) -> Tiered:
    tiers = msgspec.json.decode(row.tiers, type=tuple[price_facts.Tier, ...])
    return _shown(row.from_position, (row.named, row.edition), row, tiers)


def _shown(
    position: int,
    named: tuple[str, int],
    of: price_facts.ShapedEntry | billing_read.Price,
    tiers: tuple[price_facts.Tier, ...],
) -> Tiered:
    return Tiered(
        position=position,
        book=named[0],
        edition=named[1],
        account=of.account,
        meter=of.meter,
        model=of.model,
        region=of.region,
        state=of.state,
        divisor=str(of.divisor),
        free=str(of.free),
        tiers=shown_tiers(tiers, of.currency),
        minimum=money(of.minimum_pico, of.currency),
        effective_from=instant(of.effective_from_us),
        published_at=instant(of.published_us),
    )
