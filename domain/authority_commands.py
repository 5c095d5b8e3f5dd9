"""What may be wanted of an organization's authority; `authority.py` decides."""

from msgspec import Struct

from domain.binding import Binding, Guardrail
from domain.bounds import BOUNDS, Bounds
from domain.words import Private


class Invite(Struct, frozen=True):
    invitation: str
    email: Private
    role: str
    scope: str
    secret_sha256: str
    until_us: int


class Withdraw(Struct, frozen=True):
    invitation: str


class Accept(Struct, frozen=True):
    """By whoever has the secret, as whom it signed in; `binding` is the new binding's id."""

    invitation: str
    secret_sha256: str
    principal: str
    binding: str


class AddMember(Struct, frozen=True):
    principal: str


class RemoveMember(Struct, frozen=True):
    principal: str
    reason: str


class CreateGroup(Struct, frozen=True):
    group: str
    name: Private


class RenameGroup(Struct, frozen=True):
    group: str
    name: Private


class DeleteGroup(Struct, frozen=True):
    group: str


class JoinGroup(Struct, frozen=True):
    group: str
    principal: str


class LeaveGroup(Struct, frozen=True):
    group: str
    principal: str


class CreateAccount(Struct, frozen=True):
    account: str
    name: Private


class DeleteAccount(Struct, frozen=True):
    account: str


class Grant(Struct, frozen=True):
    """`project`: where the scope lies if it is a resource."""

    binding: Binding
    project: str = ""


class Revoke(Struct, frozen=True):
    binding: str
    reason: str


class SetGuardrail(Struct, frozen=True):
    """`project`: where the scope lies if it is a resource."""

    guardrail: Guardrail
    reason: str
    project: str = ""


class LiftGuardrail(Struct, frozen=True):
    guardrail: str
    reason: str


class RequireSso(Struct, frozen=True):
    """`exempt`: people who may come in another way, one of them an owner."""

    issuer: str
    exempt: tuple[str, ...]


class LiftSso(Struct, frozen=True):
    reason: str


class Ask(Struct, frozen=True):
    """For break-glass, by whoever would act with it (domain/break_glass.py)."""

    grant: str
    principal: str
    role: str
    scope: str
    reason: Private
    ticket: str
    seconds: int


class Approve(Struct, frozen=True):
    grant: str
    approver: str


class Refuse(Struct, frozen=True):
    grant: str
    reason: str


class Use(Struct, frozen=True):
    """The first time that an action was let by the grant."""

    grant: str
    action: str
    scope: str


class Put(Struct, frozen=True):
    """The grant back: by whoever may, or because its time is over."""

    grant: str
    reason: str


class Found(Struct, frozen=True):
    """The platform, by whoever holds its database: `principal`, who signs in at the `issuer` (its
    stream), operates it by the `binding`. `alone`: nobody can sign in at any other issuer of it.
    """

    principal: str
    binding: str
    issuer: str
    alone: bool


type Glass = Ask | Approve | Refuse | Use | Put
type Wish = (
    Invite | Withdraw | Accept | AddMember | RemoveMember | CreateGroup | RenameGroup
    | DeleteGroup | JoinGroup | LeaveGroup | CreateAccount | DeleteAccount | Grant | Revoke
    | SetGuardrail | LiftGuardrail | RequireSso | LiftSso | Ask | Approve
    | Refuse | Use | Put | Found
)  # fmt: skip


class Command(Struct, frozen=True):
    """`organization`: whose authority it is, the scope above all others. `founding`: the platform's
    staff wishes it, since nobody else could yet; `staff`: who that is, where it matters. `bounds`:
    how many of each it may have.
    """

    wish: Wish
    organization: str
    policies: tuple[str, ...]
    now_us: int
    founding: bool = False
    staff: frozenset[str] = frozenset()
    bounds: Bounds = BOUNDS
