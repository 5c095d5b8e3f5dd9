"""Two agents of one identity by their heartbeats alone: found where no single machine speaks so."""

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


def test_a_clock_of_one_boot_that_goes_back_again_and_again_is_two_machines() -> None:
    """Agents of an earlier release too, which name no instance; once, or seldom, is no sign."""
    clones = [("", 100), ("", 90), ("", 105), ("", 95)]
    assert heard(*clones) == [False, False, False, True]
    assert not any(heard(*clones, every_us=200 * SECOND))
    assert heard(*[("same", at) for _, at in clones])[-1]
    assert not any(heard(("", 100), ("", 3), ("", 101), ("", 110)))


def test_a_reboot_begins_anew() -> None:
    """Another boot is another clock, and its processes are others."""
    voices: dict[str, Voice] = {}
    words = [("b1", "a", 100), ("b2", "b", 1), ("b2", "c", 2), ("b3", "d", 1)]
    assert not any(
        two_agents(voices, Beat("gpuaas-beat/1", "n", boot, at, (), who), SECOND)
        for boot, who, at in words
    )
