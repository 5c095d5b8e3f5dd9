"""An identity that is linked to a person: from then on whoever signs in with it is that person.

(none) -Link-> Linked -Unlink-> Free -Link-> Linked
On a stream of the identity's own, so it is of one person at a time. Identity and person are
principals (domain/issuer.py) of issuers of one organization, or of the platform's own.
"""

from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError

FRESH_US: Final = 600_000_000  # both sessions that prove it were opened within
POLICIES: Final = ("own",)  # what lets whoever is signed in as both


class Link(Struct, frozen=True):
    identity: str
    person: str
    issuer: str
    now_us: int


class Unlink(Struct, frozen=True):
    reason: str
    now_us: int


type Command = Link | Unlink


class IdentityLinked(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.identity_linked.v1"
):
    """By whoever was signed in as both. `issuer`: the stream of where the identity signs in. Its
    own sessions are over.
    """

    identity: str
    person: str
    issuer: str
    policies: tuple[str, ...]
    decided_us: int


class IdentityUnlinked(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.identity_unlinked.v1"
):
    """The person's sessions of the identity's issuer are over."""

    identity: str
    person: str
    reason: str
    policies: tuple[str, ...]
    decided_us: int


type Event = IdentityLinked | IdentityUnlinked


class Free(Struct, frozen=True):
    pass


class Linked(Struct, frozen=True):
    linked: IdentityLinked


type State = Free | Linked


def decide(command: Command, state: State) -> list[Event]:
    """Raises: DomainError identity.same, identity.linked, identity.unknown."""
    match command:
        case Link():
            return _linked(command, state)
        case Unlink():
            if isinstance(state, Free):
                raise DomainError("identity.unknown", "no identity that is linked to you")
            said = (state.linked.identity, state.linked.person, command.reason)
            return [IdentityUnlinked(*said, POLICIES, command.now_us)]
        case _:
            assert_never(command)


def _linked(command: Link, state: State) -> list[Event]:
    if command.identity == command.person:
        raise DomainError("identity.same", "both sessions are of one identity")
    if isinstance(state, Free):
        said = (command.identity, command.person, command.issuer)
        return [IdentityLinked(*said, POLICIES, command.now_us)]
    if state.linked.person != command.person:
        raise DomainError("identity.linked", "it is another person's")
    return []


def evolve(state: State, event: Event) -> State:
    del state
    match event:
        case IdentityLinked():
            return Linked(event)
        case IdentityUnlinked():
            return Free()
        case _:
            assert_never(event)


DECIDER: Final[Decider[State, Command, Event]] = Decider(Free(), decide, evolve)
