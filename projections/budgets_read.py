"""Questions about budgets: as set and told at a position, and what the worker saw last."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch
from projections.reach import Of


class Alert(Struct, frozen=True):
    """`what`: 50, 80, 100 or forecast; `amount_pico`: what was spent, or is forecast."""

    scope: str
    what: str
    period: str
    until_us: int
    amount_pico: int
    decided_us: int


class Budget(Struct, frozen=True):
    """`spent_pico` and what follows are what the worker saw at `seen_us`, whatever the position;
    null before it has looked.
    """

    scope: str
    from_position: int
    organization: str
    account: str
    currency: str
    amount_pico: int
    mode: str
    until_us: int | None
    spent_pico: int | None
    forecast_pico: int | None
    seen_us: int | None


_BUDGETS: Final = """
SELECT b.scope, b.from_position, b.organization, b.account, b.currency, b.amount_pico, b.mode,
  v.until_us, v.spent_pico, v.forecast_pico, v.seen_us
FROM views.budget b LEFT JOIN live.budget v ON v.scope = b.scope AND v.seen_us >= b.decided_us
WHERE [b] AND (%(organization)s::text IS NULL OR b.organization = %(organization)s)
  AND [reach b.scope]
  AND (%(scope)s::text IS NULL OR b.scope = %(scope)s)
ORDER BY b.organization, b.scope
"""
_ALERTS: Final = """
SELECT a.scope, a.what, a.period, a.until_us, a.amount_pico, a.decided_us
FROM views.budget_alert a
WHERE [a] AND (%(organization)s::text IS NULL OR a.organization = %(organization)s)
  AND [reach a.scope]
  AND (%(scope)s::text IS NULL OR a.scope = %(scope)s)
ORDER BY a.scope, a.from_position, a.what
"""


def budgets(
    conn: psycopg.Connection[Any],
    organization: Of = None,
    scope: str | None = None,
    as_of: int | None = None,
) -> list[Budget]:
    """Every budget in force, of one organization, of one scope, or all."""
    return fetch(conn, Budget, _BUDGETS, {"organization": organization, "scope": scope}, as_of)


def alerts(
    conn: psycopg.Connection[Any],
    organization: Of = None,
    scope: str | None = None,
    as_of: int | None = None,
) -> list[Alert]:
    """The latest of each kind for each budget, whatever its period, in order of the log."""
    return fetch(conn, Alert, _ALERTS, {"organization": organization, "scope": scope}, as_of)
