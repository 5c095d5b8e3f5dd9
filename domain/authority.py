"""The authority of one organization: who belongs to it, and what they may do.

One stream, `access-` with the organization's UUID, so that what must agree is decided together: a
binding's principal belongs to the organization, who leaves loses every binding at once, and one
owner stays who cannot be locked out. Commands carry `policies`, the ids that let their caller.

invitation: (none) -Invite-> Open -Accept-> member, with a binding | -Withdraw-> gone
member, group, service account, binding, guardrail: (none) -> there -> gone, for good by its id

The platform's own staff (`-`) is one more, with roles of its own, and an operator that stays.
"""

from typing import Final, assert_never

from msgspec.structs import replace

from domain import break_glass, founding, inviting
from domain.authority_checks import (
    MOST_GUARDRAILS,
    PLATFORM,
    few_rights,
    known_role,
    networks,
    over,
    room,
    until,
)
from domain.authority_commands import (
    Accept,
    AddMember,
    Approve,
    Ask,
    Command,
    CreateAccount,
    CreateGroup,
    DeleteAccount,
    DeleteGroup,
    Found,
    Grant,
    Invite,
    JoinGroup,
    LeaveGroup,
    LiftGuardrail,
    LiftSso,
    Put,
    Refuse,
    RemoveMember,
    RenameGroup,
    RequireSso,
    Revoke,
    SetGuardrail,
    Use,
    Withdraw,
)
from domain.authority_facts import (
    AccountCreated,
    AccountDeleted,
    BindingGranted,
    BindingRevoked,
    Event,
    GroupCreated,
    GroupDeleted,
    GroupJoined,
    GroupLeft,
    GroupRenamed,
    GuardrailLifted,
    GuardrailSet,
    MemberAdded,
    MemberRemoved,
    ResourcePlaced,
    SsoLifted,
    SsoRequired,
)
from domain.authority_state import Authority, evolve
from domain.binding import (
    Sso,
    is_resource,
)
from domain.decider import Decider
from domain.errors import DomainError

STAFF_STREAM: Final = "access-00000000-0000-7000-8000-000000000000"
LIFTING: Final = "guardrail.lift"  # what no guardrail of a whole organization may forbid


def decide(command: Command, state: Authority) -> list[Event]:
    """The facts of the wish; none when it is so already.

    Raises:
        DomainError: `authority.unknown`, `authority.gone`, `authority.principal_unknown`,
            `authority.role_unknown`, `authority.role_scope`, `authority.network_invalid`,
            `authority.until_invalid`, `authority.secret_wrong`, `authority.last_owner`,
            `authority.locks_out`, `authority.sso_locks_out`, `authority.too_many`,
            `authority.of_staff`, `authority.founding`, `platform.founded`.
    """
    founding.may_found(command, state)
    facts = _wished(command, state)
    facts = [
        *founding.left(command, state, facts),
        *inviting.unfounded(state, facts, command),
        *facts,
    ]
    after = state
    for fact in facts:
        after = evolve(after, fact)
    if state.owners(command.organization) and not after.owners(command.organization):
        raise DomainError("authority.last_owner", "an owner (operator) without end has to stay")
    if after.locked(command.organization):
        raise DomainError("authority.sso_locks_out", "an owner is exempt as long as it stands")
    return facts


def _wished(command: Command, state: Authority) -> list[Event]:
    by = (command.policies, command.now_us)
    match command.wish:
        case Invite() | Withdraw() | Accept():
            return inviting.invited(command.wish, command, state)
        case AddMember(principal):
            if principal in state.members:
                return []
            room(len(state.members), command.bounds.members)
            return [MemberAdded(principal, "", *by)]
        case RemoveMember(principal, reason):
            if principal not in state.members:
                return []
            left = [GroupLeft(name, principal, *by) for name in state.groups_of(principal)]
            lost = _unbound(state, principal, reason, command)
            open_ones = inviting.uninvited(state, principal, command)
            return [*lost, *left, *open_ones, MemberRemoved(principal, reason, *by)]
        case Grant() | Revoke():
            return _bound(command.wish, command, state)
        case SetGuardrail() | LiftGuardrail():
            return _guarded(command.wish, command, state)
        case RequireSso(issuer, exempt):
            if not set(exempt) <= state.members:
                raise DomainError("authority.principal_unknown", "exempt are members")
            same = state.sso == Sso(issuer, exempt)
            return [] if same else [SsoRequired(issuer, exempt, *by)]
        case LiftSso(reason):
            return [] if state.sso is None else [SsoLifted(reason, *by)]
        case Ask() | Approve() | Refuse() | Use() | Put():
            return [*break_glass.decide(command.wish, by, state.glass)]
        case Found():
            return founding.founded(command.wish, command, state)
        case CreateAccount(account, name):
            room(len(state.accounts), command.bounds.service_accounts)
            return [AccountCreated(account, name, *by)]
        case DeleteAccount(account):
            if over(account, account in state.accounts, state):
                return []
            lost = _unbound(state, account, "its service account was deleted", command)
            left = [GroupLeft(name, account, *by) for name in state.groups_of(account)]
            return [*lost, *left, AccountDeleted(account, *by)]
        case CreateGroup() | RenameGroup() | DeleteGroup() | JoinGroup() | LeaveGroup():
            return _grouped(command.wish, command, state)
        case _:
            assert_never(command.wish)


