"""The trace under three price books: each charge line against the oracle's, each row the auditor's."""

from collections.abc import Sequence
from itertools import pairwise

from msgspec import structs

from api.replay.input import Task, Trace
from domain import runtime
from domain.price_facts import Tier
from domain.rating import Books
from gpuaas_verify.books import Books as Auditor
from tests.money_oracle import Entry, Oracle, Use
from tests.property.books_history import PER_GPU_HOUR, History

USD = 10**12
BOOKS = ("linear", "tiered", "committed")


def priced(history: History, oracle: Oracle, name: str, models: list[str]) -> None:
    """Every model's entries in the history and, the same, in the oracle."""
    for number, model in enumerate(models, 3):
        linear: tuple[Tier, ...] = (Tier(None, number * USD + 1),)
        tiers, free, minimum = linear, 0, 0
        if name == "tiered":
            hour = PER_GPU_HOUR
            tiers = (Tier(20 * hour, number * USD), Tier(90 * hour, number * USD // 3), *linear)
            free, minimum = 7 * hour + 1, USD // 100
        position = history.shaped(tiers, 0, free=free, minimum=minimum, model=model)
        said = tuple((tier.up_to, tier.price_pico) for tier in tiers)
        oracle.entries.append(
            Entry(position, "default", model, 0, PER_GPU_HOUR, said, free, minimum)
        )
        if name == "committed":
            span, made = (0, 10**18), 25 * PER_GPU_HOUR
            at = history.commitment(oracle.account, *span, made, USD // 2, model=model)
            oracle.commitments.append((at, (model, "-"), *span, made, USD // 2, PER_GPU_HOUR))


def told(history: History, owner: str, tasks: Sequence[Task], model: str) -> list[Use]:
    """Each task as a runtime of the node of its model."""
    uses = []
    nodes: dict[str, str] = {}
    for number, task in enumerate(sorted(tasks, key=lambda one: one.start_s), 1):
        of = task.models[0] if task.models else model
        if of not in nodes:
            nodes[of] = history.node(len(nodes) + 1, of)
        start, end = task.start_s * 10**6, task.end_s * 10**6
        milli = task.gpus * task.milli_each
        one = history.start(number, owner, nodes[of], start, milli=milli, model=of)
        history.say(runtime.Usable, one, start)
        uses.append((one, of, start, end, milli))
    # Who ends first is told first; nothing follows from the order.
    for one, _, _, end, _ in sorted(uses, key=lambda use: use[3]):
        history.say(runtime.Stopped, one, end, 10**15)
    return [Use(one, of, start, ((start, end, m),)) for one, of, start, end, m in uses]


def require_the_oracles(trace: Trace, name: str) -> int:
    """How many charge lines the trace has under the book: all of them, quantity and amount, the
    oracle's to the pico, commitments paid included; all rows derived by the auditor, too.
    """
    models = sorted({one.model for one in trace.prices})
    last = max(task.end_s for task in trace.tasks) * 10**6
    bounds = [0, last // 3, 2 * last // 3, last + 1, last + 2]
    history = History()
    owner = history.account(1)
    oracle = Oracle(owner, list(pairwise(bounds)))
    periods = [
        history.period(owner, number, number, start, end)
        for number, (start, end) in enumerate(oracle.periods, 1)
    ]
    priced(history, oracle, name, models)
    uses = told(history, owner, trace.tasks, models[0])
    for period_id, (start, end) in list(zip(periods, oracle.periods, strict=True))[:3]:
        history.close(owner, period_id, start, end)
    books, rows = Books(), []
    with Auditor(None) as auditor:
        for position, (of, _, fact) in enumerate(history.facts):
            rated, _ = books.apply(position, of, fact)
            rows += rated
        history.feed(auditor)
        derived = list(auditor.expected_rows("rated_interval"))
    assert [list(row.values())[1:] for row in derived] == [
        list(structs.astuple(row)) for row in rows
    ]
    places = {one: number for number, one in enumerate(periods)}
    lines = {
        (row.resource, row.price, places[row.period]): (row.line_quantity, row.line_amount_pico)
        for row in rows
    }
    due = oracle.lines(uses, 3)
    assert {key: pair for key, pair in lines.items() if pair != (0, 0)} == due
    assert len({key[0] for key in due} - {owner}) == len(trace.tasks)
    return len(due)
