"""A webhook: an organization's own facts, sent to an address of its choice.

(none) -Register-> Standing -RotateSecret, AskReplay-> Standing -Delete-> Gone
  Standing -Disable-> Off -AskReplay-> Standing, Off -Delete-> Gone
"""

import re
from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private

# A tag, or an area of them: `gpuaas.runtime.*`.
_FILTER: Final = re.compile(r"gpuaas\.[a-z_]{1,30}\.(\*|[a-z_]{1,40}\.v[1-9][0-9]?)")
MOST_FILTERS: Final = 50


class Register(Struct, frozen=True):
    """`tags`: which facts, each a tag or `gpuaas.<area>.*`; none: all of them."""

    organization: str
    url: Private
    tags: tuple[str, ...]
    secret: Private
    now_us: int


class RotateSecret(Struct, frozen=True):
    secret: Private
    now_us: int


class AskReplay(Struct, frozen=True):
    """Everything from this position on is sent once more, what was given up included."""

    from_position: int
    now_us: int


class Disable(Struct, frozen=True):
    """It said that it is gone for good: nothing more is sent until a replay is asked for."""

    reason: str
    now_us: int


class Delete(Struct, frozen=True):
    now_us: int


type Command = Register | RotateSecret | AskReplay | Disable | Delete


class Registered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.registered.v1"
):
    organization: str
    url: Private
    tags: tuple[str, ...]
    secret: Private
    registered_us: int


class SecretRotated(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.secret_rotated.v1"
):
    secret: Private
    decided_us: int


class ReplayAsked(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.replay_asked.v1"
):
    from_position: int
    decided_us: int


class Disabled(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.disabled.v1"):
    reason: str
    decided_us: int


class Deleted(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.deleted.v1"):
    decided_us: int


type Event = Registered | SecretRotated | ReplayAsked | Disabled | Deleted


class Missing(Struct, frozen=True):
    pass


class Standing(Struct, frozen=True):
    registered: Registered


class Off(Struct, frozen=True):
    registered: Registered


class Gone(Struct, frozen=True):
    registered: Registered


type State = Missing | Standing | Off | Gone


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `webhook.invalid`, `webhook.exists`, `webhook.unknown`,
    `webhook.deleted`.
    """
    match command, state:
        case Register(), Missing():
            return [_registered(command)]
        case RotateSecret(secret=secret, now_us=now_us), Standing() | Off():
            return [SecretRotated(secret, now_us)]
        case AskReplay(from_position=first, now_us=now_us), Standing() | Off():
            return [ReplayAsked(first, now_us)]
        case Disable(reason=reason, now_us=now_us), Standing():
            return [Disabled(reason, now_us)]
        case Delete(now_us=now_us), Standing() | Off():
            return [Deleted(now_us)]
        case Disable(), Off() | Gone():
            return []
        case Delete(), Gone():
            return []
        case Register(), _:
            raise DomainError("webhook.exists", "this stream has a webhook already")
        case _, Missing():
            raise DomainError("webhook.unknown", "no such webhook is registered")
        case _, Gone():
            raise DomainError("webhook.deleted", "it was deleted: nothing is sent to it")
        case _:
            assert_never((command, state))  # type: ignore[arg-type]  # mypy sees no pairs


def _registered(command: Register) -> Registered:
    tags = command.tags
    if len(tags) > MOST_FILTERS or len(set(tags)) < len(tags):
        raise DomainError("webhook.invalid", f"at most {MOST_FILTERS} tags, each once")
    for tag in tags:
        if not _FILTER.fullmatch(tag):
            raise DomainError("webhook.invalid", f"neither a tag nor gpuaas.<area>.*: {tag}")
    return Registered(*(command.organization, command.url, tags, command.secret, command.now_us))


def wanted(tags: tuple[str, ...], tag: str) -> bool:
    """Whether a webhook with these filters is told facts of this tag."""
    area = tag.rpartition(".")[0].rpartition(".")[0]
    return not tags or tag in tags or f"{area}.*" in tags


def evolve(state: State, event: Event) -> State:
    match event:
        case Registered():
            return Standing(event)
        case SecretRotated():
            return state
        case ReplayAsked():
            return Standing(state.registered) if isinstance(state, Off) else state
        case Disabled():
            return Off(state.registered) if isinstance(state, Standing) else state
        case Deleted():
            assert isinstance(state, Standing | Off | Gone), "deleted after it was registered"
            return Gone(state.registered)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
