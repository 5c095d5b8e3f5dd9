"""Bounds of bodies that Litestar leaves out: of what is in a list, of a least of 0, of words."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from contracts import usage
from contracts.http import Taken

_BOUNDS: Final = (
    "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "enum",
)  # fmt: skip


def bound(schemas: dict[str, Any]) -> None:
    """Each body's schema refuses what decoding the body refuses."""
    taken = [*_below(Taken), usage.Batch, usage.Complete]
    _, exact = msgspec.json.schema_components(taken, ref_template="{name}")
    for name in exact.keys() & schemas.keys():
        fields = schemas[name].get("properties", {})
        for field, said in exact[name].get("properties", {}).items():
            if field in fields:
                _complete(fields[field], said)


def _below(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def _complete(there: dict[str, Any], said: dict[str, Any]) -> None:
    kinds = [one for one in said.get("anyOf", ()) if one.get("type") != "null"]
    if len(kinds) == 1:
        said = kinds[0]
    for name in _BOUNDS:
        if name in said and "$ref" not in there:
            there.setdefault(name, said[name])
    if isinstance(there.get("items"), dict) and isinstance(said.get("items"), dict):
        _complete(there["items"], said["items"])
