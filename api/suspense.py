"""Money that names nobody: put aside, listed, shown, and later credit, a payment, or given back."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said, if_match
from api.admission.wire import GrantAsk
from api.body import FrontRequest
from api.changing import Target, log_stream, settled, target
from api.currencies import minor_digits
from api.edge import instant, money, now_us, pico_of
from api.paging import after, page_size
from api.services import Services, services_of
from api.viewing import page, tagged, viewed
from contracts.http import Page
from contracts.http_wallet import Aside, AsideNew, Resolution, ResolveNew
from domain import account, invoice, suspense, wallet
from domain.decider import fold
from domain.errors import DomainError
from domain.statement import PICO_DIGITS
from domain.wallet_facts import PAID
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.private import private_value
from projections import aside_read
from projections.months import derived_id


@post("/v1/suspense")
async def put_aside(request: FrontRequest, data: JSONBody[AsideNew]) -> Response[Resolution]:
    """Once per line, whoever asks and however often."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        minor_digits(data.amount.currency)
        stream = derived_id("suspense", await log_stream(services), data.line)

        async def attempt() -> Done:
            recorded = await services.log.read_stream(stream)
            text, words = private_value("-", data.text)
            command = suspense.Receive(
                *(data.amount.currency, pico_of(data.amount), data.line, text, data.why, now_us())
            )
            state = fold(suspense.DECIDER, [one.fact for one in recorded])  # type: ignore[misc]
            facts = tuple(suspense.decide(command, state))
            if not facts:
                return Done(nothing=_resolution(stream, state))
            write = Write(stream, "-", 0, facts)
            append = Append((write,), request.user.actor, cause, private=(words,))
            return Done(await services.log.append(append), (write,))

        return await settled(services, stream, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Resolution:
        return Resolution(id=said[0].stream, how="", about="")

    return await services.acting.perform(request, do, answer)


@get("/v1/suspense")
async def list_suspense(
    request: FrontRequest,
    waiting: FromQuery[bool] = False,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Aside]:
    """The oldest first; `waiting`: only what nobody has resolved yet."""
    size, start = page_size(limit), after(cursor)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        aside_read.aside, waiting=waiting, after=start, limit=size + 1, as_of=position
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get("/v1/suspense/{suspense_id:str}")
async def show_suspense(
    request: FrontRequest, suspense_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Aside]:
    """One that was resolved, too."""
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, suspense_id, "suspense", position)
    await services.reached(found.position)
    [row] = await services.reads.ask(aside_read.aside, suspense=suspense_id, as_of=position)
    return tagged(_given(row), found.version)


@post("/v1/suspense/{suspense_id:str}/resolve", status_code=200)
async def resolve_suspense(
    request: FrontRequest, suspense_id: FromPath[str], data: JSONBody[ResolveNew]
) -> Response[Resolution]:
    """In one append with what it becomes; what it is of, it is of once."""
    if sum(map(bool, (data.account, data.invoice, data.returned))) != 1:
        raise DomainError("request.invalid", "name an account, or an invoice, or that it went back")
    services = services_of(request)

    async def attempt(cause: str) -> Done:
        found = await target(services, request.user, suspense_id, "suspense")
        if_match(request, found.version)
        state = fold(suspense.DECIDER, list(found.facts))  # type: ignore[misc]
        if isinstance(state, suspense.Over):
            raise DomainError("suspense.resolved", "it was resolved before", _became(state))
        assert isinstance(state, suspense.Waiting), "what is there was received"
        if data.account:
            return await _as_credit(services, request, cause, found, state, data.account)
        if data.invoice:
            return await _as_payment(services, request, cause, found, state, data.invoice)
        write = _resolving(found, suspense.RETURNED, "", state)
        append = Append((write,), request.user.actor, cause)
        return Done(await services.log.append(append), (write,))

    async def do(cause: str) -> Done:
        return await settled(services, data.invoice or suspense_id, lambda: attempt(cause))

    def answer(said: tuple[Said, ...], _: bool) -> Resolution:
        fact = said[-1].fact
        assert isinstance(fact, suspense.Resolved), "the outcome of this route"
        return Resolution(id=suspense_id, how=fact.how, about=fact.about)

    return await services.acting.perform(request, do, answer, 200)


async def _as_credit(
    services: Services,
    request: FrontRequest,
    cause: str,
    aside: Target,
    state: suspense.Waiting,
    account_id: str,
) -> Done:
    found, got = await target(services, request.user, account_id, "account"), state.received
    opened = found.facts[0]
    assert isinstance(opened, account.Opened), "the first fact of an account opens it"
    if opened.currency != got.currency:
        raise DomainError("wallet.grant_invalid", f"the account is in {opened.currency}")
    command = wallet.Grant(
        *(new_id("grant"), PAID, got.amount_pico, 0, f"bank:{got.line}", now_us())
    )
    ask = GrantAsk(found.org, account_id, command, request.user.actor, cause, aside.stream)
    admitted = await services.admission.ask(ask)
    return Done(admitted.appended, admitted.writes)


async def _as_payment(
    services: Services,
    request: FrontRequest,
    cause: str,
    aside: Target,
    state: suspense.Waiting,
    invoice_id: str,
) -> Done:
    found, got = await target(services, request.user, invoice_id, "invoice"), state.received
    bill = fold(invoice.DECIDER, list(found.facts))  # type: ignore[misc]
    if not isinstance(bill, invoice.Final | invoice.Sent):
        raise DomainError("invoice.unknown", "no such invoice")
    minor, rest = divmod(got.amount_pico, 10 ** (PICO_DIGITS - bill.finalized.minor_digits))
    if bill.finalized.currency != got.currency or rest:
        raise DomainError("suspense.invalid", f"the invoice is in {bill.finalized.currency}")
    reference, words = private_value(found.org, got.line)
    command = invoice.Pay(minor, reference, got.decided_us, now_us())
    paid = Write(invoice_id, found.org, found.version, tuple(invoice.decide(command, bill)))
    resolved = _resolving(aside, suspense.PAYMENT, invoice_id, state)
    append = Append((paid, resolved), request.user.actor, cause, private=(words,))
    return Done(await services.log.append(append), (paid, resolved))


def _resolving(aside: Target, how: str, about: str, state: suspense.Waiting) -> Write:
    facts = suspense.decide(suspense.Resolve(how, about, now_us()), state)
    return Write(aside.stream, aside.org, aside.version, tuple(facts))


def _resolution(stream: str, state: suspense.State) -> Resolution:
    resolved = state.resolved if isinstance(state, suspense.Over) else suspense.Resolved("", "", 0)
    return Resolution(id=stream, how=resolved.how, about=resolved.about)


def _became(state: suspense.Over) -> dict[str, int | str]:
    return {"how": state.resolved.how, "about": state.resolved.about}


def _given(row: aside_read.Aside) -> Aside:
    return Aside(
        id=row.suspense,
        line=row.line,
        amount=money(row.amount_pico, row.currency),
        text=row.words,
        why=row.why,
        received_at=instant(row.decided_us),
        how=row.how,
        about=row.about,
    )
