"""Whose heartbeats come under one boot: one agent's, or those of two with one identity.

Agents that say nothing else are told apart by what no single machine does. A process that beats
again after another did has not ended. And a clock that counts from the boot goes back for nobody:
twice within minutes, it is two machines'. The first time is none: a beat that a dying connection
brought late, or a machine put back to an earlier state.
"""

from typing import Final

from msgspec import Struct

from contracts.fleet import Beat

_KEPT: Final = 8
_TWICE_US: Final = 120_000_000


class Voice(Struct):
    """What was heard of one boot: its latest instant, and which processes, the last one last."""

    boot: str
    boottime_us: int
    instances: tuple[str, ...]
    fell_us: int | None = None


def two_agents(voices: dict[str, Voice], beat: Beat, now_us: int) -> bool:
    """True when this beat shows that two agents speak. `voices`: by node, kept by the caller.

    Beats of agents that name no instance are told apart by their clock only.
    """
    voice = voices.get(beat.node)
    if voice is None or voice.boot != beat.boot:
        instances = (beat.instance,) if beat.instance else ()
        voices[beat.node] = Voice(beat.boot, beat.boottime_us, instances)
        return False
    if beat.boottime_us < voice.boottime_us:
        again = voice.fell_us is not None and now_us - voice.fell_us <= _TWICE_US
        voice.fell_us = now_us
        return again
    # Only a beat that was said later than all others tells who spoke last.
    voice.boottime_us = beat.boottime_us
    if not beat.instance or voice.instances[-1:] == (beat.instance,):
        return False
    before = voice.instances
    voice.instances = (*before[1 - _KEPT :], beat.instance)
    return beat.instance in before
