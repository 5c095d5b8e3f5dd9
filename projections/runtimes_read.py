"""Questions about runtimes; all accept a position, lists are stable while rows are inserted."""

from typing import Any, Final, LiteralString

import psycopg
from msgspec import Struct

from domain.words import Share
from projections.asof import Several, fetch, fetch_one, held
from projections.reach import Of, reach_of
from projections.runtimes import NEXT


class Runtime(Struct, frozen=True):
    """One runtime as a person sees it.

    `version` is the stream's (an ETag); `from_position` is where it was requested and serves as a
    cursor; `next` is what happens next; what concerns its place is null until it was allocated;
    `name` is null once erased.
    """

    runtime: str
    from_position: int
    version: int
    organization: str
    department: str
    project: str
    account: str
    name: str | None
    devices: int
    gpu_milli: int
    models: tuple[str, ...]
    requested_us: int
    requested_by: str
    state: str
    since_us: int
    why: str
    changed_by: str
    changed_at: int
    allocation: str | None
    node: str | None
    model: str | None
    shares: tuple[Share, ...] | None
    epoch: int | None
    allocated_us: int | None
    simulated: bool | None
    image: str | None
    digest: str | None
    cpu_milli: int | None
    memory_bytes: int | None
    pids: int | None
    restarts: int | None
    address: str | None
    port: int | None
    host_key: str | None
    network: str | None
    sent_bytes: int | None
    received_bytes: int | None
    counted_us: int | None
    idle_since_us: int | None
    idle_stop_us: int | None
    spot: bool
    region: str | None

    @property
    def next(self) -> str:
        """What a person is told to expect."""
        return NEXT[self.state]


class Image(Struct, frozen=True):
    """What a reference means: its newest registration, made at `from_position`."""

    image: str
    from_position: int
    reference: str
    digest: str
    registered_us: int


class Change(Struct, frozen=True):
    """One state and the half-open range of positions at which it was the current one."""

    from_position: int
    to_position: int | None
    version: int
    state: str
    since_us: int
    why: str
    actor: str


_FIELDS: Final[LiteralString] = """
SELECT r.runtime, r.from_position,
  greatest(s.version, coalesce(c.version, 0), coalesce(t.version, 0), coalesce(n.version, 0),
    coalesce(u.version, 0), coalesce(d.version, 0), coalesce(p.version, 0),
    coalesce(o.version, 0), coalesce(b.version, 0)) AS version,
  r.organization, r.department, r.project, r.account,
  w.words AS name, r.devices, r.gpu_milli, r.models, r.requested_us, r.actor AS requested_by,
  s.state, s.since_us, s.why, s.actor AS changed_by, s.from_position AS changed_at,
  l.allocation, l.node, l.model, l.devices AS shares, l.epoch, l.allocated_us, i.simulated,
  c.image, c.digest, c.cpu_milli, c.memory_bytes, c.pids, c.restarts,
  t.address, t.port, t.host_key,
  n.network, u.sent_bytes, u.received_bytes, u.decided_us AS counted_us,
  d.decided_us - d.idle_us AS idle_since_us, p.stop_after_us AS idle_stop_us,
  o.version IS NOT NULL AS spot,
  CASE WHEN l.node IS NOT NULL THEN coalesce(e.region, '-') END AS region
"""
_STATE: Final[LiteralString] = """
JOIN LATERAL (SELECT * FROM views.runtime_state s WHERE s.runtime = r.runtime AND [s]
  ORDER BY s.from_position DESC LIMIT 1) s ON true
"""
_PARTS: Final[LiteralString] = """
LEFT JOIN LATERAL (SELECT * FROM views.runtime_place l WHERE l.runtime = r.runtime AND [l]
  ORDER BY l.from_position DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (SELECT * FROM views.runtime_config c WHERE c.runtime = r.runtime AND [c]
  ORDER BY c.from_position DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT * FROM views.runtime_route t WHERE t.runtime = r.runtime AND [t]
  ORDER BY t.from_position DESC LIMIT 1) t ON true
LEFT JOIN LATERAL (SELECT * FROM views.runtime_network n WHERE n.runtime = r.runtime AND [n]
  ORDER BY n.from_position DESC LIMIT 1) n ON true
LEFT JOIN LATERAL (SELECT * FROM views.runtime_egress u WHERE u.runtime = r.runtime AND [u]
  ORDER BY u.from_position DESC LIMIT 1) u ON true
LEFT JOIN LATERAL (SELECT * FROM views.runtime_idle d WHERE d.runtime = r.runtime AND [d]
  ORDER BY d.from_position DESC LIMIT 1) d ON true
LEFT JOIN LATERAL (SELECT * FROM views.runtime_idle_limit p WHERE p.runtime = r.runtime AND [p]
  ORDER BY p.from_position DESC LIMIT 1) p ON true
LEFT JOIN views.runtime_spot o ON o.runtime = r.runtime AND [o]
LEFT JOIN views.runtime_region b ON b.runtime = r.runtime AND [b]
LEFT JOIN views.node_region e ON e.node = l.node AND e.from_position < l.from_position
  AND (e.to_position IS NULL OR e.to_position > l.from_position)
LEFT JOIN views.node_identity i ON i.node = l.node AND [i]
"""
_NAME: Final = "[words w r.name]"
_REST: Final[LiteralString] = f"{_PARTS}{_NAME}"
_RUNTIMES: Final = f"{_FIELDS} FROM views.runtime r {_STATE} {_REST} WHERE [r]"
_ONE: Final = " AND r.runtime = %(runtime)s"
# The page is found first, by an index in its order; the rest is read for its rows alone.
_NEWEST: Final[LiteralString] = """[fields]
FROM (SELECT * FROM views.runtime r WHERE [r] [which]
  ORDER BY r.from_position DESC LIMIT %(limit)s) r
[state] [rest] ORDER BY r.from_position DESC
"""
_IN_STATE: Final[LiteralString] = """[fields]
FROM (SELECT s.* FROM views.runtime_state s
  JOIN views.runtime r ON r.runtime = s.runtime AND [r]
  WHERE [s] AND s.state = %(state)s [which]
  ORDER BY s.from_position DESC LIMIT %(limit)s) s
JOIN views.runtime r ON r.runtime = s.runtime AND [r]
[rest] ORDER BY s.from_position DESC
"""
_WHICH: Final[dict[str, LiteralString]] = {
    "organization": " AND [of].organization = %(organization)s",
    "project": " AND r.project = %(project)s",
    "before": " AND [of].from_position < %(before)s",
    "partly": " AND [reach r.project r.runtime]",
}
_IMAGES: Final = """
SELECT c.image, c.from_position, c.reference, c.digest, c.registered_us
FROM views.image c WHERE [c]
  AND (%(reference)s::text IS NULL
    OR (hashtextextended(c.reference, 0) = hashtextextended(%(reference)s, 0)
      AND c.reference = %(reference)s))
  AND (%(after)s::bigint IS NULL OR c.from_position > %(after)s)
ORDER BY c.from_position LIMIT %(limit)s
"""
_HISTORY: Final = """
SELECT s.from_position, s.to_position, s.version, s.state, s.since_us, s.why, s.actor
FROM views.runtime_state s WHERE s.runtime = %(runtime)s
  AND (%(as_of)s::bigint IS NULL OR s.from_position <= %(as_of)s)
ORDER BY s.from_position
"""


