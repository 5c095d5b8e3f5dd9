"""Another body that a route's schema takes, as good as the one that was sent."""

import json
import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from tests.routes import DOCUMENT, ROUTES, SCHEMAS, Named, body_schema

_ID = re.compile(r"[a-z_]+-[0-9a-f]{8}-|user-|GPU-")
_OPERATIONS = {path: operation for path, method, operation in ROUTES if method == "post"}

# One of several that no schema tells apart.
_CHOSEN = {"/v1/suspense/{suspense_id}/resolve": {"invoice": "invoice-1"}}


def another(route: str, body: Any) -> Any:
    """It differs in one value of the act, or has one more; of ids only where it has nothing else.
    None where the route takes no body.
    """
    schema = body_schema(_OPERATIONS[route])
    if schema is None:
        return None
    if route in _CHOSEN:
        return _CHOSEN[route]
    valid = Draft202012Validator({**schema, "components": DOCUMENT["components"]}).is_valid
    plain = _plain(schema)
    said = json.loads(json.dumps(body)) if body is not None else {}
    tried = [*_changed(said, plain), *_more(said, plain), *_renamed(said)]
    return next(one for one in tried if one != said and valid(one))


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Of the object itself."""
    if "$ref" in schema:
        return _plain(SCHEMAS[schema["$ref"].rsplit("/", 1)[1]])
    chosen = [one for name in ("oneOf", "anyOf") for one in schema.get(name, ())]
    return _plain(next(one for one in chosen if one.get("type") != "null")) if chosen else schema


def _changed(said: dict[str, Any], plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    fields = plain.get("properties", {})
    for name, value in said.items():
        for other in _others(value, fields.get(name, {})):
            yield {**said, name: other}


def _others(value: Any, schema: dict[str, Any]) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, str) and not _ID.match(value) and " " not in value:
        words = re.fullmatch(r"\^\(([a-z_|]+)\)\$", schema.get("pattern", ""))
        named = words[1].split("|") if words else schema.get("enum", ())
        yield from (one for one in named if one != value)
        yield from (value + "x", re.sub(r"[0-9](?=[^0-9]*$)", _next, value))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: other} for other in _others(inner, {}))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from ([other, *value[1:]] for other in _others(value[0], {}))
    elif isinstance(value, list) and value:
        yield [*value, value[0]]


def _next(digit: re.Match[str]) -> str:
    return str((int(digit[0]) + 1) % 10)


def _more(said: dict[str, Any], plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, schema in plain.get("properties", {}).items():
        if name not in said:
            worded = {"type": "string", "pattern": schema["pattern"]} if "pattern" in schema else {}
            other = Named({}).body(worded or schema, name)
            yield {**said, name: int(other) + 1 if isinstance(other, float) else other}


def _renamed(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in said.items():
        if isinstance(value, str):
            yield {**said, name: re.sub(r"[0-9](?=[^0-9]*$)", _next, value)}
            yield {**said, name: value + "x"}
