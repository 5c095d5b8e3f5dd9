"""What the front door takes and gives about who may do what."""

from typing import Annotated, Final

from msgspec import Meta

from contracts.http import (
    AuthorityId,
    Given,
    Instant,
    Name,
    OrganizationId,
    Reason,
    ScopeId,
    Taken,
)
from contracts.http_sessions import IssuerId
from contracts.http_usage import Ed25519Key

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SCOPE: Final = f"(organization|department|project|runtime|volume|network)-{_UUID}"

type GrantScopeId = Annotated[str, Meta(pattern=f"^{_SCOPE}$")]
type BindingScope = Annotated[str, Meta(pattern=f"^(-|{_SCOPE})$")]
type PrincipalId = Annotated[
    str, Meta(max_length=100, pattern="^(user|service|group)-[A-Za-z0-9_.-]+$")
]
type MemberId = Annotated[str, Meta(max_length=100, pattern="^user-[A-Za-z0-9_.-]+$")]
type ServiceId = Annotated[str, Meta(max_length=100, pattern="^service-[A-Za-z0-9_.-]+$")]
type ActorId = Annotated[str, Meta(max_length=100, pattern="^(user|service)-[A-Za-z0-9_.-]+$")]
type KeyDays = Annotated[int, Meta(ge=1, le=3_650)]
type Role = Annotated[str, Meta(pattern="^(owner|admin|billing|member|viewer|auditor)$")]
type BoundRole = Annotated[
    str, Meta(pattern="^(owner|admin|billing|member|viewer|auditor|operator|support)$")
]
type Network = Annotated[str, Meta(min_length=1, max_length=50)]
type Networks = Annotated[tuple[Network, ...], Meta(max_length=16)]
type ActionWord = Annotated[
    str, Meta(min_length=1, max_length=60, pattern=r"^(\*|administrative|[a-z_]+\.(\*|[a-z_]+))$")
]
type ActionWords = Annotated[tuple[ActionWord, ...], Meta(max_length=32)]


class Ended(Given, frozen=True):
    """What was taken away; `version` null when it was gone already."""

    id: str
    version: int | None


class AuthorityEnd(Taken, frozen=True, kw_only=True):
    """`organization`: the caller's own without it; the platform's operators name it (`-`: that of
    the platform's own staff).
    """

    organization: AuthorityId | None = None
    reason: Reason = "removed"


class MemberNew(Taken, frozen=True, kw_only=True):
    """A user by its opaque id: it belongs to the organization (`-`: the staff) and may
    nothing yet.
    """

    principal: MemberId
    organization: AuthorityId | None = None


class Member(Given, frozen=True):
    principal: str
    organization: str
    roles: list[str]
    version: int | None


class InvitationNew(Taken, frozen=True, kw_only=True):
    """`scope`: what the role is for; the organization without one."""

    email: Annotated[str, Meta(min_length=3, max_length=254, pattern="^[^@ ]+@[^@ ]+$")]
    role: Role
    scope: ScopeId | None = None
    organization: OrganizationId | None = None
    days: Annotated[int, Meta(ge=1, le=30)] = 7


class Invitation(Given, frozen=True):
    """`secret` is shown once, to whoever invites: the link carries it to the invited."""

    id: str
    organization: str
    email: str | None
    role: str
    scope: str
    until: Instant
    secret: str | None
    version: int | None


class InvitationAccept(Taken, frozen=True, kw_only=True):
    organization: OrganizationId
    secret: Annotated[str, Meta(min_length=1, max_length=100)]


class GroupNew(Taken, frozen=True, kw_only=True):
    name: Name
    organization: OrganizationId | None = None


class Group(Given, frozen=True):
    id: str
    organization: str
    name: str | None
    members: list[str]
    version: int | None


class GroupMember(Taken, frozen=True, kw_only=True):
    """A member or a service account; groups hold no groups."""

    principal: ActorId
    organization: OrganizationId | None = None


class ServiceAccount(Given, frozen=True):
    id: str
    organization: str
    name: str | None
    version: int | None


