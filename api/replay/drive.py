"""A trace driven through deciders, admission, log and ledger, in order of its time.

Batches: while one commits, the next is decided on the cached state; its rows are rated once its
positions are known and sealed in the batch after. A crash anywhere is harmless: a restart decides
the same steps again from the same input, the log answers those it has by their command ids (with
the first positions), and what is missing is appended.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from api.replay import setup as replay_setup
from api.replay.input import Task
from api.replay.nodes import SimulatedNode
from api.replay.plan import CLOSE, START, Plan, Step
from api.replay.setup import ACTOR, Tenancy
from domain import account, invoice, launch, period, pricebook, runtime
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.rating import Books, RatedInterval, Transfer, invoice_file
from domain.sealing import FileSealed, IntervalsSealed, TransfersSealed
from domain.statement import InvoiceDraft, file_name
from evidence import files
from evidence.append import Append, Appended, Bulk, Write
from evidence.log import EventLog
from evidence.private import private_value
from evidence.storage import Storage
from projections.invoicing import number_of
from projections.months import derived_id
from projections.rater import Tail, bulk_of, seal_of, seal_streams

BATCH: Final = 384  # appends decided at a time; measured, flat between 256 and 1024

type Progress = Callable[[int], None]


class Placed(Struct, frozen=True):
    """Where a task runs: `devices` are indexes on the node."""

    runtime: str
    node: SimulatedNode
    devices: tuple[int, ...]


class Refusal(Struct, frozen=True):
    task: Task
    code: str


class Invoiced(Struct, frozen=True):
    number: str
    period: int
    finalized: invoice.Finalized


class _Sealer:
    """Where the seals of both tables have come to (rating.md section 7)."""

    def __init__(self, plan: Plan, log_stream: str) -> None:
        self._plan = plan
        rating, ledger = seal_streams(log_stream)
        self._tails = {"rated_interval": Tail(rating), "transfer": Tail(ledger)}

    def append(self, rated: list[RatedInterval], moved: list[Transfer], through: int) -> Append:
        """The rows of all causes up to `through` with their seals; there is at least one row."""
        writes: list[Write] = []
        bulks: list[Bulk] = []
        tables: tuple[tuple[str, list[Any]], ...] = (("rated_interval", rated), ("transfer", moved))
        for table, rows in tables:
            if rows:
                tail = self._tails[table]
                bulk = bulk_of(table, tail.next_row, rows)
                seal = seal_of(tail, bulk, rows, through)
                writes.append(Write(tail.stream, "-", tail.version, (seal,)))
                bulks.append(bulk)
        assert writes, "there were rows"
        # A command id, unlike the rater's `pos:`, so that a restart finds the seal it made.
        cause = self._plan.command("seal", through)
        return Append(tuple(writes), ACTOR, cause, bulk=tuple(bulks))

    def sealed(self, position: int, fact: IntervalsSealed | TransfersSealed) -> None:
        """The seal stands in the log at the position; the next one names it."""
        tail = self._tails[fact.table]
        tail.seal, tail.version = position, tail.version + 1
        tail.next_row, tail.through = fact.first_row + fact.count, fact.through


class Drive:
    """One replay under way; `run` does it all, the fields say what came of it."""

    def __init__(
        self, plan: Plan, log: EventLog, storage: Storage, nodes: list[SimulatedNode],
        log_stream: str, progress: Progress,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.made: Tenancy = replay_setup.tenancy(plan)
        self.nodes = {node.id: node for node in nodes}
        self.books = Books()
        self.placed: dict[int, Placed] = {}
        self.refused: list[Refusal] = []
        self.rated: list[RatedInterval] = []
        self.invoices: list[Invoiced] = []
        self.appends = 0
        self.size = 0
        self._log = log
        self._storage = storage
        self._progress = progress
        self._state = AdmissionState()
        self._sealer = _Sealer(plan, log_stream)
        self._billing: account.State = account.DECIDER.initial
        self._batch: list[Append] = []
        self._flight: tuple[asyncio.Future[list[Appended | DomainError]], list[Append]] | None = (
            None
        )
        self._new: tuple[list[RatedInterval], list[Transfer]] = ([], [])
        self._periods: dict[str, period.State] = {}
        self._closed_at: dict[str, int] = {}
        self.prices: dict[int, pricebook.EntryPublished] = {}

    async def run(self) -> None:
        """Every step of the plan is in the log, rated, sealed and invoiced.

        Raises: DomainError of the log, or `replay.diverged` when the log holds something else than
        this input and this version of the software decide.
        """
        for append in replay_setup.appends(
            self.plan, self.made, list(self.nodes.values()), self._state
        ):
            await self._put(append)
        for done, step in enumerate(self.plan.steps):
            if step.kind == CLOSE:
                await self._close(step)
            elif step.kind == START:
                await self._start(step)
            else:
                await self._end(step)
            if not done % BATCH:
                self._progress(done)
        await self.settle()
        self._progress(len(self.plan.steps))

    async def _start(self, step: Step) -> None:
        task = self.plan.trace.tasks[step.index]
        made, at = self.made, step.at_us
        name, kept = private_value(made.organization, task.name)
        wanted = launch.Launch(
            made.organization, made.projects[task.qos, self.plan.project_name(task)],
            self.plan.id("runtime", task.row, at_us=at),
            self.plan.id("allocation", task.row, at_us=at),
            name, task.gpus, task.gpus * task.milli_each, task.models, at,
        )  # fmt: skip
        reads = launch.reads(self._state, wanted)
        try:
            emits = launch.admit(self._state, wanted)
        except DomainError as refused:
            self.refused.append(Refusal(task, refused.code))
            return
        allocated = emits[0].facts[1]
        assert isinstance(allocated, runtime.Allocated)
        node = self.nodes[allocated.node]
        devices = tuple(share.index for share in allocated.devices)
        self.placed[step.index] = Placed(wanted.runtime, node, devices)
        cause = self.plan.command(task.row, "start")
        await self._put(Append(_writes(emits), "service-replay", cause, reads, (kept,)))
        boottime, attested = node.attest(runtime.Usable, wanted.runtime, at)
        report = runtime.ReportUsable(boottime, node.anchor, attested, at)
        emits = launch.step(self._state, wanted.runtime, report)
        await self._put(Append(_writes(emits), node.id, self.plan.command(task.row, "usable")))

    async def _end(self, step: Step) -> None:
        placed = self.placed.get(step.index)
        if placed is None:
            return
        boottime, attested = placed.node.attest(runtime.Stopped, placed.runtime, step.at_us)
        report = runtime.ReportStopped(boottime, placed.node.anchor, attested, step.at_us)
        emits = launch.step(self._state, placed.runtime, report)
        row = self.plan.trace.tasks[step.index].row
        await self._put(Append(_writes(emits), placed.node.id, self.plan.command(row, "end")))

    async def _close(self, step: Step) -> None:
        """The period is over: closed, its charges sealed, then invoiced if it has any."""
        stream = self.made.periods[step.index]
        await self.settle()
        after = self._periods[self.made.periods[step.index + 1]]
        assert isinstance(after, period.Running), "periods are closed in their order"
        command = period.Close(after.opened, step.at_us)
        closed = tuple(period.decide(command, self._periods[stream]))
        write = Write(stream, self.made.organization, 1, closed)
        await self._put(Append((write,), ACTOR, self.plan.command("close", step.index)))
        await self.settle()
        draft = self.books.invoice_of(stream)
        if draft.lines:
            await self._invoice(step, draft)

    async def _invoice(self, step: Step, draft: InvoiceDraft) -> None:
        org, stream = self.made.organization, derived_id("invoice", draft.period)
        expected = len(self.invoices) + 1  # account.opened, then one per invoice
        billing = account.NumberInvoice(stream)
        [numbered] = account.decide(billing, self._billing)
        assert isinstance(numbered, account.Invoiced)
        number = number_of(self.made.account, numbered.sequence)
        data = invoice_file(draft, number)
        sealed = files.stage(self._storage, file_name(number), data, self.size)
        finalize = invoice.Finalize(
            number, draft, sealed.sha256, self._closed_at[draft.period], step.at_us
        )
        [finalized] = invoice.decide(finalize, invoice.Missing())
        assert isinstance(finalized, invoice.Finalized)
        writes = (
            Write(stream, org, 0, (finalized,)),
            Write(derived_id("files", draft.period), "-", 0, (sealed,)),
            Write(self.made.account, org, expected, (numbered,)),
        )
        await self._put(Append(writes, ACTOR, self.plan.command("invoice", step.index)))
        self._billing = account.evolve(self._billing, numbered)
        # A launch must not be older than its account.
        self._state.remember(self.made.account, (numbered,))
        self.invoices.append(Invoiced(number, step.index, finalized))
        await self.settle()

    async def seal_files(self, sealed: tuple[FileSealed, ...]) -> None:
        """The files are bound into the log, in one append; repeated it changes nothing."""
        write = Write(self.plan.id("files"), "-", 0, sealed)
        await self._put(Append((write,), ACTOR, self.plan.command("files")))
        await self.settle()

    async def settle(self) -> None:
        """Everything decided so far is committed, and every row of it rated and sealed."""
        while self._batch or self._flight or self._new[0] or self._new[1]:
            await self._submit()

    async def _put(self, append: Append) -> None:
        self._batch.append(append)
        if len(self._batch) >= BATCH:
            await self._submit()

    async def _submit(self) -> None:
        """What is in flight is awaited, rated and sealed; what was decided meanwhile takes off."""
        if self._flight is not None:
            flight, appends = self._flight
            self._flight = None
            self._absorb(appends, await flight)
        if self._new[0] or self._new[1]:
            self._batch.append(self._sealer.append(*self._new, self.size - 1))
            self.rated += self._new[0]
            self._new = ([], [])
        if self._batch:
            self._flight = (self._log.append_many(self._batch), self._batch)
            self._batch = []
            await asyncio.sleep(0)  # the batch takes off before the next one is decided

    def _absorb(self, appends: list[Append], answers: list[Appended | DomainError]) -> None:
        for append, answer in zip(appends, answers, strict=True):
            if isinstance(answer, DomainError):
                raise answer
            count = sum(len(write.facts) for write in append.writes)
            if answer.last - answer.first + 1 != count:
                detail = f"positions {answer.first}..{answer.last} hold another number of facts"
                raise DomainError("replay.diverged", detail, {"position": answer.first})
            self.appends += 1
            position = answer.first
            for write in append.writes:
                for fact in write.facts:
                    self._take(position, write.stream, fact)
                    position += 1
            self.size = position

    def _take(self, position: int, stream: str, fact: Struct) -> None:
        rated, moved = self.books.apply(position, stream, fact)
        self._new[0].extend(rated)
        self._new[1].extend(moved)
        match fact:
            case IntervalsSealed() | TransfersSealed():
                self._sealer.sealed(position, fact)
            case period.Opened():
                self._periods[stream] = period.Running(fact)
            case period.Closed():
                self._periods[stream] = period.evolve(self._periods[stream], fact)
                self._closed_at[stream] = position
            case pricebook.EntryPublished():
                self.prices[position] = fact
            case account.Opened():
                self._billing = account.evolve(self._billing, fact)
            case _:
                pass


def _writes(emits: tuple[Emit, ...]) -> tuple[Write, ...]:
    return tuple(Write(emit.stream, emit.org, emit.expected, emit.facts) for emit in emits)
