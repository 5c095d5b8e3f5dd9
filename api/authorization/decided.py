"""On whose authority something changed: beside its facts, in their append (ADR 60)."""

from typing import Final

from api.admission.wire import Beside
from api.authorization.principal import Principal
from api.edge import now_us
from contracts.authorization.registry import ACTIONS
from domain.access import Decided
from evidence.append import Write
from evidence.ids import new_id

# Whose facts have no `policies` of their own. What is done hundreds of times a second, launches and
# what follows from them, is not among them: the bindings at that position say who might.
AREAS: Final = frozenset({"budget", "issuer", "quota", "session", "token", "webhook"})
ACTS: Final = frozenset(
    f"organization.{verb}" for verb in ("close", "reactivate", "reopen", "suspend")
)
OWN: Final = "own"  # the authority over what is one's own: a session, by who is in it


def beside(principal: Principal, writes: tuple[Write, ...], scope: str) -> tuple[Write, ...]:
    """The writes, and what let the caller make them at the scope, where its action is of these."""
    action = principal.action
    if ACTIONS[action].area not in AREAS and action not in ACTS:
        return writes
    return (*writes, said(principal, action, writes, scope))


def said(
    principal: Principal, action: str, writes: tuple[Write, ...], scope: str, *, own: bool = False
) -> Write:
    """What let the caller make the writes, as one more of their append."""
    door = principal.door
    assert door is not None, "the guard gives it"
    org = writes[0].org
    policies: tuple[str, ...] = (OWN,)
    if not own:
        policies = door.decide(principal, action, door.tenants.place(scope or org, org)).policies
    return fact_of(writes, action, scope or org, policies)


def asked(principal: Principal, scope: str, org: str) -> Beside:
    """For an ask of the admission writer, which writes it beside what comes of it."""
    door = principal.door
    assert door is not None, "the guard gives it"
    verdict = door.decide(principal, principal.action, door.tenants.place(scope, org))
    return Beside(new_id("access"), principal.action, scope, verdict.policies, now_us())


def fact_of(writes: tuple[Write, ...], action: str, scope: str, policies: tuple[str, ...]) -> Write:
    """On a stream of its own, so it loses to nothing."""
    entries = sum(len(one.facts) for one in writes)
    fact = Decided(writes[0].stream, entries, action, scope, policies, now_us())
    return Write(new_id("access"), writes[0].org, 0, (fact,))
