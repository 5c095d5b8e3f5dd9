"""Money that arrived for an invoice, recorded by whoever reads the bank's statement."""

from litestar import Response, post
from litestar.params import FromPath, JSONBody

from api.acting import Done, Said
from api.auth import OPERATOR, require
from api.body import FrontRequest
from api.changing import settled, target
from api.edge import instant, now_us, parse_instant
from api.services import Services, services_of
from contracts.http_tax import Payment, PaymentNew
from domain import invoice
from domain.decider import fold
from evidence.append import Append, Write
from evidence.private import private_value


@post("/v1/invoices/{invoice_id:str}/payments")
async def record_payment(
    request: FrontRequest, invoice_id: FromPath[str], data: JSONBody[PaymentNew]
) -> Response[Payment]:
    """Refused when it is more than is due; the reference is kept where it can be erased."""
    require(request.user, OPERATOR)
    services = services_of(request)

    async def do(cause: str) -> Done:
        return await settled(
            services, invoice_id, lambda: _pay(services, request, cause, invoice_id, data)
        )

    def answer(said: tuple[Said, ...], _: bool) -> Payment:
        fact = said[0].fact
        assert isinstance(fact, invoice.Paid), "the outcome of this route"
        return Payment(
            invoice=said[0].stream,
            minor=fact.amount_minor,
            due_minor=fact.due_minor,
            paid_at=instant(fact.paid_us),
        )

    return await services.acting.perform(request, do, answer)


async def _pay(
    services: Services, request: FrontRequest, cause: str, invoice_id: str, data: PaymentNew
) -> Done:
    found = await target(services, request.user, invoice_id, "invoice")
    state = fold(invoice.DECIDER, list(found.facts))  # type: ignore[misc]
    reference, words = private_value(found.org, data.reference)
    command = invoice.Pay(data.minor, reference, parse_instant(data.paid_at), now_us())
    write = Write(invoice_id, found.org, found.version, tuple(invoice.decide(command, state)))
    append = Append((write,), request.user.actor, cause, private=(words,))
    return Done(await services.log.append(append), (write,))
