"""A person at a terminal: tmux holds it, keys are typed, the screen is read."""

import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

_LOOK_S = 0.1
# What no command prints: the prompt, with the status of the command before it.
_PROMPT = re.compile(r"^<(\d+)>\$$")


class Terminal:
    """One shell, bash without any of a person's own settings, in its own tmux server."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._tmux = ("tmux", "-f", "/dev/null", "-S", str(folder / "tmux"))
        # Not by tmux's own -e: it gives a shell the PATH of whoever starts it.
        settings = [f"{name}={value}" for name, value in env.items()]
        self._do(
            "new-session", "-d", "-x", "250", "-y", "60", "-c", str(folder),
            "env", "-u", "TMUX", "PS1=<$?>$ ", *settings, "bash", "--norc", "--noprofile",
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._do("kill-server")

    def _do(self, *words: str) -> str:
        done = subprocess.run(
            [*self._tmux, *words], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def screen(self) -> str:
        """What is seen, and what has scrolled away above it; long lines are whole."""
        return self._do("capture-pane", "-p", "-J", "-S", "-").rstrip()

    def type(self, text: str, *, enter: bool = True) -> None:
        self._do("send-keys", "-l", text)
        if enter:
            self._do("send-keys", "Enter")

    def until(self, what: Callable[[str], bool], within_s: float = 60) -> str:
        """The screen once it shows that."""
        deadline = time.monotonic() + within_s
        while not what(seen := self.screen()):
            assert time.monotonic() < deadline, seen
            time.sleep(_LOOK_S)
        return seen

    def run(self, command: str, *, within_s: float = 60, status: int = 0) -> str:
        """What the command printed, once the prompt is back; its exit status is that one."""
        self.until(_prompted, within_s)
        self._do("send-keys", "-R")
        self._do("clear-history")
        self._do("send-keys", "Enter")  # a prompt at the top of an empty screen
        self.until(_prompted, within_s)
        self.type(command)
        self.until(lambda seen: command in seen and _prompted(seen), within_s)
        seen = self.screen()
        found = _PROMPT.match(seen.splitlines()[-1])
        assert found is not None
        assert int(found[1]) == status, seen
        _, _, said = seen.partition(command)
        return said.rpartition("\n")[0].strip("\n")


def _prompted(seen: str) -> bool:
    lines = seen.splitlines()
    return bool(lines) and _PROMPT.match(lines[-1]) is not None
