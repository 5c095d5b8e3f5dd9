"""API keys: made and shown once, listed by their first characters, revoked."""

from collections.abc import Callable
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct
from msgspec.structs import replace

from api.acting import Done, Said, if_match
from api.auth import allow, may, unknown, within
from api.authorization.credentials import Key
from api.authorization.door import SSO
from api.authorization.keys import SHOWN, hash_of, minted, steps_up
from api.authorization.listing import cut, paged, single, words
from api.authorization.loading import credentials_at
from api.authorization.principal import Principal
from api.authorization.resting import still
from api.authorization.use import last_used
from api.authorization.wishing import deciding, may_own, no_looser, organization_of
from api.body import FrontRequest
from api.changing import create, settled
from api.edge import instant, maybe_instant, now_us
from api.services import Services, services_of
from api.viewing import viewed
from contracts.authorization.registry import known
from contracts.http import Page
from contracts.http_authority import ApiKey, ApiKeyNew, AuthorityEnd, Ended
from contracts.signing import public_key
from domain import api_key
from domain.authority import authority_stream
from domain.binding import Binding
from domain.decider import fold
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.private import private_value
from projections.months import derived_id

_KEY: Final = "token-"
_DAY_US: Final = 86_400_000_000


@post("/v1/api-keys")
async def create_api_key(request: FrontRequest, data: JSONBody[ApiKeyNew]) -> Response[ApiKey]:
    """For oneself, or for a service account by whoever may. A key makes no further keys."""
    org = organization_of(request.user, data.organization)
    if request.user.key:
        raise DomainError("api_key.by_key", "sign in to make a key")
    services, who = services_of(request), data.principal or request.user.actor
    if data.mfa and not services.directory.factors.second(request.user):
        raise services.door.stronger(request.user, request.user.action, org)
    for word in data.scopes:
        if not known(word):
            raise DomainError("request.invalid", f"no action {word}", {"pointer": "/scopes"})
    token, public = minted(), _by_itself(data.public_key)
    name, private = private_value(org, data.name)
    until_us = 0 if data.days is None else now_us() + data.days * _DAY_US

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            belonging = await services.authorities.of(org)
            state = belonging.state
            resting = await still(services, request.user, org)
            if data.principal is not None:
                allow(request.user, "api_key.create_for_account", org)
            if services.directory.closed(org):
                raise DomainError("organization.closed", "nobody acts for it any more")
            if not state.knows(who):
                raise _no_member(who, org, own=data.principal is None)
            if state.sso is not None and state.sso.bars(who, ""):
                detail = "no key of a person counts while the organization requires its issuer"
                raise DomainError("auth.sso_required", detail, _elsewhere(org, state.sso.issuer))
            if data.principal is not None:
                _for_account(request.user, org, state.rights_of(who), until_us)
            command = api_key.Create(
                *(who, name, (public or token)[:SHOWN], hash_of(token), data.scopes, until_us),
                *(_deciding(request), now_us(), data.mfa, *_vouched(request)),
                public_key=public,
            )
            members = (authority_stream(org), belonging.version)
            reads = (members, *resting, *_vouching(request, mfa=data.mfa))
            new = (_next(services, org), org)
            return await create(
                *(services, request.user, cause, new, api_key.DECIDER, command),
                private=(private,),
                reads=reads,
            )

        return await settled(services, authority_stream(org), attempt)

    def answer(said: tuple[Said, ...], again: bool) -> ApiKey:  # an Answer
        fact = said[0].fact
        assert isinstance(fact, api_key.KeyCreated), "the outcome of this route"
        key = Key(said[0].stream, org, fact, made_by=request.user.actor, public=public)
        shown = None if again or public else token
        belongs = services.directory.authority(org).knows(key.made_by)
        given = _given(key, data.name, None, mfa=data.mfa, belongs=belongs)
        hidden = again and not public
        return replace(given, key=shown, secret_already_shown=hidden, version=said[0].version)

    response = await services.acting.perform(request, do, answer)
    await services.following.catch_up()
    return response


