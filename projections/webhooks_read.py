"""Questions about webhooks; lists are stable while rows are inserted."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch
from projections.reach import Of


class Webhook(Struct, frozen=True):
    """`url` and `secret`: the words, None once erased; `secret_before`: the one that was rotated
    away, `rotated_us` when. `replay_at`: position of the last wish to replay, from `replay_from`;
    `changed_at`: of the last change, `resumed_at`: of the resumption that holds; else None.
    """

    webhook: str
    from_position: int
    version: int
    organization: str
    state: str
    url: str | None
    tags: tuple[str, ...]
    registered_us: int
    deleted_us: int | None
    disabled_us: int | None
    secret: str | None
    secret_before: str | None
    rotated_us: int
    replay_at: int | None
    replay_from: int | None
    changed_at: int | None
    resumed_at: int | None


_WEBHOOKS: Final = """
SELECT t.webhook, t.from_position,
  greatest(s.version, coalesce(r.version, 0), coalesce(e.version, 0),
    coalesce(d.version, 0), coalesce(c.version, 0), coalesce(p.version, 0)) AS version,
  t.organization, x.state, u.words AS url, coalesce(c.tags, t.tags) AS tags,
  t.registered_us, e.decided_us AS deleted_us,
  d.decided_us AS disabled_us,
  w.words AS secret, b.words AS secret_before, s.decided_us AS rotated_us,
  r.from_position AS replay_at, r.first AS replay_from,
  c.from_position AS changed_at, CASE WHEN NOT p.paused THEN p.from_position END AS resumed_at
FROM views.webhook t
JOIN views.webhook_secret s ON s.webhook = t.webhook AND [s]
LEFT JOIN views.webhook_secret o ON o.webhook = t.webhook AND o.to_position = s.from_position
LEFT JOIN views.webhook_replay r ON r.webhook = t.webhook AND [r]
LEFT JOIN views.webhook_end e ON e.webhook = t.webhook AND [e]
LEFT JOIN views.webhook_disabled d ON d.webhook = t.webhook AND [d]
LEFT JOIN views.webhook_change c ON c.webhook = t.webhook AND [c]
LEFT JOIN views.webhook_pause p ON p.webhook = t.webhook AND [p]
CROSS JOIN LATERAL (SELECT CASE WHEN e.decided_us IS NOT NULL THEN 'deleted'
  WHEN d.decided_us IS NOT NULL THEN 'disabled'
  WHEN p.paused THEN 'paused' ELSE 'standing' END AS state) x
[words u coalesce(c.url,t.url)]
[words w s.secret]
[words b o.secret]
WHERE [t] AND (%(organization)s::text IS NULL OR t.organization = %(organization)s)
  AND [reach t.organization]
  AND (%(webhook)s::text IS NULL OR t.webhook = %(webhook)s)
  AND (%(state)s::text IS NULL OR x.state = %(state)s)
  AND t.from_position > %(after)s ORDER BY t.from_position LIMIT %(limit)s
"""


def webhooks(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    webhook: str | None = None,
    state: str | None = None,
    after: int = -1,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Webhook]:
    """Oldest first after position `after`, the cursor; those that stand are sent to."""
    asked = {
        "organization": organization, "webhook": webhook, "state": state, "after": after,
        "limit": limit,
    }  # fmt: skip
    return fetch(conn, Webhook, _WEBHOOKS, asked, as_of)
