"""A module's checks, each removed: as code of its own, or all in one code that a switch leaves out one by one.

The switched code is compiled and executed once for all of a module's checks; what it shows is made
sure of with code that lacks the one check (`tests/unit/test_verify_checks.py`).
"""

import ast
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from types import CodeType
from typing import Protocol

import gpuaas_verify

PACKAGE = Path(gpuaas_verify.__file__).parent
# A module's global of this name says which of its checks is left out.
SWITCH = "__left_out__"
# A copy that breaks is noticed, however it breaks.
BREAKS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError, RuntimeError, StopIteration,
    TypeError, ValueError,
)  # fmt: skip
# What is called for its refusal alone.
CHECKING = re.compile(
    "_?(check|verify|compare|raise|same|count_up|finish|named|own_account|node|bounded)(_[a-z_]+)?"
)


def parsed(name: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{name}.py").read_text())


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


@cache
def removed_of(name: str) -> tuple[str, ...]:
    """What may be removed of a module; its place here is its number."""
    return tuple(what for node, _ in places(parsed(name)) for what, _ in removals(node))


def code_without(name: str, number: int) -> CodeType:
    """The module's code without the check of that number."""
    tree, at = parsed(name), 0
    for node, put in list(places(tree)):
        for _, other in removals(node):
            if at == number:
                put(other)
                return compile(tree, name, "exec")
            at += 1
    raise AssertionError(f"{name} has no check number {number}")


def switched(name: str) -> CodeType:
    """The module's code with every check; the one whose number SWITCH is does not count.

    What is executed when the module is imported is not switched: nothing was left out then.
    """
    tree, number = parsed(name), 0
    # A node comes before what is in it: what is put in its place is made of parts as written.
    for node, put in list(places(tree)):
        whole = node
        for _, other in removals(node):
            if isinstance(whole, ast.stmt):
                instead: ast.AST = ast.If(_is(number), [ast.Pass()], [whole])
            else:
                assert isinstance(whole, ast.expr)
                assert isinstance(other, ast.expr)
                instead = ast.IfExp(_is(number), deepcopy(other), whole)
            whole = ast.copy_location(instead, node)
            number += 1
        if whole is not node:
            put(whole)
    first = ast.parse(f"{SWITCH} = -1").body
    tree.body[:0] = first
    return compile(ast.fix_missing_locations(tree), name, "exec")


def _is(number: int) -> ast.Compare:
    return ast.Compare(ast.Name(SWITCH, ast.Load()), [ast.Eq()], [ast.Constant(number)])


class Judged(Protocol):
    """Copies of the verifier's modules, one of them of given code, and judgements on them."""

    def leave_out(self, number: int) -> None:
        """Sets the switch of that module, -1 for every check."""

    def noticing(self, removed: str) -> int | None:
        """The first judgement that is another one with these copies; whatever in BREAKS counts."""

    def agrees(self, judgement: int) -> bool:
        """Whether a judgement is the right one with these copies."""


def unnoticed(
    name: str, judged: Callable[[CodeType], Judged], needless: dict[str, str]
) -> list[str]:
    """What may be removed of a module without any judgement noticing, but for what is needless.

    A judgement notices when it differs without the check and agrees with it: else something of
    before is still in the copies, which are made anew. What no judgement notices is removed from
    the code itself and judged again: it may be executed by the import alone.
    """
    left: list[str] = []
    copies = judged(switched(name))
    for number, removed in enumerate(removed_of(name)):
        if f"{name} {removed.partition(': ')[2]}" in needless:
            continue
        copies.leave_out(number)
        first = copies.noticing(removed)
        copies.leave_out(-1)
        if first is not None and copies.agrees(first):
            continue
        if first is not None:
            copies = judged(switched(name))
        try:
            if judged(code_without(name, number)).noticing(removed) is None:
                left.append(removed)
        except BREAKS:
            continue
    return left
