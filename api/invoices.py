"""Invoices: list, show, and the sealed file that the bundle proves."""

import asyncio
from typing import Annotated, Any, Final, Literal

import msgspec
import psycopg
from litestar import Response, get
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Struct

from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import said_of
from api.edge import instant, money
from api.invoice_page import POLICY, Names, invoice_page, local, missing_of
from api.paging import before, page_size
from api.services import Services
from api.viewing import page, reachable, sealed, tagged, viewed
from contracts.http import Money, Page
from contracts.http_cost_centres import InvoiceCostCentre
from contracts.http_money import Invoice, InvoiceDepartment
from domain.errors import DomainError
from evidence.files import content_name
from projections import attribution_read, billing_read, taxes_read, tenancy_read
from projections.exporting.centres import by_cost_centre

PICO_DIGITS: Final = 12
type _State = Literal["finalized", "issued", "partly_paid", "paid", "payment_returned", "refunded"]


@get("/v1/invoices")
async def list_invoices(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    account: FromQuery[str | None] = None,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Invoice]:
    """Newest first."""
    size, start = page_size(limit), before(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        billing_read.invoices,
        organization=scope,
        account=account,
        state=in_state,
        before=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get("/v1/invoices/{invoice_id:str}")
async def show_invoice(
    request: FrontRequest, invoice_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Invoice]:
    services, position = await viewed(request, as_of)
    named = await invoice_of(services, request, invoice_id, position)
    last = (await said_of(services, named.invoice, "invoice", position))[-1]
    await services.reached(last.position)
    found = await invoice_of(services, request, named.invoice, position)
    return tagged(_given(found), last.version)


@get("/v1/invoices/{invoice_id:str}/file", media_type="application/json")
async def invoice_file(
    request: FrontRequest, invoice_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[bytes]:
    """The canonical file, byte for byte as the log seals it."""
    services, position = await viewed(request, as_of)
    found = await invoice_of(services, request, invoice_id, position)
    data = sealed_file(services, found.sha256)
    return sealed(request, data, "application/json", found.sha256)


@get("/v1/invoices/{invoice_id:str}/departments")
async def list_departments(
    request: FrontRequest, invoice_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Page[InvoiceDepartment]:
    """Its exact total among departments and projects, by where each project was at the time."""
    services, position = await viewed(request, as_of)
    found = await invoice_of(services, request, invoice_id, position)
    sums = await services.reads.ask(
        attribution_read.by_department, found.organization, found.period, position
    )
    items = [
        InvoiceDepartment(department=department, project=name, amount=money(pico, found.currency))
        for (department, name), pico in sums.items()
    ]
    return Page(items=items, next=None)


@get("/v1/invoices/{invoice_id:str}/cost-centres")
async def list_invoice_cost_centres(
    request: FrontRequest, invoice_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Page[InvoiceCostCentre]:
    """Its exact total among cost centres and projects, by which each project had at the time."""
    services, position = await viewed(request, as_of)
    found = await invoice_of(services, request, invoice_id, position)
    sums = await services.reads.ask(by_cost_centre, found.organization, found.period, position)
    items = [
        InvoiceCostCentre(cost_centre=centre, project=name, amount=money(pico, found.currency))
        for (centre, name), pico in sums.items()
    ]
    return Page(items=items, next=None)


@get("/v1/invoices/{invoice_id:str}/page", media_type="text/html")
async def show_page(
    request: FrontRequest, invoice_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[str]:
    """The sealed file as a page for people, to be read or printed; its numbers are the file's."""
    services, position = await viewed(request, as_of)
    found = await invoice_of(services, request, invoice_id, position)
    data = sealed_file(services, found.sha256)
    async with services.drawing(found.organization):
        names = await services.reads.ask(names_of, data, found)
        made = await asyncio.to_thread(invoice_page, data, found, names)
    headers = {"Content-Security-Policy": POLICY, "ETag": f'"{found.sha256}-{found.state}"'}
    return Response(made, media_type="text/html", headers=headers)


def sealed_file(services: Services, sha256: str) -> bytes:
    """Raises: DomainError invoice.file_unavailable."""
    data = services.storage.read(content_name(sha256))
    if data is None:
        raise DomainError("invoice.file_unavailable", "the file is not in the storage yet")
    return data


class _Party(Struct):
    party: str


class _Parties(Struct):
    seller: _Party | None = None
    buyer: _Party | None = None


def parties_of(conn: psycopg.Connection[Any], file: bytes) -> dict[str, taxes_read.Party | None]:
    """What the parties of a sealed file are called, by digest; None once erased."""
    said = msgspec.json.decode(file, type=_Parties)
    digests = [one.party for one in (said.seller, said.buyer) if one is not None]
    return {digest: taxes_read.party(conn, digest) for digest in digests}


def names_of(conn: psycopg.Connection[Any], file: bytes, found: billing_read.Invoice) -> Names:
    """What the ids on an invoice, or on a credit note of it, are called, or were when it was
    finalized: a copy of what was sent says the same, whatever was renamed since.
    """
    then = found.from_position
    [account] = billing_read.accounts(conn, account=found.account)
    [customer] = tenancy_read.organizations(conn, organization=found.organization, as_of=then)
    return Names(
        organization=customer.name or customer.organization,
        zone=account.zone,
        projects=tenancy_read.project_names(conn, found.organization, then),
        prices={one.from_position: one for one in billing_read.prices(conn, found.account)},
        services={
            one.period: f"{local(one.start_us, one.zone)} to {local(one.end_us, one.zone)}"
            for one in billing_read.periods(conn, found.account)
        },
        parties=parties_of(conn, file),
    )


async def invoice_of(
    services: Services, request: FrontRequest, invoice_id: str, position: int | None
) -> billing_read.Invoice:
    """By id or number. Raises: DomainError resource.unknown, another organization's included."""
    found = await services.reads.ask(billing_read.invoice, invoice_id, position)
    if found is None:
        raise unknown("invoice")
    within(request.user, found.organization, "invoice")
    return found


def _given(row: billing_read.Invoice) -> Invoice:
    unit = 10 ** (PICO_DIGITS - row.minor_digits)

    def of(minor: int | None) -> Money | None:
        return None if minor is None else money(minor * unit, row.currency)

    return Invoice(
        id=row.invoice,
        number=row.number,
        organization=row.organization,
        account=row.account,
        period=row.period,
        total=money(row.total_minor * unit, row.currency),
        exact=money(row.total_pico, row.currency),
        line_count=row.line_count,
        file=row.file,
        sha256=row.sha256,
        state=row.state,
        finalized_at=instant(row.finalized_us),
        seller=row.seller,
        net=of(row.net_minor),
        tax=of(row.tax_minor),
        missing=missing_of(row.missing),
    )
