"""`make mutants`: mutmut changes rating, ledger and invoices one place at a time; tests must notice.

`python -m tests.mutants`: in a virtual environment of its own that stands on this one's packages,
in `build/mutants`. Prints how many of how many mutants were killed (those that ran into their
time's end included) and the names of those that lived; 1 when fewer than `FLOOR` percent were.
`python -m tests.mutants show NAME`: what a mutant changed. Source: mutmut's manual, 3.x.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PLACE: Final = ROOT / "build" / "mutants"
VENV: Final = ROOT / "build" / "mutmut"
WANTED: Final = "mutmut==3.8.1"
FLOOR: Final = 90
MUTATED: Final = tuple(
    f"domain/{name}.py"
    for name in (
        *("rating", "charging", "rating_readings", "rerating", "tariff", "cover", "prepayment"),
        *("ledger", "invoice", "taxing", "taxed", "crediting"),
    )
)
JUDGES: Final = (
    "tests/unit/test_domain_money.py",
    "tests/unit/test_domain_money_words.py",
    "tests/unit/test_domain_prices.py",
    "tests/unit/test_domain_readings.py",
    "tests/unit/test_domain_tax.py",
    "tests/unit/test_verify_books_tax.py",
    "tests/property/test_domain_bounds.py",
    "tests/property/test_domain_rating.py",
    "tests/property/test_books_agree.py",
    "tests/property/test_books_tax.py",
    "tests/property/test_readings.py",
    "tests/property/test_repricing.py",
    "tests/property/test_wallets.py",
    "tests/museum",
)
_SERVED: Final = "tests/museum/test_readings.py"  # needs servers, which mutants do not change
_COPIED: Final = (
    "tests", "domain", "contracts", "projections", "evidence", "api", "agent", "migrations",
    "evidence/verifier/gpuaas_verify",
)  # fmt: skip
_NO_BYTECODE: Final = shutil.ignore_patterns("__pycache__")
_KILLED: Final = {"killed", "timeout", "segfault", "suspicious"}


def main(arguments: list[str]) -> int:
    """0 when enough were killed."""
    program = _installed()
    if arguments:
        return subprocess.run([program, *arguments], cwd=PLACE, check=False).returncode
    _laid_out()
    env = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(PLACE / ".hypothesis")}
    done = subprocess.run([program, "run"], cwd=PLACE, env=env, check=False)
    if done.returncode:
        return done.returncode
    said = subprocess.run(
        [program, "results", "--all", "true"], cwd=PLACE, check=True, capture_output=True, text=True
    ).stdout
    found = [line.strip().rsplit(": ", 1) for line in said.splitlines() if ": " in line]
    counts = Counter(state for _, state in found)
    killed, total = sum(counts[state] for state in _KILLED), len(found)
    for name, state in found:
        if state not in _KILLED:
            print(f"{state}: {name}")
    print(f"{killed} of {total} mutants killed ({dict(counts)})")
    return 0 if total and 100 * killed >= FLOOR * total else 1


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


def _laid_out() -> None:
    """A copy of the rooms with mutmut's settings; what it found before is forgotten."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    for name in _COPIED:
        shutil.copytree(ROOT / name, PLACE / Path(name).name, ignore=_NO_BYTECODE)
    pytest = (ROOT / "pyproject.toml").read_text().split("[tool.pytest.ini_options]", 1)[1]
    settings = {
        "source_paths": ["domain"],
        "only_mutate": list(MUTATED),
        "also_copy": [Path(name).name for name in _COPIED if name != "domain"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist", f"--ignore={_SERVED}"],
        "pytest_add_cli_args_test_selection": list(JUDGES),
    }
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    text = "\n".join(["[tool.mutmut]", *lines, "", "[tool.pytest.ini_options]"])
    (PLACE / "pyproject.toml").write_text(text + pytest.split("\n[tool.", 1)[0] + "\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
