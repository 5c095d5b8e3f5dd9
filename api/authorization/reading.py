"""Reads of evidence, as rows of counted calls: who took what, by which policies (ADR 67)."""

import re
from typing import Any, Final

from litestar.types import Message, Scope

from api.authorization.calls import READ, Kind
from api.authorization.cedar import PLATFORM
from api.authorization.decided import let_of
from api.authorization.principal import Principal
from contracts.authorization.registry import EVIDENCE
from domain.errors import DomainError

COUNTED: Final = frozenset(action for action, how in EVIDENCE.items() if how == "row")
_REFUSED: Final = 300
_THING: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_OF_READS: Final = "gpuaas.of_reads"


def of_reads(request: Any) -> None:
    """The answer tells of nothing but reads of evidence, so it is not told of in its turn: whoever
    follows the audit would else have something new for ever.
    """
    request.scope[_OF_READS] = True


async def read_told(message: Message, scope: Scope) -> None:
    """A hook: an answer that hands out evidence is counted as it begins."""
    if message["type"] != "http.response.start":
        return
    principal = scope.get("user")
    if not isinstance(principal, Principal) or principal.action not in COUNTED:
        return
    if message["status"] >= _REFUSED or _OF_READS in scope:
        return
    org, policies = _let(principal)
    services: Any = scope["litestar_app"].state.services
    said = (principal.credential, principal.action, READ, _thing(scope), ",".join(policies))
    services.calls.count(Kind(org, principal.actor, *said))


def _let(principal: Principal) -> tuple[str, tuple[str, ...]]:
    """Whose evidence it is, and what let the caller: nothing any more, where that was taken while
    the answer was made, which was let as it was asked for.
    """
    try:
        let = let_of(principal, principal.org)
    except DomainError:
        return principal.org, ()
    return (let.place[-2] if len(let.place) > 1 else PLATFORM), let.policies


def _thing(scope: Scope) -> str:
    """What was read, as its path names it, and in which form; empty where that names nothing."""
    named = "/".join(map(str, scope.get("path_params", {}).values()))
    return named if _THING.fullmatch(named) else ""
