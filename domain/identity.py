"""Who a node may say it is: its keys beside the event key, its hardware, and when it is barred.

    enrolled: Certify; -Revoke / ReportDouble-> barred -Reinvite-> invited again -Enrol-> enrolled

A part of the node's aggregate: `domain/node.py` holds one `Identity` per serving node. A barred
node's word counts for nothing and it gets no lease, so what runs there ends with its leases; only
when it holds nothing any more does a new enrolment (a new event key) let it in again.
"""

from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import DomainError

REVOKED: Final = "revoked"
DOUBLED: Final = "doubled"


class Hardware(Struct, frozen=True):
    """What the machine says of itself: DMI product UUID and serial, SHA-256 of its machine-id.

    A field that the agent could not read is empty.
    """

    product: str = ""
    serial: str = ""
    machine: str = ""


class Revoke(Struct, frozen=True):
    """`reason`: a dotted code, never a person's words."""

    reason: str
    now_us: int


class Reinvite(Struct, frozen=True):
    """`fingerprint`: the one the machine must have (64 hex digits), or empty."""

    token_sha256: str
    expires_us: int
    fingerprint: str
    now_us: int


class ReportDouble(Struct, frozen=True):
    """Two agents spoke as this node; `sign` is the code of what showed it."""

    sign: str
    now_us: int


class Certify(Struct, frozen=True):
    """`replaces`: SHA-256 of the certificate that the node proved to hold; empty for the first."""

    nkey: str
    public_sha256: str
    certificate_sha256: str
    replaces: str
    not_before_us: int
    not_after_us: int


