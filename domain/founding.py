"""How the platform gets its first operator, and an organization its first owner.

The platform: by whoever holds its database, since nobody has a say yet who could be asked; and
again once none of its operators can sign in any more, which the fact says (`recovered`).

An organization: until it acts by itself (`begins`) only the platform's staff could bind anybody
(`founding`): it makes one owner of the whole, without condition and end, who is none of the staff.
With the first binding that is over, and the other invitations that the staff made are gone.
"""

from collections.abc import Collection
from typing import Final

from msgspec import Struct

from domain import api_key, department, project
from domain.authority_checks import PLATFORM
from domain.authority_commands import Accept, AddMember, Command, Found, Grant, Invite
from domain.authority_facts import (
    BindingGranted,
    Event,
    InvitationWithdrawn,
    MemberAdded,
    PlatformFounded,
)
from domain.authority_state import Authority
from domain.binding import NEVER, OPERATOR, OWNER, Binding
from domain.errors import DomainError

_BY_TOKEN: Final = "token:"  # noqa: S105  # the policy that an embedded issuer's token is
_PEOPLE: Final = ("user-", "service-")
_ACTS: Final = (
    *Event.__value__.__args__,
    *(department.Created, project.Created, api_key.KeyCreated),
)


def founded(wish: Found, command: Command, state: Authority) -> list[Event]:
    """None when the principal operates the platform by a binding of its own that stays.

    Raises: DomainError platform.founded.
    """
    own = any(
        one == Binding(one.id, wish.principal, OPERATOR, PLATFORM)
        for one in state.bound(wish.principal)
    )
    if not wish.alone:
        if own:
            return []
        if any(
            one.role == OPERATOR and one.stands(command.now_us) for one in state.bindings.values()
        ):
            raise DomainError("platform.founded", "it has an operator: ask them")
    by = (command.policies, command.now_us)
    facts: list[Event] = [
        PlatformFounded(wish.principal, wish.issuer, state.founded, *by),
    ]
    if wish.principal not in state.members:
        facts.append(MemberAdded(wish.principal, "", *by))
    if not own:
        given = (wish.binding, wish.principal, OPERATOR, PLATFORM, False, (), NEVER)
        facts.append(BindingGranted(*given, *by))
    return facts


def begins(fact: Struct, actor: str, staff: Collection[str]) -> bool:
    """Whether with that fact an organization acts by itself: by a binding, whatever its role and
    conditions; or as soon as somebody did something there who was never of the staff: by the
    embedded issuer's tokens nobody needs a binding.
    """
    by_itself = actor.startswith(_PEOPLE) and actor not in staff
    return isinstance(fact, BindingGranted) or (by_itself and isinstance(fact, _ACTS))


def may_found(command: Command, state: Authority) -> None:
    """Raises: DomainError authority.of_staff, authority.founding."""
    match command.wish:
        case Accept(principal=who) if command.founding or who in command.staff:
            raise DomainError("authority.of_staff", "the platform's staff belongs to no tenant")
        case AddMember(principal=who) | Grant(binding=Binding(principal=who)) if (
            command.founding and who in command.staff
        ):
            raise DomainError("authority.of_staff", "the platform's staff belongs to no tenant")
        case Grant(binding=one) if command.founding:
            whole = one == Binding(one.id, one.principal, OWNER, command.organization)
        case Invite(role=role, scope=scope) if command.founding:
            whole = (role, scope) == (OWNER, command.organization)
        case _:
            whole = True
    if not whole:
        raise DomainError("authority.founding", "staff makes its owner, without condition or end")
    if command.founding and state.founded:
        raise DomainError("authority.founding", "somebody has a say there already")


def left(command: Command, state: Authority, facts: list[Event]) -> list[Event]:
    """With the first binding ever: what the staff invited, but for who accepts it with that."""
    if state.founded or not any(isinstance(one, BindingGranted) for one in facts):
        return []
    by, wish = (command.policies, command.now_us), command.wish
    accepted = wish.invitation if isinstance(wish, Accept) else ""
    return [
        InvitationWithdrawn(one.invitation, *by)
        for one in state.invitations.values()
        if one.invitation != accepted and not any(p.startswith(_BY_TOKEN) for p in one.policies)
    ]