RUNTIMES: Final = Several(Runtime, held(_RUNTIMES + " AND r.runtime = ANY ($1)", None))


def runtime(
    conn: psycopg.Connection[Any], runtime_id: str, as_of: int | None = None
) -> Runtime | None:
    """The runtime, or None when none was requested under this id."""
    return fetch_one(conn, Runtime, _RUNTIMES + _ONE, {"runtime": runtime_id}, as_of)


def runtimes(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    project: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 50,
    as_of: int | None = None,
) -> list[Runtime]:
    """Newest request first; with a `state`, the last to come into it first. `before`: the `cursor`
    of the last of the page before this.

    Whatever happens meanwhile gets larger positions, so following pages neither repeat nor skip.
    """
    reach = reach_of(organization)
    asked = {"organization": reach, "project": project, "before": before, "limit": limit}
    asked |= {"state": state, "partly": None if reach.whole else True}
    of: LiteralString = "r" if state is None else "s"
    which: LiteralString = ""
    for name, text in _WHICH.items():
        if (reach.organization if name == "organization" else asked[name]) is not None:
            which += text.replace("[of]", of)
    query = _NEWEST if state is None else _IN_STATE
    parts = (("[fields]", _FIELDS), ("[state]", _STATE), ("[rest]", _REST), ("[which]", which))
    for mark, text in parts:
        query = query.replace(mark, text)
    return fetch(conn, Runtime, query, asked, as_of)


def cursor(row: Runtime, state: str | None) -> int:
    """Where the page after the row begins, in the list of this state (None: of all)."""
    return row.from_position if state is None else row.changed_at


def history(
    conn: psycopg.Connection[Any], runtime_id: str, as_of: int | None = None
) -> list[Change]:
    """Every state it has been in, oldest first; [] for one that does not exist."""
    return fetch(conn, Change, _HISTORY, {"runtime": runtime_id}, as_of)


def images(
    conn: psycopg.Connection[Any],
    *,
    reference: str | None = None,
    after: int | None = None,
    limit: int = 50,
    as_of: int | None = None,
) -> list[Image]:
    """Registered images in order of registration, one a reference; `after`: the cursor."""
    asked = {"reference": reference, "after": after, "limit": limit}
    return fetch(conn, Image, _IMAGES, asked, as_of)
