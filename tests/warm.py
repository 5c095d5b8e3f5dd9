"""Our programs, forked by one that has imported what they import: a test's process begins in 30 ms.

`Popen` is the standard library's but for how `python -m` with one of `PROGRAMS` begins: the
template (`tests/warm_template.py`) clones itself, with CLONE_PARENT, so that the new process is a
child of the caller like any other, with a number, a parent, a session and an exit status of its
own. What the clone cannot be told of (another user, other variables that Python or the loader
reads, a terminal) begins the plain way, and so does everything outside of tests.
"""

import atexit
import contextlib
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.warm_machine import Inside

PROGRAMS = frozenset({
    "agent", "api.cli", "api.replay.integrator", "evidence.signer", "tests.held_api",
    "tests.warm_told",
})  # fmt: skip
# Read before a line of the program runs, by Python, the loader or libc.
_EARLY = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "OPENSSL_", "PSYCOPG_")
# The command line of a template: what it is overwritten with must fit in it.
ROOM = 4096
ROOT = Path(__file__).parents[1]
# startupinfo, creationflags, shell, gid, gids, uid, umask, process_group
_USUAL = (None, 0, False, None, None, None, -1, -1)
_PREPARED = "start.<locals>.prepare"  # what api.embedded.children does between fork and exec


class Template:
    """The other end of a template's socket. Its children are children of the thread that made it."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lock = threading.Lock()

    def begin(self, order: dict[str, Any], fds: list[int]) -> int:
        """The number of the process that carries the order out."""
        raw = json.dumps(order).encode()
        with self._lock:
            socket.send_fds(self._end, [len(raw).to_bytes(4)], fds)
            self._end.sendall(raw)
            answer = self._end.recv(8)
        if len(answer) < 8:
            raise RuntimeError("the template ended")
        return int.from_bytes(answer)

    def close(self) -> None:
        self._end.close()


_PLAIN = subprocess.Popen


class Popen(subprocess.Popen[Any]):
    """As the standard library's; of our programs, forked where nothing stands against it."""

    def _execute_child(
        self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any,
        env: Any, *more: Any,
    ) -> None:  # fmt: skip
        order = None
        if len(more) == 16 and executable is None and close_fds and not pass_fds:
            order = ordered(args, preexec_fn, cwd, os.environ if env is None else env, more)
        template = None if order is None else ready()
        fds = [given if given >= 0 else at for at, given in enumerate((more[3], more[6], more[8]))]
        if order is None or template is None or any(map(os.isatty, fds)):
            told = (args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *more)
            super()._execute_child(*told)  # type: ignore[misc]
            return
        self.pid = template.begin(order, fds)
        self._child_created = True
        self._close_pipe_fds(*more[3:9])  # type: ignore[attr-defined]


def ordered(
    args: Any, preexec_fn: Any, cwd: Any, env: Mapping[str, str], more: tuple[Any, ...]
) -> dict[str, Any] | None:
    """What a template is told; None where the process is to begin the plain way."""
    inside = args if isinstance(args, Inside) else None
    program = args if inside is None else inside.program
    argv = [] if isinstance(program, str | bytes | os.PathLike) else [*map(os.fsdecode, program)]
    if argv[:2] != [sys.executable, "-m"] or argv[2] not in PROGRAMS:
        return None
    if (*more[:3], *more[10:14], more[15]) != _USUAL or early(env) != _OURS:
        return None
    if len("\0".join(argv).encode()) >= ROOM or not Path(cwd or ".").is_dir():
        return None
    death = 0
    if preexec_fn is not None:
        if getattr(preexec_fn, "__qualname__", "") != _PREPARED:
            return None
        told = inspect.getclosurevars(preexec_fn).nonlocals
        if told["account"] is not None and told["account"].switch:
            return None
        death = int(told["on_parent_death"])
    return {
        "argv": argv,
        "inside": None if inside is None else inside.place,
        "env": {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()},
        "cwd": os.fsdecode(Path.cwd() if cwd is None else cwd),
        "session": bool(more[14]),
        "death": death,
        "parent": os.getpid(),
    }


def early(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_EARLY)}


_OURS = early(os.environ)
_LOCK = threading.Lock()
_OF: dict[int, Template | None] = {}  # of this process; a fork of it has none


def ready() -> Template | None:
    """This process's template, made where the main thread asks: a child ends with that thread."""
    with _LOCK:
        if os.getpid() not in _OF and threading.current_thread() is threading.main_thread():
            _OF[os.getpid()] = _made()
        return _OF.get(os.getpid())


def adopt(end: socket.socket | None) -> None:
    """This process's template is the one at the other end, or there is none."""
    _OF[os.getpid()] = None if end is None else Template(end)


def _made() -> Template:
    ours, its = socket.socketpair()
    with its:
        program = "from tests.warm_template import main; main()"
        argv = [sys.executable, "-c", program, str(its.fileno()), " " * ROOM]
        child = subprocess.Popen(
            argv,
            cwd=ROOT,
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    template = Template(ours)

    def end() -> None:
        template.close()
        with contextlib.suppress(ChildProcessError):
            child.wait()

    atexit.register(end)
    return template


def install() -> None:
    """From now on whoever starts a program of ours in this process has it forked."""
    subprocess.Popen = Popen  # type: ignore[misc]


def uninstall() -> None:
    """From now on programs begin the plain way again."""
    subprocess.Popen = _PLAIN  # type: ignore[misc]
