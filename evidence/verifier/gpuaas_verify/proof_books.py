"""The books of one invoice, derived from the entries its proof holds: rating.md, once more scoped.

The same derivation as a whole log's (books_*.py), without what needs other tenants' entries: who
else held a device, quota, sanitization. evidence/invoice-proof.md section 4.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from gpuaas_verify import strict
from gpuaas_verify.books import CAUSES
from gpuaas_verify.books_idle import Idle
from gpuaas_verify.books_invoice import Invoicing, derive_lines, invoice_bytes
from gpuaas_verify.books_invoice import Line as Stated
from gpuaas_verify.books_life import Lives
from gpuaas_verify.books_metered import Metered
from gpuaas_verify.books_rating import RATED, Charging, round_half_even
from gpuaas_verify.books_shape import check_shape
from gpuaas_verify.books_shares import Rate
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_tax import Taxing
from gpuaas_verify.books_volumes import Volumes
from gpuaas_verify.books_wallet import Wallets
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.proof_file import MEMBER, InvoiceFile
from gpuaas_verify.proof_holds import Holds
from gpuaas_verify.proof_notes import ISSUED, NUMBERED, ORDERED
from gpuaas_verify.proof_prices import NOBODY, Key, Pricing
from gpuaas_verify.proof_readings import Readings
from gpuaas_verify.proof_usage import Read

LOST: Final = "gpuaas.runtime.lost.v1"
VOLUME_LOST: Final = "gpuaas.volume.lost.v1"
# Of a volume, only what is charged: who had it attached when, other streams would have to show.
OF_VOLUMES: Final = ("created", "formatted", "grown", "wiped", "lost", "locked", "unlocked")
OF_TAXES: Final = (
    "gpuaas.seller.registered.v1",
    "gpuaas.seller.rate_set.v1",
    "gpuaas.account.taxed.v1",
    ORDERED,
    ISSUED,
)
TAXED: Final = "gpuaas.invoice.finalized.v2"
MINOR_IN_PICO: Final = 12
_RESOURCE, _PRICE = RATED.index("resource"), RATED.index("price")
_START, _END = RATED.index("start_us"), RATED.index("end_us")
_PERIOD, _BOOKED = RATED.index("period"), RATED.index("booked")


type Handler = Callable[[int, dict[str, Any], dict[str, Any]], None]


class Line(NamedTuple):
    """A line as derived, and the runtimes and volumes it rests on."""

    key: Key
    quantity: int
    amount_pico: int
    resources: tuple[str, ...]


class Derivation:
    """Fed in order what `Streams.admit` lets count, up to the invoice."""

    def __init__(self, invoice: Entry, readings: Readings, wanted: set[tuple[str, str]]) -> None:
        self.unshown = 0  # ends that rest on the platform's word
        self.missing = 0  # nodes that were silent, by the platform's word
        self.periods: set[str] = set()  # in which and for which something was charged
        self._invoice = invoice
        self._period: str = invoice.fact["period"]
        self._spill = Spill(None)
        self._charging = Charging(self._spill)
        self._invoicing = Invoicing(self._spill, self._charging)
        self._taxing = Taxing(self._spill, self._charging, self._invoicing)
        account: str = invoice.fact["account"]
        read = Read(self._spill, self._charging, readings, account, wanted)
        self._pricing = Pricing(self._spill, self._charging, account, read.rerate)
        taxes = self._taxing.handlers()
        metered = Metered(self._spill, self._charging)
        self._wallets = wallets = Wallets(self._spill, self._charging, metered)
        self._holds = Holds(self._spill, self._charging, wallets)
        volumes = Volumes(self._spill, self._charging, metered, wallets).handlers()
        self._handlers: dict[str, list[Handler]] = defaultdict(list)
        own: dict[str, Handler] = {
            "gpuaas.meter.registered.v1": volumes["gpuaas.meter.registered.v1"],
            NUMBERED: self._numbered,
            "gpuaas.account.opened.v1": self._charging.open_account,
            "gpuaas.period.opened.v1": self._charging.open_period,
            "gpuaas.period.sources_missing.v1": self._missing,
            "gpuaas.evidence.file_sealed.v1": self._invoicing.file_sealed,
        }
        for part in (
            Lives(self._spill, self._charging, metered, wallets).handlers(),
            {tag: volumes[tag] for name in OF_VOLUMES for tag in (f"gpuaas.volume.{name}.v1",)},
            {tag: taxes[tag] for tag in OF_TAXES},
            own,
            self._holds.handlers(),
            self._pricing.handlers(),
            read.handlers(),
            Idle(self._spill, self._charging, metered, wallets).handlers(),
        ):
            for tag, handle in part.items():
                self._handlers[tag].append(handle)
        self._number = taxes[NUMBERED]
        self._resources: dict[Key, dict[str, None]] = {}
        self._projects: dict[str, str] = {invoice.fact["account"]: NOBODY}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._spill.close()

    def feed(self, entry: Entry) -> None:
        """The entry is taken into account. Raises: Invalid `books.*`, `rating.*`."""
        handlers = self._handlers.get(entry.tag)
        if handlers is None:
            return
        self._wallets.entered(entry.position, entry.cause)
        fact = check_shape(entry.position, entry.tag, entry.fact)
        if entry.tag in {LOST, VOLUME_LOST}:
            self._take_word(entry)
        if "project" in fact:
            self._projects[entry.stream] = fact["project"]
        for handle in handlers:
            handle(entry.position, entry._asdict(), fact)
        if entry.tag in CAUSES:
            self._drain()

    def _numbered(self, position: int, entry: Any, fact: Any) -> None:
        """Those between two that are shown are other customers'."""
        seller = self._spill.get("seller", "", entry["stream"])
        if seller is not None:
            before = max(seller["credit"], fact["sequence"] - 1)
            self._spill.put("seller", "", entry["stream"], {**seller, "credit": before})
        self._number(position, entry, fact)

    def _missing(self, _position: int, entry: Any, fact: Any) -> None:
        self._spill.put("missing", "", entry["stream"], fact["sources"])
        self.missing += len(fact["sources"])

    def _take_word(self, entry: Entry) -> None:
        """Where no renewal that says it is shown, the fact's instant stands, between the last
        instant that was derived and the decision.
        """
        lost_us = entry.fact["lost_us"]
        place = ("runtime", "", entry.stream)
        if entry.tag == VOLUME_LOST:
            place = ("volume", entry.stream, "")
        item = self._spill.get(*place)
        if item is None or "node" not in item:
            return  # the handler says what is wrong
        derived = max(item["previous"], item.get("lease") or 0)
        if not derived < lost_us <= entry.fact["decided_us"]:
            return
        if entry.tag == LOST:
            self._spill.put(*place, {**item, "lease": lost_us})
            self.unshown += 1
            return
        node = self._spill.get("node", "", item["node"])
        if node is not None and node["seen"] < lost_us:
            self._spill.put("node", "", item["node"], {**node, "seen": lost_us})
            self.unshown += 1

    def _drain(self) -> None:
        """Rows are needed for what they rest on alone."""
        while (row := self._spill.peek("rated_interval")) is not None:
            self._spill.pop("rated_interval")
            resource, price = row[_RESOURCE], row[_PRICE]
            self.periods |= {row[_PERIOD], row[_BOOKED]}
            self._pricing.priced(resource, price, row[_START], row[_END])
            if row[_BOOKED] == self._period:
                sku = self._pricing.skus[price]
                project = self._projects.get(resource, resource)  # of itself: a project
                key = (project, sku, price, row[_PERIOD])
                self._resources.setdefault(key, {})[resource] = None
        while self._spill.peek("transfer") is not None:
            self._spill.pop("transfer")

    def lines(self) -> Iterator[Line]:
        """The lines booked in the period, in their order."""
        for project, sku, price, service, quantity, amount in derive_lines(
            self._spill, self._period
        ):
            key = (project, sku, price, service)
            on = () if project == NOBODY else tuple(self._resources.get(key, ()))
            yield Line(key, quantity, amount, on)

    def charged(self, key: Key | None) -> set[str]:
        """The runtimes and volumes with time booked in the period, and those of their pools; with
        `key`, of that line.
        """
        keys = self._keys(key)
        own = {one for key in keys for one in self._resources.get(key, ())}
        return own | self._pricing.members(keys)

    def prices(self, key: Key | None) -> set[int]:
        """Positions of the entries of the price book that this rests on."""
        return self._pricing.rested(self._keys(key), self._holds.scopes)

    def _keys(self, key: Key | None) -> list[Key]:
        return list(self._resources) if key is None else [key]

    def finalize(self, entry: Entry) -> None:
        """The invoice's fact and file are what is derived, to the byte.

        Raises: Invalid `books.invoice*`, `books.tax`.
        """
        handle = self._invoicing.finalized
        if entry.tag == TAXED:
            handle = self._taxing.handlers()[TAXED]
        handle(entry.position, entry._asdict(), entry.fact)

    def credit(self, notes: list[Entry]) -> None:
        """The credit notes' facts and files are what is derived, to the byte, once the invoice is.

        Raises: Invalid `books.credit*`, `books.invoice_file`.
        """
        account = self._invoice.fact["account"]
        item = self._charging.account(self._invoice.position, account)
        # They are booked in whatever period was open then, which no byte of them says.
        end = item["periods"][-1][2]
        self._charging.put_account(
            account, {**item, "periods": [*item["periods"], [NOBODY, end, end, None]]}
        )
        for entry in notes:
            self.feed(entry)
        self._invoicing.finish()

    def rates(self, entry: Entry, lines: list[Stated]) -> list[Rate]:
        """What each of the lines is taxed at, none of an invoice without a seller.

        Raises: Invalid `books.tax`.
        """
        if entry.tag != TAXED:
            return []
        account = self._charging.account(entry.position, entry.fact["account"])
        return self._taxing.rates(entry.position, entry.fact, account, lines)

    def head(self, entry: Entry, form: str) -> dict[str, Any]:
        """What stands in the file before its lines, by the entries; `simulated`: of what is shown.

        Raises: Invalid `books.org`, `books.account`, `books.period`, `books.invoice`.
        """
        position, fact = entry.position, entry.fact
        account = self._charging.own_account(position, fact["account"], entry.org)
        period = self._charging.period(position, fact["account"], fact["period"])
        if fact["closed"] != period[3]:
            detail = "its period was not closed there"
            raise Invalid("books.invoice", detail, position=position, field="closed")
        return self._invoicing.head(form, fact, account, period)

    def check_whole(self, file: InvoiceFile, entry: Entry, head: dict[str, Any]) -> None:
        """Nothing when the file's totals, rounding, taxes and shown amounts follow from its own
        lines and rates, its head from the entries, and the fact from both: what a line's proof can
        show of the others.

        Raises: Invalid `proof.file_differs`, `books.invoice_differs`, `books.tax`.
        """
        position, fact = entry.position, entry.fact
        if head["simulated"] and not file.simulated:
            raise _differs("simulated", "what it charges is SIMULATED", entry)
        head = {**head, "simulated": file.simulated}
        account = self._charging.account(position, fact["account"])
        if entry.tag == TAXED:
            self.rates(entry, [])
            document = self._taxing.document(position, account, head, file.lines, file.rates)
            if strict.encode(document) != file.data:
                raise _differs("sha256", "head, taxes or totals do not follow", entry)
            self._taxing.check_fact(position, fact, account, document)
            return
        unit = 10 ** (MINOR_IN_PICO - account["digits"])
        total = sum(line[5] for line in file.lines)
        minor = round_half_even(total, unit)
        if invoice_bytes(head, file.lines, minor, unit) != file.data:
            raise _differs("sha256", "head or totals do not follow", entry)
        for field, value in (
            ("currency", account["currency"]),
            ("minor_digits", account["digits"]),
            ("total_pico", total),
            ("total_minor", minor),
            ("line_count", len(file.lines)),
            ("file", f"invoice-{fact['number'].lower()}.json"),
        ):
            if fact[field] != value:
                raise _differs(field, f"{field} is {fact[field]}", entry)


def _differs(field: str, detail: str, entry: Entry) -> Invalid:
    return Invalid(
        "proof.file_differs", detail, position=entry.position, member=MEMBER, field=field
    )