def _grouped(
    wish: CreateGroup | RenameGroup | DeleteGroup | JoinGroup | LeaveGroup,
    command: Command,
    state: Authority,
) -> list[Event]:
    by = (command.policies, command.now_us)
    if isinstance(wish, CreateGroup):
        room(len(state.groups), command.bounds.groups)
        return [GroupCreated(wish.group, wish.name, *by)]
    if over(wish.group, wish.group in state.groups, state):
        if isinstance(wish, JoinGroup | RenameGroup):
            raise DomainError("authority.gone", "the group was deleted")
        return []
    within = state.groups[wish.group]
    match wish:
        case RenameGroup(group, name):
            return [] if name == state.names[group] else [GroupRenamed(group, name, *by)]
        case DeleteGroup(group):
            return [
                *_unbound(state, group, "its group was deleted", command),
                GroupDeleted(group, *by),
            ]
        case JoinGroup(group, principal):
            if principal not in state.members | state.accounts:
                raise DomainError("authority.principal_unknown", "no member, no service account")
            if principal in within:
                return []
            room(len(within), command.bounds.members)
            joined = {**state.groups, group: within | {principal}}
            few_rights(principal, state.bindings.values(), joined)
            return [GroupJoined(group, principal, *by)]
        case LeaveGroup(group, principal):
            return [GroupLeft(group, principal, *by)] if principal in within else []
        case _:
            assert_never(wish)


def _bound(wish: Grant | Revoke, command: Command, state: Authority) -> list[Event]:
    by = (command.policies, command.now_us)
    match wish:
        case Grant(binding, project):
            if not state.knows(binding.principal):
                raise DomainError("authority.principal_unknown", "it does not belong here")
            known_role(binding.role, command, binding.scope)
            networks(binding.networks)
            until(binding.until_us, command.now_us)
            same = (replace(one, id=binding.id) for one in state.bound(binding.principal))
            if binding in same:
                return []
            room(len(state.bindings), command.bounds.bindings)
            few_rights(binding.principal, (*state.bindings.values(), binding), state.groups)
            return [
                *_placed(binding.scope, project, command, state),
                BindingGranted(
                    *(binding.id, binding.principal, binding.role, binding.scope, binding.mfa),
                    *(binding.networks, binding.until_us),
                    *by,
                ),
            ]
        case Revoke(binding=name, reason=reason):
            if over(name, name in state.bindings, state):
                return []
            return [BindingRevoked(name, reason, *by)]
        case _:
            assert_never(wish)


def _guarded(wish: SetGuardrail | LiftGuardrail, command: Command, state: Authority) -> list[Event]:
    by = (command.policies, command.now_us)
    match wish:
        case SetGuardrail(rail, reason, project):
            networks(rail.unless_networks)
            # Lifting is decided at the organization, so what is below may forbid it and be lifted.
            whole = rail.scope == command.organization
            # A second factor anybody may get; an address perhaps nobody has.
            kept = rail.flat or bool(rail.unless_networks)
            if (
                whole
                and kept
                and {"*", "administrative", "guardrail.*", LIFTING} & set(rail.actions)
            ):
                raise DomainError("authority.locks_out", "nobody could lift it again")
            same = (replace(one, id=rail.id) for one in state.guardrails.values())
            if rail in same:
                return []
            room(len(state.guardrails), MOST_GUARDRAILS)
            return [
                *_placed(rail.scope, project, command, state),
                GuardrailSet(
                    *(rail.id, rail.actions, rail.scope, rail.unless_mfa, rail.unless_networks),
                    reason,
                    *by,
                ),
            ]
        case LiftGuardrail(guardrail=name, reason=reason):
            if over(name, name in state.guardrails, state):
                return []
            return [GuardrailLifted(name, reason, *by)]
        case _:
            assert_never(wish)


def _placed(scope: str, project: str, command: Command, state: Authority) -> list[Event]:
    new = is_resource(scope) and scope not in state.resources
    return [ResourcePlaced(scope, project, command.policies, command.now_us)] if new else []


def _unbound(state: Authority, principal: str, reason: str, command: Command) -> list[Event]:
    by = (command.policies, command.now_us)
    return [BindingRevoked(one.id, reason, *by) for one in state.bound(principal)]


def authority_stream(organization_id: str) -> str:
    """Where the authority of an organization stands: of the same UUID; or the platform's own."""
    if organization_id == PLATFORM:
        return STAFF_STREAM
    return "access-" + organization_id.split("-", 1)[1]


DECIDER: Decider[Authority, Command, Event] = Decider(Authority(), decide, evolve)
