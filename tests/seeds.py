"""The trace told by real agents' code over a bad network, from a seed: what comes out is one thing.

A seed says which words come twice, late and in which order, which answers are lost, when control
plane and agents are killed, when the machines booted, when periods close, and how far the agents'
wall clocks are off (`skew.c`). What is used is the trace's. Made up: network and clocks; signatures
of lifecycle words are not looked at here. `python -m tests.seeds FIRST COUNT [whole]` prints the
digests, or fails; the price book follows from the seed.
"""

import ctypes
import heapq
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec

from agent.engine import Counted
from agent.runtimes import Observed
from agent.spool import Spool
from agent.store import Store
from agent.usage import Usage
from api.replay.input import Trace, read_trace
from contracts import fleet, usage
from tests.integration.replay_runs import Inputs, sliced
from tests.property.books_history import stream
from tests.seeds_plane import APPS, KEY, SECOND, TOKENS, Plane, Script, Task, script_of
from tests.trace_books import BOOKS

TASKS, CRASHES, TWICE, LOST = 300, 5, 0.2, 0.1
SKEW_US = 600 * SECOND
_LOOK_EACH = 8
_LOADED = ctypes.CDLL(None)
type Message = tuple[int, float, str, object]


class Agent:
    """One node's: its disk and what runs there outlive the process."""

    def __init__(self, name: str, uptime_us: int, cut_us: int) -> None:
        self.name = name
        self.boot = f"{uptime_us:032x}"
        self.uptime_us = uptime_us
        self.cut_us = cut_us
        self.store = Store.in_memory()
        self.live: dict[str, Task] = {}
        self.events = 0
        self.freed: set[int] = set()  # a receipt that comes again frees nothing
        self.begin()

    def begin(self) -> None:
        """A process over that disk."""
        self.spool = Spool(self.store, KEY, self.name, self.boot)
        self.usage = Usage(self.store, KEY, self.name, self.boot, 0, self.cut_us)
        self.sent: set[int] = set()
        self.flying: usage.Batch | None = None

    def clock(self, at_us: int) -> int:
        return at_us + self.uptime_us

    def anchor(self) -> None:
        said = fleet.Anchor("gpuaas-anchor/1", self.name, self.boot, self.uptime_us, 0)
        self.usage.anchor(said)

    def happens(self, task: Task, at_us: int, *, over: bool) -> None:
        """It is usable, or has stopped, and is said so; counters are looked at."""
        now_us = self.clock(at_us)
        self.live[task.name] = task
        self.spool.add(fleet.STOPPED if over else fleet.USABLE, task.name, now_us, {})
        self.events += 1
        every = self.events % _LOOK_EACH == 0
        looked = [one for one in self.live.values() if every or one is task]
        self.usage.read([_seen(one, at_us, one is task and over) for one in looked], now_us)
        if over:
            del self.live[task.name]


def _seen(task: Task, at_us: int, over: bool) -> Observed:
    state = "stopped" if over else "usable"
    counted = Counted(task.sent(at_us), 0)
    return Observed(f"allocation-{task.number}", task.name, state, 0, counted=counted)  # type: ignore[arg-type]


