"""The table of actions (`actions.txt`): one action a route, and the built-in roles that hold it."""

from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

HERE: Final = Path(__file__).parent
ROLES: Final = (
    *("admin", "auditor", "billing", "member", "operator", "owner", "support", "viewer"),
)
ADMINISTRATIVE: Final = "administrative"  # the group of administrative actions
WITHIN: Final = "-"  # the route of an action that is asked within another route


type Level = Literal["anyone", "platform", "tenant"]


class Action(Struct, frozen=True):
    """`level`: decided at the platform itself, or where in a tenant's tree the thing lies; or by
    what else the caller brings (`anyone`).
    """

    name: str
    route: str
    level: Level
    roles: tuple[str, ...]

    @property
    def area(self) -> str:
        return self.name.partition(".")[0]


def _read() -> dict[str, Action]:
    found: dict[str, Action] = {}
    for line in HERE.joinpath("actions.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, route, level, roles = (part.strip() for part in line.split("|"))
        assert name not in found, line
        found[name] = Action(name, route, msgspec.convert(level, Level), tuple(roles.split()))
    return found


def _administrative() -> frozenset[str]:
    lines = HERE.joinpath("administrative.txt").read_text().splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


ACTIONS: Final = _read()
ADMINISTRATIVE_ACTIONS: Final = _administrative()
BY_ROUTE: Final = {one.route: one for one in ACTIONS.values() if one.route != WITHIN}
AREAS: Final = tuple(sorted({one.area for one in ACTIONS.values()}))


def known(word: str) -> bool:
    """Whether the word names an action, an area (`runtime.*`), the administrative, or all."""
    return word in {"*", ADMINISTRATIVE} or word in ACTIONS or word.removesuffix(".*") in AREAS


def _staff(kind: str) -> frozenset[str]:
    """The actions of `desk.txt` of that kind."""
    lines = (line for line in HERE.joinpath("desk.txt").read_text().splitlines() if line[0] != "#")
    rows = [[part.strip() for part in line.split("|")] for line in lines]
    words = {word for word, of, why in rows if of == kind and why}
    return frozenset(one.name for one in ACTIONS.values() if {one.name, f"{one.area}.*"} & words)


def _evidence() -> dict[str, str]:
    """How each read of evidence is in the log: `row`, or its fact's tag."""
    lines = HERE.joinpath("evidence.txt").read_text().splitlines()
    rows = [[part.strip() for part in line.split("|")] for line in lines if line[0] != "#"]
    return {action: how for action, how, what in rows if what}


EVIDENCE: Final = _evidence()
DESK: Final = _staff("desk")
FOUNDING: Final = _staff("founding")
EMBEDDED: Final = _staff("embedded")
