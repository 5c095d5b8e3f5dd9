"""What happened in the trace, and a control plane in memory that hears of it: tests/seeds.py.

The log is durable, all else of the plane is read from it again when its process begins. Real: the
decisions of ingest and the fold they rest on, which readings are new, both sets of books.
"""

from collections import defaultdict
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from api.fleet.state import FleetState
from api.fleet.words import Ending, Nothing, meaning
from api.replay.input import Trace
from contracts import fleet, usage
from contracts.signing import public_hex, unbase64
from domain import meter, node, period, pricebook, project, source
from domain.errors import DomainError
from domain.facts import tag_of
from domain.rating import Books
from domain.reading import Mark, Reading, repeated
from domain.words import Gpu, Private
from evidence.append import Append
from evidence.reader import Recorded
from gpuaas_verify.books import Books as Auditor
from tests.money_oracle import Oracle, Use
from tests.property.books_history import ORG, stream
from tests.trace_books import priced
from tests.unit.test_verify_books_usage import Told, rows_of

SECOND = 10**6
_NODES = 1  # of each model
_CUTS = 12  # of a counter, over the whole time
APPS = 2
_SENDING = 40
KEY = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
_PUBLIC = public_hex(KEY)
TOKENS = "tokens"
_READ = ((usage.EGRESS, usage.INTERNET, 7, 3), (TOKENS, "m", 11, 13))  # meter, model, pico, divisor
type Line = tuple[str, str, int, str]  # resource, meter, entry, period


class Task(Struct, frozen=True):
    """A runtime of the trace: where and when it ran, what it sent a second, its tokens."""

    number: int
    name: str
    model: str
    node: str
    start_us: int
    end_us: int
    milli: int
    rate: int

    def sent(self, at_us: int) -> int:
        """What the counter shows."""
        return (min(at_us, self.end_us) - self.start_us) // SECOND * self.rate

    @property
    def tokens(self) -> int:
        """What its app counts of it at its end; most tasks have none."""
        return self.number * 7919 % 10_007 if self.number % 3 == 1 else 0


