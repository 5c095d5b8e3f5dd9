"""The routes of the committed document, and requests that its schemas take."""

import json
import re
import uuid
from typing import Any

from api.openapi import FILE

DOCUMENT = json.loads(FILE.read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
ROUTES = [
    (path, method, operation)
    for path, item in sorted(DOCUMENT["paths"].items())
    for method, operation in sorted(item.items())
]
_KINDS = {
    "scope": "project", "group": "group", "binding": "binding", "guardrail": "guardrail",
    "invitation": "invitation", "key": "token", "session": "access", "grant": "access",
    "credit_note": "invoice", "principal": "user", "actor": "user", "resource": "runtime",
}  # fmt: skip
# What a name means below one path alone, where it is known as such.
_BELOW = {
    ("service-accounts", "account"): "service", ("sessions", "session"): "signed_in",
    ("terminals", "session"): "terminal", ("break-glass", "grant"): "break_glass",
    ("audit", "number"): "counted", ("credit-notes", "credit_note"): "credit_note",
    ("accounts", "row"): "transfer",
}  # fmt: skip
# Text that some pattern of the document takes.
_WORDS = (
    "a", "USD", "US", "UTC", "1.000000000000", "2999-01-01T00:00:00Z", "10.0.0.0/8", "user-x",
    "service-x", "member", "a@b.c", "T4", "0" * 64, "sha256:" + "0" * 64, "runtime.*", "prepaid",
    "/a/b", "https://example.org/x", "2026-01", "1" * 32,
)  # fmt: skip


def missing(kind: str) -> str:
    """The id of a thing of that kind which never was."""
    return f"{kind}-01890000-0000-7000-8000-{uuid.uuid4().hex[:12]}"


def is_public(operation: dict[str, Any]) -> bool:
    """Whether it asks for no token of ours."""
    return operation.get("security") == []


def body_schema(operation: dict[str, Any]) -> dict[str, Any] | None:
    """Of the JSON that the route takes; None where it takes none."""
    content = operation.get("requestBody", {}).get("content", {})
    found: dict[str, Any] | None = content.get("application/json", {}).get("schema")
    return found


def places(schema: dict[str, Any], kind: str) -> list[tuple[str | int, ...]]:
    """Where in a body of the schema a `string`, an `integer`, … stands or may stand."""
    if "$ref" in schema:
        return places(SCHEMAS[schema["$ref"].rsplit("/", 1)[1]], kind)
    chosen = [one for name in ("oneOf", "anyOf") for one in schema.get(name, ())]
    if chosen:
        return sorted({at for one in chosen for at in places(one, kind)}, key=str)
    if schema.get("type") == "object":
        return [(name, *at) for name, one in schema.get("properties", {}).items()
                for at in places(one, kind)]  # fmt: skip
    if schema.get("type") == "array":
        return [(0, *at) for at in places(schema["items"], kind)]
    return [()] if schema.get("type") == kind else []


def put(body: Any, at: tuple[str | int, ...], value: Any) -> Any:
    """The body with the value at that place; what leads there is made."""
    if not at:
        return value
    first, rest = at[0], at[1:]
    if isinstance(first, int):
        return [put(body[0] if body else None, rest, value)]
    found = dict(body or {})
    found[first] = put(found.get(first), rest, value)
    return found


class Named:
    """Ids by kind, for paths, queries and bodies."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known
        self.used: set[str] = set()  # kinds that something was named of

    def id(self, name: str, below: str = "") -> str | None:
        name = name.removesuffix("_id")
        for kind in (_BELOW.get((below, name)), _KINDS.get(name, name)):
            if kind in self.known:
                self.used.add(kind)
                return self.known[kind]
        return None

    def path(self, path: str, operation: dict[str, Any]) -> str:
        """The path with its ids, and with a query of those that it names."""
        below = path.split("/")[2]
        path = re.sub(r"\{(\w+)\}", lambda found: self.id(found[1], below) or "x", path)
        query = [
            f"{one['name']}={self.id(one['name'])}"
            for one in operation.get("parameters", [])
            if one["in"] == "query" and self.id(one["name"])
        ]
        return path + ("?" + "&".join(query) if query else "")

    def body(self, schema: dict[str, Any], name: str = "") -> Any:
        """A body that the schema takes, with these ids wherever it names one."""
        if "$ref" in schema:
            return self.body(SCHEMAS[schema["$ref"].rsplit("/", 1)[1]], name)
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                return self.body(next(s for s in schema[choice] if s.get("type") != "null"), name)
        match schema.get("type"):
            case "object":
                fields = schema.get("properties", {})
                wanted = set(schema.get("required", [])) | {
                    f for f in fields if self.id(f) or self._names(fields[f])
                }
                return {f: self.body(fields[f], f) for f in fields if f in wanted}
            case "array":
                return [self.body(schema["items"], name)] * max(1, schema.get("minItems", 1))
            case "integer":
                return schema.get("minimum", 1)
            case "boolean":
                return False
            case _:
                return self._text(schema, name)

    def _names(self, schema: dict[str, Any]) -> bool:
        """Whether some part of such a value names one of these ids."""
        return any(self.id(str(at[-1])) for at in places(schema, "string") if at)

    def _text(self, schema: dict[str, Any], name: str) -> str:
        if schema.get("enum"):
            return str(schema["enum"][0])
        pattern = schema.get("pattern", "")
        for word in (self.id(name), *_WORDS):
            if word is not None and re.search(pattern, word):
                return word
        return "x"