def _by_itself(public: str | None) -> str:
    """Empty without one. Raises: DomainError request.invalid of a key that is nobody's own."""
    if public is None:
        return ""
    try:
        public_key(public)
    except ValueError as error:
        raise DomainError("request.invalid", str(error), {"pointer": "/public_key"}) from error
    return public


def _next(services: Services, org: str) -> str:
    """The stream of the organization's next key: they are numbered, so that of two that are made at
    once one loses and counts again. Raises: DomainError api_key.too_many.
    """
    directory, most, now = services.directory, services.settings.bounds.api_keys, now_us()
    stand, made = directory.standing(org)
    if sum(not directory.over(one, now) for one in stand) >= most:
        detail = f"at most {most} keys of an organization stand at once"
        raise DomainError("api_key.too_many", detail, {"most": most})
    return derived_id("token", org, f"key {made}")


def _no_member(who: str, org: str, *, own: bool) -> DomainError:
    """Who acts by what the token says alone is nobody whom a key could stand for."""
    if not own:
        return DomainError("authority.principal_unknown", "it does not belong here")
    detail = f"{who} acts by its token's role and is no member of {org}: a key would be nobody's"
    return DomainError("api_key.no_member", detail)


def _for_account(caller: Principal, org: str, rights: tuple[Binding, ...], until_us: int) -> None:
    """Whoever makes its key holds what the account may, as long as the key lasts.

    Raises: DomainError auth.forbidden, authority.looser.
    """
    for one in rights:
        may_own(caller, one.role, org)
    policies = deciding(caller, org, org, "api_key.create_for_account")
    no_looser(caller, (one.ending(until_us) for one in rights), policies, (org, org))


def _vouched(request: FrontRequest) -> tuple[str, tuple[str, ...], str]:
    """By whose word the caller has what factors it has; nobody's for the embedded issuer's."""
    signed = services_of(request).directory.signed(request.user.session)
    if signed is None:
        return "", (), ""
    return signed.opened.issuer, signed.opened.amr, signed.opened.acr


def _vouching(request: FrontRequest, *, mfa: bool) -> tuple[tuple[str, int], ...]:
    """The stream of whose word the key's factor is."""
    directory = services_of(request).directory
    signed = directory.signed(request.user.session)
    word = directory.issuer(signed.opened.issuer) if signed is not None and mfa else None
    return ((word.stream, word.version),) if word is not None else ()


def _elsewhere(org: str, issuer: str) -> dict[str, int | str]:
    """What a refusal for the sake of a required issuer tells."""
    return {"action": "api_key.create", "scope": org, "policy": SSO, "issuer": issuer}


def _deciding(request: FrontRequest) -> tuple[str, ...]:
    """The ids that let the caller, wherever it may: a key belongs to no scope below."""
    caller, door = request.user, services_of(request).door
    place = door.somewhere(caller, caller.action)
    return door.decide(caller, caller.action, place).policies


def _given(
    key: Key,
    name: str | None,
    used_us: int | None,
    *,
    mfa: bool,
    belongs: bool,
) -> ApiKey:
    made = key.created
    return ApiKey(
        id=key.stream,
        organization=key.org,
        principal=made.principal,
        name=name,
        prefix=made.prefix,
        scopes=list(made.scopes),
        created_at=instant(made.decided_us),
        until=maybe_instant(made.until_us or None),
        last_used_at=maybe_instant(used_us),
        revoked=key.revoked,
        mfa=mfa,
        made_by=key.made_by,
        maker_belongs=belongs,
        public_key=key.public or None,
        key=None,
        secret_already_shown=True,
        version=None,
    )


