"""Programs from npm that judge us or stand beside us, each set in a folder of its own under build/."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.fetched import BUILD, cannot, fetch, once


def installed(name: str, wanted: tuple[str, ...], files: Mapping[str, str]) -> Path:
    """The folder with what is wanted under node_modules, and these files beside it.

    Of two workers one installs. Fails in CI where that cannot be done; skips elsewhere.
    """
    folder = BUILD / name
    with once(folder) as missing:
        if missing:
            _install(folder, wanted)
        for file, text in files.items():
            (folder / file).write_text(text)
    return folder


def _install(folder: Path, wanted: tuple[str, ...]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        cannot(", ".join(wanted), "there is no npm")
    folder.mkdir(exist_ok=True)
    (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--silent")
    fetch(["npm", "install", *options, *wanted], ", ".join(wanted), folder, {})
