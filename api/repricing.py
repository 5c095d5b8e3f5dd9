"""By which prices an account's use is charged: commitments, re-ratings, previews."""

from typing import Any

import psycopg
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said, held
from api.admission.wire import Held
from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import target
from api.edge import instant, money, now_us, parse_instant
from api.price_books import amount, edition_of, priced
from api.services import Services, services_of
from api.viewing import sliced, slicing, viewed
from contracts.http import Given, Page
from contracts.http_prices import (
    Commitment,
    CommitmentNew,
    Preview,
    PreviewLine,
    PreviewNew,
    Repricing,
    RepricingNew,
)
from domain import account, price_facts, pricebook
from domain.previewing import Estimate, estimate
from evidence.reader import Recorded
from projections import billing_read, previews_read, previews_readings, prices_read

PICO_DIGITS = 12


@post("/v1/accounts/{account_id:str}/commitments")
async def make_commitment(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[CommitmentNew]
) -> Response[Commitment]:
    """Paid at the close of each period that begins in its time, whether used or not."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        opened, rests = await _opened(services, request, account_id)
        command = pricebook.Commit(
            *(account_id, data.meter, data.model, data.region, data.state, opened.currency),
            *(parse_instant(data.start), parse_instant(data.end), int(data.quantity)),
            *(amount(data.price, opened.currency), data.divisor, now_us()),
        )

        def known(recorded: list[Recorded], _: pricebook.Book) -> Given:
            for one in recorded:
                fact = one.fact
                if isinstance(fact, price_facts.CommitmentMade) and pricebook.terms(
                    fact
                ) == pricebook.terms(command):
                    return _committed(one.position, fact)
            raise AssertionError("what was made before stands in its stream")

        return await priced(services, request, cause, command, known, rests)

    def answer(said: tuple[Said, ...], _: bool) -> Commitment:
        fact = said[0].fact
        assert isinstance(fact, price_facts.CommitmentMade), "the outcome of this route"
        return _committed(said[0].position, fact)

    return await services.acting.perform(request, do, answer)


@get("/v1/accounts/{account_id:str}/commitments")
async def list_commitments(
    request: FrontRequest,
    account_id: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Commitment]:
    """Oldest first."""
    slicing(cursor, limit)
    services, position = await viewed(request, as_of)
    await _seen(services, request, account_id, position)
    rows = await services.reads.ask(prices_read.commitments, account_id, position)
    return sliced(
        [_committed(row.from_position, row) for row in rows], ("position",), (cursor, limit)
    )


@post("/v1/accounts/{account_id:str}/reratings")
async def rerate_account(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[RepricingNew]
) -> Response[Repricing]:
    """What was charged in the range moves to the book's prices as reversals and re-entries, booked
    in the open period where its own is closed; what comes later is charged by them.
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        opened, rests = await _opened(services, request, account_id)
        command = pricebook.Rerate(
            *(account_id, opened.currency, data.book),
            *(parse_instant(data.start), parse_instant(data.end), now_us()),
        )
        return await priced(
            services, request, cause, command,
            lambda _, state: _repriced(None, state.reratings[account_id]), rests,
        )  # fmt: skip

    def answer(said: tuple[Said, ...], _: bool) -> Repricing:
        fact = said[0].fact
        assert isinstance(fact, price_facts.Rerated), "the outcome of this route"
        return _repriced(said[0].position, fact)

    return await services.acting.perform(request, do, answer)


@get("/v1/accounts/{account_id:str}/reratings")
async def list_reratings(
    request: FrontRequest,
    account_id: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Repricing]:
    """Oldest first."""
    slicing(cursor, limit)
    services, position = await viewed(request, as_of)
    await _seen(services, request, account_id, position)
    rows = await services.reads.ask(prices_read.reratings, account_id, position)
    return sliced(
        [_repriced(row.from_position, row) for row in rows], ("position",), (cursor, limit)
    )


@post("/v1/accounts/{account_id:str}/preview", status_code=200)
async def preview_period(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[PreviewNew]
) -> Preview:
    """What a period's use, as charged so far, would cost by a book. Nothing is stored."""
    services, position = await viewed(request)
    owner = await _seen(services, request, account_id, position)
    periods = await services.reads.ask(billing_read.periods, account_id, position)
    found = next((one for one in periods if one.period == data.period), None)
    if found is None:
        raise unknown("period")
    edition = 0
    if data.book != price_facts.LIST:
        edition = (await edition_of(services, data.book, None, position)).edition
    result, charged = await services.reads.ask(
        _previewed, owner, found, (data.book, edition), position
    )
    minor = result.total_minor * 10 ** (PICO_DIGITS - owner.minor_digits)
    return Preview(
        account=account_id,
        period=found.period,
        book=data.book,
        edition=edition,
        total=money(minor, owner.currency),
        exact=money(result.total_pico, owner.currency),
        charged=money(charged, owner.currency),
        lines=[
            PreviewLine(
                project=line.project,
                sku=line.sku,
                price=line.price,
                quantity=str(line.quantity),
                amount=money(line.amount_pico, owner.currency),
            )
            for line in result.lines
        ],
    )


def _previewed(
    conn: psycopg.Connection[Any],
    owner: billing_read.Account,
    period: billing_read.Period,
    book: tuple[str, int],
    as_of: int | None,
) -> tuple[Estimate, int]:
    opened = account.Opened(
        *(owner.organization, owner.currency, owner.minor_digits, owner.zone, "", owner.opened_us)
    )
    tariff = prices_read.tariff(conn, owner.account, *book, as_of)
    uses = previews_read.uses(conn, period.period, owner.currency, as_of)
    read = previews_readings.read(conn, tariff, owner, period, as_of)
    span = (owner.account, period.period, period.start_us, period.end_us)
    charged = previews_read.charged(conn, period.period, as_of)
    return estimate(tariff, opened, span, uses, read), charged


async def _opened(
    services: Services, request: FrontRequest, name: str
) -> tuple[account.Opened, Held]:
    found = await target(services, request.user, name, "account")
    rests = held(request, name, found.version)
    opened = found.facts[0]
    assert isinstance(opened, account.Opened), "the first fact of an account's stream"
    return opened, rests


async def _seen(
    services: Services, request: FrontRequest, name: str, position: int | None
) -> billing_read.Account:
    rows = await services.reads.ask(billing_read.accounts, account=name, as_of=position)
    if not rows:
        raise unknown("account")
    within(request.user, rows[0].organization, "account")
    return rows[0]


def _committed(
    position: int, of: price_facts.CommitmentMade | prices_read.Commitment
) -> Commitment:
    return Commitment(
        position=position,
        account=of.account,
        meter=of.meter,
        model=of.model,
        region=of.region,
        state=of.state,
        quantity=str(of.quantity),
        price=money(of.price_pico, of.currency),
        divisor=str(of.divisor),
        start=instant(of.from_us),
        end=instant(of.until_us),
    )


def _repriced(position: int | None, of: price_facts.Decided | prices_read.Rerating) -> Repricing:
    return Repricing(
        position=position,
        account=of.account,
        book=of.book,
        edition=of.edition,
        start=instant(of.from_us),
        end=instant(of.until_us),
    )
