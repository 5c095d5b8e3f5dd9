"""The committed OpenAPI document is the one the code makes, and says what
FRONT-DOOR.md promises.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from api.body import decode
from api.openapi import FILE, UNVERSIONED, text
from api.refusals import problem_of
from contracts.forms import FORMS, form, told
from contracts.http import RuntimeStop
from domain.errors import DomainError
from projections import runtimes, volumes
from tests.acting_calls import CALLS, OTHERS, PROVED
from tests.integration.list_filters import FILTERS, filtered

NODES_OWN = {
    *("/v1/enrol", "/v1/nodes/certificate", "/v1/nodes/host-certificates"),
    *("/v1/readings", "/v1/readings/complete", "/v1/payments/stripe"),
}

_ACTED = re.compile(r"/v1/[a-z-]+/{\w+}(?=/)")


def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def test_committed_is_generated() -> None:
    """A route or a struct cannot change without its contract: run `python -m api.openapi`."""
    assert FILE.read_text() == text()


def test_objects_are_closed() -> None:
    """Every object schema with named properties refuses other names."""
    schemas = _document()["components"]["schemas"]
    open_ones = [
        name
        for name, schema in schemas.items()
        if "properties" in schema and schema.get("additionalProperties") is not False
    ]
    assert open_ones == []


def test_every_act_takes_a_key_and_every_route_tells_its_problems() -> None:
    """POST needs Idempotency-Key; refusals are problem+json.

    Nodes prove themselves otherwise; a terminal's ticket, an explanation and a preview change nothing
    that is kept; an identity token opens one session by itself.
    """
    free = {
        *(*NODES_OWN, "/v1/terminals/{session_id}/tickets", "/v1/authorization/explain"),
        *("/v1/sessions", "/v1/accounts/{account_id}/preview"),
    }
    for path, item in _document()["paths"].items():
        for method, operation in item.items():
            names = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
            if method == "post" and path not in free:
                assert "Idempotency-Key" in names, path
            problem = operation["responses"]["400"]["content"]
            assert list(problem) == ["application/problem+json"], path


def test_every_act_has_a_request_that_acts() -> None:
    """By which `integration/test_acts.py` shows that it is done once; or it does nothing that is
    kept, and stands among the few others with its reason and a test that is there.
    """
    paths = _document()["paths"]
    assert {method for item in paths.values() for method in item} == {"get", "post"}
    acts = {path for path, item in paths.items() if "post" in item}
    assert acts == CALLS.keys() | PROVED.keys() | OTHERS.keys()
    assert len(acts) == len(CALLS) + len(PROVED) + len(OTHERS)
    for why, test in OTHERS.values():
        file, _, name = test.partition("::")
        assert why
        assert f"def {name}(" in (Path(__file__).parents[1] / file).read_text(), test


def test_few_routes_need_no_token() -> None:
    """Public: health, readiness, the checkpoint, pages of refusals, schemas of facts, the CA that nodes must know
    first, what nodes prove by keys of their own, and signing in.
    """
    public = [
        path
        for path, item in _document()["paths"].items()
        for operation in item.values()
        if operation.get("security") == []
    ]
    assert set(public) == {
        *("/v1/checkpoint", "/v1/health", "/v1/readiness", "/v1/problems", "/v1/problems/{code}"),
        *("/v1/schemas", "/v1/schemas/{tag}"),
        *("/v1/enrol/ca", *NODES_OWN, "/v1/sign-in", "/v1/sessions"),
    }


def _answers() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in _document()["paths"].items():
        for method, operation in item.items():
            yield from ((f"{method} {path}", one) for one in operation["responses"].values())


def test_every_link_leads_from_a_field_of_its_answer_to_a_parameter() -> None:
    """A link names an operation and a parameter of it that there are, and a field of its answer."""
    document = _document()
    operations = {
        one["operationId"]: one for item in document["paths"].values() for one in item.values()
    }
    schemas = document["components"]["schemas"]
    for where, answer in _answers():
        for link in answer.get("links", {}).values():
            told = document["components"]["links"][link["$ref"].rpartition("/")[2]]
            [(parameter, expression)] = told["parameters"].items()
            asked = operations[told["operationId"]]["parameters"]
            assert parameter in {f"{one['in']}.{one['name']}" for one in asked}, (where, told)
            schema = answer["content"]["application/json"]["schema"]
            for step in expression.removeprefix("$response.body#/").split("/"):
                schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
                schema = schema["items"] if step == "0" else schema["properties"][step]


def test_whatever_is_asked_about_by_id_is_led_to() -> None:
    """Each operation on one thing is linked from an answer that names such a thing; what only the
    caller knows is in the short list.
    """
    told = _document()["components"]["links"].values()
    led = {
        one["operationId"]
        for one in told
        if any(at.startswith("path.") for at in one["parameters"])
    }
    alone = {
        path
        for path, item in _document()["paths"].items()
        for one in item.values()
        if "{" in path and one["operationId"] not in led
    }
    # The position is a header of every act; a counted row is named by a path in the audit.
    assert alone == {"/v1/audit/calls/{number}", "/v1/receipts/{position}"}


def test_what_stands_in_a_list_of_a_body_is_bounded_as_decoding_bounds_it() -> None:
    """The document refuses an element of a list that the server refuses, and a word that is none."""
    schemas = _document()["components"]["schemas"]
    models = schemas["RuntimeNew"]["properties"]["models"]["items"]
    assert models == {
        "type": "string",
        "pattern": "^[A-Za-z0-9_.:-]+$",
        "minLength": 1,
        "maxLength": 60,
    }
    assert schemas["CreditTermsNew"]["properties"]["remind_days"]["items"]["maximum"] == 3650
    assert schemas["Batch"]["properties"]["format"]["enum"] == ["gpuaas-usage/1"]


def test_every_answer_in_json_has_a_shape() -> None:
    """Nobody is told `any`: each 2xx of media type application/json names a struct."""
    shapeless = [
        f"{method.upper()} {path} {status}"
        for path, item in _document()["paths"].items()
        for method, operation in item.items()
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        and not answer.get("content", {}).get("application/json", {"schema": "other"})["schema"]
    ]
    assert shapeless == []


def test_every_pattern_is_said_in_words() -> None:
    """Whoever is refused for the form of a field reads words: of each pattern of the document, and
    of none that is no more there.
    """
    patterns: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            pattern = part.get("pattern")
            patterns.update({pattern} if isinstance(pattern, str) else ())
        for one in part.values() if isinstance(part, dict) else part:
            if isinstance(one, dict | list):
                walk(one)

    walk(_document())
    assert [one for one in sorted(patterns) if not form(one)] == []
    assert set(FORMS) <= patterns
    with pytest.raises(DomainError) as refused:
        decode(b'{"reason":"No!"}', RuntimeStop)
    [field] = problem_of(refused.value, "").errors
    assert field.form == form("^[a-z0-9_.-]+$") != ""
    for pattern in (r"^[^@ ]+\.[a-z]+$", r"^-?[0-9]{1,26}\.[0-9]{12}$", "^[^']$", "^[^\"']$"):
        assert told(_fault("''", Annotated[str, Meta(pattern=pattern)])) == form(pattern)
    assert told(_fault(3, Annotated[int, Meta(ge=16)])) == "a whole number, 16 or more"
    assert (
        told(_fault("aa", Annotated[str, Meta(max_length=1)])) == "a text of 1 characters or less"
    )
    assert told(_fault([], Annotated[list[int], Meta(min_length=1)])) == "a list of 1 or more"
    assert told(_fault("a", int)) == "a whole number"
    assert told("Object missing required field `name`") == ""
    assert form("^(default|account-0)$") == "one of default, account-0"


# Lists that no cursor walks, and what bounds them.
_BOUNDED = {
    "/v1/accounts/{account_id}/exports/{form}": "a file",
    "/v1/authorization/actions": "the release's own table",
    "/v1/effects": "the release's own table",
    "/v1/invoices/{invoice_id}/cost-centres": "as its departments",
    "/v1/invoices/{invoice_id}/departments": "the projects of one organization, in one sum each",
    "/v1/problems": "the release's own table",
    "/v1/quotas/claims": "one that stands a scope and model",
    "/v1/usage": "sums, of what the query names",
    "/v1/usage/cost-centres": "sums, of what the query names",
}


def _fault(value: Any, kind: Any) -> str:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.convert(value, kind)
    return str(wrong.value)


def test_every_list_comes_in_pages_or_is_bounded() -> None:
    """A list takes `cursor` and `limit` and answers `next`, or stands in the table of those that
    something else bounds.
    """
    paged: set[str] = set()
    whole: set[str] = set()
    for path, item in _document()["paths"].items():
        if "get" not in item:
            continue
        names = {one["name"] for one in item["get"]["parameters"]}
        content = item["get"]["responses"]["200"].get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        listed = "Page_" in str(schema) or {"cursor", "limit"} & names
        if listed:
            (paged if {"cursor", "limit"} <= names else whole).add(path)
    assert whole == {path for path, why in _BOUNDED.items() if why != "a file"}
    assert len(paged) > 40


def test_every_answer_tells_of_the_limits() -> None:
    """Whoever is limited is told what is left, and 429 is an answer of every route."""
    for path, item in _document()["paths"].items():
        for operation in item.values():
            limited = {"RateLimit", "RateLimit-Policy", "Retry-After"}
            assert set(operation["responses"]["429"]["headers"]) == limited, path
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    assert {"RateLimit", "RateLimit-Policy"} <= set(answer["headers"]), path


# Whose `state` is that of a runtime which is priced, or of an organization in a table; whose
# `project` is one part of one invoice.
_OF_ANOTHER = {
    *(("/v1/prices", "state"), ("/v1/accounts/{account_id}/commitments", "state")),
    *(("/v1/effects", "state"), ("/v1/invoices/{invoice_id}/departments", "project")),
    ("/v1/invoices/{invoice_id}/cost-centres", "project"),
}


def _lists(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Of each list its path, how it is asked for, and the fields of what it lists."""
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        content = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        ref = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        of = schemas.get(ref.rpartition("/")[2], {}).get("properties", {}).get("items", {})
        one = schemas.get(of.get("items", {}).get("$ref", "").rpartition("/")[2], {})
        if one:
            yield path, item["get"], one.get("properties", {})


