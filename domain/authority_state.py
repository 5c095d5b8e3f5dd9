"""What stands in the authority of one organization, and what each fact makes of it."""

from collections.abc import Mapping
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain import break_glass
from domain.authority_checks import PLATFORM
from domain.authority_facts import (
    AccountCreated,
    AccountDeleted,
    BindingGranted,
    BindingRevoked,
    Event,
    GlassApproved,
    GlassEnded,
    GlassRefused,
    GlassRequested,
    GlassUsed,
    GroupCreated,
    GroupDeleted,
    GroupJoined,
    GroupLeft,
    GroupRenamed,
    GuardrailLifted,
    GuardrailSet,
    InvitationWithdrawn,
    Invited,
    MemberAdded,
    MemberRemoved,
    PlatformFounded,
    ResourcePlaced,
    SsoLifted,
    SsoRequired,
)
from domain.binding import OPERATOR, OWNER, Binding, Guardrail, Sso
from domain.gone import Gone
from domain.words import Private


class Authority(Struct, frozen=True):
    """What stands now; `names`: of groups; `gone`: ids that were there and are not; `resources`:
    their projects; `founded`: somebody has, or ever had, a binding.
    """

    invitations: Mapping[str, Invited] = {}
    members: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = {}
    names: Mapping[str, Private] = {}
    accounts: frozenset[str] = frozenset()
    bindings: Mapping[str, Binding] = {}
    guardrails: Mapping[str, Guardrail] = {}
    sso: Sso | None = None
    glass: Mapping[str, break_glass.Grant] = {}
    gone: Gone = Gone()
    resources: Mapping[str, str] = {}
    founded: bool = False

    def knows(self, principal: str) -> bool:
        known = principal in self.members or principal in self.accounts
        return known or principal in self.groups

    def groups_of(self, principal: str) -> tuple[str, ...]:
        return tuple(name for name, members in self.groups.items() if principal in members)

    def bound(self, principal: str) -> tuple[Binding, ...]:
        """Its own bindings, not those of groups."""
        return tuple(one for one in self.bindings.values() if one.principal == principal)

    def rights_of(self, principal: str) -> tuple[Binding, ...]:
        """Its own bindings and those of the groups it is in."""
        whose = {principal, *self.groups_of(principal)}
        return tuple(one for one in self.bindings.values() if one.principal in whose)

    def owners(self, organization: str) -> set[str]:
        """Members who own the whole of it (operate the platform), without condition or end."""
        role = OPERATOR if organization == PLATFORM else OWNER
        owners = {
            one.principal
            for one in self.bindings.values()
            if one == Binding(one.id, one.principal, role, organization)
        }
        by_groups = (self.groups.get(owner, frozenset()) for owner in owners)
        return {*owners, *(who for group in by_groups for who in group)} & self.members

    def locked(self, organization: str) -> bool:
        """No owner may come in but by the issuer that is required."""
        return self.sso is not None and not self.owners(organization) & set(self.sso.exempt)


def evolve(state: Authority, event: Event) -> Authority:
    match event:
        case Invited(invitation=name):
            return replace(state, invitations={**state.invitations, name: event})
        case InvitationWithdrawn(invitation=name):
            return replace(
                state, invitations=_but(state.invitations, name), gone=state.gone.having(name)
            )
        case MemberAdded(principal, invitation):
            open_ = _but(state.invitations, invitation)
            gone = state.gone.having(invitation).without(principal)
            return replace(state, members=state.members | {principal}, invitations=open_, gone=gone)
        case MemberRemoved(principal):
            return replace(state, members=state.members - {principal})
        case GroupCreated(group=name):
            names = {**state.names, name: event.name}
            return replace(state, groups={**state.groups, name: frozenset()}, names=names)
        case GroupRenamed(group=name):
            return replace(state, names={**state.names, name: event.name})
        case GroupDeleted(group=name):
            left, names = _but(state.groups, name), _but(state.names, name)
            return replace(state, groups=left, names=names, gone=state.gone.having(name))
        case GroupJoined(group, principal):
            return replace(state, groups={**state.groups, group: state.groups[group] | {principal}})
        case GroupLeft(group, principal):
            return replace(state, groups={**state.groups, group: state.groups[group] - {principal}})
        case AccountCreated(account=name):
            return replace(state, accounts=state.accounts | {name})
        case AccountDeleted(account=name):
            return replace(state, accounts=state.accounts - {name}, gone=state.gone.having(name))
        case BindingGranted():
            one = Binding(
                *(event.binding, event.principal, event.role, event.scope, event.mfa),
                *(event.networks, event.until_us),
            )
            return replace(state, bindings={**state.bindings, one.id: one}, founded=True)
        case BindingRevoked(binding=name):
            return replace(state, bindings=_but(state.bindings, name), gone=state.gone.having(name))
        case GuardrailSet(name, actions, scope, mfa, networks):
            rail = Guardrail(name, actions, scope, mfa, networks)
            return replace(state, guardrails={**state.guardrails, name: rail})
        case ResourcePlaced(resource, project):
            return replace(state, resources={**state.resources, resource: project})
        case SsoRequired(issuer, exempt):
            return replace(state, sso=Sso(issuer, exempt))
        case SsoLifted():
            return replace(state, sso=None)
        case GuardrailLifted(guardrail=name):
            return replace(
                state, guardrails=_but(state.guardrails, name), gone=state.gone.having(name)
            )
        case GlassRequested() | GlassApproved() | GlassRefused() | GlassUsed() | GlassEnded():
            return replace(state, glass=break_glass.evolve(state.glass, event))
        case PlatformFounded():
            return state  # what it gives is a binding beside it
        case _:
            assert_never(event)


def _but[T](of: Mapping[str, T], name: str) -> dict[str, T]:
    return {key: value for key, value in of.items() if key != name}
