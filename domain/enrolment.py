"""How a machine becomes a node: invited by an operator, enrolled once by the token it was given."""

from msgspec import Struct

from domain import identity
from domain.errors import DomainError
from domain.identity import Hardware, Identity
from domain.node_facts import Enrolled, Event, Invited
from domain.words import Gpu, Private


class Invite(Struct, frozen=True):
    """`token_sha256`: 64 hex digits; the token itself is shown once and never stored."""

    name: Private
    model: str
    token_sha256: str
    expires_us: int
    now_us: int
    fingerprint: str = ""


class Enrol(Struct, frozen=True):
    token_sha256: str
    key: str
    model: str
    simulated: bool
    gpus: tuple[Gpu, ...]
    serial: str
    now_us: int
    hardware: Hardware = Hardware()
    fingerprint: str = ""


def invited(command: Invite) -> list[Event]:
    """The invitation, and the machine it is for when one is named."""
    fact = Invited(
        *(command.name, command.model, command.token_sha256),
        *(command.expires_us, command.now_us),
    )
    return [fact, *identity.expecting(command.fingerprint, command.now_us)]


def enrolled(command: Enrol, model: str, before: Identity) -> list[Event]:
    """The enrolment by the invitation that is open in `before`, and what the machine states.

    Raises:
        DomainError: `node.token_refused`, `node.token_expired`, `node.model_differs`,
            `node.inventory_invalid`, `node.fingerprint_differs`.
    """
    if command.token_sha256 != before.token_sha256:
        raise DomainError("node.token_refused", "the token is not the one of this node")
    if command.now_us >= before.expires_us:
        raise DomainError("node.token_expired", "the invitation has expired: invite again")
    if command.model != model:
        facts: dict[str, int | str] = {"expected": model, "said": command.model}
        raise DomainError("node.model_differs", "it is not the model that was expected", facts)
    uuids = {gpu.uuid for gpu in command.gpus}
    indexes = [gpu.index for gpu in command.gpus]
    if len(uuids) != len(indexes) or indexes != list(range(len(indexes))):
        raise DomainError("node.inventory_invalid", "indexes count from 0, each GPU named once")
    fact = Enrolled(
        *(command.key, command.model, command.simulated, command.gpus),
        *(command.serial, command.now_us),
    )
    said = identity.stated(before, command.hardware, command.fingerprint, command.now_us)
    return [fact, *said]
