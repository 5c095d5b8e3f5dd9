"""The stub library, compiled once a session, and a process that has it loaded."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tests.machine import need

ROOT = Path(__file__).parent.parent.parent
SOURCE = Path(__file__).parent / "stub.c"


def compiled(folder: Path) -> Path:
    """An absolute path of a fresh `libnvidia-ml.so.1`; needs gcc."""
    need("gcc")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(SOURCE)],
        check=True,
    )
    return library


class Asker:
    """One process with one NVML whose devices are what `state` says at the moment of asking."""

    def __init__(self, library: Path, state: Path, text: str) -> None:
        self.state = state
        self.write(text)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nvml.asker", str(library)],
            cwd=ROOT,
            env={**os.environ, "STUB_NVML": str(state)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.opened = self._read()

    def write(self, text: str) -> None:
        """The library answers from this text from now on."""
        partial = self.state.with_suffix(".partial")
        partial.write_text(text)
        partial.replace(self.state)

    def add(self, text: str) -> None:
        self.write(self.state.read_text() + text + "\n")

    def ask(self, *question: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(question) + b"\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process with the library died"
        return msgspec.json.decode(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._process.communicate()
        assert self._process.returncode == 0
