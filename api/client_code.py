"""The typed part of the Python client, written from the OpenAPI document.

One module of structs, one of calls (what to send, and what type comes back), and the same methods
for a caller that waits and for one that awaits. `python -m api.openapi` writes them with the
document, a test compares them: a route that is new or changed cannot be forgotten.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

FOLDER: Final = Path(__file__).parent.parent / "client" / "gpuaas_client"
# JSON whose exact bytes are what counts: nobody writes it anew.
SEALED: Final = {
    "type": "object",
    "additionalProperties": True,
    "description": "A sealed file: its exact bytes are what the log has the digest of.",
}
_HEAD: Final = '"""{}; written by `python -m api.openapi`."""\n\n'
_PLAIN: Final = {"string": "str", "integer": "int", "boolean": "bool", "null": "None"}
_HEADERS: Final = {"Idempotency-Key", "If-Match", "Min-Log-Position", "Last-Event-ID"}
# These are streams: the client has methods of its own for them.
_STREAMED: Final = "text/event-stream"


class Operation(Struct, frozen=True):
    """One method of one route, as Python says it; `answer` is a type's name."""

    name: str
    method: str
    path: str
    answer: str
    body: str
    parameters: tuple[tuple[str, str, str], ...]  # name, where, type
    headers: frozenset[str]
    media: str


def name_of(schema: str) -> str:
    """`contracts.http_fleet.Credit` and the like as a class name."""
    words = re.split(r"[^A-Za-z0-9]+|_", schema)
    return "".join(word[:1].upper() + word[1:] for word in words if word)


def type_of(schema: Mapping[str, Any], models: str = "") -> str:
    """The annotation; `Any` where the document says nothing."""
    if "page" in schema:
        return f"{models}Page[{type_of(schema['page'], models)}]"
    if "$ref" in schema:
        return models + name_of(str(schema["$ref"]).rpartition("/")[2])
    if "oneOf" in schema or "anyOf" in schema:
        kinds = [type_of(one, models) for one in schema.get("oneOf", schema.get("anyOf"))]
        return " | ".join(sorted(dict.fromkeys(kinds), key=lambda kind: kind == "None"))
    kind = schema.get("type")
    if kind == "array":
        return f"list[{type_of(schema['items'], models)}]"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"dict[str, {type_of(schema['additionalProperties'], models)}]"
    if isinstance(kind, list):
        return " | ".join(_PLAIN[one] for one in kind)
    return _PLAIN.get(str(kind), "Any")


