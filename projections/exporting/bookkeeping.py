"""The journal of one billing account as text for hledger and for beancount.

Each transfer is one transaction of two postings, in order of posting, on the UTC day on which its
cause was appended. hledger checks the balance after every posting, beancount those of the last day.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol

from projections.exporting.chart import Chart
from projections.exporting.proof import PICO_DIGITS, Proof, decimal
from projections.journal_read import Posted

_SECOND_US: Final = 1_000_000


class Syntax(Protocol):
    """Text piece by piece: `head`, `posted` any number of times in order, `tail`. Constant memory:
    what is kept are names and balances of ledger accounts.
    """

    def head(self) -> str: ...
    def posted(self, rows: Sequence[Posted]) -> str: ...
    def tail(self) -> str: ...


class Hledger:
    """hledger's journal format (hledger.org/hledger.html, "Journal"), as of version 1.25."""

    def __init__(self, account: str, currency: str, proof: Proof) -> None:
        self._account, self._currency, self._proof = account, currency, proof
        self._chart = Chart(capital=False)

    def head(self) -> str:
        unit = f"{self._currency} 1.{'0' * PICO_DIGITS}"
        return _title(";", self._account, self._proof) + f"\ncommodity {unit}\n"

    def posted(self, rows: Sequence[Posted]) -> str:
        return "".join(piece for row in rows for piece in self._transaction(row))

    def _transaction(self, row: Posted) -> Iterator[str]:
        said = ", ".join(f"{name}:{value}" for name, value in _cited(row))
        lines = [f"\n{_day(row)} * ({row.row}) {row.kind}  ; {said}\n"]
        for ledger, amount, balance in _postings(row):
            name, new = self._chart.name(ledger)
            if new:
                yield f"\naccount {name}  ; ledger:{ledger}\n"
            unit = self._currency
            lines.append(f"  {name}  {unit} {decimal(amount)} = {unit} {decimal(balance)}\n")
        yield from lines

    def tail(self) -> str:
        return ""


class Beancount:
    """beancount's syntax (beancount.github.io, "Language Syntax"), as of version 3."""

    def __init__(self, account: str, currency: str, proof: Proof) -> None:
        self._account, self._currency, self._proof = account, currency, proof
        self._chart = Chart(capital=True)
        self._balances: dict[str, int] = {}
        self._last = date.min

    def head(self) -> str:
        title = f'option "title" "{self._account}"\n'
        unit = f'option "operating_currency" "{self._currency}"\n'
        return _title(";", self._account, self._proof) + title + unit

    def posted(self, rows: Sequence[Posted]) -> str:
        return "".join(piece for row in rows for piece in self._transaction(row))

    def _transaction(self, row: Posted) -> Iterator[str]:
        self._last = day = _day(row)
        lines = [f'\n{day} * "{row.kind}" "{row.resource}"\n', f"  row: {row.row}\n"]
        lines += [f'  {name}: "{value}"\n' for name, value in _cited(row)]
        for ledger, amount, balance in _postings(row):
            name, new = self._chart.name(ledger)
            self._balances[name] = balance
            if new:
                yield f'\n{day} open {name} {self._currency}\n  ledger: "{ledger}"\n'
            lines.append(f"  {name}  {decimal(amount)} {self._currency}\n")
        yield from lines

    def tail(self) -> str:
        if not self._balances:
            return ""
        after = self._last + timedelta(days=1)  # an assertion holds at the beginning of its day
        return "\n" + "".join(
            f"{after} balance {name}  {decimal(balance)} {self._currency}\n"
            for name, balance in sorted(self._balances.items())
        )


def _title(mark: str, account: str, proof: Proof) -> str:
    return (
        f"{mark} Journal of {account}, every transfer sealed in the log below this size.\n"
        f"{mark} Log {proof.origin}, size {proof.size}, root {proof.root}\n"
    )


def _postings(row: Posted) -> tuple[tuple[str, int, int], tuple[str, int, int]]:
    """(ledger account, amount, balance after), debits positive."""
    return (
        (row.debit, row.amount_pico, row.debit_balance_pico),
        (row.credit, -row.amount_pico, row.credit_balance_pico),
    )


def _cited(row: Posted) -> tuple[tuple[str, object], ...]:
    """What ties a transaction to the log: the position that caused it, the seal that binds it."""
    price = "-" if row.price is None else row.price
    simulated = (("simulated", "SIMULATED"),) if row.simulated else ()
    return (
        ("transfer", row.id), ("cause", row.cause), ("seal", row.from_position), ("price", price),
        ("resource", row.resource), ("period", row.period), ("booked", row.booked),
        *simulated,
    )  # fmt: skip


def _day(row: Posted) -> date:
    return datetime.fromtimestamp(row.at_us // _SECOND_US, UTC).date()
