"""Every generated contract is what the code makes, and foreign judges accept it."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.describing import pages, written
from api.describing.messages import ALSO, MESSAGES
from api.openapi import FILE
from api.refusals import DOCS, problem_bytes
from contracts import fleet, logs, rights
from contracts.cloudevents import facts_subject
from contracts.problems import PROBLEMS
from domain.errors import DomainError
from domain.facts import TAGS
from tests import spec_judge

ASYNCAPI = written.ROOT / "contracts" / "asyncapi.json"


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ASYNCAPI.read_text())
    return found


def test_everything_generated_is_committed_as_it_is_made() -> None:
    """A fact, a message or a refusal cannot change without its contract: `python -m api.openapi`."""
    assert written.stale() == []


def test_every_fact_has_a_closed_schema_in_the_order_of_its_bytes() -> None:
    """One file a tag; no other key, no key of the envelope's; keys as the struct has them."""
    folder = written.ROOT / "contracts" / "schemas" / "facts"
    assert {path.stem for path in folder.iterdir()} == set(TAGS)
    for tag, kind in TAGS.items():
        schema = json.loads((folder / f"{tag}.json").read_text())
        assert tuple(schema["properties"]) == kind.__struct_fields__, tag
        assert schema["additionalProperties"] is False, tag
        assert "type" not in schema["properties"] or "type" in kind.__struct_fields__, tag


def test_every_struct_of_a_choice_is_told_apart_by_a_tag() -> None:
    """Where a message or an answer may be one of several objects, a discriminator says which."""
    documents = [FILE, *(written.ROOT / "contracts" / "schemas").rglob("*.json")]
    several = 0
    for path in documents:
        for place, choice in choices(json.loads(path.read_text()), path.stem):
            several += 1
            assert "discriminator" in choice, place
    assert several, "there is at least the order of a command"


def choices(value: Any, place: str) -> list[tuple[str, dict[str, Any]]]:
    """Every choice between at least two schemas that are named elsewhere: objects."""
    found = []
    if isinstance(value, dict):
        among = [*value.get("oneOf", ()), *value.get("anyOf", ())]
        if sum("$ref" in one for one in among) > 1:
            found.append((place, value))
        for name, below in value.items():
            found += choices(below, f"{place}.{name}")
    elif isinstance(value, list):
        for below in value:
            found += choices(below, place)
    return found


def test_channels_are_the_subjects_of_the_code() -> None:
    """An address with its parameters filled in is what `contracts/` makes of the same ids."""
    node = "node-01234567-89ab-7def-8123-456789abcdef"
    said = {
        one.subject.format(node=node, org="organization-1", tag="t", session="s")
        for one in MESSAGES.values()
    }
    leaves: tuple[fleet.Leaf, ...] = ("cmd", "evt", "hb", "lease", "use")
    assert {fleet.subject(node, leaf) for leaf in leaves} <= said
    assert {logs.subject(node, "ask"), logs.subject(node, "said")} <= said
    assert {
        fleet.receipt_subject(node),
        fleet.usage_subject(node),
        fleet.anchor_subject(node),
    } <= said
    assert facts_subject("organization-1", "t") in said
    heard = {*said, *(one.format(node=node, session="s", reply="r") for one, _ in ALSO)}
    for right in (*rights.may_publish(node), *rights.may_subscribe(node)):
        if not right.startswith("$JS."):
            one = right.replace("term.*.", "term.s.").replace(".>", ".r")
            assert one in heard, "nothing that a node may say or hear is left out"
    assert {one["address"] for one in document()["channels"].values()} == {
        one.subject for one in MESSAGES.values()
    } | {subject for subject, _ in ALSO} | {"/v1/events", "{path}"}


def test_every_refusal_has_its_page_and_its_type_leads_there() -> None:
    """`type` is the path of the page that the API serves; the same words lie under docs/."""
    for code, problem in PROBLEMS.items():
        body = json.loads(problem_bytes(DomainError(code, "why"), "c")[1])
        assert body["type"] == f"{DOCS}{code}" == f"/v1/problems/{code}"
        text = (written.ROOT / "docs" / "problems" / f"{code}.md").read_text()
        assert problem.remedy in text
        assert pages.again(problem) in text


@pytest.mark.slow
@pytest.mark.parametrize("path", [FILE, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_spectral_has_nothing_to_say(path: Path) -> None:
    """Not an error, not a warning, of its whole rule sets for OpenAPI and AsyncAPI."""
    assert spec_judge.spectral(path) == []


@pytest.mark.slow
def test_the_asyncapi_parser_accepts_it_and_refuses_a_broken_one(tmp_path: Path) -> None:
    """It finds a message for every fact; one reference that leads nowhere is refused."""
    accepted, wrong, found = spec_judge.parsed(ASYNCAPI)
    assert (accepted, wrong) == (True, [])
    assert set(TAGS) <= found
    broken = tmp_path / "asyncapi.json"
    broken.write_text(ASYNCAPI.read_text().replace('"#/channels/facts"', '"#/channels/fact"', 1))
    accepted, wrong, _ = spec_judge.parsed(broken)
    assert not accepted
    assert wrong
