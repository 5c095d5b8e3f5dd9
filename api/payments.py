"""Money for an invoice, that came or went back, recorded by whoever reads the bank's statement."""

from litestar import Response, post
from litestar.params import FromPath, JSONBody

from api.acting import Done, Said, if_match
from api.body import FrontRequest
from api.changing import settled, target
from api.edge import instant, now_us, parse_instant
from api.services import Services, services_of
from contracts.http_tax import Payment, PaymentNew, ReturnNew
from domain import account, credit, invoice
from domain.decider import fold
from evidence.append import Append, Write
from evidence.private import private_value


@post("/v1/invoices/{invoice_id:str}/payments")
async def record_payment(
    request: FrontRequest, invoice_id: FromPath[str], data: JSONBody[PaymentNew]
) -> Response[Payment]:
    """Refused when it is more than is due; the reference is kept where it can be erased."""
    said = (data.minor, data.reference, parse_instant(data.paid_at))
    return await _moved(request, invoice_id, invoice.Pay, said)


@post("/v1/invoices/{invoice_id:str}/returned-payments")
async def return_payment(
    request: FrontRequest, invoice_id: FromPath[str], data: JSONBody[ReturnNew]
) -> Response[Payment]:
    """The payer's bank took it back: it is due again, and its account begins nothing until it is
    paid, or somebody resumes it.
    """
    said = (data.minor, data.reference, parse_instant(data.at))
    return await _moved(request, invoice_id, invoice.ReturnPayment, said)


@post("/v1/invoices/{invoice_id:str}/refunds")
async def refund_invoice(
    request: FrontRequest, invoice_id: FromPath[str], data: JSONBody[ReturnNew]
) -> Response[Payment]:
    """What was paid beyond what credit notes have left to pay."""
    said = (data.minor, data.reference, parse_instant(data.at))
    return await _moved(request, invoice_id, invoice.Refund, said)


async def _moved(
    request: FrontRequest,
    invoice_id: str,
    kind: type[invoice.Pay | invoice.ReturnPayment | invoice.Refund],
    said: tuple[int, str, int],
) -> Response[Payment]:
    """`said`: minor units, what the bank called it, when it was."""
    services = services_of(request)

    async def attempt(cause: str) -> Done:
        found = await target(services, request.user, invoice_id, "invoice")
        if_match(request, found.version)
        state = fold(invoice.DECIDER, list(found.facts))  # type: ignore[misc]
        reference, words = private_value(found.org, said[1])
        command = kind(said[0], reference, said[2], now_us())
        facts = tuple(invoice.decide(command, state))
        writes: tuple[Write, ...] = (Write(invoice_id, found.org, found.version, facts),)
        if isinstance(command, invoice.ReturnPayment):
            assert isinstance(state, invoice.Final | invoice.Sent), "or it was refused"
            writes += await _suspending(services, request, state.finalized.account, invoice_id)
        append = Append(writes, request.user.actor, cause, private=(words,))
        return Done(await services.log.append(append), writes)

    async def do(cause: str) -> Done:
        return await settled(services, invoice_id, lambda: attempt(cause))

    return await services.acting.perform(request, do, _answer)


async def _suspending(
    services: Services, request: FrontRequest, account_id: str, about: str
) -> tuple[Write, ...]:
    """The account suspended for the invoice, unless it is."""
    found = await target(services, request.user, account_id, "account")
    state = fold(account.DECIDER, list(found.facts))  # type: ignore[misc]
    facts = account.decide(credit.Suspend(about, credit.CHARGEBACK, now_us()), state)
    return (Write(account_id, found.org, found.version, tuple(facts)),) if facts else ()


def _answer(said: tuple[Said, ...], _: bool) -> Payment:
    match said[0].fact:
        case invoice.Paid(minor, due, _, at) | invoice.PaymentReturned(minor, due, _, at):
            pass
        case invoice.Refunded(minor, due, _, at):
            pass
        case _:
            raise AssertionError("the outcome of these routes")
    return Payment(invoice=said[0].stream, minor=minor, due_minor=due, paid_at=instant(at))
