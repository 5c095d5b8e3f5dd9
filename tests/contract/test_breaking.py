"""Nothing that the last release promised is broken; each rule of that comparison finds its break."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from api.describing import breaking, release

type Doc = dict[str, Any]


def text(**more: Any) -> Doc:
    return {"type": "string", **more}


def small_api() -> Doc:
    """A route that takes and gives: every rule has something to break here."""
    body = {
        "type": "object",
        "properties": {
            "name": text(maxLength=60, minLength=1),
            "state": text(enum=["on", "off"]),
            "size": {"oneOf": [{"type": "integer", "maximum": 9}, {"type": "null"}]},
            "tags": {"type": "array", "items": text(pattern="^a$")},
            "within": {"$ref": "#/components/schemas/Part"},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    return {
        "paths": {
            "/v1/things": {
                "post": {
                    "parameters": [{"in": "query", "name": "q", "schema": text()}],
                    "requestBody": {"content": {"application/json": {"schema": body}}},
                    "responses": {
                        "200": {
                            "headers": {"ETag": {}},
                            "content": {"application/json": {"schema": copy.deepcopy(body)}},
                        }
                    },
                    "security": [],
                },
                "get": {"responses": {}},
            }
        },
        "components": {
            "schemas": {
                "Part": {
                    "type": "object",
                    "properties": {
                        "of": text(),
                        "next": {
                            "anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "null"}]
                        },
                    },
                    "additionalProperties": False,
                }
            }
        },
    }


def post(doc: Doc) -> Any:
    return doc["paths"]["/v1/things"]["post"]


def sent(doc: Doc) -> Any:
    return post(doc)["requestBody"]["content"]["application/json"]["schema"]


def given(doc: Doc) -> Any:
    return post(doc)["responses"]["200"]["content"]["application/json"]["schema"]


P: Final = "POST /v1/things"
BREAKS: dict[str, tuple[Callable[[Doc], Any], str]] = {
    "path removed": (lambda d: d["paths"].clear(), f"{P}: the route is gone"),
    "method removed": (
        lambda d: d["paths"]["/v1/things"].pop("get"), "GET /v1/things: the route is gone",
    ),
    "token needed": (lambda d: post(d).pop("security"), f"{P}: it needs a token now"),
    "query removed": (lambda d: post(d)["parameters"].clear(), f"{P}: the query parameter q is gone"),
    "query required": (
        lambda d: post(d)["parameters"][0].update(required=True),
        f"{P}: the query parameter q is required now",
    ),
    "new required header": (
        lambda d: post(d)["parameters"].append({"in": "header", "name": "H", "required": True}),
        f"{P}: the header parameter H is required now",
    ),
    "query narrowed": (
        lambda d: post(d)["parameters"][0].update(schema={"type": "integer"}),
        f"{P} query q: it may not be string any more",
    ),
    "body required": (
        lambda d: post(d)["requestBody"].update(required=True), f"{P}: a body is required now",
    ),
    "body removed": (lambda d: post(d).pop("requestBody"), f"{P}: it takes no body any more"),
    "media type not taken": (
        lambda d: post(d)["requestBody"].update(content={}),
        f"{P}: it does not take application/json any more",
    ),
    "sent field removed": (
        lambda d: sent(d)["properties"].pop("tags"), f"{P} body.tags: the field is gone",
    ),
    "sent field required": (
        lambda d: sent(d)["required"].append("state"), f"{P} body.state: the field is required now",
    ),
    "sent type changed": (
        lambda d: sent(d)["properties"].update(name={"type": "integer"}),
        f"{P} body.name: it may not be string any more",
    ),
    "null not taken": (
        lambda d: sent(d)["properties"].update(size={"type": "integer", "maximum": 9}),
        f"{P} body.size: it may not be null any more",
    ),
    "sent enum narrowed": (
        lambda d: sent(d)["properties"]["state"].update(enum=["on"]),
        f"{P} body.state: off is refused now",
    ),
    "sent enum where any was": (
        lambda d: sent(d)["properties"]["name"].update(enum=["x"]),
        f"{P} body.name: any value is refused now",
    ),
    "longest shortened": (
        lambda d: sent(d)["properties"]["name"].update(maxLength=9),
        f"{P} body.name: maxLength was 60 and is 9",
    ),
    "shortest raised": (
        lambda d: sent(d)["properties"]["name"].update(minLength=2),
        f"{P} body.name: minLength was 1 and is 2",
    ),
    "bound inside a choice": (
        lambda d: sent(d)["properties"]["size"]["oneOf"][0].update(maximum=8),
        f"{P} body.size: maximum was 9 and is 8",
    ),
    "pattern of items": (
        lambda d: sent(d)["properties"]["tags"]["items"].update(pattern="^b$"),
        f"{P} body.tags[]: pattern was ^a$ and is ^b$",
    ),
    "behind a reference": (
        lambda d: d["components"]["schemas"]["Part"]["properties"].pop("of"),
        f"{P} body.within.of: the field is gone",
    ),
    "status removed": (
        lambda d: post(d)["responses"].clear(), f"{P}: it does not answer 200 any more",
    ),
    "answer header removed": (
        lambda d: post(d)["responses"]["200"]["headers"].clear(), f"{P} 200: the header ETag is gone",
    ),
    "media type not answered": (
        lambda d: post(d)["responses"]["200"]["content"].clear(),
        f"{P} 200: it does not answer application/json any more",
    ),
    "given field removed": (
        lambda d: given(d)["properties"].pop("tags"), f"{P} 200.tags: the field is gone",
    ),
    "given field may be absent": (
        lambda d: given(d)["required"].clear(), f"{P} 200.name: the field may be absent now",
    ),
    "given type widened": (
        lambda d: given(d)["properties"].update(name={"type": ["string", "null"]}),
        f"{P} 200.name: it may be null now",
    ),
    "given enum widened": (
        lambda d: given(d)["properties"]["state"]["enum"].append("lost"),
        f"{P} 200.state: lost may be there now",
    ),
    "given bound widened": (
        lambda d: given(d)["properties"]["name"].update(maxLength=99),
        f"{P} 200.name: maxLength was 60 and is 99",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_a_rule_of_the_api_finds_its_break(name: str) -> None:
    """The change is found, and named by its place."""
    change, said = BREAKS[name]
    new = small_api()
    change(new)
    assert said in breaking.of_api(small_api(), new)


def test_what_is_added_breaks_nobody() -> None:
    """A route, an optional parameter, field or body, a header, a wider body, a narrower answer."""
    new = small_api()
    new["paths"]["/v1/more"] = {"get": {"responses": {}}}
    post(new)["parameters"].append({"in": "query", "name": "r", "schema": text()})
    post(new)["parameters"].append({"in": "header", "name": "H", "schema": text()})
    sent(new)["properties"]["more"] = text()
    sent(new)["properties"]["state"]["enum"].append("idle")
    sent(new)["properties"]["name"] = {"oneOf": [text(maxLength=99), {"type": "null"}]}
    sent(new)["required"].clear()
    given(new)["properties"]["more"] = text()
    given(new)["properties"]["state"]["enum"].remove("off")
    given(new)["required"].append("state")
    post(new)["responses"]["200"]["headers"]["Log-Position"] = {}
    assert breaking.of_api(small_api(), new) == []


def small_events() -> Doc:
    fact = {
        "type": "object",
        "properties": {"a": text(), "title": text(description="words"), "b": {"type": "integer"}},
        "required": ["a", "title", "b"],
        "$defs": {"S": {"type": "object", "properties": {"x": text()}}},
    }
    message = {"type": "object", "properties": {"n": text()}, "required": ["n"],
               "additionalProperties": False}  # fmt: skip
    return {
        "channels": {"f": {"address": "facts.x", "messages": {"gpuaas.a.v1": {}, "M": {}}}},
        "components": {"schemas": {"gpuaas.a.v1": fact, "M": message}},
    }


def fact_of(doc: Doc) -> Any:
    return doc["components"]["schemas"]["gpuaas.a.v1"]


def message_of(doc: Doc) -> Any:
    return doc["components"]["schemas"]["M"]


F: Final = "gpuaas.a.v1"
EVENT_BREAKS: dict[str, tuple[Callable[[Doc], Any], str]] = {
    "tag removed": (
        lambda d: d["components"]["schemas"].pop(F), f"{F}: the fact is gone",
    ),
    "field removed": (lambda d: fact_of(d)["properties"].pop("a"), f"{F}: the field a is gone"),
    "field whose name is a word of schemas": (
        lambda d: fact_of(d)["properties"]["title"].update(type="integer"),
        f"{F}: the field title has another type",
    ),
    "field added": (
        lambda d: fact_of(d)["properties"].update(c=text()), f"{F}: the field c is new",
    ),
    "field widened": (
        lambda d: fact_of(d)["properties"].update(b={"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        f"{F}: the field b has another type",
    ),
    "fields reordered": (
        lambda d: fact_of(d)["properties"].update(a=fact_of(d)["properties"].pop("a")),
        f"{F}: its fields stand in another order",
    ),
    "field may be absent": (
        lambda d: fact_of(d)["required"].remove("b"), f"{F}: other fields may be absent",
    ),
    "struct inside": (
        lambda d: fact_of(d)["$defs"]["S"]["properties"].update(y=text()),
        f"{F}: a struct inside it has other fields",
    ),
    "message removed": (
        lambda d: d["components"]["schemas"].pop("M"), "M: the message is gone",
    ),
    "message's field required": (
        lambda d: (message_of(d)["properties"].update(o=text()), message_of(d)["required"].append("o")),
        "M.o: the field is required now",
    ),
    "message's field may be absent": (
        lambda d: message_of(d)["required"].clear(), "M.n: the field may be absent now",
    ),
    "message's type changed": (
        lambda d: message_of(d)["properties"].update(n={"type": "integer"}),
        "M.n: it may not be string any more",
    ),
    "channel moved": (
        lambda d: d["channels"]["f"].update(address="facts.y"), "facts.x: the channel is gone",
    ),
    "message of a channel": (
        lambda d: d["channels"]["f"]["messages"].pop(F), f"facts.x: {F} does not travel there any more",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(EVENT_BREAKS))
def test_a_rule_of_the_events_finds_its_break(name: str) -> None:
    """Facts are exact for ever; messages are read by releases before and after."""
    change, said = EVENT_BREAKS[name]
    new = small_events()
    change(new)
    assert said in breaking.of_events(small_events(), new)


def test_new_events_and_other_words_break_nobody() -> None:
    """A new tag, a new channel, a message's new optional field, another description."""
    new = small_events()
    new["components"]["schemas"]["gpuaas.a.v2"] = fact_of(new)
    new["channels"]["g"] = {"address": "facts.z", "messages": {}}
    message_of(new)["properties"]["more"] = text()
    fact_of(new)["properties"]["title"]["description"] = "other words"
    assert breaking.of_events(small_events(), new) == []


