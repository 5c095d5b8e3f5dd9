"""Every wrong thing gets its own verdict, and no check of the verifier could be left out unnoticed."""

import ast
import importlib
import importlib.abc
import importlib.machinery
import pkgutil
import sys
from collections.abc import Sequence
from functools import cache, partial
from types import CodeType, ModuleType

import pytest

from tests.bundles import LOG_VKEY, small_log
from tests.judging import VALID, judge
from tests.reached import Reached, line_of, rarely, reached, refused
from tests.removals import BREAKS, PACKAGE, SWITCH, unnoticed
from tests.wrong_logs import Wrong, log_cases
from tests.wrong_members import member_cases
from tests.wrong_notes import note_and_proof_cases
from tests.wrong_words import said_cases

NAMES = sorted(item.name for item in pkgutil.iter_modules([str(PACKAGE)]))
# The books are in test_verify_books_checks, invoices' proofs in test_verify_proof, the tree's in test_verify_merkle; the others have no checks, or only those of a
# command line and of processes.
LEFT_OUT = {"__main__", "cli", "pool", "errors", "claims", "spill", "merkle"}
CHECKED = [
    name for name in NAMES if name not in LEFT_OUT and not name.startswith(("books", "proof"))
]
RIGHT = Wrong("right", *VALID, data=(small_log().tar(),), keys=(LOG_VKEY.format(),))


@cache
def cases() -> tuple[Wrong, ...]:
    return (RIGHT, *log_cases(), *said_cases(), *member_cases(), *note_and_proof_cases())


def as_they_are() -> dict[str, ModuleType]:
    names = [name for name in NAMES if name != "__main__"]
    return {name: importlib.import_module(f"gpuaas_verify.{name}") for name in names}


@pytest.mark.parametrize("wrong", cases(), ids=lambda wrong: wrong.name[:60])
def test_every_wrong_thing_gets_its_own_verdict(wrong: Wrong) -> None:
    """The code, and the first bad position or row, field and member."""
    assert judge(as_they_are(), wrong) == (wrong.code, wrong.place)


class Copies(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports gpuaas_verify from given code, beside the real one."""

    def __init__(self, codes: dict[str, CodeType]) -> None:
        self.codes = codes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "gpuaas_verify" and not fullname.startswith("gpuaas_verify."):
            return None
        is_package = fullname == "gpuaas_verify"
        return importlib.machinery.ModuleSpec(fullname, self, is_package=is_package)

    def exec_module(self, module: ModuleType) -> None:
        code = self.codes.get(module.__name__.rpartition(".")[2])
        if code is not None:
            exec(code, module.__dict__)  # noqa: S102 - our own code, one check less


@cache
def compiled(name: str) -> CodeType:
    return compile((PACKAGE / f"{name}.py").read_text(), name, "exec")


@cache
def above(name: str) -> frozenset[str]:
    """The module and those that import it, directly or not: the others are the same without it."""
    found = {name}
    while more := {
        other for other in NAMES if other not in found and not found.isdisjoint(imported(other))
    }:
        found |= more
    return frozenset(found)


@cache
def imported(name: str) -> frozenset[str]:
    """The modules of the verifier that a module of it imports."""
    found = set[str]()
    for node in ast.parse((PACKAGE / f"{name}.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            package, _, module = node.module.partition(".")
            if package == "gpuaas_verify":
                found |= {module} if module else {alias.name for alias in node.names}
    return frozenset(found)


def copy_with(name: str, code: CodeType) -> dict[str, ModuleType]:
    """The modules of a verifier in which one is compiled from other code."""
    codes = {other: compiled(other) for other in above(name) if other != "__main__"} | {name: code}
    as_they_are()
    kept = dict(item for item in sys.modules.items() if item[0].startswith("gpuaas_v"))
    for other in ("", *(f".{other}" for other in above(name))):
        sys.modules.pop(f"gpuaas_verify{other}", None)
    finder = Copies(codes)
    sys.meta_path.insert(0, finder)
    try:
        return as_they_are()
    finally:
        sys.meta_path.remove(finder)
        for key in [key for key in sys.modules if key.startswith("gpuaas_v")]:
            del sys.modules[key]
        sys.modules.update(kept)


@cache
def cases_at() -> Reached:
    """Numbers of the cases in which the verifier as it is executes a line."""
    modules = as_they_are()
    return reached(PACKAGE, [partial(judge, modules, wrong) for wrong in cases()])


class Verifier:
    """The cases, judged by copies of the verifier's modules."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._modules = name, copy_with(name, code)

    def leave_out(self, number: int) -> None:
        setattr(self._modules[self._name], SWITCH, number)

    def noticing(self, removed: str) -> int | None:
        text, line, every = removed.replace("'", '"'), line_of(removed), len(cases_at().lines)
        rare = rarely(cases_at(), self._name, line)
        there = refused(cases_at(), self._name, line)

        def cost(number: int) -> tuple[bool, int, bool, int, int]:
            # Those that come to the line, those that it refuses, those whose code it names, the
            # rare, the small.
            wrong = cases()[number]
            size = sum(map(len, wrong.data))
            unnamed = f'"{wrong.code}"' not in text
            away = there.get(number, every)
            return number not in rare, away, unnamed, rare.get(number, every), size

        ordered = sorted(range(len(cases())), key=cost)
        return next((number for number in ordered if not self.agrees(number)), None)

    def agrees(self, judgement: int) -> bool:
        wrong = cases()[judgement]
        try:
            return judge(self._modules, wrong) == (wrong.code, wrong.place)
        except BREAKS:
            return False


# Removed without consequence for the verdict, with the reason.
ONLY_SLOWER = "sends more entries the full way, which gives the same verdict"
ONLY_CHANGED = "speaks only of a bundle that changes while it is read"
NEEDLESS = {
    "block int(seen.after) >= position": ONLY_SLOWER,
    "block tag in attest.WATCHED": "sends the history entries that it does not look at",
    "entry int(cause[4:]) >= entry.position": ONLY_SLOWER,
    "quick kind == 'organization'": ONLY_SLOWER,
    "quick org != seen.stream": ONLY_SLOWER,
    "strict kind is dict": ONLY_SLOWER,
    "bookkeeping raise Unreadable(f'{name} vanished while the bundle was read')": ONLY_CHANGED,
    "bundle raise Unreadable(f'{path} is neither a file nor a directory')": (
        "waits for whoever writes the pipe: test_verify_cli"
    ),
    "bundle raise Unreadable(f'{name} vanished while the bundle was read')": ONLY_CHANGED,
    "source raise Unreadable(f'{place.name} changed while it was read')": ONLY_CHANGED,
    "tarball raise Unreadable(f'{place.name} changed while it was read')": ONLY_CHANGED,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_each_check_removed_is_noticed(name: str) -> None:
    """A verifier that lacks one raise, one refusal or one operand of a condition judges some case otherwise."""
    assert unnoticed(name, partial(Verifier, name), NEEDLESS) == []
