"""Invoices: list, show, and the sealed file that the bundle proves."""

from typing import Final

from litestar import Response, get
from litestar.params import FromPath, FromQuery

from api.auth import unknown, within
from api.body import FrontRequest
from api.edge import instant, money
from api.paging import before, page_size
from api.services import Services
from api.viewing import own_scope, page, tagged, viewed
from contracts.http import Page
from contracts.http_money import Invoice
from domain.errors import DomainError
from evidence.files import content_name
from projections import billing_read

PICO_DIGITS: Final = 12


@get("/v1/invoices")
async def list_invoices(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    account: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Invoice]:
    """Newest first."""
    size, start = page_size(limit), before(cursor)
    scope = own_scope(request.user, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        billing_read.invoices,
        organization=scope,
        account=account,
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
    found = await _invoice(services, request, invoice_id, position)
    return tagged(_given(found), 2 if found.state == "issued" else 1)


@get("/v1/invoices/{invoice_id:str}/file", media_type="application/json")
async def invoice_file(request: FrontRequest, invoice_id: FromPath[str]) -> Response[bytes]:
    """The canonical file, byte for byte as the log seals it."""
    services, position = await viewed(request)
    found = await _invoice(services, request, invoice_id, position)
    data = services.storage.read(content_name(found.sha256))
    if data is None:
        raise DomainError("invoice.file_unavailable", "the file is not in the storage yet")
    return Response(data, media_type="application/json", headers={"ETag": f'"{found.sha256}"'})


async def _invoice(
    services: Services, request: FrontRequest, invoice_id: str, position: int | None
) -> billing_read.Invoice:
    found = await services.reads.ask(billing_read.invoice, invoice_id, position)
    if found is None:
        raise unknown("invoice")
    within(request.user, found.organization, "invoice")
    return found


def _given(row: billing_read.Invoice) -> Invoice:
    minor = row.total_minor * 10 ** (PICO_DIGITS - row.minor_digits)
    return Invoice(
        id=row.invoice,
        number=row.number,
        organization=row.organization,
        account=row.account,
        period=row.period,
        total=money(minor, row.currency),
        exact=money(row.total_pico, row.currency),
        line_count=row.line_count,
        file=row.file,
        sha256=row.sha256,
        state=row.state,
        finalized_at=instant(row.finalized_us),
    )
