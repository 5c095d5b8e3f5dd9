"""Child processes of the embedded stack: started as an ordinary user, ended with their parent."""

import ctypes
import errno
import os
import pwd
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from domain.errors import DomainError

_PR_SET_PDEATHSIG = 1
_ERROR = re.compile(r"\b(PANIC|ERROR|error|Error|gpuaas): ")
# That PostgreSQL told a caller to wait is no word about itself.
_FATAL = re.compile(
    r"\bFATAL: (?!.*(not yet accepting|is in recovery mode|is starting up))|\[FTL\]"
)
_LIBC = ctypes.CDLL(None, use_errno=True)


class Account:
    """The user that servers run as: ourselves, or an unprivileged account when we are root.

    PostgreSQL refuses to run as root; a server that can be broken into should not be root anyway.
    """

    def __init__(self) -> None:
        self.switch = os.geteuid() == 0
        self.uid, self.gid = os.geteuid(), os.getegid()
        if self.switch:
            entry = next(filter(None, map(_passwd_entry, ("postgres", "nobody"))), None)
            if entry is None:
                raise DomainError(
                    "stack.no_account",
                    "running as root, but neither `postgres` nor `nobody` exists",
                )
            self.uid, self.gid = entry.pw_uid, entry.pw_gid

    def own(self, path: Path) -> None:
        """Gives a directory to the account, closed to everyone else (mode 0700)."""
        path.chmod(0o700)
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """Whether every directory above `path` lets the account pass."""
        if not self.switch:
            return True
        for parent in path.resolve().parents:
            status = parent.stat()
            bit = 0o100 if status.st_uid == self.uid else 0o001
            if not status.st_mode & bit:
                return False
        return True


def _passwd_entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def start(
    argv: Sequence[str],
    log: Path,
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    on_parent_death: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """A running child in a session of its own; its output goes to `log`.

    When this process dies, however it dies, the kernel sends the child `on_parent_death`: a
    killed supervisor leaves no orphan that holds a port. The kernel counts the calling thread as
    the parent: call from one that lives as long as the child should.
    """
    parent = os.getpid()

    def prepare() -> None:
        if account is not None and account.switch:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        # After setuid: changing the user clears the parent-death signal.
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(on_parent_death), 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    with log.open("ab") as out:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(os.environ if env is None else env),
            preexec_fn=prepare,  # noqa: PLW1509 - started before any thread of ours
            start_new_session=True,
        )


def stop(child: subprocess.Popen[bytes], sign: signal.Signals, timeout_s: int = 20) -> None:
    """Ends the child with `sign`, with SIGKILL when it does not answer within `timeout_s`."""
    if child.poll() is None:
        child.send_signal(sign)
        try:
            child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait()


def free_port() -> int:
    """A loopback TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kept_port(folder: Path, what: str) -> int:
    """A free port, that of the last time where it can be: a profile and a script find it again."""
    path = folder / f"port-{what}"
    try:
        port = int(path.read_text())
        require_free(port, what)
    except (OSError, ValueError, OverflowError, DomainError):
        port = free_port()
        path.write_text(str(port))
    return port


def require_free(port: int, what: str, host: str = "127.0.0.1") -> None:
    """Raises: `stack.port_in_use` when something listens on the port already."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise DomainError(
                "stack.port_in_use",
                f"port {port} for {what} is in use; free it or choose another",
                {"port": port},
            ) from None


def wait_until(
    ready: Callable[[], bool],
    child: subprocess.Popen[bytes],
    log: Path,
    what: str,
    timeout_s: int = 60,
) -> None:
    """Returns when `ready()`; a child that ends first is reported with the last word of its log."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if child.poll() is not None or time.monotonic() > deadline:
            detail = f"{what} did not start: {last_word(log)} (more in {log})"
            raise DomainError("stack.start_failed", detail)
        time.sleep(0.02)


def last_word(log: Path) -> str:
    """The line that says what went wrong: the last error in the log's end, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace")[-4000:].splitlines()]
    for wrong in (_ERROR, _FATAL):
        found = [line for line in lines if wrong.search(line)]
        if found:
            return found[-1]
    return next((line for line in reversed(lines) if line), "it said nothing")
