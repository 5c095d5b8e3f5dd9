"""Payments of credit that go back, and accounts that are suspended until somebody has looked."""

from litestar import Response, post
from litestar.params import FromPath, JSONBody

from api.acting import Done, Said, held
from api.admission.wire import GiveBackAsk
from api.body import FrontRequest
from api.changing import admitted, change, target
from api.edge import money, now_us, pico_of
from api.services import services_of
from contracts.http_wallet import AccountStanding, GaveBack, GiveBackNew, ResumeNew, SuspendNew
from domain import account, credit, wallet
from domain.errors import DomainError
from domain.wallet_facts import CreditChargedBack, CreditRefunded


@post("/v1/accounts/{account_id:str}/chargebacks")
async def charge_back(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[GiveBackNew]
) -> Response[GaveBack]:
    """The payer's bank took a payment back: what is not there any more is in arrears, and the
    account begins nothing until that is met, or somebody resumes it.
    """
    return await _gave_back(request, account_id, data, taken=True)


@post("/v1/accounts/{account_id:str}/refunds")
async def refund_credit(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[GiveBackNew]
) -> Response[GaveBack]:
    """Of credit that was paid for, what is neither spent nor held."""
    return await _gave_back(request, account_id, data, taken=False)


async def _gave_back(
    request: FrontRequest, account_id: str, data: GiveBackNew, *, taken: bool
) -> Response[GaveBack]:
    services = services_of(request)
    found = await target(services, request.user, account_id, "account")
    currency = _currency(found.facts[0])

    async def do(cause: str) -> Done:
        now = await target(services, request.user, account_id, "account")
        rests = held(request, account_id, now.version)
        if data.amount is not None and data.amount.currency != currency:
            raise DomainError("wallet.grant_invalid", f"the account is in {currency}")
        amount = 0 if data.amount is None else pico_of(data.amount)
        command = wallet.GiveBack(data.payment, amount, data.reference, now_us())
        ask = GiveBackAsk(
            found.org, account_id, command, taken, request.user.actor, cause, held=rests
        )
        try:
            done = await admitted(services, ask)
        except DomainError as error:
            if error.code != "admission.nothing":
                raise
            facts = await services.log.read_stream("wallet" + account_id.removeprefix("account"))
            before = next(
                one.fact
                for one in facts
                if isinstance(one.fact, CreditChargedBack | CreditRefunded)
                and one.fact.reference == data.reference
            )
            return Done(nothing=_given(account_id, currency, before, again=True))
        return Done(done.appended, done.writes)

    def answer(said: tuple[Said, ...], _: bool) -> GaveBack:
        fact = said[0].fact
        assert isinstance(fact, CreditChargedBack | CreditRefunded), "the outcome of this route"
        return _given(account_id, currency, fact, again=False)

    return await services.acting.perform(request, do, answer)


def _currency(opened: object) -> str:
    assert isinstance(opened, account.Opened), "the first fact of an account opens it"
    return opened.currency


def _given(
    account_id: str, currency: str, fact: CreditChargedBack | CreditRefunded, *, again: bool
) -> GaveBack:
    taken = fact.taken_pico if isinstance(fact, CreditChargedBack) else fact.amount_pico
    return GaveBack(
        account=account_id,
        grant=fact.grant,
        reference=fact.reference,
        amount=money(fact.amount_pico, currency),
        taken=money(taken, currency),
        balance=None if again else money(fact.balance_pico, currency),
    )


@post("/v1/accounts/{account_id:str}/suspend", status_code=200)
async def suspend_account(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[SuspendNew]
) -> Response[AccountStanding]:
    """It begins nothing; what runs goes on, and is billed."""
    command = credit.Suspend(account_id, data.reason, now_us())
    return await _standing(request, account_id, command)


@post("/v1/accounts/{account_id:str}/resume", status_code=200)
async def resume_account(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[ResumeNew]
) -> Response[AccountStanding]:
    """Whatever is owed stays owed."""
    return await _standing(request, account_id, credit.Resume(data.about, data.reason, now_us()))


async def _standing(
    request: FrontRequest, account_id: str, command: credit.Command
) -> Response[AccountStanding]:
    services = services_of(request)
    nothing = AccountStanding(account=account_id, changed=[], version=None)

    async def do(cause: str) -> Done:
        of = ("account", account_id)
        return await change(services, request, cause, of, account.DECIDER, command, nothing)

    def answer(said: tuple[Said, ...], _: bool) -> AccountStanding:
        facts = [one.fact for one in said]
        changed = [one.about for one in facts if isinstance(one, credit.Suspended | credit.Resumed)]
        return AccountStanding(account=account_id, changed=changed, version=said[-1].version)

    return await services.acting.perform(request, do, answer, 200)
