"""Volumes that lie on a node's disk though the log gives them to nobody any more (part of `node`).

    (lies there) -RequestWipe-> asked -ReportWiped-> wiped, by a receipt
                                asked -RefuseWipe-> refused -RequestWipe, later-> asked

Lost with its node or deleted, a volume is over for good: what its disk still holds when the node
speaks again, under whatever identity, is wiped there. It bills nothing.
"""

from typing import Final, assert_never

from msgspec import Struct

from domain.errors import DomainError
from domain.words import Attested

MOST: Final = 16  # asked of one node at a time
AGAIN_US: Final = 30_000_000  # after a first answer, doubled by each one more
_DOUBLINGS: Final = 7


class VolumeWipeRequested(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.volume_wipe_requested.v1"
):
    volume: str
    decided_us: int


class VolumeWipeRefused(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.volume_wipe_refused.v1"
):
    """`command`: the position of the request; `code`: of the node's signed refusal."""

    volume: str
    command: int
    code: str
    decided_us: int


class VolumeWiped(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.volume_wiped.v1"
):
    """A receipt, the node's word; `method` is `absent` where nothing of it was there."""

    volume: str
    command: int
    method: str
    bytes_covered: int
    duration_us: int
    boottime_us: int
    decided_us: int
    attested: Attested


type StrayEvent = VolumeWipeRequested | VolumeWipeRefused | VolumeWiped
EVENTS: Final = (VolumeWipeRequested, VolumeWipeRefused, VolumeWiped)


class RequestWipe(Struct, frozen=True):
    """Of a volume that is lost or deleted: whoever asks has looked."""

    volume: str
    now_us: int


class RefuseWipe(Struct, frozen=True):
    volume: str
    command: int
    code: str
    now_us: int


class ReportWiped(Struct, frozen=True):
    """A verified word of the node's latest boot: the fact, as it would stand."""

    word: VolumeWiped


type StrayCommand = RequestWipe | RefuseWipe | ReportWiped
COMMANDS: Final = (RequestWipe, RefuseWipe, ReportWiped)


class Stray(Struct, frozen=True):
    """`asked`: the node has not answered; else it has, for the `tries`th time, at `since_us`."""

    asked: bool
    tries: int = 0
    since_us: int = 0


type Strays = dict[str, Stray]


def due(state: Strays, volume: str, now_us: int) -> bool:
    """Whether its wipe is to be asked for (again) now."""
    known = state.get(volume)
    if known is None:
        return sum(one.asked for one in state.values()) < MOST
    if known.asked:
        return False
    wait_us: int = AGAIN_US << min(known.tries - 1, _DOUBLINGS)
    return now_us - known.since_us >= wait_us


def decide(command: StrayCommand, state: Strays) -> list[StrayEvent]:
    """The facts of the command; none when there is nothing to ask or to end.

    Raises:
        DomainError: `volume.not_asked` for a receipt that nobody waits for.
    """
    match command:
        case RequestWipe(volume, now_us):
            return [VolumeWipeRequested(volume, now_us)] if due(state, volume, now_us) else []
        case RefuseWipe(volume, number, code, now_us):
            asked = volume in state and state[volume].asked
            return [VolumeWipeRefused(volume, number, code, now_us)] if asked else []
        case ReportWiped(word):
            if word.volume not in state or not state[word.volume].asked:
                raise DomainError("volume.not_asked", "nobody asked the node for that")
            return [word]
        case _:
            assert_never(command)


def evolve(state: Strays, event: StrayEvent) -> Strays:
    """The state after the event; what is said to lie there after its receipt is asked for late."""
    known = state.get(event.volume, Stray(asked=False))
    match event:
        case VolumeWipeRequested():
            return {**state, event.volume: Stray(asked=True, tries=known.tries)}
        case VolumeWipeRefused():
            return {**state, event.volume: _answered(known, event.decided_us)}
        case VolumeWiped():
            return {**state, event.volume: _answered(known, event.decided_us)}
        case _:
            assert_never(event)


def _answered(known: Stray, at_us: int) -> Stray:
    return Stray(asked=False, tries=known.tries + 1, since_us=at_us)
