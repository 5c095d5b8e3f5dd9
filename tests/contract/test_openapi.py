"""The committed OpenAPI document is the one the code makes, and says what
FRONT-DOOR.md promises.
"""

import json
from typing import Any

from api.openapi import FILE, text

NODES_OWN = {
    *("/v1/enrol", "/v1/nodes/certificate", "/v1/nodes/host-certificates"),
    *("/v1/readings", "/v1/readings/complete", "/v1/payments/stripe"),
}


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

    Nodes prove themselves otherwise; a terminal's ticket and an explanation change nothing that is
    kept; an identity token opens one session by itself.
    """
    free = {
        *(*NODES_OWN, "/v1/terminals/{session_id}/tickets", "/v1/authorization/explain"),
        "/v1/sessions",
    }
    for path, item in _document()["paths"].items():
        for method, operation in item.items():
            names = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
            if method == "post" and path not in free:
                assert "Idempotency-Key" in names, path
            problem = operation["responses"]["400"]["content"]
            assert list(problem) == ["application/problem+json"], path


def test_few_routes_need_no_token() -> None:
    """Public: health, readiness, the checkpoint, pages of refusals, the CA that nodes must know
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
        *("/v1/enrol/ca", *NODES_OWN, "/v1/sign-in", "/v1/sessions"),
    }
