"""Whose heartbeats come under one boot: one agent's, or those of two with one identity.

Agents that say nothing else are told apart by what no single machine does. A process that beats
again after another did has not ended. And a clock that counts from the boot goes back for nobody.

A beat may be late all the same: a connection that was given up delivers what it held when the
network is back, after its successor's first beats; a machine may be put back to an earlier state.
What a connection held was said before its successor's first word, so such beats stay below what was
the latest when the first of them came. Where late ones pass that mark, again and again and without
a pause, two clocks run.
"""

from typing import Final

from msgspec import Struct

from contracts.fleet import Beat

_KEPT: Final = 8
_PAUSE_US: Final = 20_000_000  # four beats
# Connections that beat five times each, before one is given up, pass at most four marks in a row:
# each must deliver what it held at least a beat sooner than the one before.
_MARKS: Final = 5


class Voice(Struct):
    """What was heard of one boot: its latest instant, and which processes, the last one last.

    `mark`: the latest instant when a late beat came; `passed`: how often late ones have passed it.
    """

    boot: str
    boottime_us: int
    instances: tuple[str, ...]
    mark_us: int = 0
    passed: int = 0
    late_us: int | None = None  # by our clock


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
        return _runs_behind(voice, beat.boottime_us, now_us)
    # Only a beat that was said later than all others tells who spoke last.
    voice.boottime_us = beat.boottime_us
    if not beat.instance or voice.instances[-1:] == (beat.instance,):
        return False
    before = voice.instances
    voice.instances = (*before[1 - _KEPT :], beat.instance)
    return beat.instance in before


def _runs_behind(voice: Voice, late_us: int, now_us: int) -> bool:
    if voice.late_us is None or now_us - voice.late_us > _PAUSE_US:
        voice.mark_us, voice.passed = voice.boottime_us, 0
    elif late_us > voice.mark_us:
        voice.mark_us, voice.passed = voice.boottime_us, voice.passed + 1
    voice.late_us = now_us
    return voice.passed >= _MARKS
