"""Questions about money: prices, accounts, periods, invoices, usage; all accept a position."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch, fetch_one
from projections.reach import Of


class Price(Struct, frozen=True):
    """A published entry; its identity is its position. `price_pico` per `divisor` units.

    With `tiers` (JSON) that is the price of the first one.
    """

    from_position: int
    book: str
    account: str
    meter: str
    model: str
    region: str
    state: str
    currency: str
    effective_from_us: int
    published_us: int
    price_pico: int
    divisor: int
    named: str = "-"
    edition: int = 0
    free: int = 0
    tiers: str = ""
    minimum_pico: int = 0


class Account(Struct, frozen=True):
    account: str
    from_position: int
    organization: str
    currency: str
    minor_digits: int
    zone: str
    opened_us: int


class Balance(Struct, frozen=True):
    """One ledger account: debits minus credits, in pico, after `seq` transfers."""

    account: str
    ledger: str
    currency: str
    seq: int
    balance_pico: int
    from_position: int


class Period(Struct, frozen=True):
    """`[start_us, end_us)`; `closed_us` and `closed` (a position) are null while it is open.

    `missing`: a JSON list of who had not spoken when it was closed, null when nobody.
    """

    period: str
    from_position: int
    account: str
    sequence: int
    start_us: int
    end_us: int
    zone: str
    state: str
    closed_us: int | None
    closed: int | None
    invoice: str | None
    missing: str | None = None


class Invoice(Struct, frozen=True):
    """`total_minor` in the currency's minor unit; `file` is the sealed file that says it all.

    Of an invoice without a seller `seller`, `net_minor` and `tax_minor` are null. `missing`: as of
    its period.
    """

    invoice: str
    from_position: int
    organization: str
    number: str
    account: str
    period: str
    start_us: int | None
    end_us: int | None
    currency: str
    minor_digits: int
    total_pico: int
    total_minor: int
    line_count: int
    file: str
    sha256: str
    closed: int
    finalized_us: int
    state: str
    since_us: int
    seller: str | None = None
    net_minor: int | None = None
    tax_minor: int | None = None
    missing: str | None = None


class InvoiceLine(Struct, frozen=True):
    """Sum of the charges booked in the invoice's period, by project, sku, price and period.

    `shown_minor` is the line's share of the total: floor, one more for the largest remainders.
    """

    project: str
    sku: str
    price: int
    service_period: str
    quantity: int
    amount_pico: int
    shown_minor: int = 0


class Usage(Struct, frozen=True):
    """What was charged for one (project, meter, model, price, service period): of how many
    runtimes, volumes and reservations, by the units of the meter. `department`:
    `attribution_read.usage`.
    """

    organization: str
    project: str
    account: str
    meter: str
    model: str
    price: int
    price_pico: int
    divisor: int
    period: str
    start_us: int
    end_us: int
    currency: str
    runtimes: int
    volumes: int
    reservations: int
    quantity: int
    amount_pico: int
    department: str | None = None


_PRICES: Final = """
SELECT t.from_position, t.book, t.account, t.meter, t.model, t.region, t.state, t.currency,
  t.effective_from_us, t.published_us, t.price_pico, t.divisor,
  t.named, t.edition, t.free, t.tiers, t.minimum_pico
FROM views.price t
WHERE [t] AND t.kind = 'entry' AND (%(accounts)s::text[] IS NULL OR t.account = ANY (%(accounts)s))
ORDER BY t.from_position
"""
_ACCOUNTS: Final = """
SELECT t.account, t.from_position, t.organization, t.currency, t.minor_digits, t.zone, t.opened_us
FROM views.account t
WHERE [t] AND (%(organization)s::text IS NULL OR t.organization = %(organization)s)
  AND [reach t.organization]
  AND (%(account)s::text IS NULL OR t.account = %(account)s)
ORDER BY t.from_position
"""
_BALANCES: Final = """
SELECT b.account, b.ledger, b.currency, b.seq, b.balance_pico, b.from_position
FROM views.balance b
WHERE [b] AND (%(accounts)s::text[] IS NULL OR b.account = ANY(%(accounts)s))
ORDER BY b.account, b.ledger
"""
_PERIODS: Final = """
SELECT t.period, t.from_position, t.account, t.sequence, t.start_us, t.end_us, t.zone,
  x.state, c.closed_us, c.from_position AS closed, i.invoice, s.sources AS missing
