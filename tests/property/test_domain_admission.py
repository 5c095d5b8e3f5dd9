"""Admission against a brute-force reading of its own facts, at every position."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from domain import node, node_facts, quota, runtime, together, upkeep
from domain.decider import Emit
from domain.errors import DomainError
from domain.explain import explain
from domain.launch import Launch, admit, capacity, end, set_limit
from domain.placing import POLICIES
from tests.unit.domain_world import World, fact_of, launch, word

MODELS = ("A10", "T4")
NODES = (("T4", 2), ("A10", 1), ("T4", 4))
STRICT = frozenset({"node-1", "node-2"})  # these owe receipts
ORGS = (1, 2)
SIZES = st.one_of(
    st.tuples(st.just(1), st.integers(1, 1000)), st.tuples(st.integers(1, 4), st.just(1000))
)


class Plain:
    """Device use and quota use, recounted from nothing but the facts that stand."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, int, tuple[tuple[int, int], ...], str, int]] = {}
        self.limits: dict[tuple[str, str], int] = {}
        self.closed: set[str] = set()
        self.drains: dict[str, set[str]] = {}
        self.sick: set[tuple[int, int]] = set()
        self.kept: dict[tuple[int, int], str] = {}
        self.claimed: dict[tuple[int, int], str] = {}  # device -> reservation
        self.until: dict[str, tuple[int, str, int]] = {}  # reservation -> org, model, devices
        self.drawn: dict[str, str] = {}  # runtime -> the reservation it was launched on

    def shut(self, name: str) -> bool:
        return name in self.closed or bool(self.drains.get(name))

    def free(self, node_number: int, gpus: int, org: int, claim: str = "") -> list[int]:
        """Milli that this organization may still take, per device, by a reservation or none."""
        mine = f"organization-{org}"
        room = [
            1000 if self.kept.get((node_number, index), mine) == mine else 0
            for index in range(gpus)
        ]
        for _, at, shares, owner, _ in self.held.values():
            if at != node_number:
                continue
            for index, milli in shares:
                room[index] = 0 if owner != mine else room[index] - milli
        return [
            0 if (here := (node_number, index)) in self.sick or self.claimed.get(here, "") != claim
            else room[index]
            for index in range(gpus)
        ]  # fmt: skip

    def used(self, scope: str, model: str) -> int:
        """What runs on no reservation, and every reservation whole."""
        number = scope.partition("-")[2]
        own = sum(
            milli
            for name, (of, _, _, owner, milli) in self.held.items()
            if owner == f"organization-{number}"
            and model in {of, "*"}
            and self.drawn.get(name) not in self.until
        )
        whole = sum(
            devices * 1000
            for org, of, devices in self.until.values()
            if str(org) == number and model in {of, "*"}
        )
        return own + whole

    def within(self, org: int) -> bool:
        """Whether all limits of the organization hold."""
        return all(
            self.used(scope, model) <= limit
            for (scope, model), limit in self.limits.items()
            if scope.endswith(f"-{org}")
        )

    def places(
        self, org: int, devices: int, each: int, models: tuple[str, ...], claim: str = ""
    ) -> dict[int, int]:
        """How many such runtimes each node could take, tried one by one; quota aside."""
        found = {}
        for number, (model, gpus) in enumerate(NODES, 1):
            if (models and model not in models) or self.shut(f"node-{number}"):
                continue
            room = self.free(number, gpus, org, claim)
            if each < 1000:
                found[number] = sum(milli // each for milli in room)
            else:
                found[number] = room.count(1000) // devices
        return found

    def fits(
        self, org: int, devices: int, each: int, models: tuple[str, ...], count: int = 1,
        claim: str = "",
    ) -> bool:  # fmt: skip
        """Whether nodes and quota at all could take `count` of them, whatever the order."""
        by_model: dict[str, int] = {}
        for number, many in self.places(org, devices, each, models, claim).items():
            model = NODES[number - 1][0]
            by_model[model] = by_model.get(model, 0) + many
        milli = devices * each
        for taken in range(min(by_model.get("T4", 0), count) + 1):
            rest = count - taken
            if rest > by_model.get("A10", 0):
                continue
            # What is launched on a reservation is part of its use.
            if claim or self.quota_takes(org, {"T4": taken * milli, "A10": rest * milli}):
                return True
        return False

    def quota_takes(self, org: int, wanted: dict[str, int]) -> bool:
        """Whether all limits have room for these milli by model at once."""
        return all(
            self.used(f"{kind}-{org}", name) + sum(wanted.values() if name == "*" else [of])
            <= limit
            for model, of in wanted.items()
            if of
            for kind in ("organization", "department", "project")
            for name in (model, "*")
            if (limit := self.limits.get((f"{kind}-{org}", name))) is not None
        )


class Admissions(RuleBasedStateMachine):
    """Launches, ends, limits, cordons and refused appends, in any order."""

    @initialize()
    def begin(self) -> None:
        self.world = World(NODES, organizations=len(ORGS), strict=STRICT)
        self.plain = Plain()
        self.count = 0
        self.facts: list[tuple[str, Emit]] = []

    def stand(self, emits: tuple[Emit, ...]) -> None:
        self.facts += [(emit.stream, emit) for emit in emits]

    @rule(
        org=st.sampled_from(ORGS),
        shape=SIZES,
        models=st.sampled_from([(), ("T4",), ("A10",), ("A10", "T4"), ("none",)]),
        policy=st.sampled_from(sorted(POLICIES)),
        count=st.sampled_from([1, 1, 2, 3, 5]),
        data=st.data(),
        lost=st.booleans(),
    )
    def launch(
        self, org: int, shape: tuple[int, int], models: tuple[str, ...], policy: str, count: int,
        data: st.DataObject, lost: bool,
    ) -> None:  # fmt: skip
        devices, each = shape
        mine = ["", *[name for name, (whose, *_) in self.plain.until.items() if whose == org]]
        claim = data.draw(st.sampled_from(mine))
        wanted = []
        for _ in range(count):
            self.count += 1
            one = launch(self.count, each, devices=devices, models=models, org=org)
            wanted.append(replace(one, policy=policy, reservation=claim))
        fits = self.plain.fits(org, devices, each, models, count, claim)
        within = self.plain.within(org)
        before = dict(self.world.state.versions)
        emits = attempt(self.world, *wanted)
        if isinstance(emits, DomainError):
            assert emits.code in {"capacity.none_fits", "quota.exceeded"}
            assert not fits, f"{emits} although it fits"
            assert self.world.state.versions == before, "a refused block leaves nothing behind"
            return
        assert fits, "admitted although nothing has room"
        assert len({emit.stream for emit in emits}) == len(emits), "one write a stream"
        if lost:  # the append was refused
            self.world.state.undo(emits)
            return
        self.stand(emits)
        for one in wanted:
            placed = fact_of(tuple(e for e in emits if e.stream == one.runtime), runtime.Allocated)
            shares = tuple((share.index, share.milli) for share in placed.devices)
            assert [milli for _, milli in shares] == [each] * devices
            self.plain.held[one.runtime] = (
                *(placed.model, int(placed.node.removeprefix("node-")), shares),
                *(f"organization-{org}", devices * each),
            )
            if claim:
                self.plain.drawn[one.runtime] = claim
        assert self.plain.within(org) >= within

    @rule(
        org=st.sampled_from(ORGS), devices=st.integers(1, 6), model=st.sampled_from(MODELS),
        lost=st.booleans(),
    )  # fmt: skip
    def reserve(self, org: int, devices: int, model: str, lost: bool) -> None:
        self.count += 1
        name = f"reservation-{self.count}"
        rooms = {
            number: self.plain.free(number, gpus, org).count(1000)
            for number, (of, gpus) in enumerate(NODES, 1)
            if of == model and not self.plain.shut(f"node-{number}")
        }
        fits = sum(rooms.values()) >= devices
        fits = fits and self.plain.quota_takes(org, {model: devices * 1000})
        within = self.plain.within(org)
        ids = (name, f"organization-{org}", f"project-{org}", model)
        emits = reserved(self.world, together.Reserve(*ids, devices, 100, 5))
        if isinstance(emits, DomainError):
            assert emits.code in {"capacity.none_fits", "quota.exceeded"}
            assert not fits, f"{emits} although it fits"
            return
        assert fits, "reserved although nothing has room"
        if lost:
            self.world.state.undo(emits)
            return
        self.stand(emits)
        self.plain.until[name] = (org, model, devices)
        assert self.plain.within(org) >= within
        claims = [
            (int(emit.stream.removeprefix("node-")), index)
            for emit in emits
            for fact in emit.facts
            if isinstance(fact, node_facts.Reserved)
            for index in fact.devices
        ]
        assert len(claims) == devices
        if max(rooms.values()) >= devices:
            assert len({number for number, _ in claims}) == 1, "one node that has them all"
        self.plain.claimed.update(dict.fromkeys(claims, name))

    @precondition(lambda self: self.plain.until)
    @rule(data=st.data(), lost=st.booleans())
    def reservation_ends(self, data: st.DataObject, lost: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.plain.until)))
        org = self.plain.until[name][0]
        within = self.plain.within(org)
        assert together.due(self.world.state, 99) == []
        assert set(together.due(self.world.state, 100)) == set(self.plain.until)
        emits = together.end_reservation(self.world.state, name, "expired", 100)
        assert together.end_reservation(self.world.state, name, "expired", 100) == ()
        if lost:
            self.world.state.undo(emits)
            return
        self.stand(emits)
        del self.plain.until[name]
        assert self.plain.within(org) >= within, "what runs on counts no more than the whole did"
        left = {here: claim for here, claim in self.plain.claimed.items() if claim != name}
        self.plain.claimed = left

    @precondition(lambda self: self.plain.held)
    @rule(data=st.data(), lost=st.booleans())
    def end(self, data: st.DataObject, lost: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.plain.held)))
        at = self.plain.held[name][1]
        stopped = runtime.Stopped(9, 9, 9, word(f"node-{at}"))
        emits = end(self.world.state, name, stopped)
        assert {emit.stream for emit in emits} >= {name, f"node-{at}"}
        assert end(self.world.state, name, stopped) == ()
        if lost:
            self.world.state.undo(emits)
            return
        self.stand(emits)
        _, _, shares, owner, _ = self.plain.held.pop(name)
        self.plain.drawn.pop(name, None)
        if f"node-{at}" in STRICT:
            self.plain.kept.update({(at, index): owner for index, _ in shares})
        facts = [fact for emit in emits if emit.stream == f"node-{at}" for fact in emit.facts]
        idle = not any(held[1] == at for held in self.plain.held.values())
        drained = any(isinstance(fact, node_facts.Drained) for fact in facts)
        assert drained == (idle and bool(self.plain.drains.get(f"node-{at}")))

    @rule(
        org=st.sampled_from(ORGS),
        kind=st.sampled_from(["organization", "department", "project"]),
        model=st.sampled_from(["*", *MODELS]),
        limit=st.integers(0, 6000),
        lost=st.booleans(),
    )
    def limit(self, org: int, kind: str, model: str, limit: int, lost: bool) -> None:
        command = quota.SetLimit(f"{kind}-{org}", model, limit, 5)
        emits = set_limit(self.world.state, f"organization-{org}", command)
        if lost:
            self.world.state.undo(emits)
            return
        self.stand(emits)
        self.plain.limits[f"{kind}-{org}", model] = limit

    @rule(number=st.integers(1, len(NODES)))
    def toggle(self, number: int) -> None:
        name = f"node-{number}"
        if name in self.plain.closed:
            self.plain.closed.remove(name)
            fact: node.Event = node.Uncordoned(1)
        else:
            self.plain.closed.add(name)
            fact = node.Cordoned(1)
        emit = Emit(name, "-", self.world.state.version(name), (fact,))
        self.world.say(name, fact)
        self.stand((emit,))

    def upkeep(self, name: str, command: node.Command) -> None:
        """One verb as the API appends it: beside the admission, which hears of it later."""
        facts = tuple(node.decide(command, self.world.state.stock.states[name]))
        emit = Emit(name, "-", self.world.state.version(name), facts)
        self.world.say(name, *facts)
        self.stand((emit,))

    @rule(number=st.integers(1, len(NODES)), why=st.sampled_from(["fan", "disk"]), on=st.booleans())
    def drain(self, number: int, why: str, on: bool) -> None:
        name = f"node-{number}"
        drains = self.plain.drains.setdefault(name, set())
        if not on and drains and why not in drains:
            return
        verb = upkeep.Drain if on else upkeep.Undrain
        self.upkeep(name, verb("operator", why, 5))
        (drains.add if on else drains.discard)(why)

    @rule(data=st.data(), number=st.integers(1, len(NODES)))
    def quarantine(self, data: st.DataObject, number: int) -> None:
        index = data.draw(st.integers(0, NODES[number - 1][1] - 1))
        self.upkeep(f"node-{number}", upkeep.Quarantine((index,), "xid", 5))
        self.plain.sick.add((number, index))

    @rule(data=st.data(), number=st.integers(1, len(NODES)), clean=st.booleans())
    def sanitize(self, data: st.DataObject, number: int, clean: bool) -> None:
        index = data.draw(st.integers(0, NODES[number - 1][1] - 1))
        busy = any(
            at == number and any(share[0] == index for share in shares)
            for _, at, shares, _, _ in self.plain.held.values()
        )
        if busy:
            return
        said = ((index,), "fill", 1, 1, "d", None, 0 if clean else 1)
        name = f"node-{number}"
        self.upkeep(name, upkeep.ReportSanitized(*said, 9, word(name), 9))
        if not clean:
            self.plain.sick.add((number, index))
            return
        self.plain.kept.pop((number, index), None)
        self.upkeep(name, upkeep.Return((index,), 9))
        self.plain.sick.discard((number, index))

    @invariant()
    def no_device_is_over_1000_milli_or_shared_across(self) -> None:
        for number, (_, gpus) in enumerate(NODES, 1):
            owners: dict[int, set[str]] = {}
            use = [0] * gpus
            for _, at, shares, owner, _ in self.plain.held.values():
                for index, milli in shares if at == number else ():
                    use[index] += milli
                    owners.setdefault(index, set()).add(owner)
            assert max(use) <= 1000
            assert all(len(names) == 1 for names in owners.values())
            state = self.world.state.stock.states[f"node-{number}"]
            assert [1000 - free for free in state.free] == use

    @invariant()
    def use_of_a_quota_is_what_runs_and_what_is_reserved(self) -> None:
        for org in ORGS:
            tree = self.world.state.quotas.get(f"quota-{org}")
            for kind in ("organization", "department", "project"):
                scope = kind if kind == "organization" else f"{kind}-{org}"
                for model in ("*", *MODELS):
                    used = 0 if tree is None else tree.used.get((scope, model), 0)
                    assert used == self.plain.used(f"{kind}-{org}", model)

    @invariant()
    def what_is_stopping_is_every_runtime_that_ends(self) -> None:
        state = self.world.state
        ending = [
            one for one, held in state.runtimes.items() if isinstance(held.state, runtime.Ending)
        ]
        assert state.stopping == set(ending)

    @invariant()
    def capacity_says_what_admit_would_do(self) -> None:
        for org in ORGS:
            for room in capacity(self.world.state, f"organization-{org}"):
                rooms = [
                    self.plain.free(number, gpus, org)
                    for number, (model, gpus) in enumerate(NODES, 1)
                    if model == room.model and not self.plain.shut(f"node-{number}")
                ]
                assert room.most_milli == max((max(free) for free in rooms), default=0)
                assert room.most_devices == max((free.count(1000) for free in rooms), default=0)

    @invariant()
    def an_explanation_says_what_admit_would_do(self) -> None:
        for org, shape, policy in ((1, (1, 700), "pack"), (2, (2, 1000), "topology")):
            devices, each = shape
            probe = launch(10**6, each, devices=devices, org=org)
            probe = replace(probe, policy=policy)
            told = {one.node: one.why for one in explain(self.world.state, probe)}
            result = attempt(self.world, probe)
            chosen = [name for name, why in told.items() if why == "chosen"]
            if isinstance(result, DomainError):
                assert not chosen
            else:
                self.world.state.undo(result)
                assert chosen == [fact_of(result, runtime.Allocated).node]
            places = self.plain.places(org, devices, each, ())
            for number, (model, _) in enumerate(NODES, 1):
                allowed = self.plain.quota_takes(org, {model: devices * each})
                fits = places.get(number, 0) > 0 and allowed
                assert (told[f"node-{number}"] in {"chosen", "fits"}) == fits

    @invariant()
    def a_state_folded_from_the_facts_decides_the_same(self) -> None:
        fresh = World(NODES, organizations=len(ORGS), strict=STRICT)
        for stream, emit in self.facts:
            for number, fact in enumerate(emit.facts, 1):
                fresh.state.apply(stream, emit.expected + number, fact)
        mine = self.world.state
        assert fresh.state.versions == mine.versions
        assert fresh.state.quotas.keys() <= mine.quotas.keys()
        assert all(tree == mine.quotas[name] for name, tree in fresh.state.quotas.items())
        assert fresh.state.stock.states == mine.stock.states
        for org in ORGS:
            probe = launch(10**6, 300, org=org)
            assert tried(fresh, probe) == tried(self.world, probe)


def attempt(world: World, *wanted: Launch) -> tuple[Emit, ...] | DomainError:
    try:
        if len(wanted) == 1:
            return admit(world.state, wanted[0])
        return together.admit_block(world.state, "block-1", wanted)
    except DomainError as error:
        return error


def reserved(world: World, wanted: together.Reserve) -> tuple[Emit, ...] | DomainError:
    try:
        return together.reserve(world.state, wanted)
    except DomainError as error:
        return error


def tried(world: World, wanted: Launch) -> tuple[tuple[object, ...], ...] | str:
    """What admission would decide, leaving no trace."""
    emits = attempt(world, wanted)
    if isinstance(emits, DomainError):
        return emits.code
    world.state.undo(emits)
    return tuple((emit.stream, emit.org, emit.expected, emit.facts) for emit in emits)


Admissions.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAdmissions = Admissions.TestCase
