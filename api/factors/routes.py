"""TOTP of those whom the embedded issuer knows: enrolled, confirmed, used, removed."""

from typing import Final

from litestar import Response, get, post
from litestar.params import JSONBody

from api.acting import Answer, Done, Said
from api.auth import STAFF, STEP_UP, USER, allow
from api.authorization.cedar import PLATFORM
from api.authorization.tokens import bearer
from api.authorization.wishing import deciding, organization_of
from api.body import FrontRequest
from api.edge import instant, maybe_instant, now_us
from api.factors.codes import (
    RECOVERY_CODES,
    address,
    base32,
    fresh_secret,
    recovery_code,
)
from api.factors.store import Taken, Use, Whose, WrongCodeError, locked
from api.factors.telling import Allowed, hear, once, tell
from api.services import Services, services_of
from api.tokens import AMR_MFA, issue
from contracts.http_factors import (
    Code,
    FactorEnd,
    FactorEnded,
    FactorSecret,
    RecoveryCodes,
    SecondFactor,
    SteppedUp,
    TotpNew,
)
from domain.errors import DomainError
from domain.factor import TOTP, Confirmed, Enrolled, Locked, Removed, Replaced, Told, Used

_LONGEST_S: Final = 12 * 3600  # of a token with a second factor


def _mine(request: FrontRequest) -> tuple[Services, Whose]:
    """Raises: DomainError token.not_embedded, mfa.not_here."""
    services, caller = services_of(request), request.user
    if not services.settings.embedded:
        raise DomainError("token.not_embedded", "second factors are your issuer's")
    if caller.credential:
        raise DomainError("mfa.not_here", "a session's factor is its issuer's; a key has none")
    token = bearer(request.headers.get("authorization", ""))
    if services.tokens.principal(token).org != caller.org:
        # Whoever has the token alone would give it a factor where its owner has none yet.
        raise DomainError("mfa.not_here", "it is enrolled and used in the token's own organization")
    return services, Whose(caller.org, caller.actor)


async def _taken(
    request: FrontRequest, whose: Whose, code: str, use: Use, *, confirming: bool = False
) -> Taken:
    """A right code, used up by this command. A lock is told before its refusal.

    Raises: as Factors.take.
    """
    services, now = services_of(request), now_us()
    try:
        return await services.factors.take(whose, code, now, use, confirming=confirming)
    except WrongCodeError as wrong:
        if not wrong.until_us:
            raise
        fact = Locked(whose.principal, wrong.failures, wrong.until_us, now)
        cause = f"pos:{max(0, services.directory.applied - 1)}"
        await tell(services, request.user, whose, cause, fact)
        raise locked(wrong.until_us, now) from wrong


def _still(use: Use) -> Allowed:
    """The secret whose code it was is there where the fact is appended."""

    async def allowed(said: Told) -> None:
        if said.enrolled != use.made:
            raise DomainError("mfa.not_enrolled", "it was removed meanwhile")

    return allowed


@post("/v1/mfa/totp")
async def enrol_totp(request: FrontRequest, data: JSONBody[TotpNew]) -> Response[FactorSecret]:
    """A secret for an authenticator, shown once; it counts once a code of it was confirmed."""
    services, whose = _mine(request)
    shown: list[bytes] = []

    async def allowed(_: Told) -> None:
        found = await services.factors.standing(whose)
        if found is not None and found.confirmed:
            raise DomainError("mfa.enrolled", "there is one: remove it first")

    async def do(cause: str, _: Told) -> Done:
        secret = fresh_secret()
        fact = Enrolled(whose.principal, TOTP, now_us())
        done, version = await tell(services, request.user, whose, cause, fact, allowed)
        if version:
            await services.factors.enrol(whose, secret, version)
            shown.append(secret)
        return done

    def answer(_: tuple[Said, ...], again: bool) -> FactorSecret:  # an Answer
        secret = None if again else shown[-1]
        return FactorSecret(
            principal=whose.principal,
            secret=None if secret is None else base32(secret),
            address=None if secret is None else address(secret, data.label or whose.principal),
            secret_already_shown=again,
        )

    return await once(request, whose, do, answer)


@post("/v1/mfa/totp/confirm", status_code=200)
async def confirm_totp(request: FrontRequest, data: JSONBody[Code]) -> Response[RecoveryCodes]:
    """By a code of it; from then on it is there. Its recovery codes are shown once."""
    services, whose = _mine(request)
    shown: list[str] = []

    async def do(cause: str, said: Told) -> Done:
        use = Use(cause, said.enrolled)
        await _taken(request, whose, data.code, use, confirming=True)
        fact = Confirmed(whose.principal, TOTP, RECOVERY_CODES, now_us())

        async def allowed(now: Told) -> None:
            if now.confirmed:
                raise DomainError("mfa.enrolled", "it is confirmed already")
            await _still(use)(now)

        told = await tell(services, request.user, whose, cause, fact, allowed)
        return await _renewed(services, whose, use, told, shown)

    return await once(request, whose, do, _recovery(whose, shown), 200)


