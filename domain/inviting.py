"""Who is invited to an organization, and who comes by it."""

from typing import Final, assert_never

from domain.authority_checks import few_rights, known_role, over, room, until
from domain.authority_commands import Accept, Command, Invite, Withdraw
from domain.authority_facts import (
    BindingGranted,
    BindingRevoked,
    Event,
    GroupLeft,
    InvitationWithdrawn,
    Invited,
    MemberAdded,
)
from domain.authority_state import Authority
from domain.binding import NEVER, OWNER, Binding
from domain.errors import DomainError

_INVITING: Final = frozenset({OWNER, "admin"})  # roles that hold `invitation.create`


def invited(wish: Invite | Withdraw | Accept, command: Command, state: Authority) -> list[Event]:
    by = (command.policies, command.now_us)
    match wish:
        case Invite(invitation, email, role, scope, secret, until_us):
            room(len(state.invitations), command.bounds.invitations)
            known_role(role, command)
            until(until_us, command.now_us)
            return [Invited(invitation, email, role, scope, secret, until_us, *by)]
        case Withdraw(invitation):
            if over(invitation, invitation in state.invitations, state):
                return []
            return [InvitationWithdrawn(invitation, *by)]
        case Accept(invitation, secret, principal, binding):
            found = state.invitations.get(invitation)
            if found is None or found.secret_sha256 != secret or command.now_us >= found.until_us:
                raise DomainError("authority.secret_wrong", "no open invitation has this secret")
            room(len(state.members), command.bounds.members)
            room(len(state.bindings), command.bounds.bindings)
            offered = Binding(binding, principal, found.role, found.scope)
            few_rights(principal, (*state.bindings.values(), offered), state.groups)
            new = BindingGranted(
                *(binding, principal, found.role, found.scope, False, (), NEVER), *by
            )  # fmt: skip
            return [MemberAdded(principal, invitation, *by), new]
        case _:
            assert_never(wish)


def uninvited(state: Authority, principal: str, command: Command) -> list[Event]:
    """Who could invite may have the secret of any invitation that is open, and would be back."""
    if not any(one.role in _INVITING for one in state.rights_of(principal)):
        return []
    by = (command.policies, command.now_us)
    return [InvitationWithdrawn(name, *by) for name in state.invitations]


def unfounded(state: Authority, facts: list[Event], command: Command) -> list[Event]:
    """Invitations by a binding that somebody loses: who made them may have their secret, and would
    have by that what was taken.
    """
    lost, over = set[str](), set[str]()
    for fact in facts:
        match fact:
            case BindingRevoked(binding=name):
                lost.add(name)
            case GroupLeft(group=group):
                lost |= {one.id for one in state.bound(group)}
            case InvitationWithdrawn(invitation=name):
                over.add(name)
            case _:
                pass
    by = (command.policies, command.now_us)
    return [
        InvitationWithdrawn(name, *by)
        for name, one in state.invitations.items()
        if name not in over and not lost.isdisjoint(one.policies)
    ]
