"""Who is invited to an organization, and how it gets its first owner.

Until anybody has a binding there, only the platform's staff could give one (`founding`): it makes
one owner of the whole, without condition and end, who is none of the staff. With the first binding
founding is over, and the other invitations that the staff made are gone. (For the staff it is over
sooner where somebody else has acted there: api/authorization/staff.py, which folds all streams.)
"""

from typing import TYPE_CHECKING, Final, assert_never

from domain.authority_checks import known_role, over, room, until
from domain.authority_commands import Accept, AddMember, Command, Grant, Invite, Withdraw
from domain.authority_facts import (
    BindingGranted,
    Event,
    InvitationWithdrawn,
    Invited,
    MemberAdded,
)
from domain.binding import NEVER, OWNER, Binding
from domain.errors import DomainError

if TYPE_CHECKING:
    from domain.authority import Authority

_INVITING: Final = frozenset({OWNER, "admin"})  # roles that hold `invitation.create`
_BY_TOKEN: Final = "token:"  # noqa: S105  # the policy that an embedded issuer's token is


def invited(wish: Invite | Withdraw | Accept, command: Command, state: "Authority") -> list[Event]:
    by = (command.policies, command.now_us)
    match wish:
        case Invite(invitation, email, role, scope, secret, until_us):
            room(len(state.invitations))
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
            room(len(state.members))
            room(len(state.bindings))
            new = BindingGranted(
                *(binding, principal, found.role, found.scope, False, (), NEVER), *by
            )  # fmt: skip
            return [MemberAdded(principal, invitation, *by), new]
        case _:
            assert_never(wish)


def uninvited(state: "Authority", principal: str, command: Command) -> list[Event]:
    """Who could invite may have the secret of any invitation that is open, and would be back."""
    if not any(one.role in _INVITING for one in state.rights_of(principal)):
        return []
    by = (command.policies, command.now_us)
    return [InvitationWithdrawn(name, *by) for name in state.invitations]


def may_found(command: Command, state: "Authority") -> None:
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


def left(command: Command, state: "Authority", facts: list[Event]) -> list[Event]:
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