def _paged(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A page by what is on it: the document has a schema for each."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if not name.startswith("Page_"):
        return schema
    page = document["components"]["schemas"][name]
    return {"page": page["properties"]["items"]["items"]}


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Every operation, by name. Names are the handlers'; where two are alike, one says of what."""
    found = [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    seen = Counter(operation["summary"] for _, _, operation in found)
    made = []
    for path, method, operation in found:
        parts = path.split("/")[2:]
        name = operation["summary"].replace(" ", "_").lower()
        if seen[operation["summary"]] > 1 and len(parts) > 1:
            name = f"{name}_of_{parts[0].replace('-', '_')}"
        made.append(_operation(document, name, path, method, operation))
    assert len({one.name for one in made}) == len(made), "operations share a name"
    return sorted(made, key=lambda one: one.name)


def _operation(
    document: Mapping[str, Any], name: str, path: str, method: str, operation: Mapping[str, Any]
) -> Operation:
    given = operation.get("parameters", [])
    good = next(answer for status, answer in operation["responses"].items() if status[0] == "2")
    media, content = next(iter(good.get("content", {"": {}}).items()))
    schema = _paged(document, content.get("schema", {}))
    answer = "bytes"
    if media == "application/json" and schema != SEALED:
        answer = type_of(schema, "models.").replace("Any", "dict[str, Any]")
    elif media == "text/plain":
        answer = "str"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return Operation(
        name=name,
        method=method.upper(),
        path=path,
        answer=answer,
        body=type_of(body["schema"], "models.") if body else "",
        parameters=tuple(
            (one["name"], one["in"], _parameter(one))
            for one in sorted(given, key=lambda one: str(one["in"]))
            if one["in"] != "header"
        ),
        headers=frozenset(one["name"] for one in given if one["in"] == "header") & _HEADERS,
        media=media,
    )


def _parameter(one: Mapping[str, Any]) -> str:
    kind = type_of(one["schema"])
    if one["in"] == "path" or one.get("required"):
        return kind
    return kind if kind.endswith("| None") else f"{kind} | None"


def _asked(schemas: Mapping[str, Any], found: list[Operation]) -> set[str]:
    """Schemas that a request carries: what it leaves out is not sent."""
    by_name = {name_of(schema): schema for schema in schemas}
    waiting = [word for one in found for word in re.findall(r"models\.(\w+)", one.body)]
    seen: set[str] = set()
    while waiting:
        schema = by_name[waiting.pop()]
        if schema not in seen:
            seen.add(schema)
            text = json.dumps(schemas[schema])
            waiting += [name_of(one) for one in re.findall(r'schemas/([^"]+)"', text)]
    return seen


# Sent to receivers, not answered; who follows has gpuaas_client.events.
EVENTS: Final = frozenset({"CloudEvent"})


def models_text(document: Mapping[str, Any]) -> str:
    """A struct for each schema; unknown names in answers are passed over."""
    schemas = document["components"]["schemas"]
    asked = _asked(schemas, operations(document))
    lines = [
        _HEAD.format("What requests and answers carry"),
        "from __future__ import annotations\n\nfrom typing import Any\n\n",
        "from msgspec import UNSET, Struct, UnsetType, field\n\n\n",
        "class Page[T](Struct, frozen=True, kw_only=True):\n",
        "    items: list[T]\n    next: str | None\n",
    ]
    for schema, body in sorted(schemas.items()):
        if not schema.startswith("Page_") and schema not in EVENTS:
            lines.append(f"\n\nclass {name_of(schema)}(Struct, frozen=True, kw_only=True):\n")
            lines += _fields(body, asked=schema in asked)
    return _formatted("".join(lines), "models.py")


def _fields(schema: Mapping[str, Any], *, asked: bool) -> Iterator[str]:
    required = set(schema["required"])
    if not schema["properties"]:
        yield "    pass\n"
    for name, body in schema["properties"].items():
        kind = type_of(body)
        if name in required:
            yield f"    {name}: {kind}\n"
        elif asked:
            words = [*kind.removesuffix(" | None").split(" | "), "UnsetType"]
            words += ["None"] if kind.endswith(" | None") else []
            yield f"    {name}: {' | '.join(words)} = UNSET\n"
        elif "default" not in body:
            kind = kind if kind.endswith("None") else f"{kind} | None"
            yield f"    {name}: {kind} = None\n"
        elif isinstance(body["default"], list | dict):
            factory = type(body["default"]).__name__
            yield f"    {name}: {kind} = field(default_factory={factory})\n"
        else:
            yield f"    {name}: {kind} = {body['default']!r}\n"


def operations_text(document: Mapping[str, Any]) -> str:
    """A function for each operation: the call as a value, typed by its answer."""
    lines = [
        _HEAD.format("Every call of the API as a value, typed by its answer"),
        "from typing import Any\n\n",
        "from gpuaas_client import models\nfrom gpuaas_client.call import Call\n",
    ]
    for one in operations(document):
        taken = _taken(one)
        path = re.sub(r"\{(\w+)\}", r"{quoted(\1)}", one.path)
        lines.append(f"\n\ndef {one.name}({', '.join(taken)}) -> Call[{one.answer}]:\n")
        lines.append(f'    """{one.method} {one.path}"""\n')
        said = [repr(one.method), f"f{path!r}" if path != one.path else repr(path), one.answer]
        query = [name for name, where, _ in one.parameters if where == "query"]
        if query:
            said.append(f"query={{{', '.join(f'{name!r}: {name}' for name in query)}}}")
        if one.body:
            said.append("body=body")
        if "Idempotency-Key" in one.headers:
            said.append("acts=True")
        if "Min-Log-Position" in one.headers:
            said.append("waits=True")
        lines.append(f"    return Call({', '.join(said)})\n")
    text = "".join(lines).replace("import Call\n", "import Call, quoted\n")
    return _formatted(text, "operations.py")


def methods_text(document: Mapping[str, Any], *, awaits: bool) -> str:
    """The class whose methods make the calls."""
    wait, how = ("await ", "async ") if awaits else ("", "")
    class_name = "AsyncMethods" if awaits else "Methods"
    lines = [
        _HEAD.format("Every call of the API as a method"),
        "from abc import ABC, abstractmethod\nfrom typing import Any\n\n",
        "from gpuaas_client import models, operations\nfrom gpuaas_client.call import Call\n",
        f"\n\nclass {class_name}(ABC):\n    @abstractmethod\n",
        f"    {how}def do[T](self, call: Call[T], *, key: str = '', if_match: str = '', ",
        "at_least: int | None = None) -> T: ...\n",
    ]
    for one in operations(document):
        if one.media == _STREAMED:
            continue
        taken, more, given = _taken(one), [], [name for name, _, _ in one.parameters]
        said = [name if at == "path" else f"{name}={name}" for name, at, _ in one.parameters]
        passed = []
        if one.body:
            said.insert(sum(at == "path" for _, at, _ in one.parameters), "body")
        for header, name, kind in (
            ("Idempotency-Key", "key", "str = ''"),
            ("If-Match", "if_match", "str = ''"),
            ("Min-Log-Position", "at_least", "int | None = None"),
        ):
            if header in one.headers and name not in given:
                more.append(f"{name}: {kind}")
                passed.append(f"{name}={name}")
        if more and "*" not in taken:
            more.insert(0, "*")
        words = ", ".join(["self", *taken, *more])
        lines.append(f"\n    {how}def {one.name}({words}) -> {one.answer}:\n")
        lines.append(f'        """{one.method} {one.path}"""\n')
        inner = f"operations.{one.name}({', '.join(said)})"
        lines.append(f"        return {wait}self.do({', '.join([inner, *passed])})\n")
    return _formatted("".join(lines), "async_methods.py" if awaits else "methods.py")


def _taken(one: Operation) -> list[str]:
    """Parameters of the function: path, body, then the query by name."""
    path = [f"{name}: {kind}" for name, where, kind in one.parameters if where == "path"]
    body = []
    if one.body:
        body = [f"body: {one.body}{' = None' if one.body.endswith('None') else ''}"]
    query = [
        f"{name}: {kind}{' = None' if kind.endswith('None') else ''}"
        for name, where, kind in one.parameters
        if where == "query"
    ]
    return [*path, *body, *(["*", *query] if query else [])]


def _formatted(text: str, name: str) -> str:
    """In the house format, without imports that nothing uses."""
    ruff = (sys.executable, "-m", "ruff")
    file = f"--stdin-filename={FOLDER / name}"
    for argv in (
        (*ruff, "check", "--fix-only", "--select=F401,I001", "-q", file, "-"),
        (*ruff, "format", "-q", file, "-"),
    ):
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


def written(document: Mapping[str, Any]) -> dict[Path, str]:
    """The committed files' exact texts."""
    return {
        FOLDER / "models.py": models_text(document),
        FOLDER / "operations.py": operations_text(document),
        FOLDER / "methods.py": methods_text(document, awaits=False),
        FOLDER / "async_methods.py": methods_text(document, awaits=True),
    }
