"""Role bindings and guardrails: what gives authority in an organization, and what takes it."""

from collections.abc import Callable
from typing import Annotated

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec.structs import replace

from api.acting import Said
from api.authorization.listing import Seen, paged, seen, seen_with, single
from api.authorization.wishing import Wanted, located, organization_of, wished
from api.body import FrontRequest
from api.edge import instant, maybe_instant, parse_instant
from api.services import services_of
from contracts.authorization.registry import ACTIONS, ADMINISTRATIVE_ACTIONS, known
from contracts.http import Page
from contracts.http_authority import (
    AuthorityEnd,
    BindingNew,
    Ended,
    GuardrailGiven,
    GuardrailNew,
    KnownAction,
    RoleBinding,
)
from domain.authority_commands import Grant, LiftGuardrail, Revoke, SetGuardrail
from domain.authority_facts import BindingGranted, GuardrailSet
from domain.authority_state import Authority
from domain.binding import Binding, Guardrail
from domain.errors import DomainError
from evidence.ids import new_id
from evidence.reader import Recorded


@post("/v1/role-bindings")
async def grant_binding(request: FrontRequest, data: JSONBody[BindingNew]) -> Response[RoleBinding]:
    """At once in every process; refused to whoever may not grant at that scope."""
    org, project = await located(services_of(request), request.user, data.scope)
    until_us = 0 if data.until is None else parse_instant(data.until)
    one = Binding(
        *(new_id("binding"), data.principal, data.role, data.scope, data.mfa, data.networks),
        until_us,
    )

    def want(state: Authority) -> Wanted:
        nothing = _same(state, one, org)
        wish = Grant(one, project)
        return Wanted(wish, data.scope, nothing, roles=(one.role,), gives=(one,), project=project)

    def answer(said: tuple[Said, ...], _: bool) -> RoleBinding:  # an Answer
        last = said[-1]  # before it a resource may have been placed
        assert isinstance(last.fact, BindingGranted), "the outcome of this route"
        return _given(last.fact, org, request.user.actor, last.version)

    return await wished(request, org, want, answer, status=201)


def _same(state: Authority, wanted: Binding, org: str) -> RoleBinding:
    """The binding that says the same already, where there is one."""
    for one in state.bound(wanted.principal):
        if replace(one, id=wanted.id) == wanted:
            wanted = one
    fact = BindingGranted(
        *(wanted.id, wanted.principal, wanted.role, wanted.scope, wanted.mfa, wanted.networks),
        *(wanted.until_us, (), 0),
    )
    return _given(fact, org, "", None)


def _given(fact: BindingGranted, org: str, by: str, version: int | None) -> RoleBinding:
    return RoleBinding(
        id=fact.binding,
        organization=org,
        principal=fact.principal,
        role=fact.role,
        scope=fact.scope,
        mfa=fact.mfa,
        networks=list(fact.networks),
        until=maybe_instant(fact.until_us or None),
        granted_by=by,
        granted_at=instant(fact.decided_us),
        policies=list(fact.policies),
        version=version,
    )