class Script(Struct, frozen=True):
    """What happened, whoever hears of it when."""

    tasks: tuple[Task, ...]
    models: tuple[str, ...]
    bounds: tuple[int, ...]

    @property
    def cut_us(self) -> int:
        return max(60 * SECOND, self.bounds[-2] // _CUTS)

    def changes(self) -> list[int]:
        """Where prices change: as some begin that send, and a second later, so that a reading that is
        dated a little earlier or later is charged otherwise.
        """
        begun = [one.start_us for one in self.tasks if one.rate and one.start_us][:_SENDING]
        return sorted({0, self.bounds[1] + 1234, *begun, *(at + SECOND for at in begun)})


def script_of(trace: Trace) -> Script:
    """Each task on one of a few nodes of its model."""
    models = sorted({one.model for one in trace.prices})
    tasks = []
    for number, task in enumerate(sorted(trace.tasks, key=lambda one: one.start_s), 1):
        of = task.models[0] if task.models else models[0]
        where = stream("node", 1 + models.index(of) * _NODES + number % _NODES)
        times = (task.start_s * SECOND, task.end_s * SECOND)
        size = task.gpus * task.milli_each
        name = stream("runtime", number)
        rate = 0 if number % 4 else 1 + number * 37 % 1009  # most send nothing
        tasks.append(Task(number, name, of, where, *times, size, rate))
    last = max(one.end_us for one in tasks)
    return Script(tuple(tasks), tuple(models), (0, last // 3, 2 * last // 3, last + 1, last + 2))


class Plane:
    """The control plane: the log is durable, all else is not."""

    def __init__(self, script: Script, book: str) -> None:
        self.log = log = Told()
        self.account = log.account(1)
        self.oracle = Oracle(self.account, list(pairwise(script.bounds)))
        self.periods = [
            log.period(self.account, number, number, start, end)
            for number, (start, end) in enumerate(self.oracle.periods, 1)
        ]
        self.project = stream("project", 1)
        of = (ORG, stream("department", 1), self.account, Private("0" * 64), 0)
        log.add(self.project, project.Created(*of))
        priced(log, self.oracle, book, list(script.models))
        self.believed: dict[int, usage.Batch] = {}
        self.units: dict[int, tuple[int, int]] = {}
        self.entries: dict[str, list[tuple[int, int]]] = defaultdict(
            list
        )  # meter -> from, position
        for name, model, pico, divisor in _READ:
            counted = meter.ReadingsRegistered(name, "x", 1, "sum", ("model",), 0)
            log.add(stream("meter", len(log.facts)), counted)
            for number, since in enumerate(script.changes()):
                scope = ("default", name, model, "-", "read", "USD", since, 0)
                entry = pricebook.EntryPublished(*scope, pico + number, divisor)
                at = log.add(stream("pricebook", 1), entry)
                self.entries[name].append((since, at))
                self.units[at] = (pico + number, divisor)
        for number in range(APPS):
            app = source.Registered(ORG, self.project, _PUBLIC, (TOKENS,), 0)
            log.add(stream("source", number + 1), app)
        gpus = tuple(Gpu(index, f"GPU-{index}") for index in range(8))
        for name in sorted({one.node for one in script.tasks}):
            at = script.models.index(next(t.model for t in script.tasks if t.node == name))
            log.add(name, node.Invited(Private("0" * 64), script.models[at], "1" * 64, 10**17, 0))
            log.add(name, node.Enrolled(_PUBLIC, script.models[at], True, gpus, "1", 0))
        self.unlogged: dict[str, dict[str, int]] = defaultdict(dict)  # a table of its own: durable
        self.begin()

    def begin(self) -> None:
        """A process begins: what it knows, it knows from the log."""
        self.state = FleetState()
        self.versions: dict[str, int] = defaultdict(int)
        self.marks: dict[str, Mark] = {}
        for position in range(len(self.log.facts)):
            self._apply(position)
        for position in sorted(self.log.rows):
            for row in self.log.rows[position]:
                if row["chain"]:
                    chain = bytes.fromhex(row["chain"])
                    self.marks[row["source"]] = Mark(row["epoch"], row["sequence"], chain)
        for name, seqs in self.unlogged.items():
            known = self.state.nodes[name].seqs
            known.update({boot: max(seq, known.get(boot, 0)) for boot, seq in seqs.items()})

    def append(self, name: str, fact: Struct, cause: str | None = None) -> None:
        self._apply(self.log.add(name, fact, cause))

    def _apply(self, position: int) -> None:
        name, cause, fact = self.log.facts[position]
        self.versions[name] += 1
        if name.startswith(("node-", "runtime-")):
            head = (position, name, self.versions[name], tag_of(fact), ORG, "-", cause)
            self.state.apply(Recorded(*head, getattr(fact, "decided_us", 0), fact))

    def launch(self, task: Task) -> None:
        """Requested and allocated, as it began."""
        before = len(self.log.facts)
        self.log.start(
            *(task.number, self.account, task.node, task.start_us),
            milli=task.milli, model=task.model,
        )  # fmt: skip
        for position in range(before, len(self.log.facts)):
            self._apply(position)

    def close(self, number: int, now_us: int) -> None:
        start, end = self.oracle.periods[number]
        self.append(self.periods[number], period.Closed(self.account, start, end, now_us))

    def hear(self, said: fleet.Attested, now_us: int) -> bool:
        """Whether it has its receipt; False: it comes before its turn."""
        body = msgspec.json.decode(unbase64(said.body, "x"), type=fleet.Body)
        known = self.state.nodes[said.node]
        last = known.seqs.get(body.boot, 0)
        if body.seq != last + 1:
            return body.seq <= last
        asked = meaning(self.state, said, body, now_us)
        if isinstance(asked, Append):
            for write in asked.writes:
                for fact in write.facts:
                    self.append(write.stream, fact, asked.cause)
        elif isinstance(asked, Ending):
            self.append(asked.runtime, asked.fact, asked.cause)
        else:
            assert isinstance(asked, Nothing)
            self.unlogged[said.node][body.boot] = known.seqs[body.boot] = body.seq
        return True

    def take(self, batch: usage.Batch) -> usage.Answer:
        """As the desk judges it: signature, numbers, chain; then its new readings are sealed."""
        if id(batch) not in self.believed:  # a copy is the same bytes
            usage.check_signature(batch, _PUBLIC)
            self.believed[id(batch)] = batch
        mark = self.marks.get(batch.source)
        try:
            skip = repeated(mark, batch.epoch, batch.first, len(batch.readings))
        except DomainError as error:
            expected = error.facts["expected"]
            assert isinstance(expected, int)
            return answer(batch, expected - 1, error.code)
        if skip < len(batch.readings):
            same = mark is not None and mark.epoch == batch.epoch
            chain = mark.chain if mark and same else usage.beginning(batch.source, batch.epoch)
            for one in batch.readings[skip:]:
                chain = usage.linked(chain, usage.payload(one))
            assert chain.hex() == batch.chain
            self.log.seal(rows_of(batch)[skip:])
            mark = self.marks[batch.source] = Mark(batch.epoch, batch.last, chain)
        assert mark is not None
        return answer(batch, mark.sequence, "")

    def outcome(self, tasks: tuple[Task, ...], *, audited: bool) -> str:
        """The digest of the charge lines with their amounts and of the balances, once they are the
        oracle's; `audited`: the auditor derives every row, too.
        """
        books, rows, moved = Books(), list[Any](), list[Any]()
        for position, (name, _, fact) in enumerate(self.log.facts):
            if position in self.log.rows:
                said = [msgspec.convert(row, Reading) for row in self.log.rows[position]]
                rated, transfers = books.read(position, said)
            else:
                rated, transfers = books.apply(position, name, fact)
            rows += rated
            moved += transfers
        if audited:
            with Auditor(None) as auditor:
                self.log.feed(auditor)
                for table, mine in (("rated_interval", rows), ("transfer", moved)):
                    theirs = list(auditor.expected_rows(table))
                    assert theirs == [
                        {**msgspec.to_builtins(r), "row": n} for n, r in enumerate(mine)
                    ]
        lines = {
            (row.resource, row.meter, row.price, row.period): (
                row.line_quantity,
                row.line_amount_pico,
            )
            for row in rows
        }
        lines = {key: pair for key, pair in lines.items() if pair != (0, 0)}
        self._require_due(lines, tasks)
        balances = {name: one.pico for name, one in books.balances(self.account).items()}
        assert balances["unbilled"] == sum(pico for _, pico in lines.values())
        assert sum(balances.values()) == 0
        text = repr(
            (sorted((*key, *pair) for key, pair in lines.items()), sorted(balances.items()))
        )
        return sha256(text.encode()).hexdigest()

    def _require_due(self, lines: dict[Line, tuple[int, int]], tasks: tuple[Task, ...]) -> None:
        """Time by the oracle; tokens counted anew; of what was sent every byte, priced line by line."""
        places = {one: number for number, one in enumerate(self.periods)}
        timed = {
            (key[0], key[2], places[key[3]]): pair
            for key, pair in lines.items()
            if key[1] == "gpu.time"
        }
        uses = [Use(t.name, t.model, t.start_us, ((t.start_us, t.end_us, t.milli),)) for t in tasks]
        assert timed == self.oracle.lines(uses, 3)
        sent: dict[str, int] = defaultdict(int)
        counted: dict[Line, int] = defaultdict(int)
        for (name, of, price, service), (quantity, pico) in lines.items():
            if of == usage.EGRESS:
                sent[name] += quantity
            elif of == TOKENS:
                counted[name, of, price, service] = quantity
            if of != "gpu.time":
                unit, divisor = self.units[price]
                assert pico == round(Fraction(quantity * unit, divisor))
        assert sent == {t.name: t.sent(t.end_us) for t in tasks if t.sent(t.end_us)}
        due: dict[Line, int] = defaultdict(int)
        for one in tasks:
            if one.tokens:
                price = max(entry for entry in self.entries[TOKENS] if entry[0] <= one.end_us)[1]
                [at] = [n for n, (a, b) in enumerate(self.oracle.periods) if a <= one.end_us < b]
                due[one.name, TOKENS, price, self.periods[at]] += one.tokens
        assert counted == due


def answer(batch: usage.Batch, sequence: int, code: str) -> usage.Answer:
    """As `api/metering/hearing.py` puts it."""
    known = (batch.source, batch.epoch, batch.first, sequence, code, batch.last)
    return usage.Answer("gpuaas-usage-answer/1", *known)
