"""Prepaid accounts: their terms, their credit, and what is left of it, as admission sees it."""

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said, held
from api.admission.then import purse_at
from api.admission.wire import GrantAsk
from api.body import FrontRequest
from api.changing import Target, admitted, change, target
from api.edge import instant, money, now_us, parse_instant, pico_of
from api.services import services_of
from api.viewing import tagged, viewed
from contracts.http_wallet import (
    Credit,
    Grant,
    GrantNew,
    KeptVolume,
    Suspension,
    Terms,
    TermsNew,
    Wallet,
)
from contracts.payments import reference_of
from domain import account, wallet
from domain.errors import DomainError
from domain.funding import Lot, Purse
from domain.wallet_facts import CreditGranted
from evidence.ids import new_id
from projections.asof import time_of

_NEVER: Final = 0


@post("/v1/accounts/{account_id:str}/terms", status_code=200)
async def set_terms(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[TermsNew]
) -> Response[Terms]:
    """What runs keeps the terms that it was launched under."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        command = account.SetTerms(data.terms, 0, now_us())
        nothing = Terms(account=account_id, terms=data.terms, version=None)
        stream = ("account", account_id)
        return await change(services, request, cause, stream, account.DECIDER, command, nothing)

    def answer(said: tuple[Said, ...], _: bool) -> Terms:
        fact = said[0].fact
        assert isinstance(fact, account.TermsSet), "the outcome of this route"
        return Terms(account=said[0].stream, terms=fact.terms, version=said[0].version)

    return await services.acting.perform(request, do, answer, 200)


@post("/v1/accounts/{account_id:str}/grants")
async def grant_credit(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[GrantNew]
) -> Response[Grant]:
    """Once per reference, whoever asks and however often."""
    services = services_of(request)
    expires = _NEVER if data.expires_at is None else parse_instant(data.expires_at)

    async def do(cause: str) -> Done:
        found = await target(services, request.user, account_id, "account")
        rests = held(request, account_id, found.version)
        currency = _currency(found)
        if data.amount.currency != currency:
            raise DomainError("wallet.grant_invalid", f"the account is in {currency}")
        command = wallet.Grant(
            *(new_id("grant"), data.bucket, pico_of(data.amount), expires),
            *(data.reference, now_us()),
        )
        ask = GrantAsk(found.org, account_id, command, request.user.actor, cause, held=rests)
        try:
            done = await admitted(services, ask)
        except DomainError as error:
            if error.code != "admission.nothing":
                raise
            purse, _ = await services.admission.purse(account_id)
            return Done(nothing=_known(account_id, purse, data.reference))
        return Done(done.appended, done.writes)

    def answer(said: tuple[Said, ...], _: bool) -> Grant:
        fact = said[0].fact
        assert isinstance(fact, CreditGranted), "the outcome of this route"
        currency = data.amount.currency
        return Grant(
            id=fact.grant,
            account=account_id,
            bucket=fact.bucket,
            amount=money(fact.amount_pico, currency),
            reference=fact.reference,
            expires_at=_when(fact.expires_us),
            balance=money(fact.balance_pico, currency),
            held=money(fact.held_pico, currency),
        )

    return await services.acting.perform(request, do, answer)


@get("/v1/accounts/{account_id:str}/wallet")
async def show_wallet(
    request: FrontRequest, account_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Wallet]:
    """As it stands at the writer that decides on it, not in the views. `as_of`: what the same
    arithmetic said at that entry and its time.
    """
    services, at = await viewed(request, as_of)
    found = await target(services, request.user, account_id, "account")
    if at is None:
        purse, _ = await services.admission.purse(account_id)
        now = now_us()
    else:
        purse = await services.reads.past(purse_at, account_id, found.org, at)
        now = await services.reads.ask(time_of, at)
    return tagged(_wallet(account_id, purse, now), purse.version)


def _wallet(account_id: str, purse: Purse, now: int) -> Wallet:
    lasts = None if purse.lasts_us < 0 else instant(now + purse.lasts_us)
    return Wallet(
        account=account_id,
        terms=purse.terms,
        balance=money(purse.balance_pico, purse.currency),
        held=money(purse.held_pico, purse.currency),
        available=money(purse.available_pico, purse.currency),
        credits=[_credit(one, purse.currency) for one in purse.lots],
        runtimes=purse.runtimes,
        per_hour=money(purse.per_hour_pico, purse.currency),
        exhausted_at=lasts,
        level=purse.level,
        arrears=money(purse.arrears_pico, purse.currency),
        suspended=[
            Suspension(about=one.about, reason=one.reason, since=instant(one.decided_us))
            for one in purse.suspended
        ],
        payment_reference=reference_of(account_id),
        volumes=[
            KeptVolume(
                id=one.volume,
                held=money(one.held_pico, purse.currency),
                held_until=_when(one.until_us),
                wipe_at=_when(one.wipe_us),
            )
            for one in purse.volumes
        ],
        version=purse.version,
    )


def _currency(found: Target) -> str:
    opened = found.facts[0]
    assert isinstance(opened, account.Opened), "the first fact of an account opens it"
    return opened.currency


def _known(account_id: str, purse: Purse, reference: str) -> Grant:
    """The grant as it was made before."""
    lot = next(one for one in purse.lots if one.reference == reference)
    return Grant(
        id=lot.grant,
        account=account_id,
        bucket=lot.bucket,
        amount=money(lot.amount_pico, purse.currency),
        reference=reference,
        expires_at=_when(lot.expires_us),
        balance=None,
        held=None,
    )


def _credit(lot: Lot, currency: str) -> Credit:
    return Credit(
        id=lot.grant,
        bucket=lot.bucket,
        reference=lot.reference,
        amount=money(lot.amount_pico, currency),
        left=money(lot.left_pico, currency),
        returned=money(lot.gone_pico, currency),
        expires_at=_when(lot.expires_us),
    )


def _when(expires_us: int) -> str | None:
    return None if expires_us == _NEVER else instant(expires_us)
