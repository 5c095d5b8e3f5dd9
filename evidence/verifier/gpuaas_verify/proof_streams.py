"""Which entries an invoice proof holds: what it rests on, all of each stream, nothing in vain.

evidence/invoice-proof.md section 2. Fed every entry in order; what only the end shows is told by
`finish`. In memory: a few words for each stream.
"""

from collections.abc import Iterable
from typing import Final

from gpuaas_verify.books_invoice import NAMED
from gpuaas_verify.books_usage import SEAL, TABLE
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.facts import OPENED
from gpuaas_verify.proof_holds import PLACED_HOLDS, RENEWED_HOLDS, TERMS, Kept
from gpuaas_verify.proof_nodes import ANCHORED, ENROLLED, STOOD, Nodes
from gpuaas_verify.proof_nodes import TAGS as NODES
from gpuaas_verify.proof_notes import ISSUED, NUMBERED, ORDERED, Notes
from gpuaas_verify.proof_numbers import TAGS as NUMBERING
from gpuaas_verify.proof_numbers import Numbers
from gpuaas_verify.proof_quota import Quotas
from gpuaas_verify.proof_readings import Readings

ACCOUNT: Final = "gpuaas.account.opened.v1"
PERIOD: Final = "gpuaas.period.opened.v1"
CLOSED: Final = "gpuaas.period.closed.v1"
PRICED: Final = "gpuaas.price.entry_published.v1"
SHAPED: Final = "gpuaas.price.entry_published.v2"
BOOK: Final = "gpuaas.price.book_published.v1"
COMMITTED: Final = "gpuaas.price.commitment_made.v1"
RERATED: Final = frozenset({
    "gpuaas.price.rerating_decided.v1",
    "gpuaas.price.rerating_decided.v2",
})  # fmt: skip
METERED: Final = "gpuaas.meter.registered.v1"
REPORTED: Final = "gpuaas.meter.registered.v2"
SOURCE: Final = "gpuaas.source.registered.v1"
MOVED: Final = "gpuaas.project.moved.v1"
FINALIZED: Final = "gpuaas.invoice.finalized.v1"
TAXED_INVOICE: Final = "gpuaas.invoice.finalized.v2"
SILENT: Final = "gpuaas.period.sources_missing.v1"
TAXED: Final = "gpuaas.account.taxed.v1"
SELLER: Final = "gpuaas.seller.registered.v1"
RATE: Final = "gpuaas.seller.rate_set.v1"
SEALED: Final = "gpuaas.evidence.file_sealed.v1"
# By kind of stream: what a proof may hold of it. Of runtimes and volumes it holds everything.
MAY: Final = {
    "log": frozenset({OPENED}),
    "account": frozenset({ACCOUNT, TAXED, TERMS}),
    "wallet": PLACED_HOLDS | frozenset(RENEWED_HOLDS),
    "period": frozenset({PERIOD, CLOSED, SILENT}),
    "project": frozenset({"gpuaas.project.created.v1", MOVED}),
    "invoice": frozenset({FINALIZED, TAXED_INVOICE}),
    "seller": frozenset({SELLER, RATE}),
    "files": frozenset({SEALED}),
    "pricebook": frozenset({PRICED, SHAPED, BOOK, COMMITTED}) | RERATED,
    "meter": frozenset({METERED, REPORTED}),
    "source": frozenset({SOURCE}),
    "usage": frozenset({SEAL}),
    "node": NODES,
}
RESOURCES: Final = ("runtime", "volume", "reservation")
MADE: Final = "gpuaas.reservation.made.v1"
FIRST: Final = ("gpuaas.runtime.requested.v1", "gpuaas.volume.created.v1", MADE)
PLACED: Final = ("gpuaas.runtime.allocated.v1", "gpuaas.volume.created.v1", MADE)
LOST: Final = "gpuaas.runtime.lost.v1"
# With these a resource is over: nothing that follows costs anything.
LAST: Final = frozenset({
    "gpuaas.reservation.ended.v1",
    "gpuaas.runtime.stopped.v1",
    "gpuaas.runtime.failed.v1",
    LOST,
    "gpuaas.runtime.cancelled.v1",
    "gpuaas.volume.wiped.v1",
    "gpuaas.volume.lost.v1",
})  # fmt: skip
STORAGE: Final = ("storage.capacity", "MiB-us", "lifecycle")
ONCE: Final = frozenset({ACCOUNT, SEALED, SILENT, TAXED, SELLER})
OF_NOTES: Final = frozenset({ORDERED, ISSUED, NUMBERED})
# What only an invoice with a seller rests on.
OF_SELLERS: Final = frozenset({SILENT, TAXED, SELLER, RATE})


