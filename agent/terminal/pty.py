import errno
import fcntl
import os
import pwd
import signal
import struct
import termios
from typing import Final

from agent.terminal.wire import Settings

_SIZE: Final = struct.Struct("HHHH")


class Pty:
    """A shell on a terminal of its own, in a session of its own; `master` does not block."""

    def __init__(self, settings: Settings) -> None:
        self.pid, self.master = os.forkpty()
        if self.pid == 0:
            _become(settings)
        os.set_blocking(self.master, False)
        os.set_inheritable(self.master, False)
        self.size = (0, 0)
        self.resize(settings.columns, settings.rows)
        self.ended: int | None = None

    def resize(self, columns: int, rows: int) -> None:
        """The tty has this size, and who runs in it is told (SIGWINCH) when it changed."""
        if (columns, rows) != self.size:
            self.size = (columns, rows)
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, _SIZE.pack(rows, columns, 0, 0))

    def read(self, most: int) -> bytes | None:
        """Output, None when there is none now, empty at the end."""
        try:
            return os.read(self.master, most)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EIO:  # Linux says so when nobody holds the other end
                return b""
            raise

    def write(self, data: bytes) -> int:
        """How many bytes the terminal took; all of them once it has ended."""
        try:
            return os.write(self.master, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno == errno.EIO:
                return len(data)
            raise

    def reaped(self) -> int | None:
        """Exit status or minus the signal, None while it runs."""
        if self.ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.ended = os.waitstatus_to_exitcode(status)
        return self.ended

    def signal(self, number: signal.Signals) -> None:
        """Every program of the shell's group; nothing when it has ended."""
        if self.reaped() is None:
            os.killpg(self.pid, number)


def _become(settings: Settings) -> None:
    # The child of a fork: it must end in exec or _exit, whatever happens.
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)  # the host ignores them; a shell must not
        if settings.banner:
            os.write(1, settings.banner.encode())
        if settings.user >= 0:
            group = pwd.getpwuid(settings.user).pw_gid
            os.fchown(0, settings.user, group)
            os.setgroups([])
            os.setgid(group)
            os.setuid(settings.user)
        os.chdir("/")
        os.execvpe(settings.argv[0], settings.argv, settings.environment)  # noqa: S606 - as ordered
    except (OSError, KeyError) as error:
        os.write(2, f"the shell does not start: {error}\r\n".encode())
    os._exit(127)
