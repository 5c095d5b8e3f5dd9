"""What a terminal runs: as the runtime source says, or a SIMULATED shell of the node's machine."""

import os
import pwd
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from agent.terminal.wire import MARK

_NOBODY: Final = "nobody"
_KEPT: Final = ("PATH", "HOME", "XDG_RUNTIME_DIR")


class Shell(Struct, frozen=True):
    """`argv` with exactly this environment, as `user` (a uid, -1 = the agent's own)."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    banner: str
    user: int


@runtime_checkable
class Inhabitable(Protocol):
    """A source whose runtimes can be entered; `terminal_argv` runs on the node, as the agent."""

    def terminal_argv(self, allocation: str) -> tuple[str, ...]:
        """Such as `podman exec -it … /bin/sh`, which passes the mark on.

        Raises: FleetError when it does not run here.
        """
        ...


def shell_of(source: object, allocation: str, session: str) -> Shell:
    """The shell inside that allocation's runtime. Raises: what the source refuses.

    Its environment carries the session's mark, by which all of it is found at the end.
    """
    if not isinstance(source, Inhabitable):
        return simulated(session)
    argv = source.terminal_argv(allocation)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return Shell(argv, {**kept, "TERM": "xterm-256color", MARK: session}, "", -1)


def simulated(session: str) -> Shell:
    """A bare shell of this machine, never as root: a SIMULATED runtime has no inside."""
    user = pwd.getpwnam(_NOBODY).pw_uid if os.geteuid() == 0 else -1
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/",
        "LANG": "C.UTF-8",
        "PS1": "SIMULATED $ ",
        "TERM": "xterm-256color",
        MARK: session,
    }
    banner = "This runtime is SIMULATED: a shell of the node's own machine.\r\n"
    return Shell(("/bin/sh",), environment, banner, user)
