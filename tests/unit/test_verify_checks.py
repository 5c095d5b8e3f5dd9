"""Every wrong thing gets its own verdict, and no check of the verifier could be left out unnoticed."""

import ast
import importlib
import importlib.abc
import importlib.machinery
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from types import CodeType, ModuleType

import pytest

import gpuaas_verify
from tests.bundles import LOG_VKEY, small_log
from tests.judging import VALID, judge
from tests.reached import Reached, line_of, reached
from tests.wrong_logs import Wrong, log_cases
from tests.wrong_members import member_cases
from tests.wrong_notes import note_and_proof_cases
from tests.wrong_words import said_cases

PACKAGE = Path(gpuaas_verify.__file__).parent
NAMES = sorted(item.name for item in pkgutil.iter_modules([str(PACKAGE)]))
# The books are in test_verify_books_checks, invoices' proofs in test_verify_proof, the tree's in test_verify_merkle; the others have no checks, or only those of a
# command line and of processes.
LEFT_OUT = {"__main__", "cli", "pool", "errors", "claims", "spill", "merkle"}
CHECKED = [
    name for name in NAMES if name not in LEFT_OUT and not name.startswith(("books", "proof"))
]
# What is called for its refusal alone.
CHECKING = re.compile(
    "_?(check|verify|compare|raise|same|count_up|finish|named|own_account|node|bounded)(_[a-z_]+)?"
)
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


def nothing(node: ast.AST) -> ast.AST:
    """A statement that does nothing, in its place."""
    return ast.copy_location(ast.Pass(), node)


def removals(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(what is removed, what stands there then) for each check that a node is: a raise, a refusal
    by return, a call that checks, one operand of a condition.
    """
    match node:
        case ast.Raise(exc=ast.expr()):
            yield said(node), nothing(node)
        case ast.Return(value=value):
            refuses = isinstance(value, ast.Constant) and value.value is False
            last = value.elts[-1] if isinstance(value, ast.Tuple) else value
            if isinstance(last, ast.Call) and isinstance(last.func, ast.Name):
                refuses = last.func.id == "Invalid"
            if refuses:
                yield said(node), nothing(node)
        case ast.Expr(value=ast.Call(func=called)):
            name = getattr(called, "attr", "") or getattr(called, "id", "")
            if CHECKING.fullmatch(name):
                yield said(node), nothing(node)
        case ast.BoolOp(values=values):
            for at, operand in enumerate(values):
                rest = values[:at] + values[at + 1 :]
                left = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
                yield said(operand), ast.copy_location(left, node)


def said(node: ast.AST) -> str:
    return f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)}"


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, Callable[[ast.AST], None]]]:
    """Every node below a tree, but for what is inside of a raise, and what puts another there."""
    for name, value in ast.iter_fields(tree):
        for at, node in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(node, ast.AST):
                put = (
                    partial(value.__setitem__, at)
                    if value is not node
                    else partial(setattr, tree, name)
                )
                yield node, put
                if not isinstance(node, ast.Raise):
                    yield from places(node)


def mutants(name: str) -> Iterator[tuple[str, CodeType]]:
    """(what was removed, the module's code without it) for every check of a module."""
    tree = ast.parse((PACKAGE / f"{name}.py").read_text())
    for node, put in list(places(tree)):
        for removed, other in removals(node):
            put(other)
            code = compile(tree, name, "exec")
            put(node)
            yield removed, code


# A copy that breaks is noticed, however it breaks.
BREAKS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError, RuntimeError, StopIteration,
    TypeError, ValueError,
)  # fmt: skip


@cache
def cases_at() -> Reached:
    """Numbers of the cases in which the verifier as it is executes a line."""
    modules = as_they_are()
    return reached(PACKAGE, [partial(judge, modules, wrong) for wrong in cases()])


def is_noticed(name: str, removed: str, code: CodeType) -> bool:
    """True when some case is judged otherwise, or the copy breaks."""
    text = removed.replace("'", '"')
    there = set(cases_at().get((name, line_of(removed)), ()))

    def cost(numbered: tuple[int, Wrong]) -> tuple[bool, bool, int]:
        # Those that come to the line, those whose code it names, the small: most copies need one.
        number, wrong = numbered
        return number not in there, f'"{wrong.code}"' not in text, sum(map(len, wrong.data))

    ordered = [wrong for _, wrong in sorted(enumerate(cases()), key=cost)]
    try:
        modules = copy_with(name, code)
        return any(judge(modules, wrong) != (wrong.code, wrong.place) for wrong in ordered)
    except BREAKS:
        return True


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
    unnoticed = [
        removed
        for removed, code in mutants(name)
        if f"{name} {removed.partition(': ')[2]}" not in NEEDLESS
        and not is_noticed(name, removed, code)
    ]
    assert unnoticed == []
