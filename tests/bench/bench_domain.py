"""Speed of the pure parts: admission and rating, in one core, without any I/O."""

import json
import time
from collections.abc import Callable, Mapping

import msgspec

from domain import account, period, pricebook, runtime
from domain.admission import AdmissionState
from domain.launch import admit, end
from domain.rating import Books, RatedInterval, Transfer
from domain.words import Share
from tests.unit.domain_world import HOUR_US, NAME, World, launch, word

NODES = tuple((f"M{number % 7}", 5) for number in range(1_213))  # as many as the openb trace
LIVE = 3_000
COUNT = 10_000
CHUNK = 500
type Result = Mapping[str, str | int | float]


def scanning(state: AdmissionState, number: int, milli: int) -> str | None:
    """The baseline: best fit found by looking at every device of every node."""
    best: tuple[int, str, int] | None = None
    for name, serving in state.stock.states.items():
        for index, free in enumerate(serving.free):
            mine = serving.owners[index] in {"", "organization-1"}
            if free >= milli and mine and (best is None or free < best[0]):
                best = (free, name, index)
    return None if best is None else f"{best[1]}:{best[2]}:{number}"


def seconds(work: Callable[[int], object], numbers: range) -> float:
    """CPU time of this core: other work on the machine does not count."""
    start = time.process_time()
    for number in numbers:
        work(number)
    return time.process_time() - start


def row(name: str, value: float, unit: str, than: str, baseline: float) -> Result:
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "baseline_name": than,
        "baseline_value": round(baseline, 1),
        "ratio": round(value / baseline, 2),
    }


def _place(state: AdmissionState, number: int) -> str:
    live = state.runtimes[f"runtime-{number}"].state
    assert isinstance(live, runtime.Live.__value__)
    place: str = live.node
    return place


def bench_admission() -> list[Result]:
    """Launches and ends over 1,213 nodes of 7 models, any model accepted, 3,000 alive."""
    world = World(NODES)
    stopped = {name: runtime.Stopped(9, 9, 9, word(name)) for name in world.state.stock.states}
    said: list[runtime.Stopped] = []
    milli = [number * 37 % 1000 + 1 for number in range(COUNT + LIVE)]
    for number in range(LIVE):
        admit(world.state, launch(number, milli[number]))
    wanted = [launch(number + LIVE, milli[number + LIVE]) for number in range(COUNT)]
    admitting = ending = 0.0
    for first in range(0, COUNT, CHUNK):
        chunk = range(first, first + CHUNK)
        admitting += seconds(lambda number: admit(world.state, wanted[number]), chunk)
        said.extend(stopped[_place(world.state, number)] for number in chunk)
        ending += seconds(lambda at: end(world.state, f"runtime-{at}", said[at]), chunk)
    slow = 100 / seconds(lambda number: scanning(world.state, number, milli[number]), range(100))
    than = "best fit by scanning every device"
    return [
        row("admissions decided, one core", COUNT / admitting, "1/s", than, slow),
        row("admission and end decided, one core", COUNT / (admitting + ending), "1/s", than, slow),
    ]


def bench_rating() -> list[Result]:
    """Runtimes requested, allocated, usable, stopped: four facts, one charge and transfer each."""
    books = Books()
    books.apply(0, "account-1", account.Opened("organization-1", "USD", 2, "UTC", "x", 0))
    books.apply(1, "period-1", period.Opened("account-1", 1, 0, 10**15, "UTC", "x", 0))
    fields = ("default", "gpu.time", "T4", "-", "usable", "USD", 0, 0, 349 * 10**10, 1000 * HOUR_US)
    books.apply(2, "pricebook-1", pricebook.EntryPublished(*fields))
    told, shares = word(), (Share(0, 333),)
    rows: list[RatedInterval | Transfer] = []

    def begin(number: int) -> None:
        name, at = f"runtime-{number}", 10 + number * 4
        request = ("project-1", "department-1", "account-1", NAME, 1, 333, (), 0)
        books.apply(at, name, runtime.Requested(*request))
        books.apply(at + 1, name, runtime.Allocated("a-1", "node-1", "T4", shares, 1, 0))
        books.apply(at + 2, name, runtime.Usable(0, number, 0, told))

    def finish(number: int) -> None:
        stopped = runtime.Stopped(0, number + 777_777, 0, told)
        rated, moved = books.apply(13 + number * 4, f"runtime-{number}", stopped)
        rows.extend((*rated, *moved))

    beginning, finishing = seconds(begin, range(COUNT)), seconds(finish, range(COUNT))
    plain = [msgspec.structs.asdict(each) for each in rows]
    dumping = seconds(lambda number: json.dumps(plain[number]), range(2 * COUNT))
    than = "stdlib json.dumps of the same two rows"
    return [
        row("charges rated and posted, one core", COUNT / finishing, "1/s", than, COUNT / dumping),
        row(
            *("runtimes rated, four facts each, one core", COUNT / (beginning + finishing), "1/s"),
            *(than, COUNT / dumping),
        ),
    ]


def pure(_server: object) -> list[Result]:
    return [*bench_admission(), *bench_rating()]


BENCHES: list[Callable[[object], list[Result]]] = [pure]
