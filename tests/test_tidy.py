"""The house rules that a machine can check (HOUSE.md, rules 1, 6, 8, 10, 11)."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("contracts", "domain", "evidence", "projections", "api", "agent", "migrations", "client")
HARD_MODULE, HARD_FUNCTION = 400, 60
# The outermost loop of a process may catch everything, to say so and end (HOUSE.md rule 3); the
# election, to say so and be tried anew (ADR 79).
OUTERMOST_LOOPS = {
    "api/admission/election.py",
    "api/cli.py",
    "evidence/verifier/gpuaas_verify/cli.py",
}

# Written by `python -m api.openapi` and compared with it: as long as the API is.
GENERATED = {
    f"client/gpuaas_client/{name}.py"
    for name in ("models", "operations", "methods", "async_methods")
}

# Names that a library's interface imposes.
IMPOSED = {"process_recorder", "process_redirect"}


def tracked() -> list[Path]:
    """Files of the repository that are tracked or would be."""
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [path for line in out.splitlines() if (path := ROOT / line).is_file()]


def python_files(*, tests: bool) -> list[Path]:
    """Python files of the rooms, or of the tests."""
    return [
        path
        for path in tracked()
        if path.suffix == ".py" and (path.relative_to(ROOT).parts[0] == "tests") is tests
    ]


class Defined(NamedTuple):
    """A function, or a class, as a module defines it; lines it is long."""

    name: str
    line: int
    length: int
    is_class: bool
    says: bool


@cache
def defined(path: Path) -> tuple[Defined, ...]:
    """Every function and class of a module, inner ones too; it is read once."""
    return tuple(
        Defined(
            *(node.name, node.lineno, (node.end_lineno or 0) - node.lineno + 1),
            isinstance(node, ast.ClassDef),
            ast.get_docstring(node) is not None,
        )
        for node in statements(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below: definitions are nowhere else."""
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        for below in getattr(node, part, ()):
            yield below
            yield from statements(below)


def functions(path: Path) -> Iterator[Defined]:
    return (one for one in defined(path) if not one.is_class)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_modules_and_functions_keep_their_budgets() -> None:
    """No module over 400 lines, no function over 60."""
    over = []
    for path in python_files(tests=False):
        text = path.read_text()
        if text.count("\n") > HARD_MODULE and name(path) not in GENERATED:
            over.append(f"{name(path)}: {text.count(chr(10))} lines")
        over += [
            f"{name(path)}:{f.line} {f.name}: {f.length} lines"
            for f in functions(path)
            if f.length > HARD_FUNCTION
        ]
    assert not over, over


def test_every_room_has_a_readme_and_every_package_is_one() -> None:
    """A room says what it may import and what it promises."""
    for room in ROOMS:
        readme = ROOT / room / "README.md"
        assert readme.is_file(), readme
        assert len(readme.read_text()) > 300, f"{readme} says too little"
    for path in python_files(tests=True):
        assert (path.parent / "__init__.py").is_file(), path


@pytest.mark.parametrize("room", ROOMS)
def test_a_readme_names_each_module_and_none_that_is_not_there(room: str) -> None:
    """Whoever looks for what a module is for finds it in its room's README."""
    readme = (ROOT / room / "README.md").read_text()
    parts = {
        path.relative_to(ROOT / room).parts
        for path in python_files(tests=False)
        if path.is_relative_to(ROOT / room)
    }
    there = {one[0].removesuffix(".py") for one in parts} - {"__init__", "__main__"}
    quoted = re.findall(r"`([^`\n]+)`", readme)
    named = {word for text in quoted for word in re.split(r"[^A-Za-z0-9_]+", text)}
    assert there <= named, sorted(there - named)
    rows = [line.split(" | ")[0] for line in readme.splitlines() if line.startswith("| `")]
    assert len(rows) == len(set(rows)), "a row is there twice"
    known = {word.removesuffix(".py") for one in parts for word in one} | {"__init__", "__main__"}
    listed = {word for row in rows for word in re.findall(r"`([a-z0-9_]+)\.py`", row)}
    assert listed <= known, sorted(listed - known)
    long = [line for line in readme.splitlines() if len(line) > 60]
    assert len(long) == len(set(long)), "a line is there twice"


