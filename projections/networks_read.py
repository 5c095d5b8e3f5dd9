"""Questions about networks; all accept a position, lists are stable while rows are inserted."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.network import Rule
from projections.asof import fetch
from projections.reach import Of


class Network(Struct, frozen=True):
    """With the policy in force. `from_position`: where it was created, a cursor; `version`: the
    stream's (an ETag); `name` is null once erased; `runtimes` in it that have not ended.
    """

    network: str
    from_position: int
    version: int
    organization: str
    project: str
    name: str | None
    state: str
    internal: bool
    egress: tuple[Rule, ...]
    created_us: int
    changed_us: int
    runtimes: int


_NETWORKS: Final = """
SELECT t.network, t.from_position, p.version, t.organization, t.project, w.words AS name, p.state,
  p.internal, p.egress, t.created_us, p.changed_us,
  (SELECT count(*) FROM views.runtime_network r
    JOIN views.runtime_state s ON s.runtime = r.runtime AND [s]
    WHERE r.network = t.network AND [r]
      AND s.state NOT IN ('stopped', 'failed', 'lost', 'cancelled')) AS runtimes
FROM views.network t
JOIN views.network_policy p ON p.network = t.network AND [p]
[words w t.name]
WHERE [t] AND (%(organization)s::text IS NULL OR t.organization = %(organization)s)
  AND [reach t.project t.network]
  AND (%(project)s::text IS NULL OR t.project = %(project)s)
  AND (%(state)s::text IS NULL OR p.state = %(state)s)
  AND (%(network)s::text IS NULL OR t.network = %(network)s)
  AND t.from_position > %(after)s ORDER BY t.from_position LIMIT %(limit)s
"""


def networks(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    project: str | None = None,
    state: str | None = None,
    network: str | None = None,
    after: int = -1,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Network]:
    """Oldest first after position `after`, the cursor; deleted ones too."""
    asked = {
        "organization": organization, "project": project, "state": state,
        "network": network, "after": after, "limit": limit,
    }  # fmt: skip
    return fetch(conn, Network, _NETWORKS, asked, as_of)
