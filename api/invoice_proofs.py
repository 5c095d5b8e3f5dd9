"""Proofs of an invoice and of its lines: what `gpuaas-verify invoice` derives them from."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from typing import IO, Annotated, Any, Final

import psycopg
from litestar import get
from litestar.params import FromPath, FromQuery, PathParameter
from litestar.response import Stream

from api.auth import while_let
from api.body import FrontRequest
from api.credit_notes import credit_note_of
from api.invoices import invoice_of
from api.proofs import record
from api.services import Services
from api.viewing import viewed
from evidence.proofs import signed
from projections.billing_read import Invoice
from projections.proving import prove
from projections.taxes_read import CreditNote

MEDIA: Final = "application/x-tar"
_PIECE: Final = 1 << 20
_Number = Annotated[str, PathParameter(pattern="^(0|[1-9][0-9]{0,8})$")]


@get("/v1/invoices/{invoice_id:str}/proof", media_type=MEDIA)
async def invoice_proof(
    request: FrontRequest, invoice_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Stream:
    """Everything the invoice rests on, with its place in the signed log; 409 with Retry-After while
    the invoice is not signed yet.
    """
    return await _answer(request, invoice_id, None, as_of)


@get("/v1/invoices/{invoice_id:str}/lines/{number:str}/proof", media_type=MEDIA)
async def line_proof(
    request: FrontRequest,
    invoice_id: FromPath[str],
    number: _Number,
    as_of: FromQuery[str | None] = None,
) -> Stream:
    """Likewise of one line, counted from 0 in the order of the invoice's file."""
    return await _answer(request, invoice_id, int(number), as_of)


@get("/v1/credit-notes/{credit_note_id:str}/proof", media_type=MEDIA)
async def credit_note_proof(
    request: FrontRequest, credit_note_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Stream:
    """Its invoice's, and the credit notes up to it: what it takes back follows from both."""
    services, position = await viewed(request, as_of)
    credit = await credit_note_of(services, request, credit_note_id, position)
    return await _answer(request, credit.invoice, None, as_of, credit)


async def _answer(
    request: FrontRequest,
    invoice_id: str,
    number: int | None,
    as_of: str | None,
    credit: CreditNote | None = None,
) -> Stream:
    services, position = await viewed(request, as_of)
    found = await invoice_of(services, request, invoice_id, position)
    last = found.from_position if credit is None else credit.from_position
    note, checkpoint = signed(services.storage, last)
    # What can be refused is refused before the status is sent: the file is whole then.
    async with services.turns.of(f"proofs of {found.organization}"):  # others are not kept waiting
        file, length = await services.reads.ask(_written, services, note, found, number, credit)
    try:
        await record(services, request, "invoice", checkpoint.size, last)
    except BaseException:
        file.close()
        raise
    of = found.number if credit is None else credit.number
    name = f"{of}.proof.tar" if number is None else f"{of}.{number}.proof.tar"
    headers = {
        "Content-Length": str(length),
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Stream(while_let(request, _pieces(file)), media_type=MEDIA, headers=headers)


def _written(
    conn: psycopg.Connection[Any],
    services: Services,
    note: bytes,
    found: Invoice,
    line: int | None,
    credit: CreditNote | None,
) -> tuple[IO[bytes], int]:
    """A file without a name, at its beginning, and how long it is."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever sends it
    try:
        prove(conn, services.storage, note, found, line, file, credit)
        length = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, length


async def _pieces(file: IO[bytes]) -> AsyncGenerator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
