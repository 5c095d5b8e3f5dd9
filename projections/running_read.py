"""Runtimes that are billed and not charged yet, and what the price list makes of that time.

Time is charged when a runtime ends or a period closes (`billing_read.usage`); what comes before is
no charge, and an estimate: tiers, commitments, re-ratings and holds are for rating to apply.
"""

from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.accrual import listed
from domain.price_facts import LIST
from domain.tariff import gpu_scope
from projections.asof import fetch
from projections.prices_read import tariff
from projections.reach import Of


class Running(Struct, frozen=True):
    """Charged until `charged_until_us`, if it ever was; billed since `usable_us`. `department`:
    where its project is now.
    """

    runtime: str
    from_position: int
    department: str | None
    project: str
    account: str
    currency: str
    model: str
    region: str
    spot: bool
    gpu_milli: int
    usable_us: int
    charged_until_us: int | None

    @property
    def since_us(self) -> int:
        """From when on it is not charged."""
        return max(self.usable_us, self.charged_until_us or self.usable_us)


class Estimate(Struct, frozen=True):
    """Until `until_us`: milli-GPU-us, and what the list makes of them; None: nothing prices it."""

    running: Running
    until_us: int
    quantity: int
    amount_pico: int | None


# From the live allocations, which are few, not from all states ever reached.
_RUNNING: Final = """
SELECT r.runtime, r.from_position, q.department, r.project, r.account, c.currency, l.model,
  coalesce(n.region, '-') AS region, o.version IS NOT NULL AS spot, r.gpu_milli,
  e.since_us AS usable_us,
  (SELECT max(u.end_us) FROM views.rated_interval u
    WHERE u.resource = r.runtime AND u.meter = 'gpu.time' AND u.sign > 0 AND [u])
    AS charged_until_us
FROM views.allocation a
JOIN views.runtime_state s ON s.runtime = a.runtime AND [s]
JOIN views.runtime r ON r.runtime = s.runtime AND [r]
JOIN views.account c ON c.account = r.account AND [c]
JOIN views.runtime_place l ON l.runtime = s.runtime AND [l]
LEFT JOIN views.project_place q ON q.project = r.project AND [q]
LEFT JOIN views.runtime_spot o ON o.runtime = r.runtime AND [o]
LEFT JOIN views.node_region n ON n.node = l.node AND n.from_position < l.from_position
  AND (n.to_position IS NULL OR n.to_position > l.from_position)
JOIN LATERAL (SELECT x.state, x.since_us FROM views.runtime_state x
  WHERE x.runtime = s.runtime AND x.state IN ('usable', 'degraded')
    AND x.from_position <= s.from_position
  ORDER BY x.from_position DESC LIMIT 1) e ON e.state = 'usable'
WHERE [a] AND s.state IN ('usable', 'stopping')
  AND (%(organization)s::text IS NULL OR r.organization = %(organization)s)
  AND [reach r.project r.runtime]
  AND (%(department)s::text IS NULL OR q.department = %(department)s)
  AND (%(project)s::text IS NULL OR r.project = %(project)s)
  AND (%(account)s::text IS NULL OR r.account = %(account)s)
  AND (%(before)s::bigint IS NULL OR r.from_position < %(before)s)
ORDER BY r.from_position DESC LIMIT %(limit)s
"""


def running(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    department: str | None = None,
    project: str | None = None,
    account: str | None = None,
    before: int | None = None,
    limit: int = 50,
    as_of: int | None = None,
) -> list[Running]:
    """Newest first, those before position `before`, the cursor."""
    asked = {
        "organization": organization, "department": department, "project": project,
        "account": account, "before": before, "limit": limit,
    }  # fmt: skip
    return fetch(conn, Running, _RUNNING, asked, as_of)


def estimates(conn: psycopg.Connection[Any], until_us: int, **asked: Any) -> list[Estimate]:
    """As `running`, with what is not charged until then, by the list as it is now."""
    rows = running(conn, **asked)
    lists = {name: tariff(conn, name, LIST, 0, None) for name in {row.account for row in rows}}
    found = []
    for row in rows:
        scope = gpu_scope(row.model, row.currency, spot=row.spot, region=row.region)
        span = (row.since_us, max(row.since_us, until_us))
        amount = listed(lists[row.account], row.account, scope, row.gpu_milli, span)
        quantity = row.gpu_milli * (span[1] - span[0])
        found.append(Estimate(row, span[1], quantity, amount))
    return found
