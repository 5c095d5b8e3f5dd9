"""What a replay will do, as pure functions of its input: identities, command ids,
steps in order.
"""

import hashlib
from typing import Final, Literal

from msgspec import Struct

from api.replay.input import SECOND_US, Task, Trace, month_starts
from projections.months import month_after

ORGANIZATION: Final = "openb"
CURRENCY: Final = "USD"
MINOR_DIGITS: Final = 2
METER: Final = "gpu.time"
UNIT: Final = "milli-GPU-us"
PER_GPU_HOUR: Final = 3_600_000_000_000  # milli-GPU-us
PROJECTS: Final = 20  # per department

type Kind = Literal["end", "close", "start"]


class Step(Struct, frozen=True, order=True):
    """One thing that happens, in the order of the fields: at equal instants ends, closes, starts.

    `late` 1: the end of a task that ended in its first second, after its own start.
    """

    at_us: int
    late: int
    kind: int  # 0 end, 1 close, 2 start
    index: int  # of the task, or of the period


END: Final = 0
CLOSE: Final = 1
START: Final = 2


class Plan(Struct, frozen=True):
    """Steps in order, period starts (one more than periods), and the instant of the set-up."""

    trace: Trace
    steps: tuple[Step, ...]
    months: tuple[int, ...]
    setup_us: int

    def command(self, *what: object) -> str:
        """The cause of one append: the same input gives the same id, so a repeat finds it done."""
        text = "\n".join(["gpuaas-replay/1", self.trace.digest.hex(), *map(str, what)])
        return f"cmd:{hashlib.sha256(text.encode()).hexdigest()}"

    def id(self, kind: str, *what: object, at_us: int | None = None) -> str:
        """A stream id in the form of a UUIDv7 of the instant, its random bits from the digest."""
        text = "\n".join([self.trace.digest.hex(), kind, *map(str, what)])
        drawn = int.from_bytes(hashlib.sha256(text.encode()).digest())
        at_ms = (self.setup_us if at_us is None else at_us) // 1000
        high, low = drawn & 0xFFF, (drawn >> 12) & ((1 << 62) - 1)
        value = at_ms << 80 | (0x7000 | high) << 64 | 1 << 63 | low
        hexed = f"{value:032x}"
        return f"{kind}-{hexed[:8]}-{hexed[8:12]}-{hexed[12:16]}-{hexed[16:20]}-{hexed[20:]}"

    def at(self, second: int) -> int:
        """The instant of a second of the trace."""
        return self.trace.start_us + second * SECOND_US

    def project_name(self, task: Task) -> str:
        """`p` and two digits of the task's number mod 20."""
        return f"p{task.number % PROJECTS:02}"


def plan(trace: Trace) -> Plan:
    """Everything in order of time. The set-up happens when the first period starts.

    The period after the last one used is opened and stays open: no account is ever without one.
    """
    last = max((task.end_s for task in trace.tasks), default=0)
    end_us = trace.start_us + last * SECOND_US
    months = month_starts(trace.start_us, end_us, trace.zone)
    steps = [Step(instant, 0, CLOSE, index) for index, instant in enumerate(months[1:])]
    months.append(month_after(months[-1], trace.zone))
    for index, task in enumerate(trace.tasks):
        start, end = (trace.start_us + second * SECOND_US for second in (task.start_s, task.end_s))
        steps.append(Step(start, 0, START, index))
        steps.append(Step(end, int(end == start), END, index))
    return Plan(trace, tuple(sorted(steps)), tuple(months), months[0])
