"""A session: what somebody who signed in acts with, until it is ended or its time is over.

(none) -Open-> Live -End-> Over
The token is shown once; the log holds its hash. One identity token opens one session: the stream
follows from its digest.
"""

from collections.abc import Iterable
from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError


class Open(Struct, frozen=True):
    issuer: str
    principal: str
    organization: str
    token_sha256: str
    amr: tuple[str, ...]
    acr: str
    expires_us: int
    now_us: int
    authenticated_us: int = 0  # 0: the issuer does not say


class End(Struct, frozen=True):
    reason: str
    now_us: int


type Command = Open | End


class Opened(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.session_opened.v1"):
    """`issuer`: the stream of who said so. `amr`, `acr`: how it was shown (RFC 8176)."""

    issuer: str
    principal: str
    organization: str
    token_sha256: str
    amr: tuple[str, ...]
    acr: str
    expires_us: int
    opened_us: int


class Authenticated(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.session_authenticated.v1"
):
    """When whoever opened it showed the issuer who they are (`auth_time`)."""

    authenticated_us: int


class Ended(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.token.session_ended.v1"):
    reason: str
    decided_us: int


type Event = Opened | Authenticated | Ended


class Missing(Struct, frozen=True):
    pass


class Live(Struct, frozen=True):
    opened: Opened


class Over(Struct, frozen=True):
    opened: Opened


type State = Missing | Live | Over


def decide(command: Command, state: State) -> list[Event]:
    """Raises: DomainError session.token_used, session.unknown."""
    match command, state:
        case Open(), Missing():
            opened = Opened(
                *(command.issuer, command.principal, command.organization),
                *(command.token_sha256, command.amr, command.acr),
                *(command.expires_us, command.now_us),
            )
            said = command.authenticated_us
            return [opened, Authenticated(said)] if said else [opened]
        case Open(), _:
            raise DomainError("session.token_used", "this identity token has opened a session")
        case End(), Live():
            return [Ended(command.reason, command.now_us)]
        case End(), Over():
            return []
        case End(), Missing():
            raise DomainError("session.unknown", "no such session")
        case _:
            assert_never(command)


def authenticated(facts: Iterable[object]) -> int:
    """When its person showed who they are, by its facts; 0: the issuer did not say."""
    said = (one.authenticated_us for one in facts if isinstance(one, Authenticated))
    return next(said, 0)


def evolve(state: State, event: Event) -> State:
    match event:
        case Opened():
            return Live(event)
        case Authenticated():
            return state
        case Ended():
            assert not isinstance(state, Missing), "decided on a session"
            return Over(state.opened)
        case _:
            assert_never(event)


DECIDER: Final[Decider[State, Command, Event]] = Decider(Missing(), decide, evolve)
