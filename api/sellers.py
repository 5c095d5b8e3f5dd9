"""Sellers, their tax rates, and as what an account is invoiced."""

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.accounts import account_of
from api.acting import Done, Said, if_match
from api.auth import unknown
from api.body import FrontRequest
from api.changing import change, create, log_stream, said_of, settled, target
from api.countries import require_country, require_vat_id
from api.edge import instant, now_us, parse_instant
from api.exemptions import require_reason
from api.services import Services, services_of
from api.viewing import sliced, slicing, tagged, viewed
from contracts.http import Page
from contracts.http_tax import (
    AccountTax,
    AccountTaxNew,
    Party,
    PartyNew,
    Seller,
    SellerNew,
    TaxRate,
    TaxRateNew,
)
from domain import account, seller
from domain.decider import fold
from domain.errors import DomainError
from domain.period import FIRST_US
from domain.words import Private
from evidence.append import Append, Write
from evidence.private import PrivateValue, private_value
from projections import taxes_read
from projections.months import derived_id


def _private(org: str, data: PartyNew) -> tuple[Private, PrivateValue]:
    """One text for all that people call it, so that it is erased at once."""
    said = taxes_read.Party(data.name, data.street, data.city, data.postcode, data.vat_id)
    return private_value(org, msgspec.json.encode(said).decode())


def _party(said: PartyNew | taxes_read.Party | None) -> Party | None:
    if said is None:
        return None
    return Party(
        name=said.name, street=said.street, city=said.city, postcode=said.postcode,
        vat_id=said.vat_id,
    )  # fmt: skip


@post("/v1/sellers")
async def register_seller(request: FrontRequest, data: JSONBody[SellerNew]) -> Response[Seller]:
    """The prefix is the seller's for good: nobody else's numbers begin with it."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        require_country(data.country)
        require_vat_id(data.vat_id)
        # The stream follows from the prefix: it cannot be taken twice.
        stream = derived_id("seller", await log_stream(services), data.prefix)
        party, words = _private("-", data)
        command = seller.Register(party, data.country, data.prefix, data.terms_days, now_us())
        decider, user = seller.DECIDER, request.user
        if await services.log.read_stream(stream):
            raise DomainError("seller.exists", f"a seller numbers with {data.prefix} already")
        return await create(
            services, user, cause, (stream, "-"), decider, command, private=(words,)
        )

    def answer(said: tuple[Said, ...], _: bool) -> Seller:
        fact = said[0].fact
        assert isinstance(fact, seller.Registered), "the outcome of this route"
        return Seller(
            id=said[0].stream,
            country=fact.country,
            prefix=fact.prefix,
            terms_days=fact.terms_days,
            party=_party(data),
            registered_at=instant(fact.registered_us),
        )

    return await services.acting.perform(request, do, answer)


@get("/v1/sellers")
async def list_sellers(
    request: FrontRequest,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Seller]:
    """Oldest first. What stands on an invoice is no secret."""
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(taxes_read.sellers, None, position)
    return sliced([_seller(row) for row in rows], ("id",), (cursor, limit))


@get("/v1/sellers/{seller_id:str}")
async def show_seller(
    request: FrontRequest, seller_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Seller]:
    services, position = await viewed(request, as_of)
    found = await said_of(services, seller_id, "seller", position)
    await services.reached(found[-1].position)
    [row] = await services.reads.ask(taxes_read.sellers, seller_id, position)
    return tagged(_seller(row), found[-1].version)


def _seller(row: taxes_read.Seller) -> Seller:
    return Seller(
        id=row.seller,
        country=row.country,
        prefix=row.prefix,
        terms_days=row.terms_days,
        party=_party(taxes_read.party_of(row.words)),
        registered_at=instant(row.registered_us),
    )


@post("/v1/sellers/{seller_id:str}/rates")
async def set_rate(
    request: FrontRequest, seller_id: FromPath[str], data: JSONBody[TaxRateNew]
) -> Response[TaxRate]:
    """A rate never changes; the next one takes over from its instant."""
    services = services_of(request)
    since = None if data.effective_from is None else parse_instant(data.effective_from)
    command = seller.SetRate(
        *(data.treatment, data.country, data.meter, data.category, data.rate_bp),
        *(data.reason, since, now_us()),
    )

    async def do(cause: str) -> Done:
        require_country(data.country)
        require_reason(data.category, data.reason)
        of, nothing = ("seller", seller_id), _rate(seller_id, data, since)
        return await change(services, request, cause, of, seller.DECIDER, command, nothing)

    return await services.acting.perform(
        request, do, lambda _, __: _rate(seller_id, data, since), status=201
    )


def _rate(stream: str, data: TaxRateNew, since: int | None) -> TaxRate:
    return TaxRate(
        seller=stream,
        treatment=data.treatment,
        country=data.country,
        meter=data.meter,
        category=data.category,
        rate_bp=data.rate_bp,
        reason=data.reason,
        effective_from=None if since is None else instant(since),
    )


@get("/v1/sellers/{seller_id:str}/rates")
async def list_rates(
    request: FrontRequest,
    seller_id: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[TaxRate]:
    """By treatment, country, meter and instant."""
    slicing(cursor, limit)
    services, position = await viewed(request, as_of)
    if not await services.reads.ask(taxes_read.sellers, seller_id, position):
        raise unknown("seller")
    rows = await services.reads.ask(taxes_read.rates, seller_id, position)
    return sliced(
        [
            TaxRate(
                seller=row.seller,
                treatment=row.treatment,
                country=row.country,
                meter=row.meter,
                category=row.category,
                rate_bp=row.rate_bp,
                reason=row.reason,
                effective_from=(
                    None if row.effective_from_us == FIRST_US else instant(row.effective_from_us)
                ),
            )
            for row in rows
        ],
        (
            "treatment",
            "country",
            "meter",
            "effective_from",
        ),
        (cursor, limit),
    )


@post("/v1/accounts/{account_id:str}/tax")
async def set_account_tax(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[AccountTaxNew]
) -> Response[AccountTax]:
    """Invoices that are finalized from now on are that seller's, with tax."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        return await settled(
            services, account_id, lambda: _tax(services, request, cause, account_id, data)
        )

    def answer(_: tuple[Said, ...], __: bool) -> AccountTax:
        return AccountTax(
            account=account_id,
            seller=data.seller,
            country=data.country,
            treatment=data.treatment,
            party=_party(data),
        )

    return await services.acting.perform(request, do, answer)


