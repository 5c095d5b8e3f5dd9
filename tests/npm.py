"""Programs from npm that judge us or stand beside us, each set in a folder of its own under build/."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def installed(name: str, wanted: tuple[str, ...], files: Mapping[str, str]) -> Path:
    """The folder with what is wanted under node_modules, and these files beside it.

    Of two workers one installs. Fails in CI where that cannot be done; skips elsewhere.
    """
    folder = ROOT / "build" / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").exists():
            _install(folder, wanted)
        for file, text in files.items():
            (folder / file).write_text(text)
    return folder


def _install(folder: Path, wanted: tuple[str, ...]) -> None:
    npm = shutil.which("npm")
    said = "there is no npm"
    if npm is not None:
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", *wanted],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = done.stderr[-500:]
        if done.returncode == 0:
            (folder / "whole").touch()
            return
    message = f"{', '.join(wanted)} could not be installed: {said}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