class BindingNew(Taken, frozen=True, kw_only=True):
    """`scope`: also one runtime, volume or network, for a member or a viewer. `mfa`: only while
    signed in with a second factor. `networks`: only from there. Of the staff (`-`) the roles are
    operator, support and auditor.
    """

    principal: PrincipalId
    role: BoundRole
    scope: BindingScope
    mfa: bool = False
    networks: Networks = ()
    until: Instant | None = None


class RoleBinding(Given, frozen=True):
    """`granted_by`, `policies`: who granted it, and what let them."""

    id: str
    organization: str
    principal: str
    role: str
    scope: str
    mfa: bool
    networks: list[str]
    until: Instant | None
    granted_by: str
    granted_at: Instant
    policies: list[str]
    version: int | None


class GuardrailNew(Taken, frozen=True, kw_only=True):
    """`actions`: names, areas such as `runtime.*`, or `*`. Forbidden at the scope and below, always
    or unless all that `unless_mfa` and `unless_networks` name is met.
    """

    actions: Annotated[tuple[ActionWord, ...], Meta(min_length=1, max_length=32)]
    scope: GrantScopeId
    unless_mfa: bool = False
    unless_networks: Networks = ()
    reason: Reason = "policy"


class GuardrailGiven(Given, frozen=True):
    id: str
    organization: str
    actions: list[str]
    scope: str
    unless_mfa: bool
    unless_networks: list[str]
    reason: str
    set_by: str
    set_at: Instant
    policies: list[str]
    version: int | None


class ApiKeyNew(Taken, frozen=True, kw_only=True):
    """`principal`: a service account; oneself without it. `scopes`: actions, areas, or empty: all
    that the principal may. `mfa`: it stands for the second factor of whoever makes it, for actions
    that it names and at most 90 days. `public_key`: there is no secret; whoever signs JWTs with the
    private half of this Ed25519 key (hex) acts by it.
    """

    name: Name
    principal: ServiceId | None = None
    organization: OrganizationId | None = None
    scopes: ActionWords = ()
    days: KeyDays | None = None
    mfa: bool = False
    public_key: Ed25519Key | None = None


class ApiKey(Given, frozen=True):
    """`key` is shown once. `prefix`: its first characters, by which people know it again.
    `made_by`: who asked for it; `maker_belongs`: it is of the organization (still). A program's key
    goes on without its maker. `public_key`: by which tokens that it signs are verified.
    """

    id: str
    organization: str
    principal: str
    name: str | None
    prefix: str
    scopes: list[str]
    created_at: Instant
    until: Instant | None
    last_used_at: Instant | None
    revoked: bool
    mfa: bool
    made_by: str
    maker_belongs: bool
    public_key: str | None
    key: str | None
    secret_already_shown: bool
    version: int | None


class SsoNew(Taken, frozen=True, kw_only=True):
    """`issuer`: of the organization, trusted. `exempt`: members who may come in another way, one of
    them its owner without condition.
    """

    issuer: IssuerId
    exempt: Annotated[tuple[ActorId, ...], Meta(min_length=1, max_length=10)]
    organization: OrganizationId | None = None


class Sso(Given, frozen=True):
    """`issuer`: where people must sign in; null: wherever they may."""

    organization: str
    issuer: str | None
    exempt: list[str]
    policies: list[str]
    version: int | None


class ExplainNew(Taken, frozen=True, kw_only=True):
    """`principal`: oneself without it. `mfa`, `source`: what a call would come with."""

    action: ActionWord
    scope: GrantScopeId
    principal: ActorId | None = None
    mfa: bool = False
    source: Annotated[str, Meta(max_length=50)] = ""


class Reasoned(Given, frozen=True):
    """One policy that concerns the question; `why`: it decides, or what keeps it from that."""

    id: str
    effect: str
    decides: bool
    principal: str | None
    role: str | None
    scope: str
    why: str


class Explained(Given, frozen=True):
    """`would_allow`: roles that hold the action; a binding of one, at the scope or above, allows it
    unless a guardrail that decides here forbids it.
    """

    action: str
    scope: str
    principal: str
    allowed: bool
    policies: list[Reasoned]
    would_allow: list[str]


class KnownAction(Given, frozen=True):
    """`administrative`: of those that a second factor may be demanded for."""

    action: str
    route: str
    level: str
    roles: list[str]
    administrative: bool
