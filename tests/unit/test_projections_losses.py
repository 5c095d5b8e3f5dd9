"""What time a tenant lost, from facts alone; who appends it is tested with a log."""

import msgspec
import pytest
from msgspec import Struct

from domain import incident, node, runtime
from domain.facts import tag_of
from domain.words import Private
from projections.entries import Entry
from projections.losses import TAGS, Losses
from tests.unit.domain_world import word

UUID = "00000000-0000-7000-8000-00000000000"
NODE, ONE, TWO = f"node-{UUID}1", f"runtime-{UUID}1", f"runtime-{UUID}2"


def told(*facts: tuple[str, Struct]) -> Losses:
    """The fold of these facts, in order."""
    losses, versions = Losses(), dict[str, int]()
    for position, (stream, fact) in enumerate(facts):
        versions[stream] = versions.get(stream, 0) + 1
        head = (position, 1, stream, versions[stream], tag_of(fact), "-", "a", "c")
        assert tag_of(fact) in TAGS
        losses.apply(Entry(*head, msgspec.Raw(b"")), fact)
    return losses


def begun(name: str, *, usable: bool = True) -> list[tuple[str, Struct]]:
    """Asked for, placed at 100, usable at 200."""
    requested = runtime.Requested("p", "d", "account-1", Private("aa"), 1, 500, (), 90)
    facts: list[tuple[str, Struct]] = [
        (name, requested),
        (name, runtime.Allocated("a", NODE, "T4", (), 1, 100)),
    ]
    return facts + ([(name, runtime.Usable(1, 200, 201, word()))] if usable else [])


def stretches(losses: Losses) -> dict[str, tuple[str, int, int, int]]:
    """What is due, by runtime."""
    return {
        loss.runtime: (loss.what, loss.from_us, loss.to_us, loss.quantity)
        for loss in losses.due.values()
    }


@pytest.mark.parametrize(
    ("facts", "then"),
    [
        ([runtime.Lost(300, 900)], ("runtime.lost", 300, 900, 300_000)),
        ([runtime.Degraded(2, 250, 251, word()), runtime.Lost(300, 900)], ("runtime.lost", 250, 900, 325_000)),
        ([runtime.Failed("keeper.gone", 3, 400, 450, word())], ("runtime.failed", 400, 450, 25_000)),
        ([runtime.Degraded(2, 250, 251, word()), runtime.Usable(3, 350, 351, word())], ("runtime.degraded", 250, 350, 50_000)),
        ([runtime.Failed("runtime.exited", 3, 400, 450, word())], None),
        ([runtime.Failed("image.missing", 3, 400, 450, word())], None),
        ([runtime.Stopping("requested", 300), runtime.Lost(300, 900)], None),
        ([runtime.Stopped(3, 400, 450, word())], None),
        ([runtime.Lost(900, 900)], None),
    ],
    ids=["lost", "lost while degraded", "failed", "degraded for a while", "its own exit", "its own image",
         "told to stop before", "stopped", "no time between"],
)  # fmt: skip
def test_lost_time(facts: list[Struct], then: tuple[str, int, int, int] | None) -> None:
    """From when it stopped being usable until it is again, or its end is decided; gpu_milli x us."""
    losses = told(*begun(ONE), *[(ONE, fact) for fact in facts])
    assert stretches(losses) == ({} if then is None else {ONE: then})


def test_a_runtime_that_never_worked_lost_all_the_time_it_held() -> None:
    """From its allocation: it cost nothing, and somebody waited."""
    losses = told(*begun(ONE, usable=False), (ONE, runtime.Lost(100, 900)))
    assert stretches(losses) == {ONE: ("runtime.lost", 100, 900, 400_000)}


def test_what_one_silence_took_down_is_one_incident() -> None:
    """Two runtimes of one node: one incident; after its next boot another one."""
    lost = runtime.Lost(300, 900)
    silence = (NODE, node.Unreachable(300))
    both = told(*begun(ONE), *begun(TWO), silence, (ONE, lost), (TWO, lost))
    assert len({loss.incident for loss in both.due.values()}) == 1
    assert {loss.subject for loss in both.due.values()} == {NODE}
    boot = (NODE, node.Anchored("b", 1, 1, word()))
    apart = told(*begun(ONE), *begun(TWO), silence, (ONE, lost), boot, (TWO, lost))
    assert len({loss.incident for loss in apart.due.values()}) == 2


def test_what_was_proposed_is_not_due() -> None:
    """The fold meets the proposal in the log, whoever made it."""
    losses = told(*begun(ONE), (ONE, runtime.Lost(300, 900)))
    [loss] = losses.due.values()
    opened = incident.Opened("runtime.lost", ONE, Private("aa"), 901)
    credit = incident.CreditProposed(
        ONE, "account-1", loss.quantity, loss.from_us, loss.to_us, loss.what, 902
    )
    again = told(
        *begun(ONE),
        (ONE, runtime.Lost(300, 900)),
        (loss.incident, opened),
        (loss.incident, credit),
    )
    assert again.due == {}
    assert again.known(loss.incident)[0] == 2