FROM views.period t
LEFT JOIN views.period_missing s ON s.period = t.period AND [s]
LEFT JOIN views.period_close c ON c.period = t.period AND [c]
LEFT JOIN views.invoice i ON i.period = t.period AND [i]
CROSS JOIN LATERAL (SELECT CASE WHEN c.period IS NULL THEN 'open' ELSE 'closed' END AS state) x
WHERE [t] AND (%(account)s::text IS NULL OR t.account = %(account)s)
ORDER BY t.account, t.sequence
"""
_INVOICES: Final = """
SELECT i.invoice, i.from_position, i.organization, i.number, i.account, i.period,
  p.start_us, p.end_us, i.currency, i.minor_digits, i.total_pico, i.total_minor, i.line_count,
  i.file, i.sha256, i.closed, i.finalized_us, s.state, s.since_us, t.seller, t.net_minor,
  t.tax_minor, n.sources AS missing
FROM views.invoice i
JOIN views.invoice_state s ON s.invoice = i.invoice AND [s]
LEFT JOIN views.invoice_tax t ON t.invoice = i.invoice AND [t]
LEFT JOIN views.period_missing n ON n.period = i.period AND [n]
LEFT JOIN views.period p ON p.period = i.period AND [p]
WHERE [i]
"""
_ONE_INVOICE: Final = " AND (i.invoice = %(invoice)s OR i.number = %(invoice)s) LIMIT 1"
_INVOICE_PAGE: Final = """
  AND (%(organization)s::text IS NULL OR i.organization = %(organization)s)
  AND [reach i.organization]
  AND (%(account)s::text IS NULL OR i.account = %(account)s)
  AND (%(state)s::text IS NULL OR s.state = %(state)s)
  AND (%(before)s::bigint IS NULL OR i.from_position < %(before)s)
ORDER BY i.from_position DESC LIMIT %(limit)s
"""
_LINES: Final = """
WITH line AS (
  SELECT u.resource, u.meter, u.price, u.period, sum(u.sign * u.quantity) AS quantity
  FROM views.rated_interval u WHERE u.booked = %(period)s AND [u] GROUP BY 1, 2, 3, 4),
amount AS (
  SELECT t.resource, t.price, t.period,
    sum(CASE WHEN t.debit = 'unbilled' THEN t.amount_pico ELSE -t.amount_pico END) AS amount_pico
  FROM views.transfer t
  WHERE t.booked = %(period)s AND t.kind = 'charge' AND [t] GROUP BY 1, 2, 3)
SELECT coalesce(
    r.project, o.project, s.project, CASE WHEN e.resource LIKE 'project-%%' THEN e.resource END, '-'
  ) AS project,
  e.meter || ':' || l.model AS sku, e.price, e.period AS service_period,
  sum(e.quantity) AS quantity, coalesce(sum(a.amount_pico), 0) AS amount_pico
FROM line e
LEFT JOIN amount a USING (resource, price, period)
JOIN views.price l ON l.from_position = e.price
LEFT JOIN views.runtime r ON r.runtime = e.resource AND [r]
LEFT JOIN views.volume o ON o.volume = e.resource AND [o]
LEFT JOIN views.reservation s ON s.reservation = e.resource AND [s]
GROUP BY 1, 2, 3, 4
HAVING sum(e.quantity) <> 0 OR coalesce(sum(a.amount_pico), 0) <> 0
ORDER BY 1, 2, 3, 4
"""
_USAGE: Final = """
WITH resource AS (
  SELECT r.runtime AS resource, r.organization, r.project, r.project AS scope
  FROM views.runtime r WHERE [r]
  UNION ALL
  SELECT s.volume, s.organization, s.project, s.project FROM views.volume s WHERE [s]
  UNION ALL
  SELECT e.reservation, e.organization, e.project, e.project FROM views.reservation e WHERE [e]
  UNION ALL
  SELECT q.project, q.organization, q.project, q.project FROM views.project q WHERE [q]
  UNION ALL
  SELECT a.account, a.organization, '-', a.organization FROM views.account a WHERE [a])
SELECT o.organization, o.project, p.account, c.meter, t.model, c.price, t.price_pico, t.divisor,
  c.period, p.start_us, p.end_us, t.currency,
  count(*) FILTER (WHERE c.resource LIKE 'runtime-%%') AS runtimes,
  count(*) FILTER (WHERE c.resource LIKE 'volume-%%') AS volumes,
  count(*) FILTER (WHERE c.resource LIKE 'reservation-%%') AS reservations,
  sum(c.quantity) AS quantity, sum(c.amount_pico) AS amount_pico
