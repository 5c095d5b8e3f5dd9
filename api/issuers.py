"""Issuers of identities that are trusted, and where people sign in."""

from collections.abc import Callable
from typing import Annotated, Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.acting import Done, Said, if_match
from api.auth import unknown, within
from api.authorization.cedar import PLATFORM
from api.authorization.credentials import Vouching
from api.authorization.listing import paged, single
from api.authorization.loading import credentials_at
from api.authorization.resting import still
from api.authorization.wishing import deciding, scope_of
from api.body import FrontRequest
from api.changing import settled
from api.edge import now_us
from api.services import Services, services_of
from api.viewing import reachable, viewed
from contracts.http import Page
from contracts.http_sessions import Issuer, IssuerEnd, IssuerFactors, IssuerNew, SignIn
from domain import issuer
from domain.authority import authority_stream
from domain.decider import fold
from domain.errors import DomainError
from domain.issuer import (
    DECIDER,
    Distrust,
    Distrusted,
    Factors,
    FactorsSet,
    SetFactors,
    Trust,
    Trusted,
)
from evidence.append import Append, Write
from projections.months import derived_id

_SEPARATOR: Final = "\n"


@post("/v1/issuers")
async def trust_issuer(request: FrontRequest, data: JSONBody[IssuerNew]) -> Response[Issuer]:
    """Its people may sign in with it from now on; what each may do, bindings say. Its document is
    fetched once before, so that a slip of the pen is refused.
    """
    services = services_of(request)
    stream = issuer_stream(data.organization, data.url, data.client_id)
    command = Trust(
        *(data.url, data.client_id, data.organization, data.algorithms, data.domains, now_us())
    )

    async def do(cause: str) -> Done:
        services.providers.require(data.url)
        await services.providers.of(data.url).published()

        async def attempt() -> Done:
            resting = await still(services, request.user, data.organization)
            reads = await scope_of(services, request.user, data.organization, data.organization)
            _free(services, data)
            recorded = await services.log.read_stream(stream)
            facts = tuple(DECIDER.decide(command, fold(DECIDER, (one.fact for one in recorded))))  # type: ignore[misc]
            if not facts:
                return Done(nothing=_given(stream, command, None, None))
            writes = (Write(stream, data.organization, len(recorded), facts),)
            append = Append(writes, request.user.actor, cause, (*reads, *resting))
            return Done(await services.log.append(append), writes)

        return await settled(services, stream, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Issuer:  # an Answer
        return _given(stream, command, None, said[0].version)

    response = await services.acting.perform(request, do, answer)
    await services.following.catch_up()
    return response


def issuer_stream(organization: str, url: str, client_id: str) -> str:
    """The id of an issuer of the organization: the same whoever trusts it, whenever."""
    # Of the platform's own staff as of an organization's people: by where its authority stands.
    of = organization if organization != PLATFORM else authority_stream(PLATFORM)
    return derived_id("token", of, _SEPARATOR.join(("issuer", url, client_id)))


def _given(
    stream: str,
    said: Trust | Trusted,
    factors: Factors | None,
    version: int | None,
    *,
    stands: bool = True,
) -> Issuer:
    return Issuer(
        id=stream,
        organization=said.organization,
        url=said.url,
        client_id=said.audience,
        algorithms=sorted(said.algorithms),
        domains=sorted(said.domains),
        amr=None if factors is None else list(factors.amr),
        acr=None if factors is None else list(factors.acr),
        trusted=stands,
        version=version,
    )


@get("/v1/issuers")
async def list_issuers(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Issuer]:
    """In order of first trust; those that are trusted no more too."""
    found = await _known(request, organization, as_of)
    return paged([(one.position, one) for one in found], (cursor, limit), _vouches)


@get("/v1/issuers/{issuer_id:str}")
async def show_issuer(
    request: FrontRequest,
    issuer_id: FromPath[str],
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[Issuer]:
    """One that is trusted no more, too."""
    known = await _known(request, organization, as_of)
    found = [(one.position, one) for one in known if one.stream == issuer_id]
    return single(found, _vouches, "issuer", max((one.version for _, one in found), default=0))


def _vouches(one: Vouching) -> Issuer:
    return _given(one.stream, one.trusted, one.factors, one.version, stands=one.stands)


async def _known(
    request: FrontRequest, organization: str | None, as_of: str | None
) -> list[Vouching]:
    services, at = await viewed(request, as_of)
    reach = await reachable(request, organization)
    await services.following.catch_up()
    known = services.directory
    if at is not None:
        known = await services.reads.past(credentials_at, reach.organization, at)
    return [
        one
        for one in known.issuers()
        if reach.organization in (None, one.trusted.organization)
        and reach.covers(one.trusted.organization)
    ]


@post("/v1/issuers/{issuer_id:str}/distrust", status_code=200)
async def distrust_issuer(
    request: FrontRequest, issuer_id: FromPath[str], data: JSONBody[IssuerEnd]
) -> Response[Issuer]:
    """Nobody signs in there any more; its sessions are over within a second, streams included."""
    command = Distrust(data.reason, now_us())
    return await _changed(request, issuer_id, lambda _: command)


@post("/v1/issuers/{issuer_id:str}/factors", status_code=200)
async def set_factors(
    request: FrontRequest, issuer_id: FromPath[str], data: JSONBody[IssuerFactors]
) -> Response[Issuer]:
    """Which of its words (`amr`, `acr`) are a second factor, in sessions that are open too."""

    def command(org: str) -> SetFactors:
        policies = deciding(request.user, org, org)
        return SetFactors(Factors(data.amr, data.acr), policies, now_us())

    return await _changed(request, issuer_id, command)


type Deciding = Callable[[str], SetFactors | Distrust]  # by whose issuer it is


async def _changed(request: FrontRequest, issuer_id: str, command: Deciding) -> Response[Issuer]:
    services = services_of(request)
    await services.following.catch_up()  # another process may have trusted it a moment ago

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            recorded = await services.log.read_stream(issuer_id)
            made = recorded[0].fact if recorded else None
            if not isinstance(made, Trusted):
                raise unknown("issuer")
            resting = await still(services, request.user, made.organization)
            within(request.user, made.organization, "issuer")
            if_match(request, recorded[-1].version)
            state = fold(DECIDER, (one.fact for one in recorded))  # type: ignore[misc]
            facts = tuple(DECIDER.decide(command(made.organization), state))
            if not facts:
                return Done(nothing=_stands(state, issuer_id, None))
            writes = (Write(issuer_id, recorded[0].org, recorded[-1].version, facts),)
            append = Append(writes, request.user.actor, cause, resting)
            return Done(await services.log.append(append), writes)

        return await settled(services, issuer_id, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Issuer:  # an Answer
        found = services.directory.issuer(issuer_id)
        assert found is not None, "it was trusted once"
        state = issuer.Believed(found.trusted, found.factors)
        fact = said[0].fact
        assert isinstance(fact, FactorsSet | Distrusted), "the outcome of these routes"
        return _stands(issuer.evolve(state, fact), issuer_id, said[0].version)

    response = await services.acting.perform(request, do, answer, status=200)
    await services.following.catch_up()
    return response


def _stands(state: issuer.State, issuer_id: str, version: int | None) -> Issuer:
    match state:
        case issuer.Believed(trusted, factors):
            return _given(issuer_id, trusted, factors, version)
        case issuer.Rejected(trusted):
            return _given(issuer_id, trusted, Factors(), version, stands=False)
        case _:
            raise AssertionError("it was trusted once")


@get("/v1/sign-in", opt={"public": True})
async def where_to_sign_in(
    request: FrontRequest,
    domain: Annotated[str | None, QueryParameter(max_length=253)] = None,
    issuer_id: Annotated[str | None, QueryParameter(name="issuer", max_length=50)] = None,
) -> Response[SignIn]:
    """For an address's domain, or for an issuer by its id. An address only says where to go, never
    who somebody is.
    """
    services = services_of(request)
    await services.following.catch_up()
    found = _meant(services, domain, issuer_id)
    published = await services.providers.of(found.trusted.url).published()
    body = SignIn(
        issuer=found.stream,
        url=found.trusted.url,
        client_id=found.trusted.audience,
        authorization_endpoint=published.authorization_endpoint,
        token_endpoint=published.token_endpoint,
        device_authorization_endpoint=published.device_authorization_endpoint,
        acr_values=list(found.factors.acr),
    )
    return Response(body)


def _meant(services: Services, domain: str | None, issuer_id: str | None) -> Vouching:
    if domain is not None and issuer_id is None:
        found = services.directory.vouching(domain.lower())
    elif issuer_id is not None and domain is None:
        one = services.directory.issuer(issuer_id)
        found = [] if one is None or not one.stands else [one]
    else:
        raise DomainError("request.invalid", "name a domain, or an issuer")
    if not found:
        raise DomainError("issuer.unknown", "nobody signs in there")
    return found[0]


def _free(services: Services, data: IssuerNew) -> None:
    """Raises: DomainError issuer.domain_taken."""
    for one in services.directory.issuers():
        others = one.stands and one.trusted.organization != data.organization
        if others and not set(data.domains).isdisjoint(one.trusted.domains):
            detail = "another organization's people are sent elsewhere by that domain"
            raise DomainError("issuer.domain_taken", detail, {"pointer": "/domains"})
