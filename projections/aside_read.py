"""Questions about money put aside; all accept a position."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch


class Aside(Struct, frozen=True):
    """`words`: what the payer wrote, None once erased. `how` None: it waits."""

    suspense: str
    from_position: int
    currency: str
    amount_pico: int
    line: str
    words: str | None
    why: str
    decided_us: int
    how: str | None
    about: str | None


_ASIDE: Final = """
SELECT s.suspense, s.from_position, s.currency, s.amount_pico, s.line, w.words, s.why,
  s.decided_us, e.how, e.about
FROM views.suspense s
LEFT JOIN views.suspense_end e ON e.suspense = s.suspense AND [e]
[words w s.words]
WHERE [s] AND (%(suspense)s::text IS NULL OR s.suspense = %(suspense)s)
  AND s.from_position > %(after)s AND (e.how IS NULL OR NOT %(waiting)s)
ORDER BY s.from_position LIMIT %(limit)s
"""


def aside(
    conn: psycopg.Connection[Any],
    *,
    suspense: str | None = None,
    waiting: bool = False,
    after: int = -1,
    limit: int = 1,
    as_of: int | None = None,
) -> list[Aside]:
    """Money put aside, the oldest first; `waiting`: only what is not resolved."""
    asked = {"suspense": suspense, "waiting": waiting, "after": after, "limit": limit}
    return fetch(conn, Aside, _ASIDE, asked, as_of)