async def _tax(
    services: Services, request: FrontRequest, cause: str, account_id: str, data: AccountTaxNew
) -> Done:
    """Together with the table as it was read: the buyer's rate is there for good."""
    found = await target(services, request.user, account_id, "account")
    if_match(request, found.version)
    recorded = await services.log.read_stream(data.seller)
    if not recorded:
        raise unknown("seller")
    selling = fold(seller.DECIDER, [one.fact for one in recorded])  # type: ignore[misc]
    assert isinstance(selling, seller.Selling), "a seller's stream begins with it"
    seller.require_treated(selling, data.treatment, data.country)
    mine = [of for key, of in selling.rates.items() if key[:2] == (data.treatment, data.country)]
    if any(of.category == "AE" for of in mine) and not data.vat_id:
        raise DomainError("tax.vat_id_missing", "who is charged the tax has a VAT id")
    if data.vat_id:
        require_vat_id(data.vat_id)
    require_country(data.country)
    party, words = _private(found.org, data)
    command = account.SetTax(data.seller, party, data.country, data.treatment, now_us())
    state = fold(account.DECIDER, list(found.facts))  # type: ignore[misc]
    write = Write(account_id, found.org, found.version, tuple(account.decide(command, state)))
    reads = ((data.seller, recorded[-1].version),)
    append = Append((write,), request.user.actor, cause, reads, (words,))
    return Done(await services.log.append(append), (write,))


@get("/v1/accounts/{account_id:str}/tax")
async def show_account_tax(
    request: FrontRequest, account_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> AccountTax:
    services, position = await viewed(request, as_of)
    await account_of(services, request, account_id, position)
    row = await services.reads.ask(taxes_read.buyer, account_id, position)
    if row is None:
        raise unknown("seller")
    return AccountTax(
        account=row.account,
        seller=row.seller,
        country=row.country,
        treatment=row.treatment,
        party=_party(taxes_read.party_of(row.words)),
    )
