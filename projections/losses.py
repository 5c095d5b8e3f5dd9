"""Time that tenants lost through no act of theirs, and the credit proposed for it: a reaction.

Lost time of a runtime (contracts/facts.md): from when it stopped being usable, or was allocated if
it never was, until it is usable again or its end is decided.
"""

from typing import Final

from msgspec import Struct

from domain import incident, node, runtime
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.log import EventLog
from evidence.private import private_value
from projections.entries import Entry
from projections.months import command_id, derived_id

ACTOR: Final = "system-losses"
TAGS: Final = frozenset(
    f"gpuaas.{name}.v1"
    for name in (
        "runtime.requested",
        "runtime.allocated",
        "runtime.usable",
        "runtime.degraded",
        "runtime.stopping",
        "runtime.stopped",
        "runtime.cancelled",
        "runtime.failed",
        "runtime.lost",
        "node.unreachable",
        "node.anchored",
        "incident.opened",
        "incident.tied",
        "incident.noted",
        "incident.resolved",
        "incident.credit_proposed",
    )
)
# How a runtime fails by what runs in it: the tenant's own time.
_OWN: Final = frozenset({"runtime.exited", "runtime.out_of_memory"})


class _Life(Struct):
    """A runtime until it ends. `since_us`: since when it is not usable; None while it is."""

    org: str
    account: str
    milli: int
    node: str = ""
    since_us: int | None = None
    worked: bool = False
    stopping: bool = False


class Loss(Struct, frozen=True):
    """One stretch of lost time, and the incident that it belongs to; `cause`: its position."""

    incident: str
    what: str
    subject: str
    runtime: str
    account: str
    quantity: int
    from_us: int
    to_us: int
    cause: int


class Losses:
    """A fold of the log: runtimes that live, and what was lost and is not proposed yet."""

    def __init__(self) -> None:
        self.due: dict[tuple[str, int], Loss] = {}
        self._lives: dict[str, _Life] = {}
        self._troubles: dict[str, int] = {}  # node -> position of its last silence or boot
        self._incidents: dict[str, tuple[int, incident.State]] = {}

    def apply(self, entry: Entry, fact: Struct) -> None:
        """Remembers the fact; facts of other kinds change nothing."""
        if entry.stream.startswith("incident-"):
            self._incident(entry, fact)
            return
        match fact:
            case node.Unreachable() | node.Anchored():
                self._troubles[entry.stream] = entry.position
            case runtime.Requested():
                self._lives[entry.stream] = _Life(entry.org, fact.account, fact.gpu_milli)
            case _:
                life = self._lives.get(entry.stream)
                if life is not None:
                    self._lived(entry, life, fact)

    def known(self, stream: str) -> tuple[int, incident.State]:
        """The incident's version and state; 0 and missing before it is opened."""
        return self._incidents.get(stream, (0, incident.Missing()))

    def remember(self, stream: str, facts: tuple[incident.Event, ...]) -> None:
        """What was just appended; the fold meets it again, by a version it then knows."""
        version, state = self.known(stream)
        for fact in facts:
            state = incident.evolve(state, fact)
        self._incidents[stream] = (version + len(facts), state)

    def _incident(self, entry: Entry, fact: Struct) -> None:
        version, _ = self.known(entry.stream)
        if entry.version == version + 1 and isinstance(fact, incident.Event.__value__):
            self.remember(entry.stream, (fact,))
        if isinstance(fact, incident.CreditProposed):
            self.due.pop((fact.runtime, fact.from_us), None)

    def _lived(self, entry: Entry, life: _Life, fact: Struct) -> None:
        match fact:
            case runtime.Allocated():
                life.node, life.since_us = fact.node, fact.allocated_us
            case runtime.Usable():
                if life.worked and life.since_us is not None and not life.stopping:
                    self._lost(entry, life, "runtime.degraded", life.since_us, fact.usable_us)
                life.since_us, life.worked = None, True
            case runtime.Degraded():
                life.since_us = fact.degraded_us
            case runtime.Stopping():
                life.stopping = True
            case runtime.Lost():
                since = fact.lost_us if life.since_us is None else life.since_us
                self._ended(entry, life, "runtime.lost", since, fact.decided_us)
            case runtime.Failed(code=code) if code in _OWN or code.startswith("image."):
                del self._lives[entry.stream]
            case runtime.Failed():
                since = fact.failed_us if life.since_us is None else life.since_us
                self._ended(entry, life, "runtime.failed", since, fact.decided_us)
            case runtime.Stopped() | runtime.Cancelled():
                del self._lives[entry.stream]
            case _:
                pass

    def _ended(self, entry: Entry, life: _Life, what: str, since_us: int, to_us: int) -> None:
        del self._lives[entry.stream]
        if not life.stopping:  # its tenant had given it up: nothing was lost any more
            self._lost(entry, life, what, since_us, to_us)

    def _lost(self, entry: Entry, life: _Life, what: str, from_us: int, to_us: int) -> None:
        if to_us <= from_us:
            return
        # Runtimes that one silence or boot of a node took down are one incident.
        trouble = self._troubles.get(life.node)
        shared = what == "runtime.lost" and trouble is not None
        subject = life.node if shared else entry.stream
        number = (trouble or 0) if shared else 0
        self.due[entry.stream, from_us] = Loss(
            incident=derived_id("incident", subject, number),
            what=what,
            subject=subject,
            runtime=entry.stream,
            account=life.account,
            quantity=life.milli * (to_us - from_us),
            from_us=from_us,
            to_us=to_us,
            cause=entry.position,
        )


async def propose_due(log: EventLog, losses: Losses, now_us: int) -> int:
    """Opens incidents and proposes credits that are due; returns how many facts it appended.

    Two at once are harmless: one command per loss, and an incident's stream follows from its
    subject, so one loses by its expected version and finds the other's facts on the next fold.
    """
    done = 0
    for loss in list(losses.due.values()):
        done += await _propose(log, losses, loss, now_us)
    return done


async def _propose(log: EventLog, losses: Losses, loss: Loss, now_us: int) -> int:
    version, state = losses.known(loss.incident)
    title, words = private_value("-", f"{loss.what} ({loss.subject.partition('-')[0]})")
    facts: list[incident.Event] = []
    commands: tuple[incident.Command, ...] = (
        incident.Open(loss.what, loss.subject, title, now_us),
        incident.Tie(loss.cause, now_us),
        incident.Propose(
            *(loss.runtime, loss.account, loss.quantity, loss.from_us, loss.to_us),
            *(loss.what, now_us),
        ),
    )
    for command in commands:
        for fact in incident.decide(command, state):
            state = incident.evolve(state, fact)
            facts.append(fact)
    if not facts:
        losses.due.pop((loss.runtime, loss.from_us), None)
        return 0
    write = Write(loss.incident, "-", version, tuple(facts))
    private = (words,) if version == 0 else ()
    what = f"credit\n{loss.runtime}\n{loss.from_us}"
    try:
        append = Append((write,), ACTOR, command_id(ACTOR, what), private=private)
        done = await log.append(append)
    except DomainError as error:
        if error.code == "log.version_stale":
            return 0
        raise
    if done.repeated:
        return 0
    losses.remember(loss.incident, tuple(facts))
    losses.due.pop((loss.runtime, loss.from_us), None)
    return len(facts)
