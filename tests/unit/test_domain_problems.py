import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.problems import _TABLE, PROBLEMS
from contracts.problems_fleet import FLEET
from contracts.problems_identity import IDENTITY
from contracts.problems_money import MONEY

ROOT = Path(__file__).parents[2]
ROOMS = ("contracts", "domain", "evidence", "projections", "api", "agent", "migrations")
REFUSALS = {"DeviceError", "DomainError", "FleetError", "Refused"}
CODE = re.compile(r"[a-z_]+\.[a-z_]+")


def raised(room: str) -> Iterator[tuple[str, str]]:
    for path in (ROOT / room).rglob("*.py"):
        if "verifier" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            code = first.value if isinstance(first, ast.Constant) else None
            if name in REFUSALS and isinstance(code, str) and CODE.fullmatch(code):
                yield code, str(path.relative_to(ROOT))


@pytest.mark.parametrize("room", ROOMS)
def test_every_code_a_room_raises_is_registered(room: str) -> None:
    """A refusal has a permanent code that tells the caller what to do (HOUSE.md rule 2)."""
    missing = {code: where for code, where in raised(room) if code not in PROBLEMS}
    assert not missing


def test_the_scan_finds_codes() -> None:
    """The comparison above cannot pass by finding nothing."""
    assert {"quota.exceeded", "capacity.none_fits"} <= {code for code, _ in raised("domain")}


def test_the_table_is_ordered_unique_and_says_what_to_do() -> None:
    """One row per code, in order; a 4xx or 5xx; a title and a remedy that are sentences."""
    for table in (_TABLE, FLEET, MONEY, IDENTITY):
        codes = [line.split("|")[0] for line in table.splitlines()]
        assert codes == sorted(set(codes))
    rows = [one for table in (_TABLE, FLEET, MONEY, IDENTITY) for one in table.splitlines()]
    assert len(PROBLEMS) == len(rows)
    for code, problem in PROBLEMS.items():
        assert CODE.fullmatch(code)
        assert 400 <= problem.status < 600
        assert problem.title[0].isupper()
        assert problem.remedy.endswith(".")
