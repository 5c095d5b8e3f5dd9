"""Which rows a reader may know of: those of an organization, or of scopes in it."""

from typing import Any, Final, LiteralString

import psycopg
from msgspec import Struct


class Reach(Struct, frozen=True):
    """`organization`: whose rows; None: everybody's. `everywhere`: all of them; else those whose
    scope (organization, department, project) or resource is among `scopes`. Never a resource of
    `but`. `[]` of both and not `everywhere` is nothing.
    """

    organization: str | None
    everywhere: bool = True
    scopes: frozenset[str] = frozenset()
    but: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Nothing of the organization is kept from the reader."""
        return self.everywhere and not self.but

    def covers(self, scope: str, resource: str = "") -> bool:
        """Whether a row of that scope, and about that resource, is within reach."""
        if resource in self.but:
            return False
        return self.everywhere or scope in self.scopes or resource in self.scopes


type Of = Reach | str | None  # a whole organization by its id; None: all


def reached(scope: LiteralString, resource: LiteralString = "") -> LiteralString:
    """The condition that a row is within reach, by the columns of its scope and what it is about.

    `terms` gives its parameters.
    """
    if not resource:
        return "(%(everywhere)s::boolean OR " + scope + " = ANY (%(scopes)s::text[]))"
    return (
        "(%(everywhere)s::boolean OR " + scope + " = ANY (%(scopes)s::text[])"
        " OR " + resource + " = ANY (%(scopes)s::text[]))"
        " AND " + resource + " <> ALL (%(but)s::text[])"
    )


def reach_of(of: Of) -> Reach:
    return of if isinstance(of, Reach) else Reach(of)


def terms(of: Of) -> dict[str, Any]:
    """The parameters of `reached`, and `organization`."""
    reach = reach_of(of)
    return {
        "organization": reach.organization,
        "everywhere": reach.everywhere,
        "whole": reach.whole,
        "scopes": sorted(reach.scopes),
        "but": sorted(reach.but),
    }


class Place(Struct, frozen=True):
    """Where what an entry says lies: `scope` empty: in its organization, nowhere below; `resource`
    empty: it is about none.
    """

    scope: str
    resource: str


_PLACES: Final = "SELECT at, scope, resource FROM log.places(%(positions)s)"


def places(conn: psycopg.Connection[Any], positions: list[int]) -> dict[int, Place]:
    """By position; entries that there are. One question for many (`log.places`)."""
    rows = conn.execute(_PLACES, {"positions": positions})
    return {position: Place(scope, resource) for position, scope, resource in rows}
