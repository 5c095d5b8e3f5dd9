"""What is fetched from a registry while tests run: programs that judge us, each set by itself."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import pytest

BUILD: Final = Path(__file__).parent.parent / "build"
_PAUSES_S: Final = (2, 5, 10, 20, 40)  # a registry that is away for a minute is waited for


@contextmanager
def once(folder: Path) -> Iterator[bool]:
    """Whether it has to be made whole, for the length of the block; of two workers one does it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = folder / "whole"
        missing = not whole.exists()
        yield missing
        if missing:
            whole.touch()


def fetch(argv: Sequence[str | Path], what: str, cwd: Path, env: dict[str, str]) -> None:
    """Said again for more than a minute. Then it fails in CI, and skips elsewhere."""
    said = ""
    for pause in (*_PAUSES_S, 0):
        done = subprocess.run(
            argv, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
        said = done.stderr[-500:]
        time.sleep(pause)
    cannot(what, said)


def cannot(what: str, why: str) -> NoReturn:
    message = f"{what} could not be installed: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def environment(name: str, wanted: tuple[str, ...]) -> Path:
    """A virtual environment of its own under build/, for what the platform must not depend on."""
    home = BUILD / name
    with once(home) as missing:
        if missing:
            uv, env = Path(sys.executable).with_name("uv"), {"VIRTUAL_ENV": str(home)}
            fetch([uv, "venv", "-q", "--clear", "--python", sys.executable, home], name, BUILD, env)
            fetch([uv, "pip", "install", "-q", *wanted], name, BUILD, env)
    return home
