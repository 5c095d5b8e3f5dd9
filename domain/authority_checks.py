"""What every wish about an organization's authority is held against, whatever it is about."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from domain.authority_commands import Command
from domain.binding import (
    NEVER,
    RESOURCE_ROLES,
    STAFF_ROLES,
    TENANT_ROLES,
    Binding,
    is_network,
    is_resource,
)
from domain.errors import DomainError
from domain.gone import Gone

PLATFORM: Final = "-"
# What one decision looks at, however many an organization makes: it keeps all others waiting.
MOST_RIGHTS: Final = 200  # bindings of one principal, its groups' included
MOST_GUARDRAILS: Final = 100


class Ending(Protocol):
    """A state that knows what was there and is not."""

    @property
    def gone(self) -> Gone: ...


def over(name: str, there: bool, state: Ending) -> bool:  # one word, one answer
    if there:
        return False
    if name in state.gone:
        return True
    raise DomainError("authority.unknown", "there is no such thing in this organization")


def room(taken: int, most: int) -> None:
    if taken >= most:
        raise DomainError("authority.too_many", f"at most {most} of one kind", {"most": most})


def few_rights(
    principal: str, bindings: Iterable[Binding], groups: Mapping[str, frozenset[str]]
) -> None:
    """Nobody is bound more often than one decision may look at: neither the principal, nor, if it
    is a group, anybody in it. Raises: DomainError authority.too_many.
    """
    bound = Counter(one.principal for one in bindings)
    whose = groups.get(principal, {principal})
    every = Counter({who: bound[who] for who in whose})
    for name, members in groups.items():
        every.update(dict.fromkeys(members & whose, bound[name]))
    if max(every.values(), default=0) > MOST_RIGHTS or bound[principal] > MOST_RIGHTS:
        detail = f"at most {MOST_RIGHTS} bindings of one principal, its groups' included"
        raise DomainError("authority.too_many", detail, {"most": MOST_RIGHTS})


def known_role(role: str, command: Command, scope: str = "") -> None:
    known = STAFF_ROLES if command.organization == PLATFORM else TENANT_ROLES
    if role not in known:
        raise DomainError("authority.role_unknown", f"one of {', '.join(sorted(known))}")
    if is_resource(scope) and role not in RESOURCE_ROLES:
        raise DomainError("authority.role_scope", f"one of {', '.join(RESOURCE_ROLES)}")


def networks(networks: tuple[str, ...]) -> None:
    if not all(is_network(one) for one in networks):
        raise DomainError("authority.network_invalid", "send networks such as 10.0.0.0/8")


def until(until_us: int, now_us: int) -> None:
    if until_us != NEVER and until_us <= now_us:
        raise DomainError("authority.until_invalid", "it would have ended already")