class Seeded:
    """One seed's course of the script."""

    def __init__(self, script: Script, seed: int) -> None:
        self.script = script
        self.chance = Random(seed)
        self.plane = Plane(script, BOOKS[seed % len(BOOKS)])
        self.span = script.bounds[-2]
        self.network: list[Message] = []
        self.agents: dict[str, Agent] = {}
        self.apps = {
            name: usage.Reporter(KEY, name, 1)
            for name in (stream("source", number + 1) for number in range(APPS))
        }
        self.early: dict[str, dict[int, fleet.Attested]] = defaultdict(dict)
        self.waiting: dict[str, list[usage.Batch]] = defaultdict(list)
        self.lossy = True
        self.forgetful = False  # the next answer dies with its process
        self.counts: dict[str, int] = defaultdict(int)

    def run(self) -> None:
        """Everything happens, and is heard of in the end."""
        for name in sorted({one.node for one in self.script.tasks}):
            self._boot(name)
        for number, end in enumerate(self.script.bounds[1:4]):
            self._send(end + self.chance.randrange(self.span // 10), "close", number, twice=False)
        events = sorted(
            [(one.start_us, 1, one.number, one) for one in self.script.tasks]
            + [(one.end_us, 2, one.number, one) for one in self.script.tasks],
            key=lambda event: event[:3],
        )
        crashes = set(self.chance.sample(range(len(events)), CRASHES))
        for index, (at_us, kind, _, task) in enumerate(events):
            self._deliver(at_us)
            if index in crashes:
                self._crash()
            self._happens(task, at_us, over=kind == 2)
        self.lossy = False
        at_us = events[-1][0]
        while self.network or self._insist(at_us):
            at_us = max(at_us, self.network[0][0])
            self._deliver(at_us)
        assert not any(self.waiting.values())
        for one in self.agents.values():
            one.store.close()

    def _boot(self, name: str) -> None:
        uptime_us = self.chance.randrange(1, 10**13)
        agent = self.agents[name] = Agent(name, uptime_us, self.script.cut_us)
        raw = agent.spool.add(fleet.ANCHORED, name, uptime_us, {})
        said = fleet.decode_attested(raw)
        assert self.plane.hear(said, 0)
        agent.spool.free(said.boot, said.seq)
        agent.anchor()

    def _happens(self, task: Task, at_us: int, *, over: bool) -> None:
        skewed(self.chance.randint(-SKEW_US, SKEW_US))
        if not over:
            self.plane.launch(task)
        agent = self.agents[task.node]
        agent.happens(task, at_us, over=over)
        if over and task.tokens:
            self._count_tokens(task, at_us)
        if self.chance.random() < LOST:
            agent.sent.clear()  # its patience ends: all that has no receipt is sent again
            agent.flying = None
        self._speak(agent, at_us)

    def _count_tokens(self, task: Task, at_us: int) -> None:
        app = self.apps[stream("source", task.number % APPS + 1)]
        of = (TOKENS, task.name, {"model": "m"}, task.end_us, task.end_us)
        parts = (task.tokens // 3, task.tokens - task.tokens // 3)
        batch = app.batch(tuple(usage.Reading(*of, part) for part in parts))
        # Anywhere in all the time that is left: in no order at all.
        self._send(at_us + self.chance.randrange(self.span), "app", batch)

    def _speak(self, agent: Agent, at_us: int) -> None:
        for row in agent.spool.pending():
            if row.id not in agent.sent:
                agent.sent.add(row.id)
                self._send(at_us + self._delay(), "evt", fleet.decode_attested(row.message))
        if agent.flying is None:
            agent.flying = agent.usage.batch()
            if agent.flying is not None:
                self._send(at_us + self._delay(), "use", agent.flying)

    def _delay(self) -> int:
        """Mostly short, sometimes so long that a period has closed meanwhile."""
        longest = self.span // (3 if self.chance.random() < 0.05 else 200)
        return self.chance.randrange(longest)

    def _send(self, at_us: int, kind: str, what: object, *, twice: bool = True) -> None:
        heapq.heappush(self.network, (at_us, self.chance.random(), kind, what))
        if twice and self.chance.random() < TWICE:
            self.counts["twice"] += 1
            again_us = at_us + self.chance.randrange(self.span // 2)
            heapq.heappush(self.network, (again_us, self.chance.random(), kind, what))

    def _deliver(self, until_us: int) -> None:
        while self.network and self.network[0][0] <= until_us:
            at_us, _, kind, what = heapq.heappop(self.network)
            if isinstance(what, int):
                self.plane.close(what, at_us)
            elif isinstance(what, fleet.Attested):
                self._word(what, at_us)
            elif isinstance(what, usage.Batch):
                (self._reported if kind == "use" else self._counted)(what, at_us)

    def _word(self, said: fleet.Attested, at_us: int) -> None:
        early = self.early[said.node]
        early[said.seq] = said
        while said is not None:
            if not self.plane.hear(said, at_us):
                self.counts["early"] += 1
                return
            del early[said.seq]
            agent = self.agents[said.node]
            if not self._is_lost() and said.seq not in agent.freed:
                agent.freed.add(said.seq)
                agent.spool.free(said.boot, said.seq)
            following = early.get(said.seq + 1)
            if following is None:
                return
            said = following

    def _reported(self, batch: usage.Batch, at_us: int) -> None:
        agent = self.agents[batch.source]
        answer = self.plane.take(batch)
        if not self._is_lost() and agent.usage.obey(answer, agent.clock(at_us)):
            agent.flying = None
            self._speak(agent, at_us)

    def _counted(self, batch: usage.Batch, at_us: int) -> None:
        answer = self.plane.take(batch)
        waiting = self.waiting[batch.source]
        if answer.code or self._is_lost():
            self.counts[answer.code or "lost"] += 1
            waiting.append(batch)
            return
        self.waiting[batch.source] = []
        for one in waiting:
            if one.first <= (answer.sequence or 0) + 1:
                self._send(at_us + self.chance.randrange(1, SECOND), "app", one, twice=False)
            else:
                self.waiting[batch.source].append(one)

    def _is_lost(self) -> bool:
        lost, self.forgetful = self.forgetful, False
        return lost or (self.lossy and self.chance.random() < LOST)

    def _crash(self) -> None:
        """Of the control plane, after a commit and before its answer, or of one agent."""
        if self.chance.random() < 0.6:
            self.counts["plane killed"] += 1
            self.plane.begin()
            self.forgetful = True
        else:
            self.counts["agent killed"] += 1
            agent = self.agents[self.chance.choice(sorted(self.agents))]
            agent.begin()

    def _insist(self, at_us: int) -> bool:
        """Whatever has no answer is sent again; False: everything has."""
        for agent in self.agents.values():
            agent.sent.clear()
            agent.flying = None
            self._speak(agent, at_us)
        for name, waiting in self.waiting.items():
            self.waiting[name] = []
            for batch in sorted(waiting, key=lambda one: one.first):
                self._send(at_us + 1 + batch.first, "app", batch, twice=False)
        return bool(self.network)


def skewed(us: int) -> None:
    """This process's wall clock is off by so much, where `skew.c` answers for it."""
    if hasattr(_LOADED, "skew"):
        _LOADED.skew(ctypes.c_longlong(us))


def digests(trace: Trace, first: int, count: int, *, audited: int = 1) -> Iterator[tuple[str, str]]:
    """(book, digest) of each seed; the first `audited` seeds are the auditor's, too."""
    script = script_of(trace)
    for seed in range(first, first + count):
        course = Seeded(script, seed)
        course.run()
        found = course.plane.outcome(script.tasks, audited=seed < first + audited)
        assert course.counts["plane killed"] + course.counts["agent killed"] == CRASHES
        yield BOOKS[seed % len(BOOKS)], found


def main(arguments: list[str]) -> int:
    """One line a seed."""
    first, count, whole = int(arguments[0]), int(arguments[1]), "whole" in arguments
    assert "SKEW_US" not in os.environ or hasattr(_LOADED, "skew")
    data = Path(os.environ.get("GPUAAS_SHARED", "../shared")).resolve() / "data"
    with tempfile.TemporaryDirectory() as folder:
        given = sliced(data.parent, Path(folder), TASKS)
        if whole:
            nodes, pods = (data / "openb" / name for name in ("nodes.csv", "pods.csv"))
            given = Inputs(nodes, pods, data / "prices" / "openb.csv")
        trace = read_trace(given.nodes, given.pods, given.prices, "2025-01-01T00:00:00Z", "UTC")
    for seed, (book, digest) in enumerate(digests(trace, first, count), first):
        sys.stdout.write(msgspec.json.encode([seed, book, digest]).decode() + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
