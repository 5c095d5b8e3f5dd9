"""A pytest plugin: tests collected once judge every mutant, each in a process of its own.

`pytest -p tests.judged_mutants` where mutmut laid out its mutants (`tests.mutants` does). Examples
are few and always the same, so a verdict can be had again: what only a longer search would notice
counts as lived. Without `VERDICTS` in the environment tests run as ever, by those examples.
`VERDICTS`: a file; one line of JSON a mutant comes into it, those in it already are not judged
again. `PATTERNS`: of names, one a line; none: all. `CHILDREN`: how many at once. Ends with 1 when an unchanged program fails or a failing one
does not.
"""

import gc
import json
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from time import process_time
from types import FunctionType, ModuleType
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, is_hypothesis_test, settings

EXAMPLES: Final = 3
UNCHANGED: Final = ""  # mutmut's name for no mutant
FAILING: Final = "fail"  # and for all at once
STATS: Final = Path("mutmut-stats.json")
_SETTINGS: Final = "_hypothesis_internal_use_settings"
# A test that runs for ever is stopped after this many CPU seconds, and times those it takes.
_PATIENCE_S: Final = 2
_PATIENCE: Final = 8
_MEMORY: Final = 4 << 30

settings.register_profile(
    "mutants",
    database=None,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    max_examples=EXAMPLES,
)
settings.load_profile("mutants")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Few examples of each property, whatever it asks for itself."""
    for item in items:
        test = getattr(item, "obj", None)
        machine = getattr(item, "cls", None)
        if machine is not None and isinstance(getattr(machine, "settings", None), settings):
            machine.settings = _few(machine.settings)
        elif is_hypothesis_test(test):
            held = getattr(test, "__func__", test)
            setattr(held, _SETTINGS, _few(getattr(held, _SETTINGS, settings())))


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Every mutant in turn, instead of the tests."""
    if "VERDICTS" not in os.environ:
        return None
    session.config.option.tbstyle = "native"  # others read whole sources, and mutants' are long
    judged, path = _Judged(session), Path(os.environ["VERDICTS"])
    with path.open("a") as verdicts:
        known = {json.loads(line)["mutant"] for line in path.read_text().splitlines()}
        names = _mutants(os.environ.get("PATTERNS", "").split())
        for line in judged.all([name for name in names if name not in known]):
            print(json.dumps(line), file=verdicts, flush=True)
    return True


def _few(asked: settings) -> settings:
    return settings(asked, max_examples=min(EXAMPLES, asked.max_examples))


