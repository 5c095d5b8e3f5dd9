"""`make mutants`: mutmut changes rating, ledger and invoices one place at a time; tests must notice.

`python -m tests.mutants`: in a virtual environment of its own that stands on this one's packages,
in `build/mutants`. mutmut writes the mutants and finds which test reaches which function; the tests
named here judge them (`judged_mutants.py`: collected once, a process a mutant). Prints the names of
those that lived and how many were killed, by module, those that ran into their time's end included;
1 when fewer than `FLOOR` percent were. What was judged stands until a file changes: a run that was
broken off goes on. `python -m tests.mutants 'domain.ledger.*' ...`: only those.
`python -m tests.mutants show NAME`: what a mutant changed. Source: mutmut's manual, 3.x.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
PLACE: Final = ROOT / "build" / "mutants"
VERDICTS: Final = PLACE / "verdicts.jsonl"
VENV: Final = ROOT / "build" / "mutmut"
WANTED: Final = "mutmut==3.8.1"
FLOOR: Final = 90
MUTATED: Final = tuple(
    f"domain/{name}.py"
    for name in (
        *("rating", "charging", "rating_readings", "rerating", "tariff", "cover", "pooling"),
        *("accrual", "placed", "prepayment", "rating_reserved", "rating_volumes", "ledger"),
        *("invoice", "statement", "taxing", "taxed", "crediting"),
    )
)
_REPRICED: Final = (
    "tests/property/test_repricing.py::"
    "test_24_closed_months_of_late_voided_and_re_priced_use_are_what_scratch_makes_of_them"
)
JUDGES: Final = (
    "tests/unit/test_domain_accrual.py",
    "tests/unit/test_domain_money.py",
    "tests/unit/test_domain_money_words.py",
    "tests/unit/test_domain_prices.py",
    "tests/unit/test_domain_rating_lives.py",
    "tests/unit/test_domain_rating_readings.py",
    "tests/unit/test_domain_rating_words.py",
    "tests/unit/test_domain_tariff.py",
    "tests/unit/test_domain_readings.py",
    "tests/unit/test_domain_tax.py",
    "tests/unit/test_kept_reservations.py",
    "tests/unit/test_kept_volumes.py",
    "tests/unit/test_verify_books_credited.py",
    "tests/unit/test_verify_books_idle.py",
    "tests/unit/test_verify_books_kept.py",
    "tests/unit/test_verify_books_read_regions.py",
    "tests/unit/test_verify_books_regions.py",
    "tests/unit/test_verify_books_returns.py",
    "tests/unit/test_verify_books_tax.py",
    "tests/unit/test_verify_books_volumes.py",
    "tests/unit/test_verify_books_wallets.py",
    "tests/property/test_domain_bounds.py",
    "tests/property/test_domain_rating.py",
    "tests/property/test_books_agree.py",
    "tests/property/test_books_tax.py",
    "tests/property/test_large_pools.py::test_a_part_is_settled_as_the_whole",
    "tests/property/test_large_pools.py::test_sums_and_bounds_are_found_among_many_blocks",
    "tests/property/test_prepaid_prices.py",
    "tests/property/test_readings.py",
    f"{_REPRICED}[0]",
    f"{_REPRICED}[10]",
    "tests/property/test_repricing.py::test_pools_come_to_the_same_in_any_order_and_however_they_are_cut",
    "tests/property/test_wallets.py",
    "tests/museum",
)
_SERVED: Final = "tests/museum/test_readings.py"  # needs servers, which mutants do not change
_COPIED: Final = (
    "tests", "domain", "contracts", "projections", "evidence", "api", "agent", "migrations",
    "evidence/verifier/gpuaas_verify",
)  # fmt: skip
_NO_BYTECODE: Final = shutil.ignore_patterns("__pycache__")
_ARGUMENTS: Final = [
    *("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "tests.judged_mutants", "--capture=no"),
    f"--ignore={_SERVED}",
]
_FIRST: Final = "domain.ledger.x_post__mutmut_1"
_KILLED: Final = ("killed", "time")


def main(arguments: list[str]) -> int:
    """0 when enough were killed."""
    program = _installed()
    if arguments[:1] == ["show"]:
        return subprocess.run([program, *arguments], cwd=PLACE, check=False).returncode
    env = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(PLACE / ".hypothesis")}
    for variable in ("PYTEST_ADDOPTS", "HYPOTHESIS_PROFILE"):
        env.pop(variable, None)
    whole, digest = PLACE / "whole", _digest()
    if not whole.exists() or whole.read_text() != digest:
        _laid_out()
        # It writes all mutants, and which test reaches which function; of judging it does one.
        subprocess.run(
            [program, "run", "--max-children", "1", _FIRST], cwd=PLACE, env=env, check=True
        )
        whole.write_text(digest)
    env |= {"VERDICTS": str(VERDICTS), "PATTERNS": "\n".join(arguments)}
    judge = [str(program.with_name("python")), "-m", "pytest", "--rootdir=.", "-q", *_ARGUMENTS]
    subprocess.run([*judge, *JUDGES], cwd=PLACE / "mutants", env=env, check=True)
    return told([json.loads(line) for line in VERDICTS.read_text().splitlines()])


def told(verdicts: list[dict[str, Any]]) -> int:
    """Prints who lived and the table by module; 0 when enough were killed."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for one in sorted(verdicts, key=lambda one: str(one["mutant"])):
        name, verdict = one["mutant"], one["verdict"]
        if verdict not in _KILLED:
            print(f"{verdict}: {name}")
        for line in (name.split(".")[1], "all"):
            table[line][verdict] += 1
    states = ["killed", "time", "lived", "no test"]
    states += sorted(set(table["all"]) - set(states))
    print(f"{'module':18}{'mutants':>9}" + "".join(f"{state:>9}" for state in states) + "   killed")
    for line in (*sorted(set(table) - {"all"}), "all"):
        found = table[line]
        share = f"{100 * _killed(found) / max(found.total(), 1):8.1f}%"
        counts = "".join(f"{found[state]:9}" for state in states)
        print(f"{line:18}{found.total():9}{counts}{share}")
    whole = table["all"]
    return 0 if whole and 100 * _killed(whole) >= FLOOR * whole.total() else 1


