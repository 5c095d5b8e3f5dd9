"""Where the last command's act stands in the log, so that the next command sees it.

A file for each API below `$XDG_STATE_HOME/gpuaas`; it counts for half a minute: views are behind
for less, and another log at the same address has other positions.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_COUNTS_S: Final = 30


def _file(env: Mapping[str, str], url: str) -> Path:
    named = env.get("XDG_STATE_HOME", "")
    home = Path(env.get("HOME") or Path.home())
    state = Path(named) if Path(named).is_absolute() else home / ".local" / "state"
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    return state / "gpuaas" / f"position-{name}"


def position(env: Mapping[str, str], url: str) -> int:
    """-1 where there is none, or an old one."""
    path = _file(env, url)
    try:
        age = time.time() - path.stat().st_mtime
        text = path.read_text()
        return int(text) if 0 <= age < _COUNTS_S else -1
    except (OSError, ValueError):
        return -1


def keep(env: Mapping[str, str], url: str, at: int) -> None:
    """It is kept where that can be: without it the next command only may read a little early."""
    path = _file(env, url)
    fresh = path.with_name(f"{path.name}.{os.getpid()}~")
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.write_text(str(at))
        fresh.replace(path)
