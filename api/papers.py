"""Invoices and credit notes of sellers as EN 16931 documents: UBL 2.1 and CII."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import psycopg
from litestar import Response, get
from litestar.params import FromPath
from msgspec import Struct

from api.body import FrontRequest
from api.credit_notes import credit_note_of
from api.en16931.cii import cii
from api.en16931.paper import Called, Dates, Paper, paper_of
from api.en16931.ubl import ubl
from api.invoice_page import day
from api.invoices import invoice_of, sealed_file
from api.viewing import viewed
from projections import billing_read, taxes_read, tenancy_read

XML: Final = "application/xml"


class _Party(Struct):
    party: str


class _Parties(Struct):
    seller: _Party
    buyer: _Party


@get("/v1/invoices/{invoice_id:str}/ubl", media_type=XML)
async def invoice_ubl(request: FrontRequest, invoice_id: FromPath[str]) -> Response[bytes]:
    """UBL 2.1 Invoice; its amounts are the sealed file's."""
    return await _invoice(request, invoice_id, ubl)


@get("/v1/invoices/{invoice_id:str}/cii", media_type=XML)
async def invoice_cii(request: FrontRequest, invoice_id: FromPath[str]) -> Response[bytes]:
    """UN/CEFACT Cross Industry Invoice; its amounts are the sealed file's."""
    return await _invoice(request, invoice_id, cii)


@get("/v1/credit-notes/{credit_note_id:str}/ubl", media_type=XML)
async def credit_note_ubl(request: FrontRequest, credit_note_id: FromPath[str]) -> Response[bytes]:
    """UBL 2.1 CreditNote; its amounts are the sealed file's."""
    return await _credit_note(request, credit_note_id, ubl)


@get("/v1/credit-notes/{credit_note_id:str}/cii", media_type=XML)
async def credit_note_cii(request: FrontRequest, credit_note_id: FromPath[str]) -> Response[bytes]:
    """UN/CEFACT Cross Industry Invoice of a credit note; its amounts are the sealed file's."""
    return await _credit_note(request, credit_note_id, cii)


async def _invoice(
    request: FrontRequest, invoice_id: str, written: Callable[[Paper], bytes]
) -> Response[bytes]:
    services, position = await viewed(request)
    found = await invoice_of(services, request, invoice_id, position)
    file = sealed_file(services, found.sha256)
    made = await services.reads.ask(_paper, file, found, None)
    return Response(written(made), media_type=XML)


async def _credit_note(
    request: FrontRequest, credit_note_id: str, written: Callable[[Paper], bytes]
) -> Response[bytes]:
    services, position = await viewed(request)
    note = await credit_note_of(services, request, credit_note_id, position)
    found = await invoice_of(services, request, note.invoice, position)
    file = sealed_file(services, note.sha256)
    made = await services.reads.ask(_paper, file, found, note)
    return Response(written(made), media_type=XML)


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
    assert found.start_us is not None, "its period is opened before"
    assert found.end_us is not None, "likewise"
    return Dates(issued, day(found.start_us, zone), day(found.end_us - 1, zone), invoiced)


def _called(conn: psycopg.Connection[Any], file: bytes, found: billing_read.Invoice) -> Called:
    services = {
        one.period: f"{day(one.start_us, one.zone)} to {day(one.end_us - 1, one.zone)}"
        for one in billing_read.periods(conn, found.account)
    }
    projects = tenancy_read.project_names(conn, found.organization)
    if found.seller is None:  # `paper_of` refuses it by name
        return Called({}, projects, services)
    said = msgspec.json.decode(file, type=_Parties)
    digests = (said.seller.party, said.buyer.party)
    parties = {digest: taxes_read.party(conn, digest) for digest in digests}
    return Called(parties, projects, services)
