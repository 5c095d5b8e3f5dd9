"""Whether the platform is ready, and if not, why: one reason a line, for operators and probes."""

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch, fetch_one
from projections.upkeep_read import not_serving

SECOND_US: Final = 1_000_000
# How old a report may be. A component that never reported is absent, which is not ready either.
EXPECTED: Final[dict[str, int]] = {
    "projections": 30 * SECOND_US,
    "rater": 30 * SECOND_US,
    "integrator": 30 * SECOND_US,
    "signer": 30 * SECOND_US,
    "heartbeat": 30 * SECOND_US,
    "scrubber": 3600 * SECOND_US,
}
# What processes say of their certificates, again and again: the word of one that is gone lapses.
CERTIFICATE: Final = "certificate."
ENDS_SOON: Final = "tls.ends_soon"
NOT_RENEWED: Final = "tls.not_renewed"
CERTIFICATE_US: Final = 600 * SECOND_US
LAG_LIMIT_US: Final = 10 * SECOND_US
HEARTBEAT_LIMIT_US: Final = 150 * SECOND_US  # entries come every 60 s when idle


class Component(Struct, frozen=True):
    """What a process last said of itself; `age_us` since then, `changed_us` since it said ok."""

    name: str
    ok: bool
    detail: str
    reported_us: int
    changed_us: int


class Refusal(Struct, frozen=True):
    """How many messages of one kind were refused since the deployment began; not a failure."""

    name: str
    count: int
    detail: str
    last_us: int


class Silent(Struct, frozen=True):
    """A node that does not answer, and how many runtimes that affects."""

    node: str
    since_us: int
    allocations: int


class Closed(Struct, frozen=True):
    """A node that takes no work, or not on all its devices, by somebody's will: no failure."""

    node: str
    state: str


class Readiness(Struct, frozen=True):
    """`ready` exactly when `reasons` is empty; `warnings`: what will be one unless somebody
    acts. `lag_us`: age of the oldest entry not in the views.
    """

    ready: bool
    reasons: tuple[str, ...]
    log_size: int
    applied: int
    lag_us: int
    last_entry_us: int
    heartbeat_us: int | None
    rated_through: int | None
    components: tuple[Component, ...]
    refused: tuple[Refusal, ...]
    silent_nodes: tuple[Silent, ...]
    closed_nodes: tuple[Closed, ...] = ()
    warnings: tuple[str, ...] = ()


class _Place(Struct):
    log_size: int
    last_entry_us: int
    applied: int
    oldest_us: int | None
    heartbeat_us: int | None
    rated_through: int | None


_PLACE: Final = """
SELECT h.next_position AS log_size, h.at_us AS last_entry_us, v.position AS applied,
  (SELECT (convert_from(e.entry, 'UTF8')::json ->> 'at_us')::bigint FROM log.entry e
     WHERE e.position = v.position AND e.position < h.next_position) AS oldest_us,
  (SELECT max(b.at_us) FROM views.heartbeat b WHERE b.to_position IS NULL) AS heartbeat_us,
  (SELECT max(s.through) FROM views.seal s WHERE s.to_position IS NULL) AS rated_through
FROM log.head h, views.applied v
"""
_COMPONENTS: Final = """
SELECT name, ok, detail, reported_us, changed_us FROM live.component ORDER BY name
"""
_REFUSALS: Final = "SELECT name, count, detail, last_us FROM live.refusal ORDER BY name"
_SILENT: Final = """
SELECT r.node, r.since_us,
  (SELECT count(*) FROM views.allocation a WHERE a.node = r.node AND a.to_position IS NULL)
    AS allocations
FROM views.node_reach r WHERE r.to_position IS NULL AND NOT r.reachable ORDER BY r.node
"""
# The tripwire: a wallet that is below zero, or holds more than it has.
_FROZEN: Final = """
SELECT wallet FROM views.wallet WHERE to_position IS NULL AND frozen ORDER BY wallet LIMIT 10
"""
# Another one: time of closed periods that is not charged once (projections/tripwire.py).
_TWICE: Final = """
SELECT account, min(resource) FROM live.charged_span WHERE frozen
GROUP BY account ORDER BY account LIMIT 10
"""


def readiness(
    conn: psycopg.Connection[Any], now_us: int, expected: Mapping[str, int] = EXPECTED
) -> Readiness:
    """Everything that bears on readiness at `now_us`, the reader's clock.

    Not ready: a component reports not ok, or is older than `expected` allows (us), or never
    reported; the views lag more than `LAG_LIMIT_US`; no entry, heartbeats included, for
    `HEARTBEAT_LIMIT_US`. A silent node or a refused signature is shown, but one bad node does not
    take the platform down.
    """
    place = fetch_one(conn, _Place, _PLACE, {})
    assert place is not None, "head and applied have one row each"
    components = [
        one
        for one in fetch(conn, Component, _COMPONENTS, {})
        if not one.name.startswith(CERTIFICATE) or now_us - one.reported_us <= CERTIFICATE_US
    ]
    lag = 0 if place.oldest_us is None else max(0, now_us - place.oldest_us)
    reasons = _reasons(components, expected, now_us)
    reasons += [f"{name} is below zero: it is frozen" for (name,) in conn.execute(_FROZEN)]
    reasons += [
        f"{name} is charged twice for {what}: frozen" for name, what in conn.execute(_TWICE)
    ]
    if lag > LAG_LIMIT_US:
        behind = place.log_size - place.applied
        reasons.append(f"the views are {behind} entries and {lag // SECOND_US} s behind the log")
    quiet = now_us - place.last_entry_us
    if quiet > HEARTBEAT_LIMIT_US:
        reasons.append(f"nothing was appended for {quiet // SECOND_US} s, not even a heartbeat")
    return Readiness(
        ready=not reasons,
        reasons=tuple(reasons),
        log_size=place.log_size,
        applied=place.applied,
        lag_us=lag,
        last_entry_us=place.last_entry_us,
        heartbeat_us=place.heartbeat_us,
        rated_through=place.rated_through,
        components=tuple(components),
        refused=tuple(fetch(conn, Refusal, _REFUSALS, {})),
        silent_nodes=tuple(fetch(conn, Silent, _SILENT, {})),
        closed_nodes=closed(conn),
        warnings=tuple(
            f"{one.name}: {one.detail}"
            for one in components
            if one.ok
            and one.name.startswith(CERTIFICATE)
            and one.detail.startswith((ENDS_SOON, NOT_RENEWED))
        ),
    )


def closed(conn: psycopg.Connection[Any]) -> tuple[Closed, ...]:
    """Nodes that are cordoned, draining, drained or quarantined, wholly or in part."""
    found = []
    for one in not_serving(conn):
        partly = one.quarantined and one.state == "serving"
        state = f"{one.quarantined} devices quarantined" if partly else one.state
        if state not in {"serving", "retired"}:
            found.append(Closed(one.node, state))
    return tuple(found)


def _reasons(components: list[Component], expected: Mapping[str, int], now_us: int) -> list[str]:
    found = {component.name: component for component in components}
    reasons = [f"{c.name}: {c.detail}" for c in components if not c.ok]
    for name, limit in expected.items():
        component = found.get(name)
        if component is None:
            reasons.append(f"{name} has never reported")
        elif now_us - component.reported_us > limit:
            age = (now_us - component.reported_us) // SECOND_US
            reasons.append(f"{name} has not reported for {age} s")
    return reasons
