"""Who may still say something of an account's time, by the views: as `sources.Sources` has it."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import psycopg
from msgspec import Struct

from evidence.reader import decode_entry
from projections.asof import fetch
from projections.sources import Silent, completed_stream

# Nodes on which something of the account is not over, or was not at that time.
_NODES: Final = """
SELECT x.node, bool_or(x.here) AS here, max(x.left_us) AS left_us,
  greatest(
    (SELECT l.renewed_us FROM views.node_lease l WHERE l.node = x.node
      ORDER BY l.from_position DESC LIMIT 1),
    (SELECT a.anchor_us FROM views.node_anchor a WHERE a.node = x.node
      ORDER BY a.from_position DESC LIMIT 1)) AS spoke_us,
  EXISTS (SELECT 1 FROM views.reading_run n
    WHERE hashtextextended(n.source, 0) = hashtextextended(x.node, 0) AND n.source = x.node
  ) AS reports
FROM (
  SELECT q.node, s.since_us AS left_us,
    s.state NOT IN ('stopped', 'failed', 'cancelled', 'lost') AS here
  FROM views.runtime r JOIN views.runtime_place q ON q.runtime = r.runtime AND [q]
  JOIN views.runtime_state s ON s.runtime = r.runtime AND [s]
  WHERE r.account = %(account)s AND [r]
  UNION ALL
  SELECT o.node, s.since_us, s.state NOT IN ('deleted', 'lost')
  FROM views.volume o JOIN views.volume_state s ON s.volume = o.volume AND [s]
  WHERE o.account = %(account)s AND [o]) x
GROUP BY x.node HAVING bool_or(x.here) OR max(x.left_us) >= %(start_us)s
"""
_SOURCES: Final = """
SELECT s.source FROM views.source s
LEFT JOIN views.source_revocation r ON r.source = s.source AND [r]
WHERE [s] AND r.source IS NULL AND s.registered_us < %(end_us)s AND %(account)s = (
  SELECT o.account FROM views.project_place o
  WHERE o.project = s.project AND o.from_position < s.from_position
  ORDER BY o.from_position DESC LIMIT 1)
"""
# No further than the views: what is decided on it loses to what they do not have.
_LAST: Final = """
SELECT x.stream, e.version, e.entry FROM unnest(%(streams)s::text[]) x (stream)
JOIN LATERAL (SELECT l.version, l.entry FROM log.entry l
  WHERE l.stream = x.stream AND l.position < (SELECT position FROM views.applied)
  ORDER BY l.version DESC LIMIT 1) e ON true
"""


class _Node(Struct, frozen=True):
    """`left_us`: when what is over there ended last."""

    node: str
    here: bool
    left_us: int
    spoke_us: int | None
    reports: bool


class _Source(Struct, frozen=True):
    source: str


def silent(
    conn: psycopg.Connection[Any], account: str, start_us: int, end_us: int
) -> tuple[Silent, ...]:
    """Who may still say something of the account's `[start_us, end_us)`, in order of their ids,
    each with how far its word has come: by then it is so.
    """
    asked = {"account": account, "start_us": start_us, "end_us": end_us}
    nodes = fetch(conn, _Node, _NODES, asked)
    mute = [one.node for one in nodes if one.here and (one.spoke_us or 0) < end_us]
    reporting = [one.node for one in nodes if one.reports]
    reporting += [one.source for one in fetch(conn, _Source, _SOURCES, asked)]
    last = _last(conn, [*mute, *map(completed_stream, reporting)])
    found = {name: Silent(name, name, last[name][0]) for name in mute}
    for name in reporting:
        stream = completed_stream(name)
        version, until_us = last.get(stream, (0, 0))
        if until_us < end_us and name not in found:
            found[name] = Silent(name, stream, version)
    return tuple(found[name] for name in sorted(found))


def _last(conn: psycopg.Connection[Any], streams: list[str]) -> dict[str, tuple[int, int]]:
    """The version of each, and until when it says that all is told, 0 if it says nothing of it."""
    return {stream: (version, until) for stream, version, until in _told(conn, streams)}


def _told(conn: psycopg.Connection[Any], streams: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    for stream, version, entry in conn.execute(_LAST, {"streams": list(streams)}, binary=True):
        fact: Any = decode_entry(entry).fact
        yield stream, version, getattr(fact, "until_us", 0) if stream.startswith("usage-") else 0
