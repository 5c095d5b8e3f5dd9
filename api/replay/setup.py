"""What stands before the first task of a trace: tenancy, prices, periods, quota, enrolled nodes."""

import hashlib
from collections.abc import Iterator

from msgspec import Struct

from api.replay import plan as words
from api.replay.nodes import SimulatedNode
from api.replay.plan import Plan
from domain import account, department, meter, node, organization, period, pricebook, project
from domain.admission import AdmissionState
from domain.launch import set_limit
from domain.quota import SetLimit
from domain.words import ANY_MODEL, MILLI
from evidence.append import Append, Write
from evidence.private import PrivateValue, private_value
from projections.months import TZDATA, period_id

ACTOR = "system-replay"


class Tenancy(Struct, frozen=True):
    """Ids of what the set-up made; projects by (department's name, project's name)."""

    organization: str
    account: str
    periods: tuple[str, ...]
    projects: dict[tuple[str, str], str]


def tenancy(plan: Plan) -> Tenancy:
    """The ids, without making anything."""
    account_id = plan.id("account")
    names = sorted({(task.qos, plan.project_name(task)) for task in plan.trace.tasks})
    return Tenancy(
        plan.id("organization"),
        account_id,
        tuple(period_id(account_id, sequence) for sequence in range(1, len(plan.months))),
        {name: plan.id("project", *name) for name in names},
    )


def appends(
    plan: Plan, made: Tenancy, nodes: list[SimulatedNode], state: AdmissionState
) -> Iterator[Append]:
    """The appends in order; `state` has remembered each when it is given out."""
    for stream, org, facts, private in _facts(plan, made, nodes):
        state.remember(stream, facts)
        write = Write(stream, org, 0, tuple(facts))
        yield Append((write,), ACTOR, plan.command("setup", stream), private=private)
    total = sum(len(each.gpus) for each in nodes) * MILLI
    limit = SetLimit(made.organization, ANY_MODEL, total, plan.setup_us)
    writes = tuple(
        Write(emit.stream, emit.org, emit.expected, emit.facts)
        for emit in set_limit(state, made.organization, limit)
    )
    yield Append(writes, ACTOR, plan.command("setup", "quota"))


type _Made = tuple[str, str, list[Struct], tuple[PrivateValue, ...]]


def _facts(plan: Plan, made: Tenancy, nodes: list[SimulatedNode]) -> Iterator[_Made]:
    now, org = plan.setup_us, made.organization
    name, kept = private_value(org, words.ORGANIZATION)
    yield (
        org,
        org,
        [*organization.decide(organization.Create(name, now), organization.Missing())],
        (kept,),
    )
    opened = account.Open(org, words.CURRENCY, words.MINOR_DIGITS, plan.trace.zone, TZDATA, now)
    yield made.account, org, [*account.decide(opened, account.Missing())], ()
    yield from _periods(plan, made)
    register = meter.Register(words.METER, words.UNIT, "lifecycle", "sum", now)
    yield plan.id("meter"), "-", [*meter.decide(register, meter.Missing())], ()
    yield plan.id("pricebook"), "-", [*_prices(plan)], ()
    yield from _tree(plan, made)
    for each in nodes:
        yield _node(plan, each)


def _periods(plan: Plan, made: Tenancy) -> Iterator[_Made]:
    previous: period.Opened | None = None
    for index, stream in enumerate(made.periods):
        start, end = plan.months[index : index + 2]
        command = period.Open(
            made.account, start, end, plan.trace.zone, TZDATA, previous, plan.setup_us
        )
        [opened] = period.decide(command, period.Missing())
        assert isinstance(opened, period.Opened)
        previous = opened
        yield stream, made.organization, [opened], ()


def _prices(plan: Plan) -> Iterator[Struct]:
    book = pricebook.DECIDER.initial
    for row in plan.trace.prices:
        command = pricebook.PublishEntry(
            "default", words.METER, row.model, "-", "usable", words.CURRENCY, plan.at(row.from_s),
            row.pico, words.PER_GPU_HOUR, plan.setup_us,
        )  # fmt: skip
        [entry] = pricebook.decide(command, book)
        book = pricebook.evolve(book, entry)
        yield entry


def _tree(plan: Plan, made: Tenancy) -> Iterator[_Made]:
    now, org = plan.setup_us, made.organization
    for qos in sorted({name for name, _ in made.projects}):
        private, kept = private_value(org, qos)
        create = department.Create(org, private, now)
        yield (
            plan.id("department", qos),
            org,
            [*department.decide(create, department.Missing())],
            (kept,),
        )
    for (qos, short), stream in made.projects.items():
        private, kept = private_value(org, short)
        command = project.Create(
            org, plan.id("department", qos), made.account, private, org, org, now
        )
        yield stream, org, [*project.decide(command, project.Missing())], (kept,)


def _node(plan: Plan, each: SimulatedNode) -> _Made:
    private, kept = private_value("-", each.sn)
    token = hashlib.sha256(each.key.encode()).hexdigest()
    boottime, attested = each.attest(node.Anchored, each.id, plan.setup_us)
    state = node.DECIDER.initial
    facts: list[Struct] = []
    for command in (
        node.Invite(private, each.model, token, plan.setup_us + 1, plan.setup_us),
        node.Enrol(
            token, each.key, each.model, simulated=True, gpus=each.gpus, serial=each.sn,
            now_us=plan.setup_us,
        ),
        node.AnchorBoot(each.anchor.boot, boottime, attested, plan.setup_us),
    ):  # fmt: skip
        for fact in node.decide(command, state):
            state = node.evolve(state, fact)
            facts.append(fact)
    return each.id, "-", facts, (kept,)
