"""The forms an account's books are exported in, and how a form is written page by page.

What comes out is a function of account, proof and span: asked again it is the same bytes.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from domain.ledger import Order, transfer_id
from projections import billing_read, journal_read
from projections.billing_read import Account
from projections.exporting import charges, focus, focus14
from projections.exporting.bookkeeping import Beancount, Hledger, Syntax
from projections.exporting.centres import Whose, charged_to, whose
from projections.exporting.focus import Bill, Row
from projections.exporting.lines import Beside, Lines, beside, lines, page_end
from projections.exporting.proof import Proof
from projections.exporting.table import Column, Csv, Parquet, Table
from projections.tenancy_read import project_names

TRANSFERS_A_PAGE: Final = 2000
RESOURCES_A_PAGE: Final = 16_000
_AHEAD: Final = 2


class Ask(Protocol):
    """Runs a question with a connection of its own, off the event loop (`api.reads.Reads.ask`)."""

    async def __call__[T](self, question: Callable[..., T], /, *args: Any, **kwargs: Any) -> T: ...


class Span(Struct, frozen=True):
    """Booked periods that overlap `[from_us, to_us)`; None: from the first, to the last."""

    from_us: int | None = None
    to_us: int | None = None

    def holds(self, start_us: int, end_us: int) -> bool:
        after = self.from_us is None or end_us > self.from_us
        return after and (self.to_us is None or start_us < self.to_us)


class Form(Struct, frozen=True):
    """`syntax` of a journal, or `table` and whether what invoices have beside lines is in it."""

    media: str
    syntax: Callable[[str, str, Proof], Syntax] | None = None
    table: Callable[[Sequence[Column[Row]]], Table[Row]] | None = None
    columns: Sequence[Column[Row]] = ()
    whole: bool = False


_CSV, _PARQUET = "text/csv; charset=utf-8", "application/vnd.apache.parquet"
FORMS: Final = {
    "hledger": Form("text/plain; charset=utf-8", syntax=Hledger),
    "beancount": Form("text/plain; charset=utf-8", syntax=Beancount),
    "focus.csv": Form(_CSV, table=Csv, columns=focus.COLUMNS, whole=True),
    "focus.parquet": Form(_PARQUET, table=Parquet, columns=focus.COLUMNS, whole=True),
    "focus-1.4.csv": Form(_CSV, table=Csv, columns=focus14.COLUMNS, whole=True),
    "focus-1.4.parquet": Form(_PARQUET, table=Parquet, columns=focus14.COLUMNS, whole=True),
    "charges.csv": Form(_CSV, table=Csv, columns=charges.COLUMNS),
    "charges.parquet": Form(_PARQUET, table=Parquet, columns=charges.COLUMNS),
}


@cache
def edition() -> str:
    """The digest of the code that writes: another release may write other bytes."""
    code = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(one.read_bytes() for one in code)).hexdigest()


async def written(
    ask: Ask, form: Form, account: Account, proof: Proof, span: Span
) -> AsyncIterator[bytes]:
    """The file, a page at a time; memory does not grow with it.

    Raises: DomainError export.no_parquet before the first byte; log.unavailable.
    """
    if form.syntax is not None:
        syntax = form.syntax(account.account, account.currency, proof)
        async for text in _journal(ask, syntax, account.account, proof.as_of):
            yield text.encode()
        return
    assert form.table is not None, "a form is a journal or a table"
    table = form.table(form.columns)
    yield table.head()
    of = await ask(whose, account.organization, proof.as_of)
    for bill in await ask(_bills, account, proof, span, of):
        async for piece in _charged(ask, table, bill, of):
            yield piece
        if form.whole:
            yield await ask(_beside, table, bill)
    yield table.tail()


async def _journal(ask: Ask, syntax: Syntax, account: str, as_of: int) -> AsyncIterator[str]:
    yield syntax.head()
    after: int | None = -1
    while after is not None:
        piece, after = await ask(_posted, syntax, account, after, as_of)
        yield piece
    yield syntax.tail()


def _posted(
    conn: psycopg.Connection[Any], syntax: Syntax, account: str, after: int, as_of: int
) -> tuple[str, int | None]:
    rows = journal_read.posted(conn, account, after, TRANSFERS_A_PAGE, as_of)
    more = len(rows) == TRANSFERS_A_PAGE
    return syntax.posted(rows), rows[-1].row if more else None


def _bills(
    conn: psycopg.Connection[Any], account: Account, proof: Proof, span: Span, of: Whose
) -> list[Bill]:
    """One a period, in order."""
    names = project_names(conn, account.organization, proof.as_of)
    stayed = {name: found[0].department for name, found in of.places.items() if len(found) == 1}
    found = []
    for period in billing_read.periods(conn, account.account, proof.as_of):
        if span.holds(period.start_us, period.end_us):
            number = None
            if period.invoice is not None:
                invoice = billing_read.invoice(conn, period.invoice, proof.as_of)
                number = None if invoice is None else invoice.number
            found.append(Bill(account, period, number, names, proof, stayed, of.names))
    return found


async def _charged(ask: Ask, table: Table[Row], bill: Bill, of: Whose) -> AsyncIterator[bytes]:
    """The pages after the one that is written are asked for meanwhile."""
    booked, as_of = bill.period.period, bill.proof.as_of
    coming: deque[asyncio.Task[Lines]] = deque()
    after: str | None = ""

    async def ask_ahead() -> None:
        nonlocal after
        while after is not None and len(coming) < _AHEAD:
            last = await ask(page_end, booked, after, RESOURCES_A_PAGE, as_of)
            if last is not None:
                coming.append(asyncio.create_task(_lines(ask, of, booked, after, last, as_of)))
            after = last

    try:
        await ask_ahead()
        while coming:
            found = await coming.popleft()
            await ask_ahead()
            yield await asyncio.to_thread(_rows, table, bill, found)
    finally:
        for one in coming:
            one.cancel()


async def _lines(ask: Ask, of: Whose, booked: str, after: str, last: str, as_of: int) -> Lines:
    return await ask(_attributed, of, booked, after, last, as_of)


def _attributed(
    conn: psycopg.Connection[Any], of: Whose, booked: str, after: str, last: str, as_of: int
) -> Lines:
    return charged_to(conn, lines(conn, booked, after, last, as_of), of, booked, as_of)


def _rows(table: Table[Row], bill: Bill, found: Lines) -> bytes:
    return table.rows(focus.Charged(bill, found))


def _beside(conn: psycopg.Connection[Any], table: Table[Row], bill: Bill) -> bytes:
    """Document by document: rows that are written at once are of one."""
    pieces = []
    found = beside(conn, bill.period.period, bill.proof.as_of)
    for document, those in groupby(found, attrgetter("document")):
        of = bill if document is None else replace(bill, invoice=document)
        rows = _named(conn, list(those), bill.proof.as_of)
        pieces.append(table.rows([focus.beside(of, one) for one in rows]))
    return b"".join(pieces)


def _named(conn: psycopg.Connection[Any], rows: list[Beside], as_of: int) -> list[Beside]:
    """Each line of a credit note with whose line it takes from: the transfer's id says which."""
    taken = next((one for one in rows if one.kind == "credit"), None)
    if taken is None or taken.invoice is None:
        return rows
    invoice = billing_read.invoice(conn, taken.invoice, as_of)
    charged = [] if invoice is None else billing_read.invoice_lines(conn, invoice, as_of)
    found: dict[tuple[int | None, str], list[tuple[int, str]]] = {}
    for index, line in enumerate(charged):
        found.setdefault((line.price, line.service_period), []).append((index, line.project))
    return [
        replace(one, project=_whose(one, found.get((one.price, one.period), [])))
        if one.kind == "credit"
        else one
        for one in rows
    ]


def _whose(one: Beside, lines: list[tuple[int, str]]) -> str | None:
    for index, project in lines:
        about = (one.cause, "credit", one.credit_note or "", "-", one.price, one.period)
        if transfer_id(Order(*about, "", "", "", 1, index), one.currency) == one.id:
            return project
    return None
