"""Two JSON Schemas of one place, an older and a newer: what of the older does not hold any more.

`taken`: we take it, so nothing that was valid may be refused. `told`: we tell it, so nothing may
come that was not valid before. Objects are closed in our documents, yet a new field of what we tell
breaks nobody: clients ignore what they do not know.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal

from msgspec import Struct

type Way = Literal["taken", "told"]

_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


class Documents(Struct, frozen=True):
    """Where references of the old and of the new schemas lead."""

    old: dict[str, Any]
    new: dict[str, Any]


def taken(documents: Documents, place: str, old: Any, new: Any) -> Iterator[str]:
    """What was valid to send and is not any more."""
    yield from _compare(documents, place, old, new, "taken", frozenset())


def told(documents: Documents, place: str, old: Any, new: Any) -> Iterator[str]:
    """What was promised to come and is not any more."""
    yield from _compare(documents, place, old, new, "told", frozenset())


def both(documents: Documents, place: str, old: Any, new: Any) -> Iterator[str]:
    """As either party of another release would find it; a new choice of a union is none."""
    yield from taken(documents, place, old, new)
    yield from (one for one in told(documents, place, old, new) if ": it may be " not in one)


def _compare(
    documents: Documents,
    place: str,
    old: Any,
    new: Any,
    way: Way,
    above: frozenset[tuple[int, int]],
) -> Iterator[str]:
    before = dict(_choices(documents.old, old))
    after = dict(_choices(documents.new, new))
    if "any" in after and way == "taken":
        return
    for kind in before:
        if kind not in after and way == "taken":
            yield f"{place}: it may not be {kind} any more"
    for kind in after:
        if kind not in before and way == "told" and "any" not in before:
            yield f"{place}: it may be {kind} now"
    for kind in before.keys() & after.keys():
        # Schemas may hold themselves: one pair is looked at once on the way down.
        pair = (id(before[kind]), id(after[kind]))
        if pair not in above:
            yield from _one(documents, place, before[kind], after[kind], way, above | {pair})


def _choices(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(kind, schema) of each thing that it may be; a kind is a type, or an object's tag."""
    if "$ref" in schema:
        yield from _choices(document, _led(document, schema["$ref"]))
        return
    among = schema.get("oneOf") or schema.get("anyOf")
    if among:
        for one in among:
            yield from _choices(document, one)
        return
    types = schema.get("type", "string" if "enum" in schema else "any")
    for kind in types if isinstance(types, list) else [types]:
        tag = schema.get("properties", {}).get("type", {}).get("enum") if kind == "object" else None
        yield (f"{kind} {tag[0]}" if tag else kind), schema


def _led(document: dict[str, Any], reference: str) -> dict[str, Any]:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    assert isinstance(found, dict), reference
    return found


def _one(
    documents: Documents,
    place: str,
    old: dict[str, Any],
    new: dict[str, Any],
    way: Way,
    above: frozenset[tuple[int, int]],
) -> Iterator[str]:
    yield from _bounds(place, old, new, way)
    yield from _fields(documents, place, old, new, way, above)
    for part in ("items", "additionalProperties"):
        before, after = old.get(part), new.get(part)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _compare(documents, f"{place}[]", before, after, way, above)


def _bounds(place: str, old: dict[str, Any], new: dict[str, Any], way: Way) -> Iterator[str]:
    outer, inner = (new, old) if way == "taken" else (old, new)
    values, within = outer.get("enum"), inner.get("enum")
    if values is not None:
        odd = sorted(map(str, set(within or ()) - set(values)))
        if within is None or odd:
            said = "any value" if within is None else ", ".join(odd)
            yield f"{place}: {said} {'is refused now' if way == 'taken' else 'may be there now'}"
    for name in _LEAST:
        if outer.get(name) is not None and outer[name] > inner.get(name, float("-inf")):
            yield f"{place}: {name} was {old.get(name)} and is {new.get(name)}"
    for name in _MOST:
        if outer.get(name) is not None and outer[name] < inner.get(name, float("inf")):
            yield f"{place}: {name} was {old.get(name)} and is {new.get(name)}"
    for name in ("pattern", "format"):
        if outer.get(name) is not None and outer[name] != inner.get(name):
            yield f"{place}: {name} was {old.get(name)} and is {new.get(name)}"


def _fields(
    documents: Documents,
    place: str,
    old: dict[str, Any],
    new: dict[str, Any],
    way: Way,
    above: frozenset[tuple[int, int]],
) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed, needs = set(old.get("required", ())), set(new.get("required", ()))
    for name in before:
        if name in after:
            below = (before[name], after[name])
            yield from _compare(documents, f"{place}.{name}", *below, way, above)
        elif way == "told" or new.get("additionalProperties") is False:
            yield f"{place}.{name}: the field is gone"
    if way == "taken":
        for name in sorted(needs - needed):
            yield f"{place}.{name}: the field is required now"
    else:
        for name in sorted((needed - needs) & set(after)):
            yield f"{place}.{name}: the field may be absent now"
