"""Billing accounts with their balances, and transfers."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import structs

from api.acting import Done, Said
from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import settled, target
from api.currencies import minor_digits
from api.edge import money, now_us, parse_instant, whole
from api.paging import after, page_size
from api.services import Services, services_of
from api.viewing import page, reachable, sliced, tagged, viewed
from contracts.http import Account, AccountNew, Balance, Page, Transfer
from domain import account, period
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.ids import new_id
from projections import billing_read, journal_read
from projections.months import TZDATA, month_after, month_of, period_id


@post("/v1/accounts")
async def open_account(request: FrontRequest, data: JSONBody[AccountNew]) -> Response[Account]:
    """Opened together with its first two periods, so that what is charged late has an open one.

    The first is the month of now in the account's zone, or the first part of it; the second goes
    on to the end of a month.
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        return await settled(
            services, data.organization, lambda: _open(services, request, cause, data)
        )

    def answer(said: tuple[Said, ...], _: bool) -> Account:
        fact = said[0].fact
        assert isinstance(fact, account.Opened), "the outcome of this route"
        return Account(
            id=said[0].stream,
            organization=fact.organization,
            currency=fact.currency,
            zone=fact.zone,
            version=said[0].version,
            balances=[],
        )

    return await services.acting.perform(request, do, answer)


async def _open(services: Services, request: FrontRequest, cause: str, data: AccountNew) -> Done:
    org = await target(services, request.user, data.organization, "organization")
    now = now_us()
    start, end = _first_period(data, now)
    digits = minor_digits(data.currency)
    opening = account.Open(org.stream, data.currency, digits, data.zone, TZDATA, now)
    opened = account.decide(opening, account.Missing())
    stream = new_id("account")
    first = _opened(period.Open(stream, start, end, data.zone, TZDATA, None, now))
    after = month_after(end, data.zone)
    second = _opened(period.Open(stream, end, after, data.zone, TZDATA, first, now))
    writes = (
        Write(stream, org.stream, 0, tuple(opened)),
        Write(period_id(stream, 1), org.stream, 0, (first,)),
        Write(period_id(stream, 2), org.stream, 0, (second,)),
    )
    reads = ((org.stream, org.version),)
    append = Append(writes, request.user.actor, cause, reads)
    return Done(await services.log.append(append), writes)


def _opened(command: period.Open) -> period.Opened:
    [fact] = period.decide(command, period.Missing())
    assert isinstance(fact, period.Opened)
    return fact


def _first_period(data: AccountNew, now: int) -> tuple[int, int]:
    """The instants of the first period; the next one begins where it ends."""
    start, end = month_of(now, data.zone)
    if data.first_period_end is None:
        return start, end
    chosen = parse_instant(data.first_period_end)
    if not now < chosen <= end:
        raise DomainError("request.invalid", "first_period_end is later than now, in this month")
    return start, chosen


@get("/v1/accounts")
async def list_accounts(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Account]:
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(billing_read.accounts, organization=scope, as_of=position)
    shown = sliced([_given(row, []) for row in rows], ("id",), (cursor, limit))
    named = [one.id for one in shown.items]
    found = await services.reads.ask(billing_read.balances, named, position)
    items = [structs.replace(one, balances=_balances(found, one.id)) for one in shown.items]
    return Page(items=items, next=shown.next)


@get("/v1/accounts/{account_id:str}")
async def show_account(
    request: FrontRequest, account_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Account]:
    """What is posted changes its balances, and not its ETag."""
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, account_id, "account", position)
    await services.reached(found.position)
    row = await account_of(services, request, account_id, position)
    balances = await services.reads.ask(billing_read.balances, account_id, position)
    return tagged(_given(row, balances), found.version)


@get("/v1/accounts/{account_id:str}/transfers")
async def list_transfers(
    request: FrontRequest,
    account_id: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Transfer]:
    """In order of posting; each cites the log position that caused it."""
    size, start = page_size(limit), after(cursor)
    services, position = await viewed(request, as_of)
    await account_of(services, request, account_id, position)
    rows = await services.reads.ask(
        journal_read.transfers, account=account_id, after=start, limit=size + 1, as_of=position
    )
    return page(rows, size, _transfer, lambda row: row.row)


@get("/v1/accounts/{account_id:str}/transfers/{row:str}")
async def show_transfer(
    request: FrontRequest,
    account_id: FromPath[str],
    row: FromPath[str],
    as_of: FromQuery[str | None] = None,
) -> Response[Transfer]:
    """By its number among all that were ever posted. It never changes, nor does its ETag."""
    services, position = await viewed(request, as_of)
    await account_of(services, request, account_id, position)
    number = whole(row)
    if number is None:
        raise unknown("transfer")
    found = await services.reads.ask(
        journal_read.transfers, account=account_id, after=number - 1, limit=1, as_of=position
    )
    if not found or found[0].row != number:
        raise unknown("transfer")
    return tagged(_transfer(found[0]), 1)


async def account_of(
    services: Services, request: FrontRequest, account_id: str, position: int | None
) -> billing_read.Account:
    rows = await services.reads.ask(billing_read.accounts, account=account_id, as_of=position)
    if not rows:
        raise unknown("account")
    within(request.user, rows[0].organization, "account")
    return rows[0]


def _given(row: billing_read.Account, balances: list[billing_read.Balance]) -> Account:
    return Account(
        id=row.account,
        organization=row.organization,
        currency=row.currency,
        zone=row.zone,
        version=None,
        balances=_balances(balances, row.account),
    )


def _balances(found: list[billing_read.Balance], account_id: str) -> list[Balance]:
    return [
        Balance(ledger=one.ledger, balance=money(one.balance_pico, one.currency))
        for one in found
        if one.account == account_id
    ]


def _transfer(row: journal_read.Transfer) -> Transfer:
    return Transfer(
        row=row.row,
        id=row.id,
        cause=row.cause,
        kind=row.kind,
        account=row.account,
        debit=row.debit,
        credit=row.credit,
        amount=money(row.amount_pico, row.currency),
        resource=row.resource,
        meter=row.meter,
        price=row.price,
        period=row.period,
        booked=row.booked,
    )
