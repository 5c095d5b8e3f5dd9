import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.fleet.terminals import ORDERED_US, ORPHANED_US, Terminals
from contracts.terminal import CloseTerminal, OpenTerminal
from domain import terminal as t
from domain.decider import fold
from domain.errors import DomainError
from domain.facts import tag_of
from evidence.reader import Recorded

OPENED = t.Opened("runtime-1", "allocation-1", "node-1", 4, 80, 24, True, 10)
CLOSED = t.Closed("exited", 5, 6, 20)
SEALED = t.RecordingSealed(0, "ab", 100, False, 15)


def open_(*, running: bool = True, columns: int = 80) -> t.Open:
    return t.Open("runtime-1", "allocation-1", "node-1", 4, columns, 24, True, running, 10)


def after(command: t.Command, *events: t.Event) -> list[t.Event]:
    return t.decide(command, fold(t.DECIDER, events))


def refusal(command: t.Command, *events: t.Event) -> str:
    with pytest.raises(DomainError) as refused:
        after(command, *events)
    return refused.value.code


def test_a_session_is_opened_once_in_a_usable_runtime() -> None:
    """It names the allocation and epoch it was opened under, for good."""
    assert after(open_()) == [OPENED]
    assert refusal(open_(running=False)) == "terminal.not_running"
    assert refusal(open_(columns=1001)) == "terminal.size"
    assert refusal(open_(), OPENED) == "terminal.exists"


def test_a_session_is_closed_once_and_the_first_reason_stays() -> None:
    """Several programs may notice its end at once."""
    assert after(t.Close("exited", 5, 6, 20), OPENED) == [CLOSED]
    assert after(t.Close("revoked", None, None, 21), OPENED, CLOSED) == []
    assert refusal(t.Close("exited", 0, 0, 1)) == "terminal.unknown"


def test_seals_go_forward_and_end_with_the_final_one() -> None:
    """A chunk sealed once keeps its head; after the final seal nothing is added."""
    seal = t.Seal(1, "cd", 200, final=True, now_us=30)
    final = t.RecordingSealed(1, "cd", 200, True, 30)
    assert after(seal, OPENED, SEALED) == after(seal, OPENED, SEALED, CLOSED) == [final]
    assert after(seal, OPENED, SEALED, final) == []
    assert refusal(t.Seal(2, "ef", 300, final=True, now_us=31), OPENED, final) == "recording.order"
    for changed in (t.Seal(0, "ee", 100, False, 16), t.Seal(0, "ab", 99, True, 16)):
        assert refusal(changed, OPENED, SEALED) == "recording.order"
    silent = t.Opened("runtime-1", "allocation-1", "node-1", 4, 80, 24, False, 10)
    assert refusal(seal, silent) == refusal(t.Play(0, "ab", True, 9), OPENED) == "recording.none"


def test_a_playback_is_a_fact_of_its_session() -> None:
    """Every one of them, whole or cut."""
    played = t.RecordingPlayed(0, "ab", True, 40)
    assert after(t.Play(0, "ab", True, 40), OPENED, SEALED, CLOSED) == [played]
    assert after(t.Play(0, "ab", True, 40), OPENED, SEALED, played) == [played]


def entry(position: int, version: int, fact: t.Event) -> Recorded:
    return Recorded(
        position=position, at_us=1, stream="access-1", version=version, org="organization-1",
        actor="user-1", cause="pos:1", fact=fact, tag=tag_of(fact),
    )  # fmt: skip


def test_orders_follow_from_the_log_and_stop_being_sent() -> None:
    """An open session is ordered open for a minute, a closed one closed; both by position."""
    fold_, key = Terminals(), Ed25519PrivateKey.generate()
    assert fold_.apply(entry(7, 1, OPENED)) == "runtime-1"
    (wanted,) = fold_.wanted(key, "runtime-1", 11)
    assert (wanted.number, type(wanted.order)) == (7, OpenTerminal)
    assert not fold_.wanted(key, "runtime-1", 10 + ORDERED_US)
    fold_.apply(entry(9, 2, CLOSED))
    (wanted,) = fold_.wanted(key, "runtime-1", 21)
    assert (wanted.number, type(wanted.order)) == (9, CloseTerminal)
    assert not fold_.wanted(key, "runtime-1", 20 + ORDERED_US)
    assert not fold_.sessions


def test_a_session_nobody_closed_is_closed_after_its_runtime() -> None:
    """Without counts: the program that had them is gone."""
    fold_ = Terminals()
    fold_.apply(entry(7, 1, OPENED))
    fold_.runtime_over("runtime-1", 100)
    assert not fold_.orphaned(100 + ORPHANED_US)
    (closing,) = fold_.orphaned(101 + ORPHANED_US)
    assert closing.writes[0].facts == (t.Closed("runtime.ended", None, None, 101 + ORPHANED_US),)
    fold_.apply(entry(8, 2, t.Closed("runtime.ended", None, None, 1)))
    assert not fold_.orphaned(10**9)
