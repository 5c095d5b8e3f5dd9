"""Which of many calls execute a line: a line taken out can change only what those calls find. Of them
those that are refused there find something else first of all.
"""

import contextlib
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType
from typing import NamedTuple

# Of the six a process has; 0 to 2 and 5 have names that debuggers and profilers use.
_TOOL = 4
_NEXT = 3
_RAISED = 8  # a condition's operands stand at most so many lines above what it raises

type Places = dict[tuple[str, int], list[int]]


class Reached(NamedTuple):
    """(module's last name, line) of a package's folder -> numbers of the calls that execute it, and
    of those in which an exception passes through it.
    """

    lines: Places
    raises: Places


def reached(folder: Path, calls: Sequence[Callable[[], object]]) -> Reached:
    monitoring = sys.monitoring
    names = {str(path): path.stem for path in folder.glob("*.py")}
    found: Places = defaultdict(list)
    raises: Places = defaultdict(list)
    number = 0

    def at_raise(code: CodeType, offset: int, _: BaseException) -> None:
        name = names.get(code.co_filename)
        if name is not None:
            at = raises[name, _line(code, offset)]
            if number not in at[-1:]:
                at.append(number)

    def at_line(code: CodeType, line: int) -> object:
        name = names.get(code.co_filename)
        if name is not None:
            found[name, line].append(number)
        return monitoring.DISABLE  # once a call is enough

    monitoring.use_tool_id(_TOOL, "reached")
    monitoring.register_callback(_TOOL, monitoring.events.LINE, at_line)
    monitoring.register_callback(_TOOL, monitoring.events.RAISE, at_raise)
    monitoring.set_events(_TOOL, monitoring.events.LINE | monitoring.events.RAISE)
    try:
        for at, call in enumerate(calls):
            number = at
            monitoring.restart_events()
            with contextlib.suppress(Exception):  # what it finds is for others to judge
                call()
    finally:
        monitoring.set_events(_TOOL, 0)
        monitoring.free_tool_id(_TOOL)
    return Reached(dict(found), dict(raises))


def _line(code: CodeType, offset: int) -> int:
    return next(line or 0 for start, end, line in code.co_lines() if start <= offset < end)


def line_of(removed: str) -> int:
    """The line that a removal names first: `line 12: ...`."""
    return int(removed.partition(":")[0].removeprefix("line "))


def refused(found: Reached, name: str, line: int) -> dict[int, int]:
    """Call -> how many lines below this one an exception passed: that of what the line checks."""
    below = dict[int, int]()
    for away in range(_RAISED):
        for call in found.raises.get((name, line + away), ()):
            below.setdefault(call, away)
    return below


def rarely(found: Reached, name: str, line: int) -> dict[int, int]:
    """Call -> of how many it is, for calls that execute the line: those that execute what comes
    next, too, where few do, are of few. A check on the line decides who gets there.
    """
    lines = found.lines
    after = sorted(at for module, at in lines if module == name and line < at <= line + _NEXT)
    rare = dict.fromkeys(lines.get((name, line), ()), len(lines))
    for at in after:
        calls = lines[name, at]
        for call in calls:
            if call in rare:
                rare[call] = min(rare[call], len(calls))
    return rare
