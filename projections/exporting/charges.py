"""Charge lines in the platform's own units: exact integers, amounts as decimals of the currency."""

from operator import attrgetter
from typing import Final

from projections.exporting.focus import Row, department, of_entry, own
from projections.exporting.table import Column, Kind, always, each


def _line(name: str, kind: Kind = "text") -> Column[Row]:
    """Of each charge line; these rows all are of one."""
    return own(name, kind, attrgetter(name))


def _entry(name: str, kind: Kind = "text") -> Column[Row]:
    """Of its price entry."""
    return Column(name, kind, each(attrgetter(f"line.{name}")), of_entry)


def _bill(name: str, of: str, kind: Kind = "text") -> Column[Row]:
    return Column(name, kind, each(attrgetter(f"bill.{of}")), always)


COLUMNS: Final = (
    _bill("account", "account.account"),
    _bill("booked", "period.period"),
    _bill("invoice", "invoice"),
    _entry("period"),
    _entry("project"),
    Column("department", "text", each(department), of_entry),
    _entry("cost_centre"),
    _line("resource"),
    _entry("meter"),
    _entry("model"),
    _entry("region"),
    _entry("state"),
    _line("start_us", "whole"),
    _line("end_us", "whole"),
    _entry("price", "whole"),
    _entry("price_pico", "big"),
    _entry("divisor", "big"),
    _line("quantity", "big"),
    own("amount", "amount", attrgetter("amount_pico")),
    _bill("currency", "account.currency"),
    _entry("simulated", "flag"),
    _line("cause", "whole"),
    _bill("checkpoint_size", "proof.size", "whole"),
    _bill("checkpoint_root", "proof.root"),
)
