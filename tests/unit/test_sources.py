"""Who is not done with an account's time, and when its periods may close."""

from msgspec import Raw, structs

from domain import node, runtime, volume_facts
from domain.facts import tag_of
from domain.meter import Registered
from domain.words import Attested, Private
from projections.entries import Entry
from projections.sources import TAGS, Sources

SAID = Attested("node-1", "", "", 0, "", "")
ASKED = runtime.Requested("p", "d", "account-1", Private(""), 1, 1000, (), 0)
PLACED = runtime.Allocated("a", "node-1", "T4", (), 1, 0)


def told(sources: Sources, *facts: tuple[str, object]) -> Sources:
    """The fold of these facts, each on its stream."""
    for version, (stream, fact) in enumerate(facts, 1):
        tag = tag_of(fact)  # type: ignore[arg-type]
        assert tag in TAGS
        entry = Entry(version, 0, stream, version, tag, "-", "a", "c", Raw(b""))
        sources.saw(entry)
        sources.apply(entry, fact)  # type: ignore[arg-type]
    return sources


def names(sources: Sources, end_us: int = 10) -> list[str]:
    return [name for name, _ in sources.silent("account-1", end_us)]


def renewed(at: int) -> node.LeaseRenewed:
    return node.LeaseRenewed((), 0, at, at, SAID)


def test_a_node_is_missing_until_it_has_spoken_after_the_end() -> None:
    """At the end is after it; of another account it is not asked."""
    sources = told(Sources(), ("runtime-1", ASKED), ("runtime-1", PLACED))
    assert names(sources) == ["node-1"]
    assert sources.silent("account-2", 10) == ()
    told(sources, ("node-1", renewed(9)))
    assert names(sources) == ["node-1"]
    told(sources, ("node-1", renewed(10)))
    assert names(sources) == []
    assert names(sources, 11) == ["node-1"]
    told(sources, ("node-1", node.Anchored("b", 0, 11, SAID)))
    assert names(sources, 11) == []


def test_what_is_over_is_waited_for_no_more() -> None:
    """Two things on one node: until both are over. A volume as well as a runtime."""
    over = runtime.Lost(5, 6)
    kept = volume_facts.Created("p", "d", "account-1", "node-1", Private(""), 1, 0)
    sources = told(
        Sources(), ("runtime-1", ASKED), ("runtime-1", PLACED), ("volume-1", kept),
        ("runtime-1", over),
    )  # fmt: skip
    assert names(sources) == ["node-1"]
    told(sources, ("volume-1", volume_facts.Lost(5, 6)))
    assert names(sources) == []
    told(sources, ("runtime-2", ASKED), ("runtime-2", runtime.Cancelled("x", 1)))
    assert names(sources) == []


def test_a_meter_of_readings_means_that_nobody_can_say_that_all_is_told() -> None:
    """One of lifecycles does not."""
    told(sources := Sources(), ("meter-1", Registered("gpu.time", "u", "lifecycle", "sum", 0)))
    assert not sources.readings
    told(sources, ("meter-2", Registered("tokens", "u", "readings", "sum", 0)))
    assert sources.readings


def test_a_missing_node_comes_with_its_version() -> None:
    """So that what is said meanwhile stops the close."""
    sources = told(Sources(), ("runtime-1", ASKED), ("runtime-1", PLACED), ("node-1", renewed(3)))
    assert sources.silent("account-1", 10) == (("node-1", 3),)
    entry = Entry(9, 0, "node-1", 7, "gpuaas.node.cordoned.v1", "-", "a", "c", Raw(b""))
    sources.saw(structs.replace(entry))
    assert sources.silent("account-1", 10) == (("node-1", 7),)