def test_names_say_what_a_thing_is() -> None:
    """No manager, util, helper, base, common or process in module, class or function names."""
    banned = re.compile(r"(^|_)(managers?|utils?|helpers?|base|common|process)(_|$)")
    odd = []
    for path in python_files(tests=False):
        if banned.search(path.stem):
            odd.append(name(path))
        for one in defined(path):
            snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", one.name).lower()
            if banned.search(snake) and one.name not in IMPOSED:
                odd.append(f"{name(path)}:{one.line} {one.name}")
    assert not odd, odd


def test_nothing_is_left_unfinished_mocked_or_swallowed() -> None:
    """No marks of unfinished work, no patching, no broad except outside outermost loops."""
    pattern = re.compile(
        r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|mock\.pa" r"tch|NotImplemented"
        r"Error|mark\.(sk" r"ip\b|xf" r"ail)|type: ig" r"nore(?!\[)"
    )  # fmt: skip
    broad = re.compile(r"except Exc" r"eption\b|except" r":")
    odd = []
    for path in [*python_files(tests=False), *python_files(tests=True)]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if pattern.search(line):
                odd.append(f"{name(path)}:{number}: {line.strip()}")
            if broad.search(line) and name(path) not in OUTERMOST_LOOPS:
                odd.append(f"{name(path)}:{number}: {line.strip()}")
    assert not odd, "\n".join(odd)


@pytest.mark.parametrize("room", ["domain", "contracts", "evidence"])
def test_no_float_where_money_and_evidence_live(room: str) -> None:
    """No float literal and no `float` call in domain/, evidence/ and contracts/.

    True division stays only where a wait is handed to the event loop: milliseconds `/ 1000`.
    """
    odd = []
    for path in python_files(tests=False):
        if path.relative_to(ROOT).parts[0] != room:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            named = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float"
            if literal or named or _divides(node, paths=room == "evidence"):
                odd.append(f"{name(path)}:{getattr(node, 'lineno', 0)}")
    assert not odd, odd


def _divides(node: ast.AST, *, paths: bool) -> bool:
    """A true division. Where paths are joined, only one by a number tells itself apart."""
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
        return False
    if not paths:
        return True
    number = node.right.value if isinstance(node.right, ast.Constant) else None
    return isinstance(number, int) and number != 1000


def test_every_test_states_its_law() -> None:
    """A test's docstring is the law it enforces."""
    bare = [
        f"{name(path)}:{f.line} {f.name}"
        for path in python_files(tests=True)
        for f in functions(path)
        if f.name.startswith("test_") and not f.says
    ]
    assert not bare, bare


def test_the_repository_names_no_registry_and_no_machine() -> None:
    """The lock pins by hash and names no host; no file names a path of somebody's machine."""
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not (ROOT / "uv.lock").exists() or (ROOT / "uv.lock") not in tracked()
    machine = re.compile(r"(?<![\w.])/(wo" r"rk|ro" r"ot|ho" r"me)/\w")
    odd = [
        f"{name(path)}:{number}"
        for path in tracked()
        if path.suffix in {".py", ".md", ".toml", ".sql", ".yaml", ".json", ".cedar", ""}
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if machine.search(line)
    ]
    assert not odd, odd


def test_every_ruff_exception_has_its_reason() -> None:
    """`ALL` minus a list in which each line says why."""
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("ignore = [") : text.index("[tool.ruff.lint.per-file-ignores]")]
    for line in block.splitlines()[1:]:
        if line.strip().startswith('"'):
            assert re.search(r"#\s+\S.{4,}", line), line


def test_no_two_modules_share_an_advisory_lock() -> None:
    """A number of a PostgreSQL advisory lock belongs to one module (list: migrations/README.md)."""
    owners: dict[str, set[str]] = {}
    listed = (ROOT / "migrations" / "README.md").read_text()
    for path in python_files(tests=False):
        for number in re.findall(r"advisory\w*lock\((\d+)\)", path.read_text()):
            owners.setdefault(number, set()).add(name(path))
    assert all(len(modules) == 1 for modules in owners.values()), owners
    assert all(number in listed for number in owners), owners
