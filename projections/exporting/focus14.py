"""FOCUS 1.4 CostAndUsage, per spec text: no validator judges 1.4 yet, so nothing here was judged.

What 1.2 has (`focus.py`) without `ProviderName` and `PublisherName`, which 1.3 replaced, and with
the columns that 1.3 and 1.4 made mandatory. Conditional columns for what is not done here
(allocated charges, contracts, commitment programs) are left out, as the text says.
Source: FOCUS specification 1.4 (focus.finops.org), Cost and Usage.
"""

from typing import Any, Final

from projections.exporting.focus import COLUMNS as OF_1_2
from projections.exporting.focus import Row, of_entry
from projections.exporting.table import Column, always, each

_REPLACED: Final = {"ProviderName", "PublisherName"}


def _issuer(row: Row) -> str:
    return row.bill.issuer


def _host(row: Row) -> str:
    """What is beside charge lines runs on no machine."""
    return "Not Applicable" if row.line is None else row.bill.issuer


def _detail(row: Row) -> str | None:
    """The line of its invoice that this row is in (rating.md section 6); unique within that one."""
    if row.bill.invoice is None:
        return None
    line = row.line
    if line is None:
        return row.other.id
    return f"{line.project}/{line.meter}:{line.model}/{line.price}/{line.period}"


_ADDED: Final[tuple[Column[Any], ...]] = (
    Column("HostProviderName", "text", each(_host), of_entry),
    Column("InvoiceDetailId", "text", each(_detail)),
    Column("ServiceProviderName", "text", each(_issuer), always),
)


def _order(column: Column[Any]) -> tuple[bool, str]:
    """By name, ours last."""
    return column.name.startswith("x_"), column.name


COLUMNS: Final = tuple(
    sorted((*(one for one in OF_1_2 if one.name not in _REPLACED), *_ADDED), key=_order)
)