class Revoked(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.revoked.v1"):
    reason: str
    decided_us: int


class Reinvited(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.reinvited.v1"):
    token_sha256: str
    expires_us: int
    invited_us: int


class Doubled(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.doubled.v1"):
    sign: str
    decided_us: int


class Certified(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.certified.v1"):
    nkey: str
    public_sha256: str
    certificate_sha256: str
    not_before_us: int
    not_after_us: int


class HardwareExpected(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.hardware_expected.v1"
):
    fingerprint: str
    decided_us: int


class HardwareStated(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.hardware_stated.v1"
):
    product: str
    serial: str
    machine: str
    fingerprint: str
    stated_us: int


class HardwareDiffers(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.hardware_differs.v1"
):
    what: str
    before: str
    stated: str
    decided_us: int


type IdentityCommand = Revoke | Reinvite | ReportDouble | Certify
type IdentityEvent = (
    Revoked | Reinvited | Doubled | Certified
    | HardwareExpected | HardwareStated | HardwareDiffers
)  # fmt: skip
COMMANDS: Final = (Revoke, Reinvite, ReportDouble, Certify)
EVENTS: Final = (
    Revoked, Reinvited, Doubled, Certified,
    HardwareExpected, HardwareStated, HardwareDiffers,
)  # fmt: skip


class Identity(Struct, frozen=True):
    """`barred`: empty, `revoked` or `doubled`. `token_sha256`: of the invitation that is open.

    `certificate` (and `public` of its key) is the latest, `nkey` the NATS user key given with it.
    `expected` is the fingerprint the operator demands; empty = none.
    """

    barred: str = ""
    token_sha256: str = ""
    expires_us: int = 0
    expected: str = ""
    nkey: str = ""
    public: str = ""
    certificate: str = ""
    not_after_us: int = 0
    hardware: Hardware = Hardware()
    fingerprint: str = ""


def decide(command: IdentityCommand, state: Identity) -> list[IdentityEvent]:
    """The facts of an identity command on an enrolled node; none when it was done already.

    Raises:
        DomainError: `node.not_revoked`, `node.revoked`, `node.doubled`, `node.certificate_stale`.
    """
    match command:
        case Revoke():
            again = state.barred == REVOKED
            return [] if again else [Revoked(command.reason, command.now_us)]
        case ReportDouble():
            return [] if state.barred else [Doubled(command.sign, command.now_us)]
        case Reinvite():
            if state.barred != REVOKED:
                raise DomainError("node.not_revoked", "its present identity still counts")
            return reinvited(command, state.token_sha256)
        case Certify():
            return _certified(command, state)
        case _:
            assert_never(command)


def admitted(state: Identity) -> None:
    """Returns for a node that may speak. Raises: DomainError node.revoked | node.doubled."""
    if state.barred == REVOKED:
        raise DomainError("node.revoked", "the node's identity was revoked")
    if state.barred:
        raise DomainError("node.doubled", "two agents spoke as this node")


def reinvited(command: Reinvite, open_token: str) -> list[IdentityEvent]:
    """A new single-use token takes the place of the one before."""
    if command.token_sha256 == open_token:
        return []
    facts: list[IdentityEvent] = [
        Reinvited(command.token_sha256, command.expires_us, command.now_us)
    ]
    return facts + expecting(command.fingerprint, command.now_us)


def expecting(fingerprint: str, now_us: int) -> list[IdentityEvent]:
    """The fact that the operator demands this fingerprint; none when nothing is demanded."""
    return [HardwareExpected(fingerprint, now_us)] if fingerprint else []


def stated(
    before: Identity, hardware: Hardware, fingerprint: str, now_us: int
) -> list[IdentityEvent]:
    """What an enrolment says of the machine, and each difference to what was said before.

    Raises: DomainError node.fingerprint_differs when the operator expects another machine.
    """
    if before.expected and before.expected != fingerprint:
        facts: dict[str, int | str] = {"expected": before.expected, "said": fingerprint}
        raise DomainError("node.fingerprint_differs", "it is not the machine expected", facts)
    if not fingerprint:
        return []
    said: list[IdentityEvent] = [
        HardwareStated(hardware.product, hardware.serial, hardware.machine, fingerprint, now_us)
    ]
    if not before.fingerprint or before.fingerprint == fingerprint:
        return said
    pairs = (
        ("product", before.hardware.product, hardware.product),
        ("serial", before.hardware.serial, hardware.serial),
        ("machine", before.hardware.machine, hardware.machine),
        ("fingerprint", before.fingerprint, fingerprint),
    )
    return said + [
        HardwareDiffers(what, old, new, now_us) for what, old, new in pairs if old != new
    ]


def evolve(state: Identity, event: IdentityEvent) -> Identity:
    """The identity after the event."""
    match event:
        case Revoked():
            return replace(state, barred=REVOKED, token_sha256="")
        case Doubled():
            return replace(state, barred=DOUBLED)
        case Reinvited():
            return replace(
                state, token_sha256=event.token_sha256, expires_us=event.expires_us, expected=""
            )
        case Certified():
            return replace(
                state,
                nkey=event.nkey,
                public=event.public_sha256,
                certificate=event.certificate_sha256,
                not_after_us=event.not_after_us,
            )
        case HardwareExpected():
            return replace(state, expected=event.fingerprint)
        case HardwareStated():
            hardware = Hardware(event.product, event.serial, event.machine)
            return replace(state, hardware=hardware, fingerprint=event.fingerprint)
        case HardwareDiffers():
            return state
        case _:
            assert_never(event)


def renewed(state: Identity) -> Identity:
    """The identity of a node that has just enrolled (anew): all before it is void."""
    return Identity(hardware=state.hardware, fingerprint=state.fingerprint)


def _certified(command: Certify, state: Identity) -> list[IdentityEvent]:
    admitted(state)
    same = (command.nkey, command.public_sha256) == (state.nkey, state.public)
    if same and command.not_before_us < state.not_after_us:
        # Its answer was lost: the same keys get the same certificate again.
        return []
    if state.certificate and command.replaces != state.certificate:
        raise DomainError("node.certificate_stale", "it proved a certificate that was replaced")
    return [
        Certified(
            *(command.nkey, command.public_sha256, command.certificate_sha256),
            *(command.not_before_us, command.not_after_us),
        )
    ]