FROM views.charge_line c
JOIN resource o ON o.resource = c.resource
JOIN views.price t ON t.from_position = c.price
JOIN views.period p ON p.period = c.period AND [p]
WHERE [c]
  AND (%(organization)s::text IS NULL OR o.organization = %(organization)s)
  AND [reach o.scope]
  AND (%(project)s::text IS NULL OR o.project = %(project)s)
  AND (%(account)s::text IS NULL OR p.account = %(account)s)
  AND (%(from_us)s::numeric IS NULL OR p.end_us > %(from_us)s)
  AND (%(to_us)s::numeric IS NULL OR p.start_us < %(to_us)s)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
ORDER BY 2, 10, 4, 5, 6
"""
PICO_DIGITS: Final = 12


def prices(
    conn: psycopg.Connection[Any], account: str | None = None, as_of: int | None = None
) -> list[Price]:
    """Published entries in order; with `account`, its own and the default ones."""
    accounts = None if account is None else [account, "default"]
    return fetch(conn, Price, _PRICES, {"accounts": accounts}, as_of)


def accounts(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    account: str | None = None,
    as_of: int | None = None,
) -> list[Account]:
    """Billing accounts, oldest first."""
    asked = {"organization": organization, "account": account}
    return fetch(conn, Account, _ACCOUNTS, asked, as_of)


def balances(
    conn: psycopg.Connection[Any],
    account: str | Sequence[str] | None = None,
    as_of: int | None = None,
) -> list[Balance]:
    """Ledger accounts by billing account and name, after the last sealed transfer; of one, of
    some or of all.
    """
    accounts = [account] if isinstance(account, str) else account
    return fetch(conn, Balance, _BALANCES, {"accounts": accounts}, as_of)


def periods(
    conn: psycopg.Connection[Any], account: str | None = None, as_of: int | None = None
) -> list[Period]:
    """Periods in order, of one account or of all."""
    return fetch(conn, Period, _PERIODS, {"account": account}, as_of)


def invoices(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    account: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 50,
    as_of: int | None = None,
) -> list[Invoice]:
    """Newest first, those before position `before`, the cursor."""
    asked = {
        "organization": organization, "account": account, "state": state, "before": before,
        "limit": limit,
    }  # fmt: skip
    return fetch(conn, Invoice, _INVOICES + _INVOICE_PAGE, asked, as_of)


def invoice(
    conn: psycopg.Connection[Any], invoice_id: str, as_of: int | None = None
) -> Invoice | None:
    """The invoice by its id or its number, or None."""
    return fetch_one(conn, Invoice, _INVOICES + _ONE_INVOICE, {"invoice": invoice_id}, as_of)


def invoice_lines(
    conn: psycopg.Connection[Any], found: Invoice, as_of: int | None = None
) -> list[InvoiceLine]:
    """The invoice's lines from the sealed rows, in order; they add up to its totals."""
    lines = fetch(conn, InvoiceLine, _LINES, {"period": found.period}, as_of)
    unit = 10 ** (PICO_DIGITS - found.minor_digits)
    shown = [line.amount_pico // unit for line in lines]
    left = found.total_minor - sum(shown)
    order = sorted(range(len(lines)), key=lambda i: (-(lines[i].amount_pico % unit), i))
    for index in order[:left]:
        shown[index] += 1
    return [
        InvoiceLine(
            line.project, line.sku, line.price, line.service_period, line.quantity,
            line.amount_pico, minor,
        )
        for line, minor in zip(lines, shown, strict=True)
    ]  # fmt: skip


def usage(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    project: str | None = None,
    account: str | None = None,
    from_us: int | None = None,
    to_us: int | None = None,
    as_of: int | None = None,
) -> list[Usage]:
    """What was charged, by project, model, price and service period, in that order of time.

    Time is charged when a runtime ends, a volume grows or is wiped, or a period closes;
    `running_read` says what is still to come of runtimes.
    """
    asked = {
        "organization": organization, "project": project, "account": account,
        "from_us": from_us, "to_us": to_us,
    }  # fmt: skip
    return fetch(conn, Usage, _USAGE, asked, as_of)
