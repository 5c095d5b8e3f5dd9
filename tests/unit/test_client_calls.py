"""Every call of the API is a verb: people's own, or one that is written from its signature."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from api import client_code
from gpuaas_client import exits
from gpuaas_client.verbs.calls import NOT_FOR_PEOPLE, calls
from tests.commands import gpuaas
from tests.serving import Answer, serving

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "contracts" / "openapi.json").read_text())
NAMES = {one.name for one in client_code.operations(DOCUMENT)}
NOWHERE = {"GPUAAS_URL": "http://127.0.0.1:9", "GPUAAS_TOKEN": "t"}


def _of_people() -> set[str]:
    """What the verbs that somebody wrote call."""
    found = set()
    for path in (ROOT / "client" / "gpuaas_client").rglob("*.py"):
        if path.name not in ("operations.py", "methods.py", "async_methods.py", "calls.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                found.add(node.attr if isinstance(node, ast.Attribute) else "")
    return found & NAMES


def test_every_operation_of_the_document_has_a_verb() -> None:
    """But for those that nodes, sources and Stripe prove by keys of their own, each with the reason."""
    written = {name.replace("-", "_") for name in calls()}
    assert NAMES - written == set(NOT_FOR_PEOPLE)
    assert all(NOT_FOR_PEOPLE.values())
    assert len(_of_people()) > 100, "most of what people do is said with less"


@pytest.mark.parametrize("name", sorted(calls()))
def test_a_call_says_what_it_takes(name: str) -> None:
    """Its method and path, its arguments and each field of its body."""
    done = gpuaas("call", name, "--help", env=NOWHERE)
    assert done.status == exits.DONE
    operation = next(
        one for one in client_code.operations(DOCUMENT) if one.name == name.replace("-", "_")
    )
    said = " ".join(done.out.split())
    item = DOCUMENT["paths"][operation.path][operation.method.lower()]
    for one in item["parameters"]:
        if one["in"] == "query":
            assert f"--{one['name'].replace('_', '-')}" in said
    body = item.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        named = json.dumps(body["schema"]).rpartition("/")[2].rstrip('"}] ').rstrip("}")
        schema = DOCUMENT["components"]["schemas"].get(named, {"properties": {}})
        for field in schema["properties"]:
            assert f"--{field.replace('_', '-')}" in said, field


def test_a_call_sends_what_was_typed() -> None:
    """Plain fields, lists of plain ones, JSON for the rest; the answer as it came."""
    made = {"id": "network-1"}
    project = "project-00000000-0000-7000-8000-000000000001"
    rule = {"cidr": "10.0.0.0/8", "protocol": "tcp", "first_port": 1, "last_port": 2}
    words = (
        "--project",
        project,
        "--name",
        "n",
        "--egress",
        json.dumps([rule]),
        "--idempotency-key",
        "once",
    )
    with serving(Answer(201, {**_network(), **made})) as (url, asked):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
        done = gpuaas("call", "create-network", *words, env=env)
    assert (done.status, json.loads(done.out)["id"]) == (exits.DONE, "network-1")
    assert asked[0].body == {"project": project, "name": "n", "egress": [rule]}
    assert asked[0].headers["idempotency-key"] == "once"
    page = Answer(200, {"items": [], "next": None})
    with serving(page) as (url, asked):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
        done = gpuaas("call", "list-networks", "--project", "p", "--limit", "2", env=env)
    assert asked[0].what == "GET /v1/networks?project=p&limit=2"
    assert json.loads(done.out) == {"items": [], "next": None}


def test_what_does_not_fit_is_wrong_usage() -> None:
    """Nothing is sent: a field that is missing, of another type, or no JSON; a call that is none."""
    for words in (("create-network", "--name", "n"), ("list-networks", "--limit", "x"),
                  ("create-network", "--project", "p", "--name", "n", "--egress", "{"),
                  ("create-network", "--project", "p", "--name", "n", "--egress", "[1]"),
                  ("make-coffee",)):  # fmt: skip
        done = gpuaas("call", *words, env=NOWHERE)
        assert done.status == exits.USAGE, (words, done)


def _network() -> dict[str, Any]:
    schema = DOCUMENT["components"]["schemas"]["Network"]["properties"]
    plain = {"string": "x", "integer": 1, "boolean": False, "array": []}
    return {name: plain.get(one.get("type")) for name, one in schema.items()}