def _killed(found: Counter[str]) -> int:
    return sum(found[state] for state in _KILLED)


def _installed() -> Path:
    """mutmut, beside the packages of this environment; none of those is replaced."""
    if not (VENV / "whole").exists():
        uv = Path(sys.executable).with_name("uv")
        env = {**os.environ, "VIRTUAL_ENV": str(VENV)}
        for step in (["venv", "-q", "--clear", "--python", sys.executable, str(VENV)],
                     ["pip", "install", "-q", WANTED]):  # fmt: skip
            subprocess.run([uv, *step], env=env, check=True)
        [packages] = (VENV / "lib").glob("python3*/site-packages")
        (packages / "platform.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        (VENV / "whole").touch()
    return VENV / "bin" / "mutmut"


def _digest() -> str:
    """Of all that a verdict follows from; a run that was broken off goes on while it is the same."""
    found = sha256()
    files = [path for name in _COPIED for path in (ROOT / name).rglob("*") if path.is_file()]
    for path in sorted(set(files) | {ROOT / "pyproject.toml"}):
        if "__pycache__" not in path.parts:
            found.update(f"{path}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _laid_out() -> None:
    """A copy of the rooms with mutmut's settings; what it found before is forgotten."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    for name in _COPIED:
        shutil.copytree(ROOT / name, PLACE / Path(name).name, ignore=_NO_BYTECODE)
    _configured()


def _configured() -> None:
    pytest = (ROOT / "pyproject.toml").read_text().split("[tool.pytest.ini_options]", 1)[1]
    settings = {
        "source_paths": ["domain"],
        "only_mutate": list(MUTATED),
        "also_copy": [Path(name).name for name in _COPIED if name != "domain"],
        "track_dependencies": False,
        "pytest_add_cli_args": _ARGUMENTS,
        "pytest_add_cli_args_test_selection": list(JUDGES),
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    text = "\n".join(["[tool.mutmut]", *lines, "", "[tool.pytest.ini_options]"])
    (PLACE / "pyproject.toml").write_text(text + pytest.split("\n[tool.", 1)[0] + "\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
