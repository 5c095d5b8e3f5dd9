"""Credit of accounts that pay afterwards: limits, when they are due, and what was told of them."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said
from api.body import FrontRequest
from api.changing import Target, change, target
from api.edge import instant, money, now_us, pico_of
from api.services import services_of
from api.viewing import tagged, viewed
from contracts.http_credit import AccountCredit, CreditTerms, CreditTermsNew, DunningStep
from contracts.http_wallet import Suspension
from domain import account, credit
from domain.decider import fold
from domain.errors import DomainError
from projections import billing_read

_SIDES = frozenset({"receivable", "unbilled"})


@post("/v1/accounts/{account_id:str}/credit", status_code=200)
async def set_credit(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[CreditTermsNew]
) -> Response[CreditTerms]:
    """Of what was used before as well; the same again changes nothing."""
    services = services_of(request)
    found = await target(services, request.user, account_id, "account")
    currency = _billing(found).opened.currency
    if data.limit is not None and data.limit.currency != currency:
        raise DomainError("account.credit_invalid", f"the account is in {currency}")
    command = credit.SetCredit(
        *(0 if data.limit is None else pico_of(data.limit), data.due_days, data.remind_days),
        *(data.suspend_days, data.stop_days, now_us()),
    )

    async def do(cause: str) -> Done:
        def nothing(now: Target) -> CreditTerms:
            terms = _billing(now).standing.terms
            assert terms is not None, "or there would be something to say"
            return _terms(terms, currency)

        of = ("account", account_id)
        return await change(services, request, cause, of, account.DECIDER, command, nothing)

    def answer(said: tuple[Said, ...], _: bool) -> CreditTerms:
        fact = said[0].fact
        assert isinstance(fact, credit.CreditSet), "the outcome of this route"
        return _terms(fact, currency)

    return await services.acting.perform(request, do, answer, 200)


@get("/v1/accounts/{account_id:str}/credit")
async def show_credit(
    request: FrontRequest, account_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[AccountCredit]:
    """As its stream says now; what is used as the views have it."""
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, account_id, "account", position)
    billing = _billing(found)
    currency, state = billing.opened.currency, billing.standing
    rows = await services.reads.ask(billing_read.balances, account_id, position)
    used = sum(row.balance_pico for row in rows if row.ledger in _SIDES)
    body = AccountCredit(
        account=account_id,
        terms=None if state.terms is None else _terms(state.terms, currency),
        used=money(used, currency),
        over=None if state.over is None else money(state.over.used_pico, currency),
        suspended=[
            Suspension(about=one.about, reason=one.reason, since=instant(one.decided_us))
            for one in state.suspended
        ],
        dunning=[
            DunningStep(
                invoice=one.invoice,
                step=one.step,
                days=one.days,
                due_minor=one.due_minor,
                due_at=instant(one.due_us),
                at=instant(one.decided_us),
            )
            for one in state.dunned
        ],
        version=found.version,
    )
    return tagged(body, found.version)


def _billing(found: Target) -> account.Billing:
    state = fold(account.DECIDER, list(found.facts))  # type: ignore[misc]
    assert isinstance(state, account.Billing), "the first fact of an account opens it"
    return state


def _terms(fact: credit.CreditSet, currency: str) -> CreditTerms:
    return CreditTerms(
        limit=money(fact.limit_pico, currency) if fact.limit_pico else None,
        due_days=fact.due_days,
        remind_days=list(fact.remind_days),
        suspend_days=fact.suspend_days,
        stop_days=fact.stop_days,
    )
