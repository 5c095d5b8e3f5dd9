"""Why somebody may, or may not: each policy that concerns the question, and what would allow it."""

import ipaddress
from typing import Final

from msgspec import Struct

from api.authorization.cedar import PLATFORM, Call, Place, Policies
from contracts.authorization.registry import (
    ACTIONS,
    ADMINISTRATIVE,
    ADMINISTRATIVE_ACTIONS,
    DESK,
    EMBEDDED,
    FOUNDING,
)
from contracts.http_authority import Reasoned
from domain.binding import TENANT_ROLES, Binding, Guardrail

# Policies of policies.cedar, and what each means to whom it refuses.
_ALWAYS: Final = {
    "key.scopes": "the API key is for something else",
    "sso.required": "the organization requires that people sign in at its issuer",
    "login.stale": "the platform asks for a recent sign-in for administrative actions",
    "mfa.administrative": "the platform asks for a second factor for administrative actions",
}


class Question(Struct, frozen=True):
    who: str
    action: str
    place: Place
    call: Call
    now_us: int


def reasons(policies: Policies, asked: Question) -> tuple[bool, list[Reasoned]]:
    """Cedar's answer; then each binding of the principal, each guardrail of the action there."""
    verdict = policies.decide(asked.who, asked.action, asked.place, asked.call, asked.now_us)
    found = [_permit(one, asked, verdict.policies) for one in policies.bindings]
    found += [
        _forbid(one, verdict.policies)
        for one in policies.guardrails
        if one.scope in asked.place and _concerns(one, asked.action)
    ]
    found += [_always(name) for name in verdict.policies if name in _ALWAYS and not verdict.allowed]
    return verdict.allowed, found


def _always(name: str) -> Reasoned:
    """A policy that holds for everybody, and forbade."""
    return Reasoned(
        id=name,
        effect="forbid",
        decides=True,
        principal=None,
        role=None,
        scope=PLATFORM,
        why=_ALWAYS[name],
    )


def would_allow(action: str) -> list[str]:
    """Roles of tenants that hold the action."""
    return [role for role in sorted(TENANT_ROLES) if role in ACTIONS[action].roles]


def _permit(one: Binding, asked: Question, decided: tuple[str, ...]) -> Reasoned:
    return Reasoned(
        id=one.id,
        effect="permit",
        decides=one.id in decided,
        principal=one.principal,
        role=one.role,
        scope=one.scope,
        why=_missing(one, asked) or "it gives this",
    )


def _missing(one: Binding, asked: Question) -> str:
    """What keeps the binding from giving it; empty when nothing does."""
    if one.role not in ACTIONS[asked.action].roles:
        return f"the role {one.role} does not hold {asked.action}"
    if one.scope not in asked.place:
        return f"{asked.place[0]} does not lie in its scope"
    if one.desk and not _at_desk(asked):
        return "staff does it by break-glass, or not at all"
    if not one.stands(asked.now_us):
        return "it has ended"
    if one.mfa and not asked.call.mfa:
        return "it asks for a second factor"
    if one.networks and not _from(asked.call.source, one.networks):
        return "it asks for a call from its networks"
    return ""


def _at_desk(asked: Question) -> bool:
    """What a binding to the platform's staff gives there by itself."""
    founding = asked.action in FOUNDING and not asked.call.owned
    there = asked.place[0] == PLATFORM or asked.action in DESK or founding
    return there and asked.action not in EMBEDDED


def _forbid(one: Guardrail, decided: tuple[str, ...]) -> Reasoned:
    asks = []
    if one.unless_mfa:
        asks.append("a second factor")
    if one.unless_networks:
        asks.append(f"a call from {', '.join(one.unless_networks)}")
    unless = f" without {' and '.join(asks)}" if asks else ""
    decides = one.id in decided
    return Reasoned(
        id=one.id,
        effect="forbid",
        decides=decides,
        principal=None,
        role=None,
        scope=one.scope,
        why=f"it forbids this{unless}" if decides or not asks else "what it asks for is met",
    )


def _concerns(one: Guardrail, action: str) -> bool:
    groups = {ADMINISTRATIVE} if action in ADMINISTRATIVE_ACTIONS else set()
    return not ({"*", action, f"{ACTIONS[action].area}.*"} | groups).isdisjoint(one.actions)


def _from(source: str, networks: tuple[str, ...]) -> bool:
    if not source:
        return False
    address = ipaddress.ip_address(source)
    return any(address in ipaddress.ip_network(one) for one in networks)
