"""No check of the auditor's books could be left out unnoticed: the books' own tests, on books that lack it."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain, product
from types import CodeType, ModuleType
from typing import Any

import pytest

from tests.property import books_history, books_judged, tax_history
from tests.reached import Reached, line_of, rarely, reached, refused
from tests.removals import BREAKS, PACKAGE, SWITCH, unnoticed
from tests.unit import (
    test_kept_reservations,
    test_verify_books,
    test_verify_books_budgets,
    test_verify_books_claims,
    test_verify_books_credited,
    test_verify_books_dunning,
    test_verify_books_edges,
    test_verify_books_idle,
    test_verify_books_kept,
    test_verify_books_lending,
    test_verify_books_moves,
    test_verify_books_prices,
    test_verify_books_read_regions,
    test_verify_books_refusals,
    test_verify_books_regions,
    test_verify_books_rereads,
    test_verify_books_returns,
    test_verify_books_shelves,
    test_verify_books_states,
    test_verify_books_tax,
    test_verify_books_upkeep,
    test_verify_books_usage,
    test_verify_books_volumes,
    test_verify_books_wallets,
)
from tests.unit.test_verify_checks import NAMES, copy_with
from tests.unit.test_verify_checks import compiled as as_written

# In the order in which they import each other.
TESTS = (
    books_history, books_judged, test_verify_books, test_verify_books_refusals, test_verify_books_claims, test_verify_books_edges,
    test_verify_books_prices, test_verify_books_upkeep, test_verify_books_volumes,
    test_verify_books_shelves, test_verify_books_lending, test_verify_books_budgets, test_verify_books_moves,
    tax_history, test_verify_books_tax,
    test_verify_books_usage, test_verify_books_wallets, test_verify_books_rereads,
    test_verify_books_kept, test_verify_books_returns, test_verify_books_dunning,
    test_verify_books_credited,
    test_verify_books_states, test_verify_books_regions, test_verify_books_idle, test_kept_reservations,
    test_verify_books_read_regions,
)  # fmt: skip
BOOKS = [name for name in NAMES if name.startswith("books")]
# Removed without consequence for the verdict, with the reason.
SPILL = "holds state and refuses nothing"
LEFT_OUT = {"books_spill": SPILL}
NEEDLESS = {
    "books_wallet raise fail('books.wallet', 'it is below zero', position, 'balance_pico')": (
        "no lot gives more than it has, so no sum of them falls below zero"
    ),
    "books_invoice period[3] is None": "the number a fact must have in `closed` is never null",
    "books_invoice superseded is not None": "no position is null",
    "books_life self._spill.get('runtime', '', entry['stream']) is not None": (
        "version 1 of a stream comes once"
    ),
    "books_lending before[0]": "nobody asks for what is above an organization",
    "books_pieces old is None": "what is charged had a price",
    "books_rating bounded(amount, position, 'amount_pico')": "the line or the balance tells it first",
}

type Judgement = Callable[[], object]


class Retold:
    """The books' tests, importing a copied verifier; each is told anew when it is first asked for."""

    def __init__(self, copies: dict[str, ModuleType]) -> None:
        self._own = {f"gpuaas_verify.{name}": module for name, module in copies.items()}
        self._told: dict[str, list[Judgement]] = {}

    def judgement(self, test: ModuleType, number: int) -> Judgement:
        if test.__name__ not in self._told:
            self._told[test.__name__] = list(judgements(self._module(test)))
        return self._told[test.__name__][number]

    def _module(self, test: ModuleType) -> ModuleType:
        name = test.__name__
        if name not in self._own:
            for other in needed(test):
                self._module(other)
            module = self._own[name] = ModuleType(name)
            module.__file__ = test.__file__
            kept = {key: sys.modules[key] for key in self._own if key in sys.modules}
            sys.modules.update(self._own)
            try:
                exec(compiled(test), module.__dict__)  # noqa: S102 - our own tests
            finally:
                for key in self._own:
                    sys.modules.pop(key, None)
                sys.modules.update(kept)
        return self._own[name]


@cache
def needed(test: ModuleType) -> tuple[ModuleType, ...]:
    """Those of the books' tests that one imports by itself."""
    names = {
        node.module
        for node in ast.parse(inspect.getsource(test)).body
        if isinstance(node, ast.ImportFrom)
    }
    return tuple(other for other in TESTS if other.__name__ in names)


_COMPILED: dict[str, CodeType] = {}


def compiled(test: ModuleType) -> CodeType:
    """The test module's code; its source is read once."""
    if test.__name__ not in _COMPILED:
        _COMPILED[test.__name__] = compile(inspect.getsource(test), str(test.__file__), "exec")
    return _COMPILED[test.__name__]


def judgements(module: ModuleType) -> Iterator[Judgement]:
    """Every test of the module, with each of its parameters; none of those that need a fixture."""
    for name, test in vars(module).items():
        if name.startswith("test_") and getattr(test, "__module__", "") == module.__name__:
            wanted = set(inspect.signature(test).parameters)
            for given in arguments(test):
                if set(given) == wanted:
                    yield partial(test, **given)


def arguments(test: Callable[..., object]) -> Iterator[dict[str, Any]]:
    """Every set of arguments that its `parametrize` marks give a test, one empty set without marks."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    choices = []
    for mark in marks:
        names, values = mark.args
        names = [name.strip() for name in names.split(",")] if type(names) is str else names
        rows = [(value,) if len(names) == 1 else value for value in values]
        choices.append([dict(zip(names, row, strict=True)) for row in rows])
    for chosen in product(*choices):
        yield {name: value for part in chosen for name, value in part.items()}


@cache
def judged() -> tuple[tuple[ModuleType, int], ...]:
    """Every judgement: its module, and its number there."""
    return tuple((test, at) for test in TESTS for at, _ in enumerate(judgements(test)))


@cache
def judged_at() -> Reached:
    """Numbers of the judgements in which the books as they are execute a line."""
    return reached(PACKAGE, list(chain.from_iterable(map(judgements, TESTS))))


class Books:
    """The books' tests, judging copies of the verifier's modules."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._copies = name, copy_with(name, code)
        self._retold, self._left_out = Retold(self._copies), -1

    def leave_out(self, number: int) -> None:
        self._left_out = number

    def noticing(self, removed: str) -> int | None:
        line, every = line_of(removed), len(judged_at().lines)
        rare = rarely(judged_at(), self._name, line)
        there = refused(judged_at(), self._name, line)

        def cost(number: int) -> tuple[int, int]:
            return there.get(number, every), rare.get(number, every + 1)

        ordered = sorted(range(len(judged())), key=cost)
        return next((number for number in ordered if not self.agrees(number)), None)

    def agrees(self, judgement: int) -> bool:
        module = self._copies[self._name]
        try:
            # Told of books that lack nothing: others are judged by what is told, too.
            setattr(module, SWITCH, -1)
            told = self._retold.judgement(*judged()[judgement])
            setattr(module, SWITCH, self._left_out)
            told()
        except (*BREAKS, pytest.fail.Exception, self._copies["errors"].Invalid):
            return False
        return True


def test_the_books_as_they_are_pass_their_own_tests_when_copied() -> None:
    """Else everything below would be noticed whatever was removed."""
    assert Books("books", as_written("books")).noticing("line 0: nothing") is None


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BOOKS if name not in LEFT_OUT])
def test_each_check_of_the_books_removed_is_noticed(name: str) -> None:
    """Books that lack one raise, one refusal, one checking call or one operand of a condition fail a test."""
    assert unnoticed(name, partial(Books, name), NEEDLESS) == []
