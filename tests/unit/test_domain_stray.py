"""What is over and still lies on a node's disk: asked for once at a time, answered once."""

import pytest

from domain import identity, node, stray
from domain.decider import fold
from domain.node_state import Serving
from tests.unit.domain_world import decided, enrolled, refused, word

V = "volume-1"
ASKED = stray.VolumeWipeRequested(V, 10)
REFUSED = stray.VolumeWipeRefused(V, 7, "volume.attached", 20)
WIPED = stray.VolumeWiped(V, 7, "zero", 64, 1, 1, 30, word())
SERVING = (*enrolled("T4", 1), node.Anchored("b1", 5, 5, word()))


def request(at: int, volume: str = V) -> stray.RequestWipe:
    return stray.RequestWipe(volume, at)


def test_a_wipe_is_asked_for_once_and_ends_with_a_receipt() -> None:
    """A repeat asks nothing; a receipt that nobody waits for is refused."""
    assert decided(node.DECIDER, SERVING, request(10)) == [ASKED]
    assert decided(node.DECIDER, (*SERVING, ASKED), request(10**12)) == []
    assert decided(node.DECIDER, (*SERVING, ASKED), stray.ReportWiped(WIPED)) == [WIPED]
    again = (*SERVING, ASKED, WIPED)
    assert refused(node.DECIDER, again, stray.ReportWiped(WIPED)) == "volume.not_asked"
    assert refused(node.DECIDER, SERVING, stray.ReportWiped(WIPED)) == "volume.not_asked"


@pytest.mark.parametrize("answer", [REFUSED, WIPED])
def test_who_answered_is_asked_again_later_each_time(answer: stray.StrayEvent) -> None:
    """After a refusal, or where it is said to lie there still: the wait doubles, to an hour."""
    events: tuple[node.Event, ...] = SERVING
    waits = []
    for _ in range(10):
        events = (*events, ASKED, answer)
        at = answer.decided_us
        waits.append(
            next(
                wait
                for wait in (stray.AGAIN_US << shift for shift in range(12))
                if decided(node.DECIDER, events, request(at + wait))
            )
        )
        assert not decided(node.DECIDER, events, request(at + waits[-1] - 1))
    assert waits[:3] == [stray.AGAIN_US, 2 * stray.AGAIN_US, 4 * stray.AGAIN_US]
    assert waits[-1] == waits[-2] == stray.AGAIN_US << 7


def test_a_node_is_asked_for_so_many_at_a_time() -> None:
    """Who lists a thousand is asked for MOST; each answer makes room for one."""
    many = [stray.VolumeWipeRequested(f"volume-{one}", 1) for one in range(stray.MOST)]
    assert decided(node.DECIDER, (*SERVING, *many), request(10, "volume-x")) == []
    over = stray.VolumeWipeRefused("volume-3", 1, "volume.busy", 2)
    assert decided(node.DECIDER, (*SERVING, *many, over), request(10, "volume-x"))


def test_a_refusal_ends_what_is_open_and_nothing_else() -> None:
    """One for a request that was answered already changes nothing."""
    said = stray.RefuseWipe(V, 7, "volume.attached", 20)
    assert decided(node.DECIDER, (*SERVING, ASKED), said) == [REFUSED]
    assert decided(node.DECIDER, (*SERVING, ASKED, REFUSED), said) == []
    assert decided(node.DECIDER, SERVING, said) == []


def test_it_outlives_the_identity_and_counts_only_by_a_good_one() -> None:
    """Enrolled anew it is owed still; a barred node's receipt, or another boot's, is none."""
    report = stray.ReportWiped(WIPED)
    assert refused(node.DECIDER, (*enrolled("T4", 1), ASKED), report) == "node.not_anchored"
    barred = (*SERVING, ASKED, identity.Revoked("operator.said", 20))
    assert refused(node.DECIDER, barred, report) == "node.revoked"
    anew = fold(node.DECIDER, (*barred, identity.Reinvited("t", 99, 20), enrolled("T4", 1)[1]))
    assert isinstance(anew, Serving)
    assert anew.strays == {V: stray.Stray(asked=True)}