class Streams:
    """Held against the invoice's fact; its period's close is the last that counts for it."""

    def __init__(
        self, invoice: Entry, form: str, notes: Notes, readings: Readings, numbers: Numbers | None
    ) -> None:
        """`form`: of its file; `numbers`: None in a proof of an earlier release, which has none."""
        self._form = form
        self._notes = notes
        self._numbers = numbers
        self._readings = readings
        self.projects: dict[str, str] = {}  # of each runtime and volume, and of a project itself
        self._kept = Kept(invoice.fact["account"])
        self._ended: set[str] = set()  # streams that are over, or shown to go on beyond the close
        self._invoice = invoice
        self._last: int = invoice.fact["closed"]
        self._account: str = invoice.fact["account"]
        self._quotas = Quotas(self._last)
        self._versions: dict[str, tuple[int, int]] = {}  # shown version, and where it stands
        self._made: dict[str, str] = {}  # projects, and who pays what begins in them
        self._meters: dict[tuple[str, ...], int] = {}
        self._read: set[str] = set()  # sources and meters of readings
        self._sources: dict[str, int] = {}
        self._payers: dict[str, str | None] = {}  # of what a source says of its project
        self._moves: dict[int, str] = {}  # of projects, that nothing rests on so far
        self._once: set[str] = set()
        self._prices: list[int] = []
        self._periods: dict[str, tuple[int, int]] = {}  # sequence, and where it was opened
        self._closed: dict[str, int] = {}
        self._nodes = Nodes()
        self._treated: list[tuple[int, str, str]] = []

    @property
    def resources(self) -> int:
        return len(self.projects)

    @property
    def open(self) -> int:
        """Of how many resources no later entry before the close is excluded."""
        return len(self._versions) - len(self._ended) + self._quotas.open

    @property
    def held(self) -> int:
        """How many holds are here."""
        return self._kept.count

    def admit(self, entry: Entry) -> bool:
        """True when the entry counts, False for the one by which a stream is shown to go on, for
        what numbers the invoice, and for credit notes, which count once the invoice stands.

        Raises: Invalid `proof.foreign`, `proof.needless`, `proof.version`.
        """
        kind, tag, fact = entry.stream[:-37], entry.tag, entry.fact
        if entry.org not in {"-", self._invoice.org}:
            raise _fail("foreign", f"of {entry.org}", entry, "org")
        if kind in RESOURCES:
            return self._resource(entry)
        if kind == "quota":
            self._kept.changed()
            return self._quotas.admit(entry)
        if tag in OF_NOTES:
            self._notes.admit(entry)
            return False
        if tag in NUMBERING and self._numbers is not None:
            self._numbers.admit(entry)
            return False
        if tag not in MAY.get(kind, ()):
            raise _fail("foreign", f"no proof holds {tag}", entry, "tag")
        if entry.position > self._invoice.position and tag != SEALED:
            raise _fail("needless", "later than the invoice", entry, "position")
        if tag == SEALED and self._notes.sealed(entry):
            return True
        if tag in OF_SELLERS:
            self._check_seller(entry)
        elif kind == "node":
            self._nodes.admit(entry)
        elif kind == "account":
            self._own(entry)
        elif kind == "wallet":
            if entry.position > self._last:
                raise _fail("needless", "later than the close", entry, "position")
            self._kept.admit(entry, self._versions)
        elif kind == "period":
            self._period(entry)
        elif kind == "project":
            self._made[entry.stream] = fact["account"]
            if tag == MOVED:
                self._moves[entry.position] = entry.stream
        elif kind == "pricebook":
            self._price(entry)
        elif tag == SEALED:
            self._check_sealed(entry)
        elif kind == "meter":
            self._meter(entry)
        elif kind == "usage":
            self._sealed(entry)
        elif kind == "source":
            self._sources[entry.stream] = entry.position
            self._payers[entry.stream] = self._made.get(fact["project"])
        if tag in ONCE and tag in self._once:
            raise _fail("needless", "a second one", entry, "tag")
        self._once.add(tag)
        return True

    def _resource(self, entry: Entry) -> bool:
        stream, fact = entry.stream, entry.fact
        if stream in self._ended:
            raise _fail("needless", "it was over before", entry, "version")
        version, _ = self._versions.get(stream, (0, 0))
        if entry.version != version + 1:
            raise _fail("version", f"version {version + 1} is next", entry, "version")
        self._versions[stream] = (entry.version, entry.position)
        if entry.tag in FIRST:
            pays = self._made.get(fact["project"]) if entry.tag == MADE else fact["account"]
            if pays != self._account:
                raise _fail("foreign", "charged to another account", entry, "account")
            self.projects[stream] = fact["project"]
        if entry.position > self._last or entry.tag in LAST:
            self._ended.add(stream)
        if entry.position > self._last:
            return False
        if entry.tag in PLACED:
            self._kept.placed()
            for node in fact["nodes"] if entry.tag == MADE else (fact["node"],):
                self._nodes.rest(node, ENROLLED, STOOD)
                if entry.tag == MADE and not self._nodes.is_enrolled(node):
                    raise _fail("missing", f"{node} is not here", entry, "nodes")
        if entry.tag == LOST:
            self._nodes.lost(stream)
        if "attested" in fact:
            self._nodes.rest(fact["attested"]["node"], ENROLLED, ANCHORED)
        return True

    def _price(self, entry: Entry) -> None:
        if entry.tag == COMMITTED or entry.tag in RERATED:
            if entry.fact["account"] != self._invoice.fact["account"]:
                raise _fail("foreign", "of another account", entry, "account")
            if entry.position > self._last:
                raise _fail("needless", "later than the close", entry, "position")
        self._prices.append(entry.position)
        self._kept.changed()

    def _period(self, entry: Entry) -> None:
        if entry.fact["account"] != self._invoice.fact["account"]:
            raise _fail("foreign", "of another account", entry, "account")
        if entry.tag == CLOSED:
            self._closed[entry.stream] = entry.position
            self._kept.changed()
        else:
            self._periods[entry.stream] = (entry.fact["sequence"], entry.position)

    def _own(self, entry: Entry) -> None:
        if entry.stream != self._account:
            raise _fail("foreign", "another account", entry, "stream")
        if entry.tag == TERMS:
            self._kept.terms(entry)

    def _meter(self, entry: Entry) -> None:
        name: tuple[str, ...] = (entry.fact["meter"],)
        if entry.tag == METERED and entry.fact["source"] != "readings":
            name = tuple(entry.fact.values())[:3]
            if name != STORAGE:
                raise _fail("needless", "nothing is charged by it", entry, "meter")
        if name in self._meters:
            raise _fail("needless", "a second one", entry, "tag")
        self._meters[name] = entry.position

    def _sealed(self, entry: Entry) -> None:
        """A seal of readings, of which some are shown."""
        if entry.position > self._last:
            raise _fail("needless", "later than the close", entry, "position")
        self._readings.take(entry)
        for number, row in self._readings.at_hand:
            self._read |= {row["source"], row["meter"]}
            self._nodes.rest(row["source"], ENROLLED)
            resource = row["resource"]
            payer: str | None = self._account
            if resource in self._made:
                self.projects[resource] = resource
                payer = self._payers.get(row["source"], payer)
                registered = self._sources.get(row["source"], -1)
                moves = self._moves.items()
                self._moves = {at: of for at, of in moves if of != resource or at > registered}
            if resource not in self.projects or payer != self._account:
                detail = "of nobody here"
                raise Invalid("proof.foreign", detail, table=TABLE, row=number, field="resource")

    def _check_seller(self, entry: Entry) -> None:
        """Of the invoice's seller, for what its account is, and of its period."""
        invoice, fact = self._invoice.fact, entry.fact
        named = entry.tag == SILENT and self._form == NAMED
        if "seller" not in invoice and not named:
            raise _fail("needless", "the invoice has no seller", entry, "tag")
        own = {"account": invoice["account"], "seller": invoice.get("seller")}
        if entry.stream != own.get(entry.stream[:-37], invoice["period"]):
            raise _fail("foreign", "not the invoice's", entry, "stream")
        if entry.tag == SELLER and self._numbers is not None:
            self._numbers.sold(entry)
        if entry.tag in {RATE, TAXED}:
            self._treated.append((entry.position, fact["treatment"], fact["country"]))

    def _check_sealed(self, entry: Entry) -> None:
        invoice, fact = self._invoice, entry.fact
        for field, right in (
            ("name", fact["name"] == invoice.fact["file"]),
            ("sha256", fact["sha256"] == invoice.fact["sha256"]),
            ("cause", entry.cause == invoice.cause),
        ):
            if not right:
                raise _fail("file", "not the seal of the invoice's file", entry, field)

    def finish(self, charged: set[str], prices: set[int], periods: set[str]) -> None:
        """Nothing when every entry is needed and none of these is missing.

        Args:
            charged: the runtimes and volumes that the invoice, or its line, charges.
            prices: positions of the entries of the price book that this rests on.
            periods: those in which, and for which, they were charged.

        Raises: Invalid `proof.foreign`, `proof.needless`, `proof.missing`.
        """
        at = self._invoice.position
        self._readings.finish()
        self._kept.finish()
        if self._numbers is not None:
            self._numbers.finish()
        for tag, needed in ((SEALED, True), (SILENT, self._form == NAMED)):
            if needed and tag not in self._once:
                raise Invalid("proof.missing", f"no {tag}", position=at, field="file")
        for stream in self.projects:
            if stream not in charged:
                where = self._versions.get(stream, (0, at))[1]
                raise Invalid("proof.needless", f"{stream} is not charged", position=where)
        self._quotas.finish(one for one in self.projects if one.startswith("reservation-"))
        self._nodes.finish(self.projects)
        for position in [*self._moves, *(one for one in self._prices if one not in prices)]:
            raise Invalid("proof.needless", "nothing rests on it", position=position)
        if set(self._made) != set(self.projects.values()):
            raise Invalid("proof.missing", "not the projects charged", position=at, field="project")
        if (STORAGE in self._meters) != any(one.startswith("volume-") for one in self.projects):
            raise Invalid("proof.missing", "not the meters of what is charged", position=at)
        named = [(one[0], at) for one, at in self._meters.items() if one != STORAGE]
        for name, position in (*named, *self._sources.items()):
            if name not in self._read:
                raise Invalid("proof.needless", "no reading here is of it", position=position)
        for position, *treated in self._treated:
            if treated != list(self._treated[-1][1:]):
                raise Invalid("proof.needless", "nobody here is taxed so", position=position)
        self._check_periods({*periods, self._invoice.fact["period"]})

    def _check_periods(self, used: Iterable[str]) -> None:
        """All up to the last that is used, those up to the invoice's closed."""
        last = max(self._periods[period][0] for period in used)
        invoiced, _ = self._periods[self._invoice.fact["period"]]
        for period, (sequence, opened) in self._periods.items():
            closed = self._closed.get(period)
            if sequence > last:
                raise Invalid("proof.needless", "nothing is charged in it", position=opened)
            if closed is not None and sequence > invoiced:
                raise Invalid("proof.needless", "closed after the invoice's", position=closed)
            if closed is None and sequence <= invoiced:
                detail = "the close of an earlier period"
                raise Invalid("proof.missing", detail, position=opened, field="closed_us")


def _fail(code: str, detail: str, entry: Entry, field: str) -> Invalid:
    return Invalid(f"proof.{code}", detail, position=entry.position, field=field)
