"""Administrative acts that were refused: each is a fact, with what refused it."""

import contextlib
from typing import Any, Final

from litestar.types import Scope

from api.authorization.cedar import PLATFORM
from api.authorization.principal import Principal
from api.edge import now_us
from contracts.authorization.registry import ACTIONS, ADMINISTRATIVE_ACTIONS
from domain.access import Denied
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.ids import new_id

_REFUSED: Final = frozenset({"auth.forbidden", "auth.mfa_required", "auth.sso_required"})
ADMINISTRATIVE: Final = frozenset(
    {
        "api_key",
        "binding",
        "break_glass",
        "group",
        "guardrail",
        "invitation",
        "member",
        "service_account",
    }
)


async def tell(error: Exception, scope: Scope) -> None:
    """Before the refusal is answered. So often as a principal may ask at all (its rate).

    A refusal stays one when the log does not answer.
    """
    if scope.get("method", "GET") == "GET":
        return
    principal = scope.get("user")
    if not isinstance(error, DomainError) or not isinstance(principal, Principal):
        return
    action = str(error.facts.get("action", ""))
    if error.code not in _REFUSED or action not in ACTIONS:
        return
    if ACTIONS[action].area in ADMINISTRATIVE or action in ADMINISTRATIVE_ACTIONS:
        with contextlib.suppress(DomainError):
            await _append(scope["litestar_app"].state.services, principal, action, error.facts)


async def _append(services: Any, principal: Principal, action: str, facts: dict[str, Any]) -> None:
    where = str(facts["scope"])
    org: str | None = principal.org
    if org == PLATFORM:
        org = services.directory.org_of(where)
    if org is None:
        return
    policies = tuple(one for one in str(facts["policy"]).split(",") if one)
    denied = Denied(action, where, policies, principal.key, now_us())
    write = Write(new_id("access"), org, 0, (denied,))
    # What it rests on: everything that the directory had read.
    cause = f"pos:{max(0, services.directory.applied - 1)}"
    await services.log.append(Append((write,), principal.actor, cause))
