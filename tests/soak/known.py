"""What the run has heard of: ids and versions of things, to ask about instead of about nothing."""

import random
import re
from collections import defaultdict, deque
from typing import Any, Final

from api.describing.links import collections

_ID: Final = re.compile(
    r"^([a-z]+(?:_[a-z]+)*)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
)
_MOST: Final = 40


def kind_of(text: str) -> str:
    """`runtime` of a runtime's id; empty for what is no id."""
    found = _ID.fullmatch(text)
    return "" if found is None else found[1]


def parts(template: str, path: str) -> dict[str, Any]:
    """What stands in the path where the template has names."""
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
    found = re.fullmatch(pattern, path)
    assert found is not None, (template, path)
    return found.groupdict()


class Known:
    """The newest ids of each kind, and of each collection that has paths of its own.

    `kept` are those that no act may end: whoever is here lives in them.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._named = collections(document["paths"])
        self._read = {path for path, item in document["paths"].items() if "get" in item}
        self._kinds: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_MOST))
        self._things: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_MOST))
        self.kept: dict[str, list[str]] = defaultdict(list)
        self.versions: dict[str, int] = {}
        self.periods: dict[str, str] = {}  # of an account, one
        self.position = 0

    def keep(self, name: str) -> None:
        self.kept[kind_of(name)].append(name)

    def thing_names(self, collection: str) -> list[str]:
        return list(self._things[collection])

    def learn(self, path: str, headers: dict[str, list[str]], body: Any) -> None:
        """From an answer that was no refusal."""
        for said in headers.get("log-position", ()):
            self.position = max(self.position, int(said))
        self._ids(body)
        collection = path.rpartition("/")[2]
        if collection not in self._named or not isinstance(body, dict):
            return
        for one in body.get("items", [body]):
            found = self._name(collection, one)
            if found is not None:
                self._add(self._things[collection], found)

    def made(self, path: str, body: Any) -> str | None:
        """Where that, answered to a POST of the path, is read; None where nowhere."""
        parameter = self._named.get(path.rpartition("/")[2])
        if f"{path}/{{{parameter}}}" not in self._read or not isinstance(body, dict):
            return None
        found = self._name(path.rpartition("/")[2], body)
        return None if found is None else f"{path}/{found}"

    def _name(self, collection: str, one: dict[str, Any]) -> str | None:
        parameter = self._named[collection]
        names = ("id", parameter.removesuffix("_id")) if parameter.endswith("_id") else (parameter,)
        return next((one[name] for name in names if isinstance(one.get(name), str)), None)

    def _ids(self, value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("id"), str) and isinstance(value.get("version"), int):
                self.versions[value["id"]] = value["version"]
            if kind_of(str(value.get("id"))) == "period":
                self.periods[str(value.get("account"))] = str(value["id"])
            for below in value.values():
                self._ids(below)
        elif isinstance(value, list):
            for below in value:
                self._ids(below)
        elif isinstance(value, str) and kind_of(value):
            self._add(self._kinds[kind_of(value)], value)

    @staticmethod
    def _add(among: deque[str], name: str) -> None:
        if name not in among:
            among.append(name)

    def thing(self, path: str, parameter: str, rng: random.Random, *, ends: bool) -> str | None:
        """One that the path may be about. `ends`: none of those that are kept."""
        before = path.partition(f"/{{{parameter}}}")[0].rpartition("/")[2]
        return self._one(list(self._things[before]), rng, ends=ends)

    def one(self, kind: str, rng: random.Random, *, ends: bool = False) -> str | None:
        return self._one([*self.kept[kind] * 3, *self._kinds[kind]], rng, ends=ends)

    def _one(self, among: list[str], rng: random.Random, *, ends: bool) -> str | None:
        if ends:
            among = [one for one in among if one not in self.kept[kind_of(one)]]
        return rng.choice(among) if among else None
