"""The table of actions (`actions.txt`): one action a route, and the built-in roles that hold it."""

from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

HERE: Final = Path(__file__).parent
ROLES: Final = (
    *("admin", "auditor", "billing", "member", "operator", "owner", "support", "viewer"),
)
WITHIN: Final = "-"  # the route of an action that is asked within another route


class Action(Struct, frozen=True):
    """`level`: decided at the platform itself, or where in a tenant's tree the thing lies."""

    name: str
    route: str
    level: Literal["platform", "tenant"]
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
        assert level in {"platform", "tenant"}, line
        assert name not in found, line
        kind: Literal["platform", "tenant"] = "platform" if level == "platform" else "tenant"
        found[name] = Action(name, route, kind, tuple(roles.split()))
    return found


ACTIONS: Final = _read()
BY_ROUTE: Final = {one.route: one for one in ACTIONS.values() if one.route != WITHIN}
AREAS: Final = tuple(sorted({one.area for one in ACTIONS.values()}))


def known(word: str) -> bool:
    """Whether the word names an action, all actions of an area (`runtime.*`), or all (`*`)."""
    return word == "*" or word in ACTIONS or word.removesuffix(".*") in AREAS
