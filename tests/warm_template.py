"""The process that has imported what our programs import, and clones itself into one of them."""

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests import warm
from tests.warm_machine import enter

# What the programs import, by their own hand or when they begin.
_IMPORTED = (
    "api.serve", "api.worker", "api.gateway.run", "api.replay.run", "api.supervisor", "api.agents",
    "agent.run", "evidence.custody", "evidence.opening", "argparse", "uvloop", "granian",
)  # fmt: skip
_CLONE_PARENT = 0x8000
_PR_SET_PDEATHSIG = 1
_SYS_CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
_LIBC = ctypes.PyDLL(None, use_errno=True)  # holds the interpreter's lock over the system call
_LIBC.syscall.restype = ctypes.c_long


def main() -> None:
    """Until whoever started it is gone. In a clone: the program, to its end."""
    end = socket.socket(fileno=int(sys.argv[1]))
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    assert len([*Path("/proc/self/task").iterdir()]) == 1, (
        "a clone would have one of several threads"
    )
    order = _served(end)
    if order is not None:
        _become(order)


def _served(end: socket.socket) -> dict[str, Any] | None:
    """In the template None, at its end; in a clone what it is to be."""
    while True:
        head, fds, _, _ = socket.recv_fds(end, 4, 3)
        if len(head) < 4:
            return None
        raw = b""
        while len(raw) < int.from_bytes(head):
            raw += end.recv(1 << 16)
        pid = clone()
        if pid == 0:
            end.close()
            for at, fd in enumerate(fds):
                os.dup2(fd, at)
                os.close(fd)
            return dict(json.loads(raw))
        for fd in fds:
            os.close(fd)
        end.sendall(pid.to_bytes(8))


def clone() -> int:
    """As fork, but the new process is a child of our parent."""
    api = ctypes.pythonapi
    api.PyOS_BeforeFork()
    pid = int(_LIBC.syscall(_SYS_CLONE, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0))
    if pid == 0:
        api.PyOS_AfterFork_Child()
        return 0
    api.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone")
    return pid


def _become(order: dict[str, Any]) -> None:
    """What the kernel and the interpreter do between fork and the first line of a program."""
    if order["session"]:
        os.setsid()
    if order["death"]:
        _LIBC.prctl(_PR_SET_PDEATHSIG, order["death"], 0, 0, 0)
        if os.getppid() != order["parent"]:
            os._exit(1)
    if order["inside"]:
        enter(*order["inside"])
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    tempfile.tempdir = None
    argv = order["argv"]
    if argv[2:4] == ["api.cli", "replay"]:
        _leave_a_template()
    else:
        warm.adopt(None)
    _say(argv)
    sys.path[0] = str(Path.cwd())
    sys.argv = ["-m", *argv[3:]]
    sys.orig_argv = argv
    sys.modules.pop(argv[2], None)
    runpy._run_module_as_main(argv[2])  # type: ignore[attr-defined]


def _leave_a_template() -> None:
    """For a program that starts others: a child that goes on as a template, before anything runs."""
    ours, its = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        order = _served(its)
        if order is None:
            os._exit(0)
        _become(order)
        # The clone's own end is the interpreter's, as in the template itself.
        raise SystemExit(0)
    its.close()
    warm.adopt(ours)
    warm.install()


def _say(argv: list[str]) -> None:
    """/proc/self/cmdline is the program's."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    raw = b"\0".join(os.fsencode(one) for one in argv)
    assert len(raw) < end - start
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, raw, len(raw))
