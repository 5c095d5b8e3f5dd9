"""Runtimes that are told to stop because nobody uses them, where their launch asked for that."""

from typing import Final

from api.fleet.state import KnownNode, LiveRuntime
from domain import runtime

REASON: Final = "idle"


def is_due(known: KnownNode, live: LiveRuntime, now_us: int) -> bool:
    """Whether it has been idle for as long as its launch allows, and nothing says otherwise.

    What a node says comes in order, and a lease is asked for after all that came before. So a
    renewal later than the limit proves that no older word, that it is used again, is under way.
    """
    if not (live.idle_stop_us and live.idle_since_us):
        return False
    if known.unreachable or known.identity.barred or not isinstance(live.state, runtime.Running):
        return False
    due_us = live.idle_since_us + live.idle_stop_us
    renewed_us = known.renewed_us(live.runtime)
    return renewed_us is not None and due_us <= renewed_us <= now_us
