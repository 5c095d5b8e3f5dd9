"""The auditor's books: every rated interval, transfer and invoice, derived from the entries alone.

Written from contracts/rating.md and contracts/facts.md, sharing no code with the platform's own
rating; standard library only. How to use it, once entries and attestations are checked:

    with Books(spill_dir) as books:
        for position, entry in ...:               # decoded envelopes, in order, every one of them
            books.feed(position, entry)
            # for a seal of either table, now or later, but in order of the table's seals:
            books.compare(table, first_row, decoded_rows)
            # for a seal of readings, at once:
            books.read(decoded_rows)
        report = books.finish()

Memory is bounded (<= 200 MB): open resources, charge lines, prices, balances, rows not yet compared
and names already used overflow into a temporary SQLite file under `spill_dir` (books_spill.py).
State that cannot matter again is dropped: a resource when it ends (not what it was charged, which
may be priced again), the sums of a booked period when it is invoiced, a row when it is compared.
In memory whole: the periods of the account at hand, the entries of one price key, one pool, the
lines of one invoice.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import Any, Self

from gpuaas_verify.books_budget import Budgets
from gpuaas_verify.books_causes import CAUSES
from gpuaas_verify.books_credit import Credits
from gpuaas_verify.books_holdings import Holdings
from gpuaas_verify.books_idle import Idle
from gpuaas_verify.books_invoice import MOVED, Invoicing
from gpuaas_verify.books_life import Lives
from gpuaas_verify.books_metered import Metered
from gpuaas_verify.books_missing import Watermarks
from gpuaas_verify.books_moves import Moves
from gpuaas_verify.books_rating import RATED, TRANSFER, Charging
from gpuaas_verify.books_returns import Returns
from gpuaas_verify.books_shape import check_shape
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_tax import Taxing
from gpuaas_verify.books_usage import Usage
from gpuaas_verify.books_volumes import Volumes
from gpuaas_verify.books_wallet import Wallets
from gpuaas_verify.errors import Invalid

FIELDS = {"rated_interval": RATED, "transfer": TRANSFER}
SEALS = {
    "gpuaas.rating.batch_sealed.v1": ("rated_interval", "rating-", "quantity_sum"),
    "gpuaas.ledger.batch_sealed.v1": ("transfer", "ledger-", "amount_sum_pico"),
}
# A rated interval counts in the seal's sum with its sign; columns of the row without salt.
SIGN, QUANTITY, AMOUNT = RATED.index("sign"), RATED.index("quantity"), TRANSFER.index("amount_pico")

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]


@dataclass(frozen=True)
class BooksReport:
    """What was compared, and what was left: the books are whole only if `complete`."""

    through: int  # largest position sealed through, -1 when nothing is sealed
    rows: dict[str, int]  # compared, by table
    invoices: int
    simulated: int  # invoices that charge for SIMULATED GPUs
    unsealed_causes: int
    unsealed_rows: dict[str, int]  # derived from the unsealed causes, by table

    @property
    def complete(self) -> bool:
        """True when no cause after the last seal gives a row."""
        return not any(self.unsealed_rows.values())


@dataclass
class _Seal:
    position: int
    first_row: int
    count: int
    after: int  # rows of causes in (after, through]
    through: int
    total: int
    total_field: str


class Books:
    """The derivation, fed entry by entry, compared seal by seal, closed by `finish`.

    Args:
        spill_dir: where overflow goes; None for the system's temporary folder.
        items: items kept in memory before the overflow (a number for tests).
        rows: rows kept in memory per table before the overflow (likewise).
    """

    def __init__(self, spill_dir: str | None, items: int = 40_000, rows: int = 20_000) -> None:
        self._spill = Spill(spill_dir, items, rows)
        self._charging = Charging(self._spill)
        self._invoicing = Invoicing(self._spill, self._charging)
        self._taxing = Taxing(self._spill, self._charging, self._invoicing)
        metered = Metered(self._spill, self._charging)
        self._wallets = Wallets(self._spill, self._charging, metered)
        lives = Lives(self._spill, self._charging, metered, self._wallets).handlers()
        volumes = Volumes(self._spill, self._charging, metered, self._wallets)
        holdings = Holdings(self._spill)
        self._lending = holdings.lending

        def enrolled(position: int, entry: dict[str, Any], fact: dict[str, Any]) -> None:
            lives["gpuaas.node.enrolled.v1"](position, entry, fact)
            holdings.upkeep.enrolled(entry["stream"], fact)

        self._handlers: dict[str, Callable[[int, dict[str, Any], dict[str, Any]], None]] = {
            **lives,
            **holdings.handlers(),
            **volumes.handlers(),
            **self._taxing.handlers(),
            **Watermarks(self._spill, self._charging).handlers(),
            **self._wallets.handlers(),
            **Returns(self._spill, self._charging, self._wallets, self._invoicing).handlers(),
            "gpuaas.node.enrolled.v1": enrolled,
            "gpuaas.account.opened.v1": self._account_opened,
            "gpuaas.account.invoiced.v1": self._account_invoiced,
            "gpuaas.period.opened.v1": self._period_opened,
            "gpuaas.price.entry_published.v1": self._charging.prices.linear,
            "gpuaas.price.entry_published.v2": self._charging.prices.shaped,
            "gpuaas.price.book_published.v1": self._charging.prices.book,
            "gpuaas.price.commitment_made.v1": self._charging.prices.commitment,
            "gpuaas.invoice.finalized.v1": self._invoicing.finalized,
            "gpuaas.invoice.issued.v1": self._invoicing.issued,
            **dict.fromkeys(MOVED, self._invoicing.moved),
            "gpuaas.evidence.file_sealed.v1": self._invoicing.file_sealed,
            **dict.fromkeys(SEALS, self._sealed),
        }
        self._usage = Usage(self._spill, self._charging)
        budgets, credit = (
            Budgets(self._spill, self._charging),
            Credits(self._spill, self._charging, self._wallets),
        )
        self._moves = Moves(self._spill, self._charging, self._lending)
        self._idle = Idle(self._spill, self._charging, metered, self._wallets)
        parts = (self._usage, budgets, credit, self._moves, self._idle)
        for tag, handle in chain(*(part.handlers().items() for part in parts)):
            known = self._handlers.get(tag)
            self._handlers[tag] = handle if known is None else _both(known, handle)
        self._next = 0
        self._seals: dict[str, deque[_Seal]] = {table: deque() for table in FIELDS}
        self._stream: dict[str, str] = {}
        self._previous: dict[str, tuple[int, int]] = {}  # by table: last seal, next first_row
        self._compared = dict.fromkeys(FIELDS, 0)
        self._batch: tuple[int, str, int, set[str]] = (-1, "", -1, set())
        self._unsealed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """The overflow file is gone."""
        self._spill.close()

    def feed(self, position: int, entry: dict[str, Any]) -> None:
        """The entry at the position is taken into account; every position, in order, from 0.

        Raises:
            Invalid: with the position and field that does not follow from what came before.
        """
        if position != self._next:
            raise Invalid("books.position", f"fed {position}, not {self._next}", position=position)
        if self._usage.waiting is not None:
            raise Invalid("books.seal", "rows of reading were not read", position=position)
        self._next += 1
        tag = entry["tag"]
        if tag in self._handlers:
            if tag.startswith("gpuaas.quota."):
                self._lending.check_owed(position, entry)
            self._wallets.entered(position, entry["cause"])
            self._handlers[tag](position, entry, check_shape(position, tag, entry["fact"]))
        if tag in CAUSES or self._idle.cause == position:
            self._spill.push("cause", position)
            self._unsealed += 1

    def compare(self, table: str, first_row: int, rows: Iterable[Row]) -> None:
        """The sealed rows are the derived ones, one to one, every field but `salt`.

        Args:
            table: `rated_interval` or `transfer`.
            first_row: of the seal; seals of a table are compared in order.
            rows: the sealed rows, decoded, in order; consumed once.

        Raises:
            Invalid: `books.row_differs`, `row_extra`, `row_missing`, `sum` or `seal`.
        """
        if not self._seals[table] or self._seals[table][0].first_row != first_row:
            raise Invalid(
                "books.seal",
                f"no seal of {table} is next at {first_row}",
                table=table,
                row=first_row,
            )
        seal = self._seals[table].popleft()
        number, total = first_row, 0
        for row in rows:
            derived = self._spill.peek(table)
            if derived is None or derived[_cause(table)] > seal.through:
                raise Invalid(
                    "books.row_extra", f"{table} row is not derived", table=table, row=number
                )
            if derived[_cause(table)] <= seal.after:
                raise _late(table, derived, seal.position)
            _same(table, number, derived, row)
            is_rated = table == "rated_interval"
            total += derived[SIGN] * derived[QUANTITY] if is_rated else derived[AMOUNT]
            self._spill.pop(table)
            number += 1
        derived = self._spill.peek(table)
        if derived is not None and derived[_cause(table)] <= seal.through:
            raise Invalid(
                "books.row_missing", f"{table} row is derived, not sealed", table=table, row=number
            )
        if number - first_row != seal.count:
            raise Invalid(
                "books.seal", "another number of rows", position=seal.position, field="count"
            )
        if total != seal.total:
            raise Invalid(
                "books.sum", f"sum is {seal.total}, derived {total}",
                position=seal.position, field=seal.total_field,
            )  # fmt: skip
        self._compared[table] += seal.count

    def read(self, rows: Iterable[Row]) -> None:
        """The rows of the seal of readings just fed are its sources' own words, and charged.

        Raises:
            Invalid: with the row, what of it is not so (books_usage.py).
        """
        self._usage.read(rows)

    def expected_rows(self, table: str) -> Iterator[Row]:
        """The derived rows not yet compared, without salt; each is taken off as it is given."""
        while (row := self._spill.peek(table)) is not None:
            self._spill.pop(table)
            yield dict(zip(FIELDS[table], row, strict=True))

    def balances(self, account: str) -> dict[str, tuple[int, int]]:
        """(transfers so far, balance in pico) by ledger account of the billing account."""
        return {name: (n, pico) for name, (n, pico) in self._spill.scan("balance", account)}

    def finish(self) -> BooksReport:
        """The report, once every entry is fed and every seal compared.

        Raises:
            Invalid: rows derived up to the last seal but not sealed, a seal not compared, an
                invoice without its file.
        """
        for table, seals in self._seals.items():
            if seals:
                raise Invalid(
                    "books.seal", f"rows of {table} were not compared", position=seals[0].position
                )
        if self._usage.waiting is not None:
            raise Invalid("books.seal", "rows of reading were not read", position=self._next - 1)
        through = self._batch[0]
        unsealed = {}
        for table in FIELDS:
            derived = self._spill.peek(table)
            if derived is not None and derived[_cause(table)] <= through:
                raise _late(table, derived, None)
            unsealed[table] = sum(1 for _ in self.expected_rows(table))
        self._invoicing.finish()
        self._taxing.finish()
        self._moves.finish()
        self._wallets.finish(self._next)
        return BooksReport(
            through=through,
            rows=dict(self._compared),
            invoices=self._invoicing.count,
            simulated=self._invoicing.simulated,
            unsealed_causes=self._unsealed,
            unsealed_rows=unsealed,
        )

    def _account_opened(self, position: int, entry: Row, fact: Row) -> None:
        self._charging.open_account(position, entry, fact)

    def _account_invoiced(self, position: int, entry: Row, fact: Row) -> None:
        item = self._charging.account(position, entry["stream"])
        if fact["sequence"] != item["invoiced"] + 1:
            raise Invalid("books.invoice", "out of sequence", position=position, field="sequence")
        self._invoicing.named(position, entry["stream"], fact["invoice"])
        item["invoiced"] += 1
        self._charging.put_account(entry["stream"], item)

    def _period_opened(self, position: int, entry: Row, fact: Row) -> None:
        self._charging.open_period(position, entry, fact)

    def _sealed(self, position: int, entry: Row, fact: Row) -> None:
        table, prefix, total = SEALS[entry["tag"]]
        last, first_row = self._previous.get(table, (None, 0))
        stream = self._stream.setdefault(table, entry["stream"])
        for field, right in (
            ("table", fact["table"] == table),
            ("stream", entry["stream"] == stream and stream.startswith(prefix)),
            ("first_row", fact["first_row"] == first_row),
            ("count", fact["count"] >= 1),
            ("prev_seal", fact["prev_seal"] == last),
            ("through", fact["through"] < position),
        ):
            if not right:
                raise Invalid(
                    "books.seal", f"{field} does not follow", position=position, field=field
                )
        after = self._enter_batch(position, table, entry["cause"], fact["through"])
        self._previous[table] = (position, first_row + fact["count"])
        self._seals[table].append(
            _Seal(position, first_row, fact["count"], after, fact["through"], fact[total], total)
        )
        while (cause := self._spill.peek("cause")) is not None and cause <= fact["through"]:
            self._spill.pop("cause")
            self._unsealed -= 1

    def _enter_batch(self, position: int, table: str, cause: str, through: int) -> int:
        """Both seals of a batch share the append's cause and `through`; batches go forward."""
        last, last_cause, after, tables = self._batch
        if through == last and cause == last_cause and table not in tables:
            tables.add(table)
            return after
        if through <= last:
            raise Invalid(
                "books.seal", "through does not go forward", position=position, field="through"
            )
        self._batch = (through, cause, last, {table})
        return last


def _both(first: Handler, second: Handler) -> Handler:
    def handle(position: int, entry: Row, fact: Row) -> None:
        first(position, entry, fact)
        second(position, entry, fact)

    return handle


def _cause(table: str) -> int:
    return FIELDS[table].index("cause")


def _late(table: str, derived: list[Any], position: int | None) -> Invalid:
    return Invalid(
        "books.row_missing", f"a row of {table} was not sealed with its batch",
        table=table, row=derived[0], position=position,
    )  # fmt: skip


def _same(table: str, number: int, derived: list[Any], row: Row) -> None:
    names = FIELDS[table]
    if list(row) != [names[0], "salt", *names[1:]]:
        raise Invalid(
            "books.row_differs", f"{table} row has other keys", table=table, row=number, field="row"
        )
    for name, value in zip(names, derived, strict=True):
        # The type too: JSON's true equals 1 in this language.
        if row[name] != value or type(row[name]) is not type(value):
            raise Invalid(
                "books.row_differs", f"{table} {name} is {row[name]}, derived {value}",
                table=table, row=number, field=name,
            )  # fmt: skip
