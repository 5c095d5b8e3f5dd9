"""Credit notes: order one, list, show, and the sealed file."""

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said, if_match
from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import settled, target
from api.edge import instant, money, now_us
from api.invoices import sealed_file
from api.paging import before, page_size
from api.services import Services, services_of
from api.viewing import page, reachable, sealed, tagged, viewed
from contracts.http import Page
from contracts.http_tax import CreditNote, CreditNoteNew, CreditOrder
from domain import invoice
from domain.crediting import Left, Part
from domain.decider import fold
from domain.errors import DomainError
from domain.statement import PICO_DIGITS
from domain.taxed import read_taxed_file
from evidence.append import Append, Write
from projections import taxes_read
from projections.months import derived_id

_PATH: Final = "/v1/credit-notes/{credit_note_id:str}"


@post("/v1/invoices/{invoice_id:str}/credit-notes")
async def order_credit_note(
    request: FrontRequest, invoice_id: FromPath[str], data: JSONBody[CreditNoteNew]
) -> Response[CreditOrder]:
    """Decided now, for good; the credit note with its number and file follows.

    It is refused when credit notes ordered before have left less of a line.
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        return await settled(
            services, invoice_id, lambda: _order(services, request, cause, invoice_id, data)
        )

    def answer(said: tuple[Said, ...], _: bool) -> CreditOrder:
        fact = said[0].fact
        assert isinstance(fact, invoice.CreditOrdered), "the outcome of this route"
        return CreditOrder(
            id=fact.credit_note,
            invoice=said[0].stream,
            why=fact.why,
            ordered_at=instant(fact.decided_us),
        )

    return await services.acting.perform(request, do, answer)


async def _order(
    services: Services, request: FrontRequest, cause: str, invoice_id: str, data: CreditNoteNew
) -> Done:
    found = await target(services, request.user, invoice_id, "invoice")
    if_match(request, found.version)
    state = fold(invoice.DECIDER, list(found.facts))  # type: ignore[misc]
    assert isinstance(state, invoice.Final | invoice.Sent), "its stream begins with it"
    number = len(state.orders) + 1
    command = invoice.OrderCredit(
        derived_id("credit_note", invoice_id, number),
        _left(services, invoice_id, state),
        tuple(Part(part.line, part.minor) for part in data.lines),
        *(data.why, now_us()),
    )
    facts = tuple(invoice.decide(command, state))
    write = Write(invoice_id, found.org, found.version, facts)
    append = Append((write,), request.user.actor, cause)
    return Done(await services.log.append(append), (write,))


def _left(services: Services, stream: str, state: invoice.Final | invoice.Sent) -> Left:
    """What all orders so far leave of the invoice."""
    if not isinstance(state.finalized, invoice.TaxedFinalized):
        raise DomainError("invoice.no_seller", "only a seller's invoice gets credit notes")
    data = sealed_file(services, state.finalized.sha256)
    left = Left(stream, *read_taxed_file(data))
    for order in state.orders:
        left.take(order.parts, order.why)
    return left


@get("/v1/credit-notes")
async def list_credit_notes(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    account: FromQuery[str | None] = None,
    invoice: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[CreditNote]:
    """Those that are issued, newest first."""
    size, start = page_size(limit), before(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        taxes_read.credit_notes,
        organization=scope,
        account=account,
        invoice=invoice,
        before=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get(_PATH)
async def show_credit_note(
    request: FrontRequest, credit_note_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[CreditNote]:
    """By its id or its number; 404 until it is issued."""
    services, position = await viewed(request, as_of)
    return tagged(_given(await credit_note_of(services, request, credit_note_id, position)), 1)


@get(f"{_PATH}/file", media_type="application/json")
async def credit_note_file(
    request: FrontRequest, credit_note_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[bytes]:
    """The canonical file, byte for byte as the log seals it."""
    services, position = await viewed(request, as_of)
    found = await credit_note_of(services, request, credit_note_id, position)
    data = sealed_file(services, found.sha256)
    return sealed(request, data, "application/json", found.sha256)


async def credit_note_of(
    services: Services, request: FrontRequest, credit_note_id: str, position: int | None
) -> taxes_read.CreditNote:
    """Raises: DomainError resource.unknown."""
    found = await services.reads.ask(taxes_read.credit_note, credit_note_id, position)
    if found is None:
        raise unknown("credit note")
    within(request.user, found.organization, "credit note")
    return found


def _given(row: taxes_read.CreditNote) -> CreditNote:
    unit = 10 ** (PICO_DIGITS - row.minor_digits)
    return CreditNote(
        id=row.credit_note,
        number=row.number,
        invoice=row.invoice,
        organization=row.organization,
        account=row.account,
        seller=row.seller,
        why=row.why,
        net=money(row.net_minor * unit, row.currency),
        tax=money(row.tax_minor * unit, row.currency),
        total=money(row.total_minor * unit, row.currency),
        file=row.file,
        sha256=row.sha256,
        issued_at=instant(row.issued_us),
    )
