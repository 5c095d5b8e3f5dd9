"""A terminal session in a runtime, and what its recording is sealed with.

(none) -Open-> Live -Close-> Over; chunks of the recording are sealed in Live and after it, a
playback is remembered in any state but none.
"""

from typing import Final, assert_never

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError

MAX_SIDE: Final = 1000  # most columns or rows


class Open(Struct, frozen=True):
    """The caller has read the runtime and names what it found; `running`: it can be entered."""

    runtime: str
    allocation: str
    node: str
    epoch: int
    columns: int
    rows: int
    recorded: bool
    running: bool
    now_us: int


class Close(Struct, frozen=True):
    """`shown_bytes` and `typed_bytes`: output and input in all, None when nobody could count."""

    reason: str
    shown_bytes: int | None
    typed_bytes: int | None
    now_us: int


class Seal(Struct, frozen=True):
    """Chunks up to number `chunk` lie in the recording, whose hash chain ends in `head`."""

    chunk: int
    head: str
    size_bytes: int
    final: bool
    now_us: int


class Play(Struct, frozen=True):
    """Somebody was given the recording up to `chunk`."""

    chunk: int
    head: str
    cut: bool
    now_us: int


type Command = Open | Close | Seal | Play


class Opened(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.terminal_opened.v1"
):
    runtime: str
    allocation: str
    node: str
    epoch: int
    columns: int
    rows: int
    recorded: bool
    opened_us: int


class Closed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.terminal_closed.v1"
):
    """`…_bytes` are null when the program that counted them was killed."""

    reason: str
    shown_bytes: int | None
    typed_bytes: int | None
    closed_us: int


class RecordingSealed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.recording_sealed.v1"
):
    chunk: int
    head: str
    size_bytes: int
    final: bool
    sealed_us: int


class RecordingPlayed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.recording_played.v1"
):
    chunk: int
    head: str
    cut: bool
    played_us: int


type Event = Opened | Closed | RecordingSealed | RecordingPlayed


class Missing(Struct, frozen=True):
    pass


class Live(Struct, frozen=True):
    """`sealed`: the last seal of the recording, None before the first."""

    opened: Opened
    sealed: RecordingSealed | None = None


class Over(Struct, frozen=True):
    opened: Opened
    closed: Closed
    sealed: RecordingSealed | None = None


type State = Missing | Live | Over


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `terminal.exists`, `terminal.unknown`, `terminal.not_running`,
    `terminal.size`, `recording.none`, `recording.order`.
    """
    match command, state:
        case Open(), Missing():
            return [_opened(command)]
        case Open(), _:
            raise DomainError("terminal.exists", "this session was opened before")
        case _, Missing():
            raise DomainError("terminal.unknown", "there is no such session")
        case Close(), Live():
            counts = (command.shown_bytes, command.typed_bytes)
            return [Closed(command.reason, *counts, command.now_us)]
        case Close(), Over():
            return []
        case Seal(), Live() | Over():
            return _sealed(command, state)
        case Play(), Live() | Over():
            if state.sealed is None:
                raise DomainError("recording.none", "nothing of this session was recorded")
            return [RecordingPlayed(command.chunk, command.head, command.cut, command.now_us)]
        case _:
            raise AssertionError((command, state))


def _opened(command: Open) -> Opened:
    if not command.running:
        raise DomainError("terminal.not_running", "the runtime is not usable now")
    if not (1 <= command.columns <= MAX_SIDE and 1 <= command.rows <= MAX_SIDE):
        detail = f"{command.columns} x {command.rows} is no size of a terminal"
        raise DomainError("terminal.size", detail)
    place = (command.runtime, command.allocation, command.node, command.epoch)
    size = (command.columns, command.rows)
    return Opened(*place, *size, command.recorded, command.now_us)


def _sealed(command: Seal, state: Live | Over) -> list[Event]:
    if not state.opened.recorded:
        raise DomainError("recording.none", "this session is not recorded")
    last = state.sealed
    fact = RecordingSealed(
        command.chunk, command.head, command.size_bytes, command.final, command.now_us
    )
    if last is not None:
        same = (last.chunk, last.head, last.final) == (fact.chunk, fact.head, fact.final)
        if same:
            return []
        if last.final or fact.chunk < last.chunk or fact.size_bytes < last.size_bytes:
            raise DomainError("recording.order", f"after chunk {last.chunk}")
        if fact.chunk == last.chunk and fact.head != last.head:
            raise DomainError("recording.order", f"chunk {last.chunk} has another head")
    return [fact]


def evolve(state: State, event: Event) -> State:
    match event:
        case Opened():
            return Live(event)
        case Closed():
            assert isinstance(state, Live), "only a live session is closed"
            return Over(state.opened, event, state.sealed)
        case RecordingSealed():
            assert isinstance(state, Live | Over), "a session is opened first"
            if isinstance(state, Live):
                return Live(state.opened, event)
            return Over(state.opened, state.closed, event)
        case RecordingPlayed():
            return state
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
