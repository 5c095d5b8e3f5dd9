"""Processes whose wall clock is off, by a library that answers for it (`skew.c`); needs gcc."""

import subprocess
from pathlib import Path

from tests.machine import need

SOURCE = Path(__file__).parent / "skew.c"


def compiled(folder: Path, source: Path = SOURCE) -> Path:
    """The library's absolute path, for LD_PRELOAD."""
    need("gcc")
    library = folder.absolute() / f"{source.stem}.so"
    flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Werror")
    subprocess.run(["gcc", *flags, "-o", str(library), str(source)], check=True)
    return library


def off_by(library: Path, us: int) -> dict[str, str]:
    """What its environment has beside the rest."""
    return {"LD_PRELOAD": str(library), "SKEW_US": str(us)}