class _Judged:
    """One session's mutants: which tests reach each, and what becomes of it."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        reached = json.loads(STATS.read_text())["tests_by_mangled_function_name"]
        self._reached = {
            function: {item for item in session.items if item.nodeid in set(tests)}
            for function, tests in reached.items()
        }
        self._takes: dict[str, float] = {}  # CPU seconds of each test
        self._noticed: Counter[tuple[str, str]] = Counter()  # by function ("": any), test
        self._running: dict[int, tuple[str, int]] = {}  # process: mutant, what it tells

    def all(self, names: list[str]) -> Iterator[dict[str, Any]]:
        """What became of each, as it ends."""
        every = set().union(*self._reached.values())
        for name, wanted in ((FAILING, "killed"), (UNCHANGED, "lived")):
            self._begin(name, self._in_order("", every))
            seen, takes = self._next()
            if seen["verdict"] != wanted:
                pytest.exit(f"the judges are wrong: {name or 'the unchanged program'} {seen}", 1)
            if name == UNCHANGED:
                self._takes = takes
            _bind(_unchanged())  # after the first: it is mutmut's trampolines that fail
        gc.collect()
        gc.freeze()
        for name in names:
            function = name.partition("__mutmut_")[0]
            tests = self._in_order(function, self._reached.get(function, set()))
            if not tests:
                yield {"mutant": name, "verdict": "no test", "by": "", "cpu_s": 0}
                continue
            while len(self._running) >= int(os.environ.get("CHILDREN", os.cpu_count() or 1)):
                yield self._next()[0]
            self._begin(name, tests)
        while self._running:
            yield self._next()[0]

    def _in_order(self, function: str, tests: set[pytest.Item]) -> list[pytest.Item]:
        """First what is quick and has noticed others, of that function above all."""

        def dear(item: pytest.Item) -> tuple[float, str]:
            noticed = self._noticed[function, item.nodeid] + self._noticed["", item.nodeid] / 30
            return (self._takes.get(item.nodeid, 0) + 0.003) / (noticed + 0.02), item.nodeid

        return sorted(tests, key=dear)

    def _begin(self, name: str, tests: list[pytest.Item]) -> None:
        told = os.memfd_create("told")
        process = os.fork()
        if process:
            self._running[process] = name, told
            return
        try:
            os.environ["MUTANT_UNDER_TEST"] = name
            _bind(_changed(name))
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            os._exit(self._judge(tests, told))
        finally:
            os._exit(3)  # whatever went past pytest: noticed

    def _judge(self, tests: list[pytest.Item], told: int) -> int:
        """1 at the first test that fails, else 0. Tells each and what it took."""
        protocol = self._session.config.hook.pytest_runtest_protocol
        for item, following in pairwise([*tests, None]):
            if item is not None:
                since = process_time()
                takes = self._takes.get(item.nodeid, 600)
                signal.setitimer(signal.ITIMER_PROF, _PATIENCE_S + _PATIENCE * takes)
                protocol(item=item, nextitem=following)
                os.write(told, f"{process_time() - since} {item.nodeid}\n".encode())
                if self._session.testsfailed:
                    return 1
        return 0

    def _next(self) -> tuple[dict[str, Any], dict[str, float]]:
        """The next that ended, and what its tests took."""
        while True:
            process, status, used = os.wait4(-1, 0)
            if process in self._running:
                break
        name, memory = self._running.pop(process)
        with os.fdopen(memory) as told:
            told.seek(0)
            lines = [line.rstrip("\n").split(" ", 1) for line in told]
        code = os.waitstatus_to_exitcode(status)
        verdict = {0: "lived", 1: "killed", 3: "killed"}.get(
            code, "time" if code < 0 else str(code)
        )
        by = lines[-1][1] if code == 1 else ""
        for function in ("", name.partition("__mutmut_")[0]):
            self._noticed[function, by] += 1
        cpu_s = round(used.ru_utime + used.ru_stime, 2)
        takes = {test: float(seconds) for seconds, test in lines}
        return {"mutant": name, "verdict": verdict, "by": by, "cpu_s": cpu_s}, takes


def _unchanged() -> dict[FunctionType, FunctionType]:
    """For each function that mutmut asks at every call which mutant is to run: the one as written.

    With those called straight away, tests take half the time.
    """
    found = {}
    for owner, held in _holders():
        for name, value in held:
            mangled = f"x_{name}" if isinstance(owner, ModuleType) else f"xǁ{owner.__name__}ǁ{name}"
            written = vars(owner).get(f"{mangled}__mutmut_orig")
            if isinstance(value, FunctionType) and written is not None:
                found[value] = written
    return found


def _changed(mutant: str) -> dict[FunctionType, FunctionType]:
    """The one function as written, and as the mutant has it."""
    module, _, mangled = mutant.rpartition(".")
    if not module:
        return {}
    owner: object = sys.modules[module]
    if "ǁ" in mangled:
        owner = getattr(owner, mangled.split("ǁ")[1])
    written = vars(owner)[f"{mangled.partition('__mutmut_')[0]}__mutmut_orig"]
    return {written: vars(owner)[mangled]}


def _bind(instead: dict[FunctionType, FunctionType]) -> None:
    """Wherever a module or a class of the rooms names one of them, it now names the other."""
    for owner, held in _holders():
        for name, value in held:
            if isinstance(value, FunctionType) and "__mutmut_" not in name and value in instead:
                setattr(owner, name, instead[value])


def _holders() -> Iterator[tuple[Any, list[tuple[str, Any]]]]:
    """Modules of the rooms, and their classes, each with what it names."""
    rooms = {"domain", "projections", "api", "tests"}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in rooms:
            held = list(vars(module).items())
            yield module, held
            for _, value in held:
                if isinstance(value, type) and value.__module__ == name:
                    yield value, list(vars(value).items())


def _mutants(patterns: list[str]) -> list[str]:
    """The names of all that match, as if shuffled: a run broken off has judged a fair sample."""
    names = [
        name
        for path in Path("domain").glob("*.meta")
        for name in json.loads(path.read_text())["exit_code_by_key"]
        if not patterns or any(fnmatch(name, pattern) for pattern in patterns)
    ]
    return sorted(names, key=lambda name: sha256(name.encode()).digest())
