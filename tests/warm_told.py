"""A program that says what it finds itself as, for `tests/integration/test_warm.py`."""

import json
import os
import random
import secrets
import signal
import ssl
import sys
import threading
import time
import uuid
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.nuid import NUID

from contracts.signing import public_hex
from evidence.ids import new_id


def told() -> dict[str, object]:
    """What a program can see of how it began; numbers of processes as what they are to each other."""
    status = Path("/proc/self/status").read_text()
    kept = (
        "SigQ",
        "SigPnd",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "Umask",
        "Uid",
        "Gid",
        "Threads",
        "NoNewPrivs",
    )
    return {
        "argv": sys.argv,
        "orig_argv": sys.orig_argv,
        "path": sys.path,
        "cmdline": Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").decode().split("\0"),
        "cwd": str(Path.cwd()),
        "env": dict(sorted(os.environ.items())),
        "fds": [(fd, str(Path(f"/proc/self/fd/{fd}").readlink()).partition(":")[0]) for fd in range(64) if _open(fd)],
        "status": [line for line in status.splitlines() if line.partition(":")[0] in kept[1:]],
        "parent": os.getppid(),
        "leads": (os.getpid() == os.getpgrp(), os.getpid() == os.getsid(0)),
        "group": 0 if os.getpid() == os.getpgrp() else os.getpgrp(),
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "buffered": (sys.stdout.line_buffering, sys.stderr.line_buffering, sys.stdout.encoding),
        "threads": threading.active_count(),
        "main": (__name__, sys.modules["__main__"].__spec__.name),  # type: ignore[union-attr]
    }  # fmt: skip


def drawn() -> list[str]:
    """From each source of chance that programs of ours use."""
    key = Ed25519PrivateKey.generate()
    return [
        str(random.random()),
        str(random.Random().random()),
        secrets.token_hex(16),
        ssl.RAND_bytes(16).hex(),
        public_hex(key),
        new_id("runtime").partition("-")[2],
        NUID().next().decode(),
        uuid.uuid4().hex,
    ]


def placed() -> dict[str, object]:
    """The machine it finds itself on."""
    return {
        "net": str(Path("/proc/self/ns/net").readlink()),
        "interfaces": Path("/proc/net/dev").read_text().count(":"),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text(),
        "boottime_s": int(time.clock_gettime(time.CLOCK_BOOTTIME)),
    }


def _open(fd: int) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


if __name__ == "__main__":
    says = {"all": told, "place": placed, "chance": drawn}.get(sys.argv[1], dict)
    print(json.dumps(says()), flush=True)
    if sys.argv[1] == "wait":
        signal.pause()
    print(*sys.stdin, file=sys.stderr, end="")
    sys.exit(7)
