"""A webhook: an organization's own facts, sent to an address of its choice.

(none) -Register-> Standing -Change, RotateSecret, AskReplay-> Standing -Delete-> Gone
  Standing -Pause-> Paused -Resume-> Standing, Paused -Delete-> Gone
  Standing -Disable-> Off -AskReplay, Resume-> Standing, Off -Delete-> Gone

What is changed, paused or off keeps its place and its secret. What waits is sent as it is by then.
"""

import re
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

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


class Change(Struct, frozen=True):
    """None: stays as it is. The caller has found that it is another URL."""

    url: Private | None
    tags: tuple[str, ...] | None
    now_us: int


class RotateSecret(Struct, frozen=True):
    secret: Private
    now_us: int


class AskReplay(Struct, frozen=True):
    """Everything from this position on is sent once more, what was given up included."""

    from_position: int
    now_us: int


class Disable(Struct, frozen=True):
    """It said that it is gone for good: nothing more is sent until it is resumed, or a replay is
    asked for.
    """

    reason: str
    now_us: int


class Pause(Struct, frozen=True):
    now_us: int


class Resume(Struct, frozen=True):
    now_us: int


class Delete(Struct, frozen=True):
    now_us: int


type Command = Register | Change | RotateSecret | AskReplay | Disable | Pause | Resume | Delete


class Registered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.registered.v1"
):
    organization: str
    url: Private
    tags: tuple[str, ...]
    secret: Private
    registered_us: int


class Changed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.changed.v1"):
    """Both as they are from here on; a URL that stayed is the same private value."""

    url: Private
    tags: tuple[str, ...]
    decided_us: int


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


class Paused(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.paused.v1"):
    decided_us: int


class Resumed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.resumed.v1"):
    decided_us: int


class Deleted(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.webhook.deleted.v1"):
    decided_us: int


type Event = (
    Registered | Changed | SecretRotated | ReplayAsked | Disabled | Paused | Resumed | Deleted
)


class Missing(Struct, frozen=True):
    pass


class Standing(Struct, frozen=True):
    url: Private
    tags: tuple[str, ...]


class Held(Struct, frozen=True):
    """Paused."""

    url: Private
    tags: tuple[str, ...]


class Off(Struct, frozen=True):
    url: Private
    tags: tuple[str, ...]


class Gone(Struct, frozen=True):
    pass


type Kept = Standing | Held | Off
type State = Missing | Kept | Gone


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `webhook.invalid`, `webhook.exists`, `webhook.unknown`,
    `webhook.deleted`.
    """
    match command, state:
        case Register(), Missing():
            return [_registered(command)]
        case Change(), Standing() | Held() | Off():
            return _changed(command, state)
        case RotateSecret(secret=secret, now_us=now_us), Standing() | Held() | Off():
            return [SecretRotated(secret, now_us)]
        case AskReplay(from_position=first, now_us=now_us), Standing() | Held() | Off():
            return [ReplayAsked(first, now_us)]
        case Disable(reason=reason, now_us=now_us), Standing():
            return [Disabled(reason, now_us)]
        case Pause(now_us=now_us), Standing():
            return [Paused(now_us)]
        case Resume(now_us=now_us), Held() | Off():
            return [Resumed(now_us)]
        case Delete(now_us=now_us), Standing() | Held() | Off():
            return [Deleted(now_us)]
        case Disable(), Held() | Off() | Gone():
            return []
        case Pause(), Held() | Off():
            return []
        case Resume(), Standing():
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
    tags = _filters(command.tags)
    return Registered(*(command.organization, command.url, tags, command.secret, command.now_us))


def _changed(command: Change, state: Kept) -> list[Event]:
    tags = state.tags if command.tags is None else _filters(command.tags)
    if command.url is None and tags == state.tags:
        return []
    return [Changed(command.url or state.url, tags, command.now_us)]


def _filters(tags: tuple[str, ...]) -> tuple[str, ...]:
    if len(tags) > MOST_FILTERS or len(set(tags)) < len(tags):
        raise DomainError("webhook.invalid", f"at most {MOST_FILTERS} tags, each once")
    for tag in tags:
        if not _FILTER.fullmatch(tag):
            raise DomainError("webhook.invalid", f"neither a tag nor gpuaas.<area>.*: {tag}")
    return tags


def wanted(tags: tuple[str, ...], tag: str) -> bool:
    """Whether a webhook with these filters is told facts of this tag."""
    area = tag.rpartition(".")[0].rpartition(".")[0]
    return not tags or tag in tags or f"{area}.*" in tags


def evolve(state: State, event: Event) -> State:
    match event:
        case Registered():
            return Standing(event.url, event.tags)
        case Changed():
            assert isinstance(state, Standing | Held | Off), "changed while there is one"
            return replace(state, url=event.url, tags=event.tags)
        case SecretRotated():
            return state
        case ReplayAsked():
            return Standing(state.url, state.tags) if isinstance(state, Off) else state
        case Disabled():
            return Off(state.url, state.tags) if isinstance(state, Standing) else state
        case Paused():
            return Held(state.url, state.tags) if isinstance(state, Standing) else state
        case Resumed():
            return Standing(state.url, state.tags) if isinstance(state, Held | Off) else state
        case Deleted():
            return Gone()
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