def test_a_refusal_that_is_gone_or_has_another_status_is_a_break() -> None:
    """Clients decide by code and status; title and remedy are for people."""
    old: Doc = {"a.b": {"status": 404, "title": "x"}, "c.d": {"status": 409, "title": "y"}}
    new: Doc = {"c.d": {"status": 400, "title": "z"}, "e.f": {"status": 400, "title": "n"}}
    assert breaking.of_problems(old, new) == [
        "a.b: the refusal is gone", "c.d: status 409 became 400",
    ]  # fmt: skip


def test_nothing_that_the_last_release_promised_is_broken() -> None:
    """Add beside the old (a new field, path or tag v2), or say why not in baseline/allowed.txt."""
    found, allowed = set(release.breaks()), release.allowed()
    odd = sorted(found - set(allowed))
    assert not odd, f"breaks the last release; add `break | why` to {release.ALLOWED.name}: {odd}"
    stale = sorted(set(allowed) - found)
    assert not stale, f"allowed, but nothing breaks so: {stale}"
    assert all(allowed.values()), "each has its reason"


def test_a_release_is_taken_only_when_nothing_breaks(tmp_path: Path) -> None:
    """A break stands in the way until it is allowed by name; then the baseline is this tree's."""
    names = ("openapi.json", "asyncapi.json", "problems.json")
    base = tmp_path / "baseline"
    base.mkdir()
    for name in names:
        shutil.copyfile(release.CONTRACTS / name, base / name)
        shutil.copyfile(release.CONTRACTS / name, tmp_path / name)
    (base / "allowed.txt").write_text("# break | why\n")
    problems = json.loads((tmp_path / "problems.json").read_text())
    del problems["quota.exceeded"]
    (tmp_path / "problems.json").write_text(json.dumps(problems))
    said = "quota.exceeded: the refusal is gone"
    assert release.take(tmp_path, base) == [said]
    assert "quota.exceeded" in (base / "problems.json").read_text()
    (base / "allowed.txt").write_text(f"# break | why\n{said} | it never came\n")
    assert release.take(tmp_path, base) == []
    assert "quota.exceeded" not in (base / "problems.json").read_text()
    assert (base / "allowed.txt").read_text() == "# break | why\n"
