"""Where an organization's people must sign in: required, lifted, shown."""

from typing import assert_never

from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody

from api.acting import Said
from api.auth import allow
from api.authorization.listing import seen
from api.authorization.wishing import Wanted, organization_of, wished
from api.body import FrontRequest
from api.services import services_of
from contracts.http_authority import AuthorityEnd, Sso, SsoNew
from domain.authority_commands import LiftSso, RequireSso
from domain.authority_facts import SsoLifted, SsoRequired
from domain.authority_state import Authority
from domain.errors import DomainError


@post("/v1/sso", status_code=200)
async def require_sso(request: FrontRequest, data: JSONBody[SsoNew]) -> Response[Sso]:
    """From now on people act there in sessions of this issuer alone: everything else of theirs is
    refused within a second, open streams and terminals included, until it is lifted.
    """
    org, services = organization_of(request.user, data.organization), services_of(request)
    await services.following.catch_up()  # another process may have trusted it a moment ago
    found = services.directory.issuer(data.issuer)
    if found is None or not found.stands or found.trusted.organization != org:
        raise DomainError("issuer.unknown", "no issuer of the organization")
    exempt = tuple(sorted(set(data.exempt)))

    def want(_: Authority) -> Wanted:
        nothing = _given(org, data.issuer, exempt, (), None)
        reads = ((data.issuer, found.version),)
        return Wanted(RequireSso(data.issuer, exempt), org, nothing, reads=reads)

    return await wished(request, org, want, lambda said, _: _said(org, said))


@post("/v1/sso/lift", status_code=200)
async def lift_sso(request: FrontRequest, data: JSONBody[AuthorityEnd]) -> Response[Sso]:
    """Sessions and keys that were refused count again, as far as they have not ended."""
    org = organization_of(request.user, data.organization)

    def want(_: Authority) -> Wanted:
        return Wanted(LiftSso(data.reason), org, _given(org, None, (), (), None))

    return await wished(request, org, want, lambda said, _: _said(org, said))


def _given(
    org: str,
    issuer: str | None,
    exempt: tuple[str, ...],
    policies: tuple[str, ...],
    version: int | None,
) -> Sso:
    return Sso(
        organization=org,
        issuer=issuer,
        exempt=list(exempt),
        policies=list(policies),
        version=version,
    )


def _said(org: str, said: tuple[Said, ...]) -> Sso:
    fact = said[0].fact
    assert isinstance(fact, SsoRequired | SsoLifted), "the outcome of these routes"
    match fact:
        case SsoRequired(issuer, exempt, policies):
            return _given(org, issuer, exempt, policies, said[0].version)
        case SsoLifted(policies=policies):
            return _given(org, None, (), policies, said[0].version)
        case _:
            assert_never(fact)


@get("/v1/sso")
async def show_sso(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Sso:
    """What is required now, or was then."""
    found = await seen(request, organization, as_of)
    allow(request.user, request.user.action, found.org)
    sso = found.state.sso
    if sso is None:
        return _given(found.org, None, (), (), found.version)
    made = found.made[sso.issuer].fact
    assert isinstance(made, SsoRequired), "the fact it began with"
    return _given(found.org, sso.issuer, sso.exempt, made.policies, found.version)
