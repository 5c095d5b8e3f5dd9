"""Two agents of one identity by their heartbeats alone: found where no single machine speaks so."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.fleet.voices import Voice, two_agents
from contracts.fleet import Beat

SECOND = 1_000_000


def heard(*beats: tuple[str, int], every_us: int = SECOND, boot: str = "b") -> list[bool]:
    """What each beat of (instance, boottime) shows, one after the other."""
    voices: dict[str, Voice] = {}
    return [
        two_agents(voices, Beat("gpuaas-beat/1", "n", boot, at, (), who), number * every_us)
        for number, (who, at) in enumerate(beats)
    ]


def test_a_process_that_beats_again_after_another_is_a_second_one() -> None:
    """At its first word after the other's, plain beats between them or not."""
    assert heard(("a", 1), ("", 2), ("b", 3), ("", 3), ("a", 4)) == [False] * 4 + [True]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_an_agent_that_is_started_again_and_again_is_one(times: list[int]) -> None:
    """Each process beats some times, named or not, and never after the next one has begun."""
    beats = [(name, 0) for number, many in enumerate(times) for name in [f"p{number}", ""] * many]
    assert not any(heard(*((name, at) for at, (name, _) in enumerate(beats))))


def test_a_beat_that_a_dying_connection_brings_late_is_none() -> None:
    """The last word of the one before, said before the first one of its successor."""
    assert not any(heard(("a", 10), ("b", 20), ("a", 15), ("b", 25), ("b", 30)))


def clones(behind: int, beats: int, instance: str = "") -> list[tuple[str, int]]:
    """Two machines by turns, every 5 s each; the second one's clock is that much behind."""
    return [(instance, 1_000 + at - lag) for at in range(0, 5 * beats, 5) for lag in (0, behind)]


@pytest.mark.parametrize(("behind", "beats"), [(3, 8), (17, 27), (60, 80)])
def test_two_clocks_of_one_boot_are_two_machines(behind: int, beats: int) -> None:
    """Agents of an earlier release too, which name no instance: the later, the further apart."""
    for instance in ("", "copied-with-the-memory"):
        found = heard(*clones(behind, beats, instance), every_us=5 * SECOND // 2)
        assert found[-1]
        assert found.index(True) > 5


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_a_network_that_comes_and_goes_makes_no_double(
    cuts: list[tuple[int, int]], chance: random.Random
) -> None:
    """At each cut a connection holds some beats until its successor has beaten some times."""
    said, arrived = 0, list[int]()
    for held, ahead in cuts:
        late = [said + number for number in range(1, held + 1)]
        said += held
        early = [said + number for number in range(1, 6 + ahead)]
        said += 5 + ahead
        at = chance.randint(0, len(early))
        arrived += early[:at] + late + early[at:]
    assert not any(heard(*(("a", one) for one in arrived), every_us=5 * SECOND))


def test_a_machine_that_was_put_back_is_one() -> None:
    """Its clock goes back once, and comes to where it was."""
    assert not any(heard(*(("a", at) for at in [*range(100, 200, 5), *range(150, 400, 5)])))


def test_a_reboot_begins_anew() -> None:
    """Another boot is another clock, and its processes are others."""
    voices: dict[str, Voice] = {}
    words = [("b1", "a", 100), ("b2", "b", 1), ("b2", "c", 2), ("b3", "d", 1)]
    assert not any(
        two_agents(voices, Beat("gpuaas-beat/1", "n", boot, at, (), who), SECOND)
        for boot, who, at in words
    )
