"""Charge lines in the platform's own units: exact integers, amounts as decimals of the currency."""

from operator import attrgetter
from typing import Final

from projections.exporting.focus import Row
from projections.exporting.table import Column, Kind


def _line(name: str, kind: Kind = "text") -> Column[Row]:
    """Of a row's charge line; these rows all have one."""
    return Column(name, kind, attrgetter(f"line.{name}"))


def _bill(name: str, of: str, kind: Kind = "text") -> Column[Row]:
    return Column(name, kind, attrgetter(f"bill.{of}"), same=True)


COLUMNS: Final = (
    _bill("account", "account.account"),
    _bill("booked", "period.period"),
    _bill("invoice", "invoice"),
    _line("period"),
    _line("project"),
    _line("resource"),
    _line("meter"),
    _line("model"),
    _line("region"),
    _line("state"),
    _line("start_us", "whole"),
    _line("end_us", "whole"),
    _line("price", "whole"),
    _line("price_pico", "big"),
    _line("divisor", "big"),
    _line("quantity", "big"),
    Column("amount", "amount", attrgetter("billed_pico")),
    _bill("currency", "account.currency"),
    _line("simulated", "flag"),
    _line("cause", "whole"),
    _bill("checkpoint_size", "proof.size", "whole"),
    _bill("checkpoint_root", "proof.root"),
)
