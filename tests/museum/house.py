"""The platform without its walls: its own deciders over one log in memory, and two sets of books.

Every fact is what `domain/` decided on a command (admission included), months and ids are those of
`projections/months.py`. `judged` then asks the auditor, who shares no code with any of it: each row,
balance and invoice must be the platform's. What a case expects is written out in the case.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from msgspec import Struct

from domain import (
    account,
    invoice,
    launch,
    node,
    organization,
    period,
    pricebook,
    project,
    rating,
    runtime,
    sealing,
)
from domain.admission import AdmissionState
from domain.decider import Emit, fold
from domain.statement import InvoiceDraft, file_name
from domain.words import Gpu, Private
from gpuaas_verify.books import Books
from projections.invoicing import number_of
from projections.months import TZDATA, derived_id, month_after, month_of, period_id
from tests.property.books_history import History, stream

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
GPU_HOUR = 1000 * HOUR  # in milli-GPU x us, the unit of quantities
USD = 10**12  # pico
NAME = Private("0" * 64)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = 10**17

FACTS: dict[type[Struct], type[Struct]] = {
    runtime.ReportUsable: runtime.Usable,
    runtime.ReportDegraded: runtime.Degraded,
    runtime.ReportStopped: runtime.Stopped,
    runtime.ReportFailed: runtime.Failed,
}
TABLES = ("rated_interval", "transfer")


def instant(text: str) -> int:
    """The instant of an ISO 8601 time that says its zone, in us."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


class Tenant(NamedTuple):
    """An organization with one billing account and one project."""

    organization: str
    account: str
    project: str
    zone: str


