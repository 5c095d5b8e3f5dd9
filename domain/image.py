"""An image of the deployment: a reference that launches may name, and the one digest it means.

(none) -Register-> Known; a reference registered again, in a stream of its own, means the newest.
"""

import re

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Register(Struct, frozen=True):
    reference: str
    digest: str
    now_us: int


type Command = Register


class Registered(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.image.registered.v1"):
    reference: str
    digest: str
    registered_us: int


type Event = Registered


class Missing(Struct, frozen=True):
    pass


class Known(Struct, frozen=True):
    reference: str
    digest: str


type State = Missing | Known


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `image.digest_invalid`, `image.exists`."""
    if not _DIGEST.fullmatch(command.digest):
        raise DomainError("image.digest_invalid", "a digest is sha256: and 64 hex digits")
    match state:
        case Missing():
            return [Registered(command.reference, command.digest, command.now_us)]
        case Known() if state == Known(command.reference, command.digest):
            return []
        case _:
            raise DomainError("image.exists", "this stream has another image already")


def evolve(_: State, event: Event) -> State:
    return Known(event.reference, event.digest)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
