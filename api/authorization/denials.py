"""What was refused to who is signed in: administrative acts are facts, everything is counted."""

import contextlib
from typing import Any, Final

from litestar.types import Scope

from api.authorization.calls import DENIED, Kind
from api.authorization.cedar import PLATFORM
from api.authorization.principal import Principal
from api.edge import now_us
from contracts.authorization.registry import ACTIONS, ADMINISTRATIVE_ACTIONS
from domain.access import Denied
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.ids import new_id

_BY_POLICY: Final = frozenset(
    {"auth.forbidden", "auth.login_stale", "auth.mfa_required", "auth.sso_required"}
)
# Who a policy let, and what of it was not theirs to do: the refusal's code is the policy.
_BY_RULE: Final = frozenset(
    {
        *("api_key.by_key", "invitation.by_key", "invitation.elsewhere"),
        *("authority.looser", "authority.of_staff", "authority.secret_wrong"),
        *("break_glass.not_independent", "break_glass.same_person", "break_glass.too_new"),
        *("identity.proof_invalid", "identity.proof_old", "identity.session_required"),
    }
)
_REFUSED: Final = _BY_POLICY | _BY_RULE
# What a caller may not know of and what does not exist are counted alike, so nobody learns which.
_COUNTED: Final = _REFUSED | {"resource.unknown"}
ADMINISTRATIVE: Final = frozenset(
    [
        *("api_key", "binding", "break_glass", "group", "guardrail", "invitation", "member"),
        "service_account",
    ]
)


async def tell(error: Exception, scope: Scope) -> None:
    """Before the refusal is answered: a fact of its own for the first few administrative acts of a
    principal in a minute, a count for everything else. A refusal stays one when the log does not
    answer.
    """
    principal = scope.get("user")
    if not isinstance(error, DomainError) or not isinstance(principal, Principal):
        return
    if error.code not in _COUNTED:
        return
    services = scope["litestar_app"].state.services
    action = str(error.facts.get("action", principal.action))
    org = _org(services, principal, str(error.facts.get("scope", "")))
    policies = str(error.facts.get("policy", ""))
    acting = scope.get("method", "GET") != "GET" and error.code in _REFUSED
    single = acting and action in ACTIONS and _administrative(action)
    if single and services.calls.alone(principal.actor):
        told = tuple(one for one in policies.split(",") if one)
        told = (error.code,) if error.code in _BY_RULE else told
        denied = Denied(action, str(error.facts.get("scope", org)), told, principal.key, now_us())
        with contextlib.suppress(DomainError):
            await _append(services, principal.actor, org, denied)
        return
    said = (principal.credential, action, DENIED, error.code, policies)
    services.calls.count(Kind(org, principal.actor, *said))


def _administrative(action: str) -> bool:
    return ACTIONS[action].area in ADMINISTRATIVE or action in ADMINISTRATIVE_ACTIONS


def _org(services: Any, principal: Principal, where: str) -> str:
    """Whose auditors are told: the caller's organization's; of staff, those of where it asked."""
    if principal.org != PLATFORM:
        return principal.org
    return services.directory.org_of(where) or PLATFORM


async def _append(services: Any, actor: str, org: str, denied: Denied) -> None:
    write = Write(new_id("access"), org, 0, (denied,))
    # What it rests on: everything that the directory had read.
    cause = f"pos:{max(0, services.directory.applied - 1)}"
    await services.log.append(Append((write,), actor, cause))
