"""Facts of an organization's authority: all on one stream, `access-` with its UUID.

`policies`: the ids that decided that whoever did it may (contracts/authorization).
"""

from msgspec import Struct

from domain.words import Private


class Invited(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.invited.v1"):
    invitation: str
    email: Private
    role: str
    scope: str
    secret_sha256: str
    until_us: int
    policies: tuple[str, ...]
    decided_us: int


class InvitationWithdrawn(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.invitation_withdrawn.v1"
):
    invitation: str
    policies: tuple[str, ...]
    decided_us: int


class MemberAdded(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.member_added.v1"
):
    principal: str
    invitation: str  # that was accepted; empty: added by somebody else
    policies: tuple[str, ...]
    decided_us: int


class MemberRemoved(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.member_removed.v1"
):
    principal: str
    reason: str
    policies: tuple[str, ...]
    decided_us: int


class GroupCreated(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.group_created.v1"
):
    group: str
    name: Private
    policies: tuple[str, ...]
    decided_us: int


class GroupRenamed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.group_renamed.v1"
):
    group: str
    name: Private
    policies: tuple[str, ...]
    decided_us: int


class GroupDeleted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.group_deleted.v1"
):
    group: str
    policies: tuple[str, ...]
    decided_us: int


class GroupJoined(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.group_joined.v1"
):
    group: str
    principal: str
    policies: tuple[str, ...]
    decided_us: int


class GroupLeft(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.group_left.v1"):
    group: str
    principal: str
    policies: tuple[str, ...]
    decided_us: int


class AccountCreated(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.service_account_created.v1"
):
    account: str
    name: Private
    policies: tuple[str, ...]
    decided_us: int


class AccountDeleted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.service_account_deleted.v1"
):
    account: str
    policies: tuple[str, ...]
    decided_us: int


class ResourcePlaced(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.resource_placed.v1"
):
    """Where a resource lies that is the scope of a binding or a guardrail; it never moves."""

    resource: str
    project: str
    policies: tuple[str, ...]
    decided_us: int


class BindingGranted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.binding_granted.v1"
):
    binding: str
    principal: str
    role: str
    scope: str
    mfa: bool
    networks: tuple[str, ...]
    until_us: int
    policies: tuple[str, ...]
    decided_us: int


class BindingRevoked(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.binding_revoked.v1"
):
    binding: str
    reason: str
    policies: tuple[str, ...]
    decided_us: int


class GuardrailSet(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.guardrail_set.v1"
):
    guardrail: str
    actions: tuple[str, ...]
    scope: str
    unless_mfa: bool
    unless_networks: tuple[str, ...]
    reason: str
    policies: tuple[str, ...]
    decided_us: int


class GuardrailLifted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.guardrail_lifted.v1"
):
    guardrail: str
    reason: str
    policies: tuple[str, ...]
    decided_us: int


class SsoRequired(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.sso_required.v1"
):
    """People act there only in sessions of this issuer; `exempt` may come in another way."""

    issuer: str
    exempt: tuple[str, ...]
    policies: tuple[str, ...]
    decided_us: int


class SsoLifted(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.sso_lifted.v1"):
    reason: str
    policies: tuple[str, ...]
    decided_us: int


class GlassRequested(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.break_glass_requested.v1"
):
    """`principal` of the platform's staff asks to act with the role at the scope for `seconds`."""

    grant: str
    principal: str
    role: str
    scope: str
    reason: Private
    ticket: str
    seconds: int
    policies: tuple[str, ...]
    decided_us: int


class GlassApproved(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.break_glass_approved.v1"
):
    """By another person; it stands from now on until, and without, `until_us`."""

    grant: str
    approver: str
    until_us: int
    policies: tuple[str, ...]
    decided_us: int


class GlassRefused(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.break_glass_refused.v1"
):
    grant: str
    reason: str
    policies: tuple[str, ...]
    decided_us: int


class GlassUsed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.break_glass_used.v1"
):
    """The first time that an action was let by it; `scope`: where."""

    grant: str
    action: str
    scope: str
    policies: tuple[str, ...]
    decided_us: int


class GlassEnded(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.break_glass_ended.v1"
):
    """`reason`: `expired`, `lapsed` (nobody approved it), or why it was revoked."""

    grant: str
    reason: str
    policies: tuple[str, ...]
    decided_us: int


class PlatformFounded(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.platform_founded.v1"
):
    """By whoever holds the database, beside the binding that `principal`, who signs in at the
    `issuer` (its stream), operates the platform by. `recovered`: it had operators before.
    """

    principal: str
    issuer: str
    recovered: bool
    policies: tuple[str, ...]
    decided_us: int


type GlassEvent = GlassRequested | GlassApproved | GlassRefused | GlassUsed | GlassEnded
type Event = (
    Invited | InvitationWithdrawn | MemberAdded | MemberRemoved | GroupCreated | GroupDeleted
    | GroupRenamed | GroupJoined | GroupLeft | AccountCreated | AccountDeleted | BindingGranted
    | BindingRevoked | GuardrailSet | GuardrailLifted | ResourcePlaced | SsoRequired | SsoLifted
    | GlassRequested | GlassApproved | GlassRefused | GlassUsed | GlassEnded | PlatformFounded
)  # fmt: skip