@get("/v1/api-keys")
async def list_api_keys(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    principal: FromQuery[str | None] = None,
    made_by: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[ApiKey]:
    """One's own; all of the organization for whoever may. Revoked ones too, in order of making,
    each with who made it. When one was last used is no fact of the log: null with `as_of`.
    """
    asked, of = (cursor, limit), _Of(None, principal, made_by)
    rows, given, _ = await _keys(request, organization, as_of, lambda found: cut(found, asked), of)
    return paged(rows, asked, given)


@get("/v1/api-keys/{key_id:str}")
async def show_api_key(
    request: FrontRequest,
    key_id: FromPath[str],
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[ApiKey]:
    """One's own, or any of the organization for whoever may; a revoked one too."""
    if organization is None and request.user.reads_all and request.user.role:
        made = services_of(request).directory.made(key_id)
        if made is None:
            raise unknown("key")
        organization = made.org
    rows, given, at = await _keys(request, organization, as_of, lambda found: found, _Of(key_id))
    recorded = await services_of(request).log.read_stream(key_id) if rows else []
    then = [one.version for one in recorded if at is None or one.position <= at]
    return single(rows, given, "key", max(then, default=0))


type _Keys = tuple[list[tuple[int, Key]], Callable[[Key], ApiKey], int | None]


class _Of(Struct, frozen=True):
    """Which of them: each alone where it is named."""

    key: str | None = None
    principal: str | None = None
    made_by: str | None = None

    def has(self, one: Key) -> bool:
        named = (self.key, self.principal, self.made_by)
        it = (one.stream, one.created.principal, one.made_by)
        return all(wanted in (None, said) for wanted, said in zip(named, it, strict=True))


async def _keys(
    request: FrontRequest,
    organization: str | None,
    as_of: str | None,
    some: Callable[[list[tuple[int, Key]]], list[tuple[int, Key]]],
    of: _Of,
) -> _Keys:
    """Some of those that the caller may see, in order of making; how each is given; and as of when.
    What is asked besides is asked of these, not of every key there ever was.
    """
    org = organization_of(request.user, organization)
    services, at = await viewed(request, as_of)
    await services.following.catch_up()
    known = services.directory
    if at is not None:
        known = await services.reads.past(credentials_at, org, at)
    every = may(request.user, "api_key.list_any", org)
    rows = some(
        [
            (one.position, one)
            for one in known.keys(org)
            if of.has(one) and (every or one.created.principal == request.user.actor)
        ]
    )
    texts = await words(request, [one.created.name.private for _, one in rows])
    names = [one.stream for _, one in rows if at is None]
    used = await services.reads.ask(last_used, names)

    def given(one: Key) -> ApiKey:
        name = texts.get(one.created.name.private)
        belongs = known.authority(org).knows(one.made_by)
        mfa = steps_up(known, one)
        return _given(one, name, used.get(one.stream), mfa=mfa, belongs=belongs)

    return rows, given, at


@post("/v1/api-keys/{key_id:str}/revoke", status_code=200)
async def revoke_api_key(
    request: FrontRequest, key_id: FromPath[str], data: JSONBody[AuthorityEnd]
) -> Response[Ended]:
    """One's own, or any for whoever may. Over within a second everywhere, streams included."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            recorded = await services.log.read_stream(key_id) if key_id.startswith(_KEY) else []
            made = recorded[0].fact if recorded else None
            if not isinstance(made, api_key.KeyCreated):
                raise unknown("key")
            org = recorded[0].org
            if made.principal != request.user.actor or request.user.org != org:
                within(request.user, org, "key")
                allow(request.user, "api_key.revoke_any", org)
            if_match(request, recorded[-1].version)
            facts: list[api_key.Event] = [one.fact for one in recorded]  # type: ignore[misc]
            command = api_key.Revoke(data.reason, _deciding(request), now_us())
            new = api_key.decide(command, fold(api_key.DECIDER, facts))
            if not new:
                return Done(nothing=Ended(id=key_id, version=None))
            write = Write(key_id, org, recorded[-1].version, tuple(new))
            append = Append((write,), request.user.actor, cause)
            return Done(await services.log.append(append), (write,))

        return await settled(services, key_id, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Ended:  # an Answer
        return Ended(id=key_id, version=said[0].version)

    response = await services.acting.perform(request, do, answer, status=200)
    await services.following.catch_up()
    return response
