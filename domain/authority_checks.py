"""What every wish about an organization's authority is held against, whatever it is about."""

from typing import Final, Protocol

from domain.authority_commands import Command
from domain.binding import NEVER, RESOURCE_ROLES, STAFF_ROLES, TENANT_ROLES, is_network, is_resource
from domain.errors import DomainError

PLATFORM: Final = "-"
MOST: Final = 2_000  # of each: members, groups, accounts, bindings, invitations, guardrails


class Gone(Protocol):
    """A state that knows what was there and is not."""

    @property
    def gone(self) -> frozenset[str]: ...


def over(name: str, there: bool, state: Gone) -> bool:  # one word, one answer
    if there:
        return False
    if name in state.gone:
        return True
    raise DomainError("authority.unknown", "there is no such thing in this organization")


def room(taken: int) -> None:
    if taken >= MOST:
        raise DomainError("authority.too_many", f"at most {MOST} of one kind", {"most": MOST})


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
