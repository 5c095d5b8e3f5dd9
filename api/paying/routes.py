"""Top-ups over HTTP: a page to pay at, and the events by which Stripe says that it was paid."""

import asyncio
import hashlib
import re
import time
from typing import Final

from litestar import Response, post
from litestar.params import FromPath, JSONBody

from api.acting import if_match, key_of
from api.admission.wire import GiveBackAsk, GrantAsk
from api.body import FrontRequest
from api.changing import target
from api.edge import now_us, pico_of
from api.paying import stripe
from api.paying.port import Asked, TopUp
from api.services import Services, services_of
from contracts.http_wallet import EventHeard, TopUpAsked, TopUpNew
from contracts.payments import reference_of
from domain import account, wallet
from domain.errors import DomainError
from domain.wallet_facts import PAID
from evidence.ids import new_id

ACTOR: Final = "system-stripe"
PAID_EVENT: Final = "payment_intent.succeeded"
TAKEN_EVENT: Final = "charge.dispute.funds_withdrawn"
_TURNED: Final = frozenset(("charge.dispute.created", "charge.refunded"))
_ACCOUNT: Final = re.compile(
    r"account-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)


@post("/v1/accounts/{account_id:str}/top-ups")
async def ask_top_up(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[TopUpNew]
) -> TopUpAsked:
    """Where the amount is paid: it is credit once the provider says so, and never before. Without
    a provider: the reference that a bank transfer must name.
    """
    services = services_of(request)
    key = key_of(request)
    found = await target(services, request.user, account_id, "account")
    if_match(request, found.version)
    opened = found.facts[0]
    assert isinstance(opened, account.Opened), "the first fact of an account opens it"
    if data.amount.currency != opened.currency:
        raise DomainError("wallet.grant_invalid", f"the account is in {opened.currency}")
    port = services.payments.port
    asked = Asked("bank", "", reference_of(account_id))
    if port is not None:
        # Of this account: what another one asked for under that key is another payment.
        own = hashlib.sha256(f"{account_id}\n{key}".encode()).hexdigest()
        wanted = TopUp(account_id, pico_of(data.amount), opened.currency, own)
        asked = await asyncio.to_thread(port.ask, wanted)
    return TopUpAsked(
        account=account_id,
        provider=asked.provider,
        url=asked.url or None,
        payment_reference=asked.payment_reference,
    )


@post("/v1/payments/stripe", opt={"public": True}, status_code=200)
async def hear_stripe(request: FrontRequest) -> Response[EventHeard]:
    """An event of Stripe's, by its signature. A payment is credit once, however often and in
    whatever order it is told of; what is nothing to us is acknowledged and counted.
    """
    services = services_of(request)
    payments, raw = services.payments, await request.body()
    if not payments.secrets:
        raise DomainError("payment.not_configured", "no secret of an endpoint is set")
    header = request.headers.get("stripe-signature", "")
    stripe.check_signed(raw, header, payments.secrets, int(time.time()))
    event = stripe.event_of(raw)
    if event.livemode != payments.live:
        raise DomainError("payment.wrong_mode", "test money is no credit, nor the other way round")
    known = event.type in {PAID_EVENT, TAKEN_EVENT, *_TURNED}
    became = "to_resolve" if known else "ignored"
    if event.type == PAID_EVENT:
        became = await _granted(services, event)
    elif event.type == TAKEN_EVENT and payments.port is not None:
        became = await _taken(services, payments.port, event)
    payments.heard[event.type if known else "other", became] += 1
    return Response(EventHeard(event=event.id, became=became))


async def _granted(services: Services, event: stripe.Event) -> str:
    """`granted`, `repeated`, or `unmatched`: it names no account of its currency.

    Raises: DomainError wallet.reference_reused: told again, of another amount.
    """
    paid = stripe.intent_of(event)
    name, currency = paid.metadata.get(stripe.ACCOUNT, ""), paid.currency.upper()
    facts = await services.log.read_stream(name) if _ACCOUNT.fullmatch(name) else []
    opened = facts[0].fact if facts else None
    if not isinstance(opened, account.Opened) or opened.currency != currency:
        return "unmatched"
    pico = stripe.pico_of(paid.amount_received, currency)
    command = wallet.Grant(
        *(new_id("grant"), PAID, pico, 0), *(stripe.reference(paid.id), now_us())
    )
    return await _asked(services, GrantAsk(facts[0].org, name, command, ACTOR, _cause(event)))


async def _taken(services: Services, port: stripe.Stripe, event: stripe.Event) -> str:
    """`charged_back`, `repeated`, or `unmatched`: of a payment that is nobody's credit by its word.

    Raises: DomainError of the chargeback, as when its payment was not told of yet: Stripe tells
    again.
    """
    dispute = stripe.dispute_of(event)
    name = await asyncio.to_thread(port.account_of, dispute.payment_intent)
    facts = await services.log.read_stream(name) if _ACCOUNT.fullmatch(name) else []
    if not facts:
        return "unmatched"
    pico = stripe.pico_of(dispute.amount, dispute.currency.upper())
    payment = stripe.reference(dispute.payment_intent)
    command = wallet.GiveBack(payment, pico, stripe.reference(dispute.id), now_us())
    ask = GiveBackAsk(facts[0].org, name, command, taken=True, actor=ACTOR, cause=_cause(event))
    return await _asked(services, ask)


async def _asked(services: Services, ask: GrantAsk | GiveBackAsk) -> str:
    try:
        admitted = await services.admission.ask(ask)
    except DomainError as error:
        if error.code != "admission.nothing":
            raise
        return "repeated"
    if not admitted.writes:
        return "repeated"
    return "granted" if isinstance(ask, GrantAsk) else "charged_back"


def _cause(event: stripe.Event) -> str:
    return "cmd:" + hashlib.sha256(f"gpuaas-stripe/1\n{event.id}".encode()).hexdigest()
