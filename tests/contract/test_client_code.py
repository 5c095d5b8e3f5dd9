"""The client's code against the document: written from it, and true of it."""

import ast
import inspect
import json
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api import client_code
from gpuaas_client import async_methods, methods, models, operations

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "contracts" / "openapi.json").read_text())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
SENT = set(SCHEMAS) - client_code.EVENTS
OPERATIONS = client_code.operations(DOCUMENT)


def test_the_committed_code_is_what_the_document_gives() -> None:
    """Byte for byte; `python -m api.openapi` writes it."""
    for path, text in client_code.written(DOCUMENT).items():
        assert path.read_text() == text, f"{path.name}: python -m api.openapi"


def test_every_operation_is_a_call_and_a_method() -> None:
    """Under one name, waited for and awaited; the stream of events has a method of its own."""
    expected = sum(len(item) for item in DOCUMENT["paths"].values())
    assert len(OPERATIONS) == expected > 100
    streamed = [one.name for one in OPERATIONS if one.media == "text/event-stream"]
    assert streamed == ["events"]
    for one in OPERATIONS:
        assert callable(getattr(operations, one.name))
        if one.name not in streamed:
            assert inspect.isfunction(getattr(methods.Methods, one.name))
            assert inspect.iscoroutinefunction(getattr(async_methods.AsyncMethods, one.name))


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: one.name)
def test_a_call_sends_what_the_document_takes(one: client_code.Operation) -> None:
    """Its path with every part quoted, its query by the document's names, a key where it acts."""
    said = DOCUMENT["paths"][one.path][one.method.lower()]
    given = {
        name: ([value, value] if "list" in kind else 7 if "int" in kind else value)
        for name, where, kind in one.parameters
        for value in [f"{where}/{name}"]
    }
    body = {"body": None} if one.body else {}
    call = getattr(operations, one.name)(**given, **body)
    path = one.path
    for name, where, _ in one.parameters:
        if where == "path":
            path = path.replace(f"{{{name}}}", f"path%2F{name}")
    assert (call.method, call.path) == (one.method, path)
    parameters = {p["name"]: p for p in said.get("parameters", [])}
    queried = {name for name, p in parameters.items() if p["in"] == "query"}
    assert {name for name, _ in call.parameters()} == queried
    assert call.acts == ("Idempotency-Key" in parameters)
    assert call.waits == ("Min-Log-Position" in parameters)


@pytest.mark.parametrize("name", sorted(SENT - {n for n in SCHEMAS if n.startswith("Page_")}))
def test_a_struct_has_the_fields_of_its_schema(name: str) -> None:
    """By msgspec's own reading of the struct: names, types and what may be left out."""
    struct = getattr(models, client_code.name_of(name))
    hints = typing.get_type_hints(struct)
    assert set(hints) == set(SCHEMAS[name]["properties"])
    required = {f.name for f in msgspec.structs.fields(struct) if f.required}
    assert required == set(SCHEMAS[name]["required"])
    for field, schema in SCHEMAS[name]["properties"].items():
        kinds = _kinds(schema)
        told = {kind for kind in map(_kind, _parts(hints[field])) if kind != "unset"}
        # An answer of an older API may lack it.
        assert told - {"null"} == kinds - {"null"}, (name, field)
        assert ("null" in told) >= ("null" in kinds), (name, field)


def _kinds(schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        return {client_code.name_of(schema["$ref"].rpartition("/")[2])}
    if "oneOf" in schema:
        return {kind for one in schema["oneOf"] for kind in _kinds(one)}
    return {str(schema["type"])}


def _parts(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if type(None) in typing.get_args(hint) or _union(hint) else (hint,)


def _union(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Union or type(hint).__name__ == "UnionType"


def _kind(hint: Any) -> str:
    plain = {str: "string", int: "integer", bool: "boolean", type(None): "null"}
    if hint is msgspec.UnsetType:
        return "unset"
    if hint in plain:
        return plain[hint]
    origin = typing.get_origin(hint)
    return {list: "array", dict: "object"}.get(origin, getattr(hint, "__name__", ""))


_AWAITED = (
    ("The client of a program that waits for", "The client of a program that awaits"),
    ("import time\n", "import asyncio\n"),
    ("Iterator", "AsyncIterator"),
    ("import contextmanager", "import asynccontextmanager"),
    ("@contextmanager", "@asynccontextmanager"),
    ("from gpuaas_client.methods import Methods", "from gpuaas_client.async_methods import AsyncMethods"),
    ("class Client(Methods)", "class AsyncClient(AsyncMethods)"),
    ("Not shared between threads; closed by `with`.", "Not shared between loops; closed by `async with`."),
    ("httpx.Client(", "httpx.AsyncClient("),
    ("    def ", "    async def "),
    ("async def __init__", "def __init__"),
    ("__enter__", "__aenter__"),
    ("__exit__", "__aexit__"),
    ("time.sleep(", "await asyncio.sleep("),
    ("self._http.send(", "await self._http.send("),
    ("self._http.close()", "await self._http.aclose()"),
    ("        self.close()", "        await self.close()"),
    ("answer.close()", "await answer.aclose()"),
    ("= self._whole(", "= await self._whole("),
    ("= self.do(", "= await self.do("),
    ("with self._streamed", "async with self._streamed"),
    ("for piece in answer.iter_bytes", "async for piece in answer.aiter_bytes"),
    ("            yield from found.items\n", "            for item in found.items:\n                yield item\n"),
)  # fmt: skip


def test_the_two_callers_do_the_same() -> None:
    """The one that awaits is the one that waits, word for word, with its waits awaited."""
    folder = ROOT / "client" / "gpuaas_client"
    text = (folder / "client.py").read_text()
    for waits, awaits in _AWAITED:
        assert waits in text, waits
        text = text.replace(waits, awaits)
    assert _meant(text) == _meant((folder / "async_client.py").read_text())


def _meant(text: str) -> str:
    """Without layout and without the order of imports."""
    tree = ast.parse(text)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [node for node in tree.body if node not in imports]
    return "\n".join([*sorted(map(ast.dump, imports)), *map(ast.dump, rest)])
