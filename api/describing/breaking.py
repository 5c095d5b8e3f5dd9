"""What between two releases' contracts would break somebody who relies on the older one.

Rules of our own (docs/adr/0049): each finding is one sentence that begins with the place.
"""

from collections.abc import Iterator
from typing import Any, Final

from api.describing.narrowing import Documents, both, taken, told

_METHODS: Final = ("get", "post", "put", "patch", "delete")
# Words for people: no program is wrong when they change.
_WORDS: Final = {"description", "title", "summary", "tags", "examples"}


def of_api(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Breaks between two OpenAPI documents, sorted."""
    documents = Documents(old, new)
    found: set[str] = set()
    for path, item in old["paths"].items():
        for method in _METHODS:
            if method not in item:
                continue
            place = f"{method.upper()} {path}"
            operation = new["paths"].get(path, {}).get(method)
            if operation is None:
                found.add(f"{place}: the route is gone")
            else:
                found |= set(_operation(documents, place, item[method], operation))
    return sorted(found)


def of_events(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Breaks between two AsyncAPI documents: facts are exact for ever, messages go both ways."""
    found = set(_channels(old, new))
    before, after = old["components"]["schemas"], new["components"]["schemas"]
    documents = Documents(old, new)
    for name, schema in before.items():
        if name not in after:
            found.add(f"{name}: the {'fact' if _is_fact(name) else 'message'} is gone")
        elif _is_fact(name):
            found |= set(_fact(name, schema, after[name]))
        else:
            found |= set(both(documents, name, schema, after[name]))
    return sorted(found)


def of_problems(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Codes that are gone or whose status changed: what a client decides by."""
    gone = [f"{code}: the refusal is gone" for code in old if code not in new]
    changed = [
        f"{code}: status {one['status']} became {new[code]['status']}"
        for code, one in old.items()
        if code in new and new[code]["status"] != one["status"]
    ]
    return sorted(gone + changed)


def _operation(
    documents: Documents, place: str, old: dict[str, Any], new: dict[str, Any]
) -> Iterator[str]:
    if old.get("security") == [] and new.get("security") != []:
        yield f"{place}: it needs a token now"
    yield from _parameters(documents, place, old, new)
    before, after = old.get("requestBody"), new.get("requestBody")
    if before is None and after is not None and after.get("required"):
        yield f"{place}: a body is required now"
    if before is not None and after is None:
        yield f"{place}: it takes no body any more"
    if before is not None and after is not None:
        if after.get("required") and not before.get("required"):
            yield f"{place}: a body is required now"
        for media, content in before["content"].items():
            if media not in after["content"]:
                yield f"{place}: it does not take {media} any more"
            else:
                schemas = (content.get("schema", {}), after["content"][media].get("schema", {}))
                yield from taken(documents, f"{place} body", *schemas)
    yield from _answers(documents, place, old, new)


def _parameters(
    documents: Documents, place: str, old: dict[str, Any], new: dict[str, Any]
) -> Iterator[str]:
    before = {(one["in"], one["name"]): one for one in old.get("parameters", ())}
    after = {(one["in"], one["name"]): one for one in new.get("parameters", ())}
    for (where, name), one in after.items():
        known = before.get((where, name))
        if one.get("required") and (known is None or not known.get("required")):
            yield f"{place}: the {where} parameter {name} is required now"
    for (where, name), one in before.items():
        there = after.get((where, name))
        if there is None:
            if where != "header":  # nobody minds a header that is not read
                yield f"{place}: the {where} parameter {name} is gone"
        else:
            schemas = (one.get("schema", {}), there.get("schema", {}))
            yield from taken(documents, f"{place} {where} {name}", *schemas)


def _answers(
    documents: Documents, place: str, old: dict[str, Any], new: dict[str, Any]
) -> Iterator[str]:
    for status, answer in old["responses"].items():
        if not status.startswith("2"):
            continue
        there = new["responses"].get(status)
        if there is None:
            yield f"{place}: it does not answer {status} any more"
            continue
        for name in answer.get("headers", {}):
            if name not in there.get("headers", {}):
                yield f"{place} {status}: the header {name} is gone"
        for media, content in answer.get("content", {}).items():
            if media not in there.get("content", {}):
                yield f"{place} {status}: it does not answer {media} any more"
            else:
                schemas = (content.get("schema", {}), there["content"][media].get("schema", {}))
                yield from told(documents, f"{place} {status}", *schemas)


def _channels(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    after = {one["address"]: one for one in new["channels"].values()}
    for channel in old["channels"].values():
        there = after.get(channel["address"])
        if there is None:
            yield f"{channel['address']}: the channel is gone"
            continue
        for message in channel["messages"]:
            if message not in there["messages"]:
                yield f"{channel['address']}: {message} does not travel there any more"


def _is_fact(name: str) -> bool:
    return name.startswith("gpuaas.")


def _fact(tag: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """A tag's fields are its bytes: none comes, goes, moves or changes; a new tag is the way."""
    before, after = list(old["properties"]), list(new["properties"])
    for name in before:
        if name not in after:
            yield f"{tag}: the field {name} is gone"
        elif _bare(old["properties"][name]) != _bare(new["properties"][name]):
            yield f"{tag}: the field {name} has another type"
    for name in after:
        if name not in before:
            yield f"{tag}: the field {name} is new"
    if sorted(before) == sorted(after) and before != after:
        yield f"{tag}: its fields stand in another order"
    if sorted(old.get("required", ())) != sorted(new.get("required", ())):
        yield f"{tag}: other fields may be absent"
    if _bare(old.get("$defs", {})) != _bare(new.get("$defs", {})):
        yield f"{tag}: a struct inside it has other fields"


def _bare(value: Any) -> Any:
    """Without words for people; lists of names keep their order, as objects do."""
    if isinstance(value, dict):
        # Of a fact's own fields one may be called `title`: only schemas' words are left out.
        return [(key, _bare(one)) for key, one in value.items() if key not in _WORDS or _named(one)]
    if isinstance(value, list):
        return [_bare(one) for one in value]
    return value


def _named(value: Any) -> bool:
    return isinstance(value, dict)