def test_what_has_an_id_is_read_by_it() -> None:
    """Each thing that a list names by its id, and each that is acted on by it, is read alone, as of
    any position, with its version as ETag, unless it has none. What a release says has neither.
    """
    document = _document()
    reads = {path: item["get"] for path, item in document["paths"].items() if "get" in item}
    below = [_ACTED.match(path) for path, item in document["paths"].items() if "post" in item]
    named = {found[0] for found in below if found is not None}
    for path, asked, fields in _lists(document):
        alone = {one for one in reads if re.fullmatch(re.escape(path) + r"/{\w+}", one)}
        assert alone or "id" not in fields, path
        if "as_of" in [parameter["name"] for parameter in asked["parameters"]]:
            named |= alone
    assert len(named) > 35, sorted(named)
    for path in named - set(UNVERSIONED):
        taken = {parameter["name"] for parameter in reads[path]["parameters"]}
        assert "as_of" in taken, path
        assert "ETag" in reads[path]["responses"]["200"]["headers"], path


def test_lists_are_asked_for_by_state_and_by_project() -> None:
    """A list of what has a state, or belongs to a project, takes it as a filter; of states it says
    which there are.
    """
    document = _document()
    filters = filtered(document)
    for path, asked, fields in _lists(document):
        taken = {parameter["name"] for parameter in asked["parameters"]}
        for name in FILTERS:
            if name in fields and (path, name) not in _OF_ANOTHER:
                assert name in taken, (path, name)
    assert all(words for (_, name), words in filters.items() if name == "state")
    assert len(filters) >= 15, sorted(filters)
    assert sorted(filters["/v1/runtimes", "state"]) == sorted(runtimes.NEXT)
    assert sorted(filters["/v1/volumes", "state"]) == sorted(volumes.NEXT)
