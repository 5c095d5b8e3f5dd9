"""OpenAPI links: from an answer that names a thing to every operation that is asked about it.

Made from the paths, so that a new route has them: what `POST …/runtimes` makes and `GET
/v1/runtimes` lists is what `/v1/runtimes/{runtime_id}/stop` and `?runtime_id=` are asked about.
Source: OpenAPI 3.1.1, section 4.8.20 (Link Object).
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

_ITEM: Final = re.compile(r"/v1/([a-z-]+)/\{(\w+)\}")
_FIRST: Final = "$response.body#/items/0/"
_WHOLE: Final = "$response.body#/"
_METHODS: Final = ("get", "post")


class _Named(Struct, frozen=True):
    """The answer of an operation, and where in it the name of a thing stands."""

    answer: dict[str, Any]
    expression: str


def link(document: dict[str, Any]) -> None:
    """Every answer that names a thing leads to what may be asked about it."""
    paths = document["paths"]
    made: dict[str, Any] = {}
    for collection, parameter in sorted(collections(paths).items()):
        asked = [*_items(paths, collection, parameter), *_filters(paths, collection)]
        for named in _naming(document, collection, parameter):
            links = named.answer.setdefault("links", {})
            how = "listed" if _FIRST in named.expression else "made"
            for operation, place in asked:
                name = f"{operation}-{collection}-{how}"
                made[name] = {"operationId": operation, "parameters": {place: named.expression}}
                links[operation] = {"$ref": f"#/components/links/{name}"}
    document["components"]["links"] = dict(sorted(made.items()))


def collections(paths: dict[str, Any]) -> dict[str, str]:
    """Collection -> how its things are named in paths, or would be if they had any."""
    tops = [
        path.rpartition("/")[2]
        for path, item in paths.items()
        if path.count("/") == 2 and "post" in item
    ]
    named = {name: f"{_singular(name)}_id" for name in tops}
    return named | {one[1]: one[2] for path in paths if (one := _ITEM.match(path)) is not None}


def _singular(collection: str) -> str:
    return collection.removesuffix("s").replace("-", "_")


def _items(paths: dict[str, Any], collection: str, parameter: str) -> Iterator[tuple[str, str]]:
    below = f"/v1/{collection}/{{{parameter}}}"
    for path, item in paths.items():
        if path == below or path.startswith(f"{below}/"):
            yield from ((item[one]["operationId"], f"path.{parameter}") for one in _in(item))


def _filters(paths: dict[str, Any], collection: str) -> Iterator[tuple[str, str]]:
    """Lists that are narrowed to the thing."""
    names = {_singular(collection), f"{_singular(collection)}_id"}
    for item in paths.values():
        for method in _in(item):
            for one in item[method].get("parameters", ()):
                if one["in"] == "query" and one["name"] in names:
                    yield item[method]["operationId"], f"query.{one['name']}"


def _naming(document: dict[str, Any], collection: str, parameter: str) -> Iterator[_Named]:
    for path, item in document["paths"].items():
        if path.rpartition("/")[2] != collection:
            continue
        for method in _in(item):
            for status, answer in item[method]["responses"].items():
                fields = _fields(document, answer) if status.startswith("2") else {}
                start = _WHOLE
                if method == "get":
                    if path != f"/v1/{collection}" or "items" not in fields:
                        continue
                    fields = _properties(document, fields["items"].get("items", {}))
                    start = _FIRST
                names = [one for one in _names(parameter) if one in fields]
                if names:
                    yield _Named(answer, start + names[0])


def _names(parameter: str) -> tuple[str, ...]:
    """How a thing is named in an answer: `id`, or as whoever asks about it names it."""
    if not parameter.endswith("_id"):
        return (parameter,)
    return ("id", parameter.removesuffix("_id"))


def _fields(document: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    body = answer.get("content", {}).get("application/json", {})
    return _properties(document, body.get("schema", {}))


def _properties(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found: dict[str, Any] = schema.get("properties", {})
    return found


def _in(item: dict[str, Any]) -> list[str]:
    return [method for method in _METHODS if method in item]