class House:
    """One log, what the platform holds of it, and its books."""

    def __init__(self) -> None:
        self.history = History()
        self.state = AdmissionState()
        self.books = rating.Books()
        self.rows: dict[str, list[Any]] = {table: [] for table in TABLES}
        self.accounts: list[str] = []
        self._numbers = 0

    def append(
        self, *writes: tuple[str, str, Sequence[Struct]], remembered: bool = False
    ) -> int:  # fmt: skip
        """(stream, organization, facts) in one append; the position of its first fact."""
        first = len(self.history.facts)
        for stream_id, org, facts in writes:
            self.history.orgs[stream_id] = org
            for fact in facts:
                position = self.history.add(stream_id, fact, f"cmd:{first:064x}")
                if not remembered:
                    self.state.apply(stream_id, self.state.version(stream_id) + 1, fact)
                rated, moved = self.books.apply(position, stream_id, fact)
                self.rows["rated_interval"] += rated
                self.rows["transfer"] += moved
        return first

    def emitted(self, emits: Iterable[Emit]) -> tuple[Emit, ...]:
        """What an admission decided, appended."""
        emits = tuple(emits)
        self.append(*((one.stream, one.org, one.facts) for one in emits), remembered=True)
        return emits

    def facts(self, stream_id: str) -> list[Any]:
        """The stream's facts so far."""
        return [fact for name, _, fact in self.history.facts if name == stream_id]

    def tenant(
        self, number: int, zone: str = "UTC", currency: str = "USD", digits: int = 2, at: int = 0
    ) -> Tenant:
        """A new tenant, the month of `at` and the one after it open."""
        org, paying = stream("organization", number), stream("account", number)
        created = organization.decide(organization.Create(NAME, at), organization.Missing())
        opening = account.Open(org, currency, digits, zone, TZDATA, at)
        self.append((org, org, created))
        self.append((paying, org, account.decide(opening, account.Missing())))
        self.accounts.append(paying)
        one = Tenant(org, paying, self.add_project(number, org, paying, at), zone)
        start, end = month_of(at, zone)
        self.open_period(one, start, end)
        self.next_period(one)
        return one

    def add_project(self, number: int, org: str, paying: str, at: int = 0) -> str:
        """A project, in a department of its own."""
        name = stream("project", number)
        place = (org, stream("department", number), paying, NAME, org, org, at)
        self.append((name, org, project.decide(project.Create(*place), project.Missing())))
        return name

    def opened(self, of: Tenant) -> list[period.Opened]:
        """The account's periods, in order."""
        return [
            fact
            for _, _, fact in self.history.facts
            if isinstance(fact, period.Opened) and fact.account == of.account
        ]

    def open_period(self, of: Tenant, start: int, end: int) -> str:
        """The account's next period, from `start` to `end`."""
        known = self.opened(of)
        command = period.Open(
            of.account, start, end, of.zone, TZDATA, known[-1] if known else None, start
        )
        facts = period.decide(command, period.Missing())
        name = period_id(of.account, len(known) + 1)
        self.append((name, of.organization, facts))
        return name

    def next_period(self, of: Tenant) -> str:
        """The local month after the last one."""
        start = self.opened(of)[-1].end_us
        return self.open_period(of, start, month_after(start, of.zone))

    def close(self, of: Tenant, number: int, now: int) -> list[period.Event]:
        """The account's period of that number closed; what was decided."""
        name = period_id(of.account, number)
        command = period.Close(self.opened(of)[-1], now)
        facts = period.decide(command, fold(period.DECIDER, self.facts(name)))
        self.append((name, of.organization, facts))
        return facts

    def bill(self, of: Tenant, number: int, now: int) -> InvoiceDraft:
        """The closed period of that number invoiced, if it has lines; what the invoice says."""
        name = period_id(of.account, number)
        draft = self.books.invoice_of(name)
        if not draft.lines:
            return draft
        paying = fold(account.DECIDER, self.facts(of.account))
        assert isinstance(paying, account.Billing)
        bill, shown = derived_id("invoice", name), number_of(of.account, paying.sequence + 1)
        data = rating.invoice_file(draft, shown)
        digest = sha256(data).hexdigest()
        [closed] = [
            at
            for at, (where, _, fact) in enumerate(self.history.facts)
            if where == name and isinstance(fact, period.Closed)
        ]
        finalize = invoice.Finalize(shown, draft, digest, closed, now)
        sealed = sealing.FileSealed(file_name(shown), digest, len(data), closed, None)
        self.append(
            (bill, of.organization, invoice.decide(finalize, invoice.Missing())),
            (of.account, of.organization, account.decide(account.NumberInvoice(bill), paying)),
            (derived_id("files", name), "-", (sealed,)),
        )
        return draft

    def month(self, of: Tenant, number: int, now: int) -> InvoiceDraft:
        """The period of that number closed and invoiced, the one after the next opened."""
        self.next_period(of)
        self.close(of, number, now)
        return self.bill(of, number, now)

    def price(
        self, model: str, pico: int, *, since: int = 0, divisor: int = GPU_HOUR,
        whose: str = "default", currency: str = "USD", now: int | None = None,
    ) -> list[pricebook.Event]:  # fmt: skip
        """An entry for a model's usable time, by default per GPU-hour, published as it takes effect."""
        book = stream("pricebook", 1)
        command = pricebook.PublishEntry(
            *(whose, "gpu.time", model, "-", "usable", currency),
            *(since, pico, divisor, since if now is None else now),
        )
        facts = pricebook.decide(command, fold(pricebook.DECIDER, self.facts(book)))
        self.append((book, "-", facts))
        return facts

    def machine(
        self, number: int, model: str, gpus: int = 8, *, simulated: bool = True, at: int = 0
    ) -> str:
        """An enrolled node that was booted at `at`."""
        name = stream("node", number)
        token, key = "1" * 64, f"{number:064x}"
        inventory = tuple(Gpu(index, f"GPU-{number}-{index}") for index in range(gpus))
        invited = node.Invite(NAME, model, token, NEVER, at)
        self.node_does(name, invited)
        self.node_does(name, node.Enrol(token, key, model, simulated, inventory, "serial", at))
        self.boot(name, 1, at)
        return name

    def node_does(self, name: str, command: node.Command) -> list[node.Event]:
        """A command to a node, decided on what it is."""
        facts = node.decide(command, fold(node.DECIDER, self.facts(name)))
        self.append((name, "-", facts))
        return facts

    def boot(self, name: str, boot: int, at: int) -> None:
        """A boot of the node, its clock at 0 at the instant `at`."""
        self.history.anchors[name] = (f"{boot:032x}", 0, at)
        said = self.history.attested(name, "gpuaas.node.anchored.v1", name, 0)
        self.node_does(name, node.AnchorBoot(f"{boot:032x}", 0, said, at))

    def start(
        self, of: Tenant, milli: int = 1000, *, devices: int = 1, model: str = "T4", at: int = 0,
        project: str = "",
    ) -> str:  # fmt: skip
        """A runtime admitted: `milli` of each of its devices."""
        name = stream("runtime", self._numbers + 1)
        wanted = self.wish(of, milli, devices=devices, model=model, at=at, project=project)
        self.emitted(launch.admit(self.state, wanted))
        return name

    def wish(
        self, of: Tenant, milli: int = 1000, *, devices: int = 1, model: str = "T4", at: int = 0,
        project: str = "",
    ) -> launch.Launch:  # fmt: skip
        """A launch that is not decided yet, of the next runtime."""
        self._numbers += 1
        name, allocation = stream("runtime", self._numbers), stream("allocation", self._numbers)
        return launch.Launch(
            *(of.organization, project or of.project, name, allocation, NAME),
            *(devices, milli * devices, (model,), at),
        )

    def begin(
        self, of: Tenant, milli: int = 1000, *, devices: int = 1, model: str = "T4", at: int = 0,
        project: str = "",
    ) -> str:  # fmt: skip
        """A runtime that is usable as soon as it is admitted."""
        name = self.start(of, milli, devices=devices, model=model, at=at, project=project)
        self.report(runtime.ReportUsable, name, at)
        return name

    def report(
        self, what: type[runtime.Report], name: str, at: int, told: int | None = None
    ) -> tuple[Emit, ...]:
        """A word of the runtime's node: its clock says `at`, the platform hears it at `told`."""
        live: Any = self.state.runtimes[name].state
        anchor = self.state.stock.states[live.node].anchor
        boottime = at - anchor.anchor_us
        tag = str(FACTS[what].__struct_config__.tag)
        said = self.history.attested(live.node, tag, name, boottime)
        asked: tuple[Any, ...] = (boottime, anchor, said, at if told is None else told)
        if what is runtime.ReportFailed:
            asked = ("agent.failed", *asked)
        return self.does(name, what(*asked))

    def does(self, name: str, command: runtime.Command) -> tuple[Emit, ...]:
        """A command to a runtime, with what its end frees."""
        return self.emitted(launch.step(self.state, name, command))

    def renew(self, name: str, runtimes: tuple[str, ...], at: int, told: int | None = None) -> None:
        """The node's lease renewed, for these runtimes: it asked at `at`, was heard at `told`."""
        boottime = at - self.state.stock.states[name].anchor.anchor_us
        said = self.history.attested(name, "gpuaas.node.lease_renewed.v1", name, boottime)
        ask = node.RenewLease(runtimes, boottime, said, at if told is None else told)
        self.node_does(name, ask)

    def lose(self, name: str, now: int) -> tuple[Emit, ...]:
        """The runtime declared lost, if its lease allows."""
        return self.emitted(launch.lose(self.state, name, now))

    def judged(self) -> "House":
        """This house, once the auditor has derived every row, balance and invoice the same."""
        with Books(None) as auditor:
            self.history.feed(auditor)
            for table, mine in self.rows.items():
                stored = [json.loads(rating.row_bytes(row, n, "")) for n, row in enumerate(mine)]
                for row in stored:
                    del row["salt"]
                assert list(auditor.expected_rows(table)) == stored
            for paying in self.accounts:
                assert auditor.balances(paying) == {
                    name: (one.seq, one.pico) for name, one in self.books.balances(paying).items()
                }
            report = auditor.finish()
        final = invoice.Finalized | invoice.TaxedFinalized
        done = [fact for _, _, fact in self.history.facts if isinstance(fact, final)]
        assert report.invoices == len(done)
        return self

    def charged(self, resource: str) -> tuple[int, int]:
        """(quantity in milli-GPU x us, pico) that the resource was charged, net."""
        quantity = sum(
            row.sign * row.quantity
            for row in self.rows["rated_interval"]
            if row.resource == resource
        )
        amounts = [
            row.amount_pico if row.debit == "unbilled" else -row.amount_pico
            for row in self.rows["transfer"]
            if row.resource == resource and row.kind == "charge"
        ]
        return quantity, sum(amounts)

    def pieces(self, resource: str) -> list[tuple[int, int, int]]:
        """(sign, start, end) of each of its rated intervals, in order."""
        return [
            (row.sign, row.start_us, row.end_us)
            for row in self.rows["rated_interval"]
            if row.resource == resource
        ]