@get("/v1/role-bindings")
async def list_bindings(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    of_scope: Annotated[str | None, QueryParameter(name="scope")] = None,
    principal: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[RoleBinding]:
    """Those that stand, expired ones too, in order of granting."""
    found = await seen(request, organization, as_of)
    rows = [
        (found.made[one.id].position, found.made[one.id])
        for one in found.state.bindings.values()
        if of_scope in (None, one.scope)
        and principal in (None, one.principal)
        and found.shows(one.scope)
    ]
    return paged(rows, (cursor, limit), _granted(found))


@get("/v1/role-bindings/{binding_id:str}")
async def show_binding(
    request: FrontRequest,
    binding_id: FromPath[str],
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[RoleBinding]:
    """One that stands, an expired one too; its ETag is that of the organization's authority."""
    found = await seen_with(request, organization, as_of, binding_id, "binding")
    one = found.state.bindings.get(binding_id)
    rows = [] if one is None or not found.shows(one.scope) else [(0, found.made[binding_id])]
    return single(rows, _granted(found), "binding", found.version)


def _granted(found: Seen) -> Callable[[Recorded], RoleBinding]:
    def given(made: Recorded) -> RoleBinding:
        assert isinstance(made.fact, BindingGranted), "the fact it began with"
        return _given(made.fact, found.org, made.actor, found.version)

    return given


@post("/v1/role-bindings/{binding_id:str}/revoke", status_code=200)
async def revoke_binding(
    request: FrontRequest, binding_id: FromPath[str], data: JSONBody[AuthorityEnd]
) -> Response[Ended]:
    """Within a second in every process, open streams included."""
    org = organization_of(request.user, data.organization)

    def want(state: Authority) -> Wanted:
        one = state.bindings.get(binding_id)
        wish, nothing = Revoke(binding_id, data.reason), Ended(id=binding_id, version=None)
        if one is None:
            return Wanted(wish, org, nothing)
        project = state.resources.get(one.scope, "")
        return Wanted(wish, one.scope, nothing, roles=(one.role,), project=project)

    return await wished(
        request, org, want, lambda said, _: Ended(id=binding_id, version=said[-1].version)
    )


@post("/v1/guardrails")
async def set_guardrail(
    request: FrontRequest, data: JSONBody[GuardrailNew]
) -> Response[GuardrailGiven]:
    """No binding and nothing below it allows again what it forbids."""
    org, project = await located(services_of(request), request.user, data.scope)
    for word in data.actions:
        if not known(word):
            raise DomainError("request.invalid", f"no action {word}", {"pointer": "/actions"})
    rail = Guardrail(
        *(new_id("guardrail"), data.actions, data.scope, data.unless_mfa, data.unless_networks)
    )

    def want(state: Authority) -> Wanted:
        every = state.guardrails.values()
        same = next((one.id for one in every if replace(one, id=rail.id) == rail), rail.id)
        fact = GuardrailSet(
            *(same, rail.actions, rail.scope, rail.unless_mfa, rail.unless_networks),
            *(data.reason, (), 0),
        )
        wish = SetGuardrail(rail, data.reason, project)
        return Wanted(wish, data.scope, _rail(fact, org, "", None), project=project)

    def answer(said: tuple[Said, ...], _: bool) -> GuardrailGiven:  # an Answer
        last = said[-1]  # before it a resource may have been placed
        assert isinstance(last.fact, GuardrailSet), "the outcome of this route"
        return _rail(last.fact, org, request.user.actor, last.version)

    return await wished(request, org, want, answer, status=201)


def _rail(fact: GuardrailSet, org: str, by: str, version: int | None) -> GuardrailGiven:
    return GuardrailGiven(
        id=fact.guardrail,
        organization=org,
        actions=list(fact.actions),
        scope=fact.scope,
        unless_mfa=fact.unless_mfa,
        unless_networks=list(fact.unless_networks),
        reason=fact.reason,
        set_by=by,
        set_at=instant(fact.decided_us),
        policies=list(fact.policies),
        version=version,
    )


@get("/v1/guardrails")
async def list_guardrails(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[GuardrailGiven]:
    """Those that stand, in order of setting."""
    found = await seen(request, organization, as_of)
    rows = [
        (found.made[one.id].position, found.made[one.id])
        for one in found.state.guardrails.values()
        if found.shows(one.scope)
    ]
    return paged(rows, (cursor, limit), _set(found))


@get("/v1/guardrails/{guardrail_id:str}")
async def show_guardrail(
    request: FrontRequest,
    guardrail_id: FromPath[str],
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[GuardrailGiven]:
    """One that stands; its ETag is that of the organization's authority."""
    found = await seen_with(request, organization, as_of, guardrail_id, "guardrail")
    one = found.state.guardrails.get(guardrail_id)
    rows = [] if one is None or not found.shows(one.scope) else [(0, found.made[guardrail_id])]
    return single(rows, _set(found), "guardrail", found.version)


def _set(found: Seen) -> Callable[[Recorded], GuardrailGiven]:
    def given(made: Recorded) -> GuardrailGiven:
        assert isinstance(made.fact, GuardrailSet), "the fact it began with"
        return _rail(made.fact, found.org, made.actor, found.version)

    return given


@post("/v1/guardrails/{guardrail_id:str}/lift", status_code=200)
async def lift_guardrail(
    request: FrontRequest, guardrail_id: FromPath[str], data: JSONBody[AuthorityEnd]
) -> Response[Ended]:
    """What it forbade, bindings allow again."""
    org = organization_of(request.user, data.organization)

    def want(_: Authority) -> Wanted:
        # At the organization: what a guardrail below forbids cannot keep it there for ever.
        nothing = Ended(id=guardrail_id, version=None)
        return Wanted(LiftGuardrail(guardrail_id, data.reason), org, nothing)

    return await wished(
        request, org, want, lambda said, _: Ended(id=guardrail_id, version=said[0].version)
    )


@get("/v1/authorization/actions")
async def list_actions() -> Page[KnownAction]:
    """Every action, its route, and the roles that hold it: one table."""
    items = [
        KnownAction(
            action=one.name,
            route=one.route,
            level=one.level,
            roles=list(one.roles),
            administrative=one.name in ADMINISTRATIVE_ACTIONS,
        )
        for one in ACTIONS.values()
    ]
    return Page(items=items, next=None)
