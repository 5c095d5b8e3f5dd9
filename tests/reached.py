"""Which of many calls execute a line: a line taken out can change only what those calls find."""

import contextlib
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType

# Of the six a process has; 0 to 2 and 5 have names that debuggers and profilers use.
_TOOL = 4
_NEXT = 3

type Reached = dict[tuple[str, int], list[int]]


def reached(folder: Path, calls: Sequence[Callable[[], object]]) -> Reached:
    """(module's last name, line) of a package's folder -> numbers of the calls that execute it."""
    monitoring = sys.monitoring
    names = {str(path): path.stem for path in folder.glob("*.py")}
    found: Reached = defaultdict(list)
    number = 0

    def at_line(code: CodeType, line: int) -> object:
        name = names.get(code.co_filename)
        if name is not None:
            found[name, line].append(number)
        return monitoring.DISABLE  # once a call is enough

    monitoring.use_tool_id(_TOOL, "reached")
    monitoring.register_callback(_TOOL, monitoring.events.LINE, at_line)
    monitoring.set_events(_TOOL, monitoring.events.LINE)
    try:
        for at, call in enumerate(calls):
            number = at
            monitoring.restart_events()
            with contextlib.suppress(Exception):  # what it finds is for others to judge
                call()
    finally:
        monitoring.set_events(_TOOL, 0)
        monitoring.free_tool_id(_TOOL)
    return dict(found)


def line_of(removed: str) -> int:
    """The line that a removal names first: `line 12: ...`."""
    return int(removed.partition(":")[0].removeprefix("line "))


def rarely(found: Reached, name: str, line: int) -> dict[int, int]:
    """Call -> of how many it is, for calls that execute the line: those that execute what comes
    next, too, where few do, are of few. A check on the line decides who gets there.
    """
    after = sorted(at for module, at in found if module == name and line < at <= line + _NEXT)
    rare = dict.fromkeys(found.get((name, line), ()), len(found))
    for at in after:
        calls = found[name, at]
        for call in calls:
            if call in rare:
                rare[call] = min(rare[call], len(calls))
    return rare