@post("/v1/mfa/recovery-codes", status_code=200)
async def replace_recovery_codes(
    request: FrontRequest, data: JSONBody[Code]
) -> Response[RecoveryCodes]:
    """Others, shown once; those of before count no more."""
    services, whose = _mine(request)
    shown: list[str] = []

    async def do(cause: str, said: Told) -> Done:
        use = Use(cause, said.enrolled)
        await _taken(request, whose, data.code, use)
        fact = Replaced(whose.principal, RECOVERY_CODES, now_us())
        told = await tell(services, request.user, whose, cause, fact, _still(use))
        return await _renewed(services, whose, use, told, shown)

    return await once(request, whose, do, _recovery(whose, shown), 200)


async def _renewed(
    services: Services, whose: Whose, use: Use, told: tuple[Done, int], shown: list[str]
) -> Done:
    done, version = told
    if version:
        shown[:] = [recovery_code() for _ in range(RECOVERY_CODES)]
        await services.factors.replace(whose, shown, use.made, version)
    return done


def _recovery(whose: Whose, shown: list[str]) -> Answer:
    def answer(_: tuple[Said, ...], again: bool) -> RecoveryCodes:
        return RecoveryCodes(
            principal=whose.principal,
            recovery_codes=None if again else list(shown),
            secret_already_shown=again,
        )

    return answer


@post("/v1/mfa/verify", status_code=200)
async def verify_factor(request: FrontRequest, data: JSONBody[Code]) -> Response[SteppedUp]:
    """Another token for the same principal, that says a second factor was used (`amr`, `acr`); no
    longer than the one that it was asked for with, and at most twelve hours.
    """
    services, whose = _mine(request)
    caller, shown = request.user, list[str]()
    token = bearer(request.headers.get("authorization", ""))

    async def do(cause: str, said: Told) -> Done:
        use = Use(cause, said.enrolled)
        taken = await _taken(request, whose, data.code, use)
        now = now_us()
        ends = int(services.tokens.kind(token).ends(token))
        seconds = max(1, min(ends - now // 1_000_000, _LONGEST_S))
        fact = Used(whose.principal, taken.means, now + seconds * 1_000_000, now)
        done, _ = await tell(services, caller, whose, cause, fact, _still(use))
        org = None if caller.org == PLATFORM else caller.org
        role = caller.role or (STAFF if org is None else USER)
        settings = services.settings
        shown.append(issue(settings, caller.actor, role, org, now, seconds, mfa=True))
        return done

    def answer(said: tuple[Said, ...], again: bool) -> SteppedUp:  # an Answer
        fact = said[0].fact
        assert isinstance(fact, Used), "the outcome of this route"
        return SteppedUp(
            principal=fact.principal,
            means=fact.means,
            token=None if again else shown[-1],
            amr=list(AMR_MFA),
            acr=STEP_UP,
            expires_at=instant(fact.expires_us),
            secret_already_shown=again,
        )

    return await once(request, whose, do, answer, 200)


@post("/v1/mfa/totp/remove", status_code=200)
async def remove_totp(request: FrontRequest, data: JSONBody[FactorEnd]) -> Response[FactorEnded]:
    """One's own by a code of it, recovery codes included; somebody's who lost it, by an owner."""
    services, caller = services_of(request), request.user
    whose, policies = _meant(request, data)

    async def there(said: Told) -> None:
        if not said.enrolled and await services.factors.standing(whose) is None:
            raise DomainError("mfa.not_enrolled", "there is none")

    async def do(cause: str, said: Told) -> Done:
        allowed: Allowed = there
        if not policies:
            if data.code is None:
                raise DomainError("request.invalid", "send a code of it", {"pointer": "/code"})
            use = Use(cause, said.enrolled)
            await _taken(request, whose, data.code, use)
            allowed = _still(use)
        fact = Removed(whose.principal, TOTP, data.reason, policies, now_us())
        done, version = await tell(services, caller, whose, cause, fact, allowed)
        await services.factors.follow(whose, Told(removed=version))
        return done

    def answer(said: tuple[Said, ...], _: bool) -> FactorEnded:  # an Answer
        return FactorEnded(principal=whose.principal, version=said[0].version)

    return await once(request, whose, do, answer, 200)


def _meant(request: FrontRequest, data: FactorEnd) -> tuple[Whose, tuple[str, ...]]:
    """Whose it is, and the ids that let the caller remove somebody else's."""
    caller = request.user
    if data.principal in (None, caller.actor) and data.organization in (None, caller.org):
        _, whose = _mine(request)
        return whose, ()
    org = PLATFORM
    if not caller.reads_all or data.organization is not None:
        org = organization_of(caller, data.organization)
    allow(caller, "mfa.remove_any", org)
    return Whose(org, data.principal or caller.actor), deciding(caller, org, org, "mfa.remove_any")


@get("/v1/mfa")
async def show_factor(request: FrontRequest) -> SecondFactor:
    """One's own second factor, as far as it is ours."""
    services, whose = _mine(request)
    await hear(services, whose)
    found = await services.factors.standing(whose)
    state = "none" if found is None else "confirmed" if found.confirmed else "pending"
    later = found is not None and found.locked_until_us > now_us()
    return SecondFactor(
        principal=whose.principal,
        state=state,
        recovery_codes_left=0 if found is None else found.recovery_codes,
        locked_until=maybe_instant(found.locked_until_us if found and later else None),
    )
