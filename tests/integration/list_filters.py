"""Lists by state and by project, as the document describes them, against the lists as a whole."""

import json
from collections import Counter
from typing import Any, Final

from tests.api_stage import Stage

FILTERS: Final = ("state", "project")


def filtered(document: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """(path, filter) of every list page by page; the words that the filter takes, none where it
    takes ids.
    """
    found = {}
    for path, item in document["paths"].items():
        asked = {one["name"]: one["schema"] for one in item.get("get", {}).get("parameters", [])}
        for name in FILTERS if "limit" in asked and "as_of" in asked else ():
            if name in asked:
                found[path, name] = _words(asked[name])
    return found


def _words(schema: dict[str, Any]) -> list[str]:
    several = schema.get("oneOf", schema.get("anyOf", [schema]))
    return [word for one in several for word in one.get("enum", []) if word]


async def require_filters(stage: Stage, document: dict[str, Any], queries: dict[str, str]) -> None:
    """Of each list: with each value exactly the things that have it, page by page too; all values
    together give everything; what is no state is refused.
    """
    for (path, name), words in filtered(document).items():
        of = f"{path}?{queries.get(path, '')}"
        every = (await stage.get(f"{of}&limit=500")).json()["items"]
        counts = Counter(one[name] for one in every)
        assert every, f"nothing in {path} on this stage"
        assert (name == "state") == bool(words), (path, name)
        assert not words or set(counts) <= set(words), (path, counts)
        for value in words or filter(None, counts):
            asked = f"{of}&{name}={value}"
            found = (await stage.get(f"{asked}&limit=500")).json()["items"]
            wanted = [one for one in every if one[name] == value]
            assert sorted(found, key=json.dumps) == sorted(wanted, key=json.dumps), (path, value)
            if len(found) > 1:
                first = (await stage.get(f"{asked}&limit=1")).json()
                rest = await stage.get(f"{asked}&limit=500&cursor={first['next']}")
                assert first["items"] + rest.json()["items"] == found, (path, value)
        if words:
            wrong = await stage.get(f"{of}&state=never")
            [error] = wrong.json()["errors"]
            assert (wrong.status_code, wrong.json()["code"]) == (400, "request.invalid"), path
            assert error["pointer"] == "/state", path
