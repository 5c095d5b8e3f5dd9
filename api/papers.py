"""Invoices and credit notes as documents: EN 16931 in UBL 2.1 and in CII, PDF, a page of a note."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import psycopg
from litestar import Response, get
from litestar.params import FromPath, FromQuery

from api.body import FrontRequest
from api.credit_notes import credit_note_of
from api.en16931.cii import cii
from api.en16931.paper import Called, Dates, Paper, paper_of
from api.en16931.ubl import ubl
from api.invoice_page import POLICY, Source, day, page, page_data, source_of
from api.invoices import invoice_of, names_of, parties_of, sealed_file
from api.viewing import viewed
from projections import billing_read, taxes_read, tenancy_read

XML: Final = "application/xml"
PDF: Final = "application/pdf"


@get("/v1/invoices/{invoice_id:str}/ubl", media_type=XML)
async def invoice_ubl(
    request: FrontRequest, invoice_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[bytes]:
    """UBL 2.1 Invoice; its amounts are the sealed file's."""
    return await _invoice(request, invoice_id, ubl, as_of)


@get("/v1/invoices/{invoice_id:str}/cii", media_type=XML)
async def invoice_cii(
    request: FrontRequest, invoice_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[bytes]:
    """UN/CEFACT Cross Industry Invoice; its amounts are the sealed file's."""
    return await _invoice(request, invoice_id, cii, as_of)


@get("/v1/credit-notes/{credit_note_id:str}/ubl", media_type=XML)
async def credit_note_ubl(
    request: FrontRequest, credit_note_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[bytes]:
    """UBL 2.1 CreditNote; its amounts are the sealed file's."""
    return await _credit_note(request, credit_note_id, ubl, as_of)


@get("/v1/credit-notes/{credit_note_id:str}/cii", media_type=XML)
async def credit_note_cii(
    request: FrontRequest, credit_note_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[bytes]:
    """UN/CEFACT Cross Industry Invoice of a credit note; its amounts are the sealed file's."""
    return await _credit_note(request, credit_note_id, cii, as_of)


@get("/v1/invoices/{invoice_id:str}/pdf", media_type=PDF)
async def invoice_as_pdf(
    request: FrontRequest, invoice_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[bytes]:
    """What the page says, on paper."""
    services, position = await viewed(request, as_of)
    found = await invoice_of(services, request, invoice_id, position)
    file = sealed_file(services, found.sha256)
    async with services.drawing(found.organization):
        data = await services.reads.ask(_page_data, file, found, None)
        return Response(await asyncio.to_thread(_on_paper, data), media_type=PDF)


@get("/v1/credit-notes/{credit_note_id:str}/page", media_type="text/html")
async def credit_note_page(
    request: FrontRequest, credit_note_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[str]:
    """The sealed file as a page for people; its numbers are the file's."""
    made = await _noted(request, credit_note_id, as_of, page)
    headers = {"Content-Security-Policy": POLICY}
    return Response(made, media_type="text/html", headers=headers)


@get("/v1/credit-notes/{credit_note_id:str}/pdf", media_type=PDF)
async def credit_note_as_pdf(
    request: FrontRequest, credit_note_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[bytes]:
    """What the page says, on paper."""
    return Response(await _noted(request, credit_note_id, as_of, _on_paper), media_type=PDF)


def _on_paper(data: dict[str, Any]) -> bytes:
    """The page's data as PDF. The library is loaded by the first who asks: it is a quarter of what
    an API process needs to start.
    """
    from api.invoice_pdf import invoice_pdf

    return invoice_pdf(data)


async def _noted[T](
    request: FrontRequest,
    credit_note_id: str,
    as_of: str | None,
    draw: Callable[[dict[str, Any]], T],
) -> T:
    services, position = await viewed(request, as_of)
    note = await credit_note_of(services, request, credit_note_id, position)
    found = await invoice_of(services, request, note.invoice, position)
    file = sealed_file(services, note.sha256)
    async with services.drawing(found.organization):
        data = await services.reads.ask(_page_data, file, found, note)
        return await asyncio.to_thread(draw, data)


def _page_data(
    conn: psycopg.Connection[Any],
    file: bytes,
    found: billing_read.Invoice,
    note: taxes_read.CreditNote | None,
) -> dict[str, Any]:
    names = names_of(conn, file, found)
    if note is None:
        return page_data(file, source_of(file, found), names)
    start, end = _span(found)
    source = Source(
        *("Credit note", note.file, note.sha256, note.from_position, "issued"),
        *(note.issued_us, start, end),
    )
    return page_data(file, source, names)


def _span(found: billing_read.Invoice) -> tuple[int, int]:
    assert found.start_us is not None, "its period is opened before"
    assert found.end_us is not None, "likewise"
    return found.start_us, found.end_us


async def _invoice(
    request: FrontRequest, invoice_id: str, written: Callable[[Paper], bytes], as_of: str | None
) -> Response[bytes]:
    services, position = await viewed(request, as_of)
    found = await invoice_of(services, request, invoice_id, position)
    file = sealed_file(services, found.sha256)
    async with services.drawing(found.organization):
        made = await services.reads.ask(_paper, file, found, None)
        return Response(await asyncio.to_thread(written, made), media_type=XML)


async def _credit_note(
    request: FrontRequest, credit_note_id: str, written: Callable[[Paper], bytes], as_of: str | None
) -> Response[bytes]:
    services, position = await viewed(request, as_of)
    note = await credit_note_of(services, request, credit_note_id, position)
    found = await invoice_of(services, request, note.invoice, position)
    file = sealed_file(services, note.sha256)
    async with services.drawing(found.organization):
        made = await services.reads.ask(_paper, file, found, note)
        return Response(await asyncio.to_thread(written, made), media_type=XML)


def _paper(
    conn: psycopg.Connection[Any],
    file: bytes,
    found: billing_read.Invoice,
    note: taxes_read.CreditNote | None,
) -> Paper:
    """The document of the invoice, or of its credit note. Raises: as `paper_of`."""
    [account] = billing_read.accounts(conn, account=found.account)
    return paper_of(file, _dates(found, note, account.zone), _called(conn, file, found))


def _dates(found: billing_read.Invoice, note: taxes_read.CreditNote | None, zone: str) -> Dates:
    """Days as the account's zone has them; of a credit note, its own and its invoice's."""
    invoiced = day(found.finalized_us, zone)
    issued = invoiced if note is None else day(note.issued_us, zone)
    start, end = _span(found)
    return Dates(issued, day(start, zone), day(end - 1, zone), invoiced)


def _called(conn: psycopg.Connection[Any], file: bytes, found: billing_read.Invoice) -> Called:
    services = {
        one.period: f"{day(one.start_us, one.zone)} to {day(one.end_us - 1, one.zone)}"
        for one in billing_read.periods(conn, found.account)
    }
    projects = tenancy_read.project_names(conn, found.organization, found.from_position)
    return Called(parties_of(conn, file), projects, services)
