"""Who gets what, decided in order on one cached state by one writer (MONEY.md section 6).

`AdmissionState` is folded from the log; `launch.admit` and `launch.end` decide on it and at once
remember their own decision, for the next one of the same batch. When the append of a decision is
refused, `undo` takes it back, and the streams it wrote are read again from `version(stream)` on.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, get_args

from msgspec import Struct
from msgspec.structs import replace

from domain import (
    account,
    budget,
    credit,
    lending,
    log,
    meter,
    moving,
    network,
    node,
    node_facts,
    node_state,
    organization,
    period,
    price_facts,
    pricebook,
    project,
    quota,
    quota_limits,
    reservation,
    runtime,
    storage_quota,
    volume,
    wallet_facts,
)
from domain.decider import Emit
from domain.errors import DomainError
from domain.held import UNDOABLE, Held
from domain.instants import KEEPING, LEASING, Keeping, Leasing
from domain.places import Places
from domain.purses import Purses
from domain.stock import Stock
from domain.stored import Volumes
from domain.tariff import Tariff

KINDS: Final = frozenset(
    {
        *("organization", "project", "account", "period", "pricebook", "node", "runtime"),
        *("quota", "reservation", "volume", "network", "log", "meter", "wallet", "budget"),
    }
)
REMEMBERED: Final = 262_144  # ended runtimes kept, so that a repeated end is known as one


class AdmissionState:
    """The mutable cache of one admission writer; not shared between threads."""

    def __init__(self, keeping: Keeping = KEEPING, leasing: Leasing = LEASING) -> None:
        self.keeping = keeping
        self.leasing = leasing
        self.organizations: dict[str, organization.State] = {}
        self.places = Places()
        self.projects = self.places.now
        self.accounts: dict[str, account.Opened] = {}
        self.first_period_us: dict[str, int] = {}
        self.tariff = Tariff()
        self.purses = Purses(self.tariff, self.region)
        self.log = ""  # the stream of entry 0: meters' streams follow from it
        self.storage = ""  # the meter that bills volumes, once it is registered
        self.stock = Stock()
        self.expected: dict[str, node.State] = {}  # invited nodes, until they enrol
        self.quotas: dict[str, quota.Tree] = {}
        self.budgets: dict[str, budget.State] = {}
        self.runtimes: dict[str, Held] = {}
        self.ended: dict[str, Held] = {}
        self.stopping: set[str] = set()  # runtimes that are ending
        self.reservations: dict[str, reservation.Standing | reservation.Ended] = {}
        self.stored = Volumes(self.stock.region, self._tree_of)
        self.volumes = self.stored.now
        self.attached = self.stored.attached
        self.networks: dict[str, network.State] = {}
        self.chain: dict[str, str] = {}  # quota stream -> what its last decision wrote first
        self.fence: dict[str, str] = {}  # node -> quota stream of the last decision on it
        self._limits_before: dict[
            tuple[str, quota.LimitSet | storage_quota.LimitSet], int | None
        ] = {}
        self._lending_before: dict[tuple[str, lending.Event], lending.Before] = {}
        self._open_before: dict[str, organization.State] = {}
        self._reserved_before: dict[str, tuple[quota.Reserved, int]] = {}
        self.versions: dict[str, int] = {}
        self._on: dict[type, Callable[[str, Any], None]] = {
            log.Opened: self._opened,
            meter.Registered: self._registered,
            project.Created: self.places.created,
            project.Moved: self.places.moved,
            project.Renamed: self.places.renamed,
            account.Opened: self._account,
            account.TermsSet: self.purses.terms.__setitem__,
            **dict.fromkeys(get_args(credit.Event.__value__), self.purses.credited),
            period.Opened: self._period,
            pricebook.EntryPublished: self._price,
            price_facts.ShapedEntry: self._price,
            price_facts.BookPublished: lambda _, fact: self.tariff.publish_book(fact),
            price_facts.ReratingDecided: lambda _, fact: self.tariff.rerate(fact),
            price_facts.Rerated: lambda _, fact: self.tariff.rerate(fact),
            **dict.fromkeys(get_args(organization.Event.__value__), self._organization),
            **dict.fromkeys(node.EVENTS, self._node),
            **dict.fromkeys(get_args(runtime.Event.__value__), self._runtime),
            **dict.fromkeys(get_args(quota.Event.__value__), self._quota),
            **dict.fromkeys(get_args(budget.Event.__value__), self._budget),
            **dict.fromkeys(get_args(reservation.Event.__value__), self._reservation),
            **dict.fromkeys(volume.EVENTS, self.stored.remember),
            **dict.fromkeys(get_args(network.Event.__value__), self._network),
            **dict.fromkeys(get_args(wallet_facts.Event.__value__), self.purses.remember),
        }

    def region(self, name: str) -> str:
        """Where a node stands now, or where a volume was created."""
        stored = self.volumes.get(name)
        return self.stock.region(name) if stored is None else stored.region

    def _tree_of(self, project_id: str) -> quota.Tree | None:
        return self.quotas.get(quota.quota_stream(self.projects[project_id].organization))

    def version(self, stream: str) -> int:
        """The stream's version as far as this state knows; 0 for a new or forgotten one."""
        return self.versions.get(stream, 0)

    def apply(self, stream: str, version: int, fact: Struct) -> bool:
        """Take one fact of the log; one known already (by its version) changes nothing: False.

        Raises:
            DomainError: `admission.behind` when versions between are missing.
        """
        if stream.partition("-")[0] not in KINDS:
            return True
        known = self.versions.get(stream, 0)
        if version <= known:
            return False
        if version != known + 1:
            facts: dict[str, int | str] = {"stream": stream, "known": known, "version": version}
            raise DomainError("admission.behind", f"{stream} was not read up to {version}", facts)
        self.remember(stream, (fact,))
        return True

    def remember(self, stream: str, facts: Iterable[Struct]) -> None:
        """Take the next facts of a stream, without a look at their versions."""
        for fact in facts:
            self.versions[stream] = self.versions.get(stream, 0) + 1
            on = self._on.get(type(fact))
            if on is not None:
                on(stream, fact)

    def undo(self, emits: tuple[Emit, ...]) -> None:
        """Take back a decision whose append was refused; later ones may stay.

        Then read each of its streams from `version(stream)` on and `apply` what is there.
        """
        for emit in reversed(emits):
            if emit.stream.partition("-")[0] not in KINDS:
                continue  # nothing of it was remembered
            self.versions[emit.stream] -= len(emit.facts)
            if not self.versions[emit.stream]:
                del self.versions[emit.stream]
            for fact in reversed(emit.facts):
                if emit.stream.startswith("volume-"):
                    self.stored.undo(emit.stream, fact)
                elif isinstance(fact, wallet_facts.Event.__value__):
                    self.purses.undo(emit.stream, fact)
                elif isinstance(fact, credit.Event.__value__):
                    self.purses.uncredited(emit.stream, fact)
                else:
                    self._undo(emit.stream, fact)

    def _undo(self, stream: str, fact: Struct) -> None:
        match fact:
            case runtime.Requested():
                del self.runtimes[stream]
            case node.Allocated():
                self.stock.update(stream, node.withdraw(self.stock.states[stream], fact))
            case node.Released(runtime=name):
                held = self.runtimes[name] if name in self.runtimes else self.ended[name]
                assert held.allocated is not None
                state = self.stock.states[stream]
                again = node.readopt(state, held.allocated, held.lease, held.kept)
                self.stock.update(stream, again)
            case node_facts.Drained():
                self.stock.update(stream, node.not_drained(self.stock.states[stream]))
            case node_facts.SanitizeRequested():
                pass  # an order to the node: nothing here rests on it
            case node.LeaseRenewed():
                self.stock.update(stream, self.purses.unrenewed(stream, self.stock.states[stream]))
            case node_facts.Reserved() | node_facts.Unreserved():
                self.stock.update(stream, node_state.unclaimed(self.stock.states[stream], fact))
            case reservation.Made():
                del self.reservations[stream]
            case reservation.Over():
                self.reservations[stream] = reservation.Standing(self.reservations[stream].made)
            case quota.LimitSet():
                before = self._limits_before.pop((stream, fact))
                quota_limits.restore_limit(self.quotas[stream], fact, before)
            case storage_quota.LimitSet():
                before = self._limits_before.pop((stream, fact))
                storage_quota.restore_limit(self.quotas[stream].shelf, fact, before)
            case _ if isinstance(fact, lending.Event.__value__):
                self._unlend(self.quotas[stream], stream, fact)
            case organization.ClosedForGood():
                self.organizations[stream] = self._open_before.pop(stream)
            case storage_quota.Committed():
                storage_quota.forget(self.quotas[stream].shelf, fact)
            case project.Moved():
                self.places.unmoved(stream)
            case moving.Moved(project=name):
                was = replace(fact, department=self.places.left(name))
                quota.remember(self.quotas[stream], was)
            case quota.Committed():
                quota.forget_commit(self.quotas[stream], fact)
            case quota.Drawn():
                quota.forget_drawn(self.quotas[stream], fact)
            case quota.Reserved(reservation=name):
                quota.remember(self.quotas[stream], quota.Unreserved(name, fact.decided_us))
            case quota.Unreserved(reservation=name):
                quota.restore(self.quotas[stream], *self._reserved_before.pop(name))
            case quota.Released(runtime=name):
                held = self.runtimes[name] if name in self.runtimes else self.ended[name]
                assert held.committed is not None
                if held.drawn:
                    self.quotas[stream].drawn[name] = held.drawn
                    quota.ease(self.quotas[stream], held.drawn, held.eased_us)
                quota.remember(self.quotas[stream], held.committed)
            case _:
                self._undo_runtime(stream)

    def _undo_runtime(self, stream: str) -> None:
        self.runtimes[stream] = held = self.ended.pop(stream, None) or self.runtimes[stream]
        held.state, held.past = held.past[-1], held.past[:-1]
        self._note_stopping(stream, held)

    def _unlend(self, tree: quota.Tree, stream: str, fact: Any) -> None:
        stood = self._lending_before.pop((stream, fact))
        lending.restore(tree.lent, fact, stood, tree.used)

    def _opened(self, stream: str, _: log.Opened) -> None:
        self.log = stream

    def _registered(self, stream: str, fact: meter.Registered) -> None:
        if meter.bills_storage(fact):
            self.storage = self.storage or stream

    def _account(self, stream: str, fact: account.Opened) -> None:
        self.accounts[stream] = fact
        self.purses.opened(stream, fact)

    def _organization(self, stream: str, fact: organization.Event) -> None:
        before = self.organizations.get(stream, organization.DECIDER.initial)
        if isinstance(fact, organization.ClosedForGood):
            self._open_before[stream] = before
        self.organizations[stream] = organization.evolve(before, fact)

    def _period(self, _: str, fact: period.Opened) -> None:
        earlier = self.first_period_us.get(fact.account, fact.start_us)
        self.first_period_us[fact.account] = min(earlier, fact.start_us)
        self.purses.period(fact)

    def _price(self, stream: str, fact: pricebook.EntryPublished | price_facts.ShapedEntry) -> None:
        self.purses.books.add(stream)
        self.tariff.publish(self.versions[stream], fact)

    def _node(self, stream: str, fact: node.Event) -> None:
        before = self.stock.states.get(stream) or self.expected.get(stream, node.Missing())
        if isinstance(fact, node.Released):
            self._note_release(stream, fact)
        after = node.evolve(before, fact)
        if isinstance(after, node.Serving):
            self.expected.pop(stream, None)
            self.stock.update(stream, after)
        else:
            self.expected[stream] = after

    def _note_release(self, stream: str, fact: node.Released) -> None:
        """Keep what `undo` would need; the runtime's own end may come before or after this."""
        held = self.runtimes.get(fact.runtime) or self.ended.get(fact.runtime)
        if held is not None:
            state = self.stock.states[stream]
            held.allocated = state.held[fact.runtime]
            held.lease = state.leases.get(fact.runtime)
            held.kept = state.kept

    def _quota(self, stream: str, fact: quota.Event) -> None:
        tree = self.quotas.get(stream)
        if tree is None:
            tree = self.quotas[stream] = quota.Tree({}, {}, {})
        if isinstance(fact, quota.Released):
            held = self.runtimes.get(fact.runtime) or self.ended.get(fact.runtime)
            if held is not None:
                held.committed = tree.live[fact.runtime]
                held.drawn = tree.drawn.get(fact.runtime, "")
                held.eased_us = tree.eased.get(held.drawn, 0)
        elif isinstance(fact, quota.Unreserved):
            name = fact.reservation
            self._reserved_before[name] = (tree.reserved[name], tree.eased.get(name, 0))
        elif isinstance(fact, quota.LimitSet):
            self._limits_before[stream, fact] = quota_limits.limit_of(tree, fact)
        elif isinstance(fact, storage_quota.LimitSet):
            self._limits_before[stream, fact] = storage_quota.limit_of(tree.shelf, fact)
        elif isinstance(fact, lending.Event.__value__):
            self._lending_before[stream, fact] = lending.before(tree.lent, fact)
        quota.remember(tree, fact)

    def _budget(self, stream: str, fact: budget.Event) -> None:
        before = self.budgets.get(stream, budget.DECIDER.initial)
        self.budgets[stream] = budget.evolve(before, fact)

    def _reservation(self, stream: str, fact: reservation.Event) -> None:
        before = self.reservations.get(stream, reservation.Missing())
        after = reservation.evolve(before, fact)
        assert not isinstance(after, reservation.Missing)
        self.reservations[stream] = after
        if isinstance(fact, reservation.Made) and fact.project in self.projects:
            region = self.stock.region_of(fact.nodes)
            self.purses.reserves(stream, self.projects[fact.project].account, region, fact)

    def _network(self, stream: str, fact: network.Event) -> None:
        before = self.networks.get(stream, network.Missing())
        self.networks[stream] = network.evolve(before, fact)

    def _runtime(self, stream: str, fact: runtime.Event) -> None:
        self.purses.says(stream, fact)
        if isinstance(fact, runtime.Requested):
            org = self.projects[fact.project].organization
            self.runtimes[stream] = Held(org, fact.account, runtime.Waiting(fact))
            return
        held = self.runtimes[stream]
        held.past = (*held.past[1 - UNDOABLE :], held.state)
        held.state = runtime.evolve(held.state, fact)
        held.spot |= isinstance(fact, runtime.Spot)
        self._note_stopping(stream, held)
        if isinstance(held.state, runtime.Ended):
            self.ended[stream] = self.runtimes.pop(stream)
            self._prune()

    def _note_stopping(self, stream: str, held: Held) -> None:
        ends = isinstance(held.state, runtime.Ending)
        (self.stopping.add if ends else self.stopping.discard)(stream)

    def _prune(self) -> None:
        if len(self.ended) > REMEMBERED:
            oldest = next(iter(self.ended))
            del self.ended[oldest]
            self.versions.pop(oldest, None)
