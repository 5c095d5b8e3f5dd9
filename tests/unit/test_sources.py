"""Who is not done with an account's time, and when its periods may close."""

from msgspec import Raw, structs

from domain import node, project, runtime, volume_facts
from domain.facts import tag_of
from domain.reading import Reading
from domain.sealing import SourceCompleted
from domain.source import Registered, Revoked
from domain.words import Attested, Private
from projections.entries import Entry
from projections.sources import TAGS, Silent, Sources, completed_stream

UUID = "00000000-0000-7000-8000-000000000001"
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
    return [one.name for one in sources.silent("account-1", 0, end_us)]


def renewed(at: int) -> node.LeaseRenewed:
    return node.LeaseRenewed((), 0, at, at, SAID)


def test_a_node_is_missing_until_it_has_spoken_after_the_end() -> None:
    """At the end is after it; of another account it is not asked."""
    sources = told(Sources(), ("runtime-1", ASKED), ("runtime-1", PLACED))
    assert names(sources) == ["node-1"]
    assert sources.silent("account-2", 0, 10) == ()
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


def app_source(since: int = 0, account: str = "account-1") -> tuple[tuple[str, object], ...]:
    made = project.Created("o", "d", account, Private(""), 0)
    return ("project-1", made), ("source-1", Registered("o", "project-1", "", ("t",), since))


def told_all(source: str, until_us: int) -> tuple[str, object]:
    return completed_stream(source), SourceCompleted(source, 1, 0, "", until_us, "", until_us)


SOURCE = f"source-{UUID}"
NODE = f"node-{UUID}"


def test_a_source_of_readings_is_missing_until_it_has_told_all() -> None:
    """Of the account of its project, of periods that it was there in, and until it is revoked."""
    made, registered = app_source(5)
    sources = told(Sources(), made, (SOURCE, registered[1]))
    assert names(sources, 6) == [SOURCE]
    assert names(sources, 5) == []
    assert sources.silent("account-2", 0, 10) == ()
    told(sources, told_all(SOURCE, 9))
    assert names(sources) == [SOURCE]
    assert sources.silent("account-1", 0, 10)[0].stream == completed_stream(SOURCE)
    told(sources, told_all(SOURCE, 10))
    assert names(sources) == []
    assert names(sources, 11) == [SOURCE]
    told(sources, (SOURCE, Revoked("x", 12)))
    assert names(sources, 11) == []


def test_a_node_that_has_reported_readings_says_when_it_has_told_all() -> None:
    """Also of what ended in the period; not of one that began after the end."""
    placed = runtime.Allocated("a", NODE, "T4", (), 1, 0)
    sources = told(Sources(), ("runtime-1", ASKED), ("runtime-1", placed), (NODE, renewed(20)))
    assert names(sources) == []
    sources.reported([Reading(NODE, 1, 1, "t", "runtime-1", "model=m", 1, 1, 1, "", "")])
    assert names(sources) == []  # no end of a batch
    sources.reported([Reading(NODE, 1, 2, "t", "runtime-1", "model=m", 1, 1, 1, "c", "s")])
    assert names(sources) == [NODE]
    told(sources, ("runtime-1", runtime.Lost(7, 8)))
    assert names(sources) == [NODE]
    assert sources.silent("account-1", 8, 10) == ()
    told(sources, told_all(NODE, 10))
    assert names(sources) == []


def test_a_missing_node_comes_with_its_version() -> None:
    """So that what is said meanwhile stops the close."""
    sources = told(Sources(), ("runtime-1", ASKED), ("runtime-1", PLACED), ("node-1", renewed(3)))
    assert sources.silent("account-1", 0, 10) == (Silent("node-1", "node-1", 3),)
    entry = Entry(9, 0, "node-1", 7, "gpuaas.node.cordoned.v1", "-", "a", "c", Raw(b""))
    sources.saw(structs.replace(entry))
    assert sources.silent("account-1", 0, 10) == (Silent("node-1", "node-1", 7),)
