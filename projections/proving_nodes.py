"""What a node's words, and what is placed on it, rest on: its latest enrolment, anchor, region."""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch


class _Of(Struct, frozen=True):
    node: str
    position: int


_ENROLLED: Final = """
SELECT n.node, n.from_position AS position FROM views.node_identity n
WHERE n.node = ANY (%(nodes)s) ORDER BY n.from_position
"""
_ANCHORED: Final = """
SELECT n.node, n.from_position AS position FROM views.node_anchor n
WHERE n.node = ANY (%(nodes)s) ORDER BY n.from_position
"""
_REGIONS: Final = """
SELECT n.node, n.from_position AS position FROM views.node_region n
WHERE n.node = ANY (%(nodes)s) ORDER BY n.from_position
"""


class Nodes:
    """By node, where something was placed on it or rests on its key, and where its word counts."""

    def __init__(self) -> None:
        self._sealed: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._placed: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._spoke: dict[str, array[int]] = defaultdict(lambda: array("q"))

    def placed(self, node: str, position: int) -> None:
        self._placed[node].append(position)

    def sealed(self, node: str, position: int) -> None:
        """What it has read was."""
        self._sealed[node].append(position)

    def spoke(self, node: str, position: int) -> None:
        self._spoke[node].append(position)

    def rest_on(self, conn: psycopg.Connection[Any]) -> Iterator[int]:
        """Positions."""
        names = sorted({*self._placed, *self._spoke, *self._sealed})
        asked = {"nodes": names}
        enrolled = _by_node(fetch(conn, _Of, _ENROLLED, asked))
        regions = _by_node(fetch(conn, _Of, _REGIONS, asked))
        anchored = _by_node(fetch(conn, _Of, _ANCHORED, asked))
        for name in names:
            anchors = _latest(anchored[name], self._spoke[name])
            yield from anchors
            yield from _latest(regions[name], self._placed[name])
            said = [*self._placed[name], *self._spoke[name], *self._sealed[name], *anchors]
            yield from _latest(enrolled[name], said)


def _by_node(rows: list[_Of]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        found[row.node].append(row.position)
    return found


def _latest(of: list[int], before: Sequence[int]) -> set[int]:
    places = (bisect_left(of, position) for position in before)
    return {of[place - 1] for place in places if place}
