"""A program on a machine of its own: network, mount and time namespaces, entered by a command or by a clone."""

import ctypes
import os
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWTIME = 0x80
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x80000
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Inside(list[str]):
    """The command that runs a program inside: `ip netns exec` of the network, a mount namespace in which the file
    is the boot id, a time namespace whose boot clock is that far on.
    """

    def __init__(self, space: str, boot_file: Path, clock_s: int, program: list[str]) -> None:
        inside = f'mount --bind "$0" {_BOOT_ID} && exec "$@"'
        super().__init__([
            *("ip", "netns", "exec", space, "unshare", "--mount"),
            # What is unmounted on the machine is not kept mounted by a copy in here.
            *("--propagation", "slave", "--time"),
            *("--boottime", str(clock_s), "sh", "-c", inside, str(boot_file), *program),
        ])  # fmt: skip
        self.program = program
        self.place = (space, str(boot_file), clock_s)


def enter(space: str, boot_file: str, clock_s: int) -> None:
    """This process, of one thread, goes where the command would go."""
    _join(f"/run/netns/{space}", os.CLONE_NEWNET)
    os.unshare(os.CLONE_NEWNS | _CLONE_NEWTIME)
    _mount(None, "/", _MS_REC | _MS_SLAVE)
    Path("/proc/self/timens_offsets").write_text(f"boottime {clock_s} 0\n")
    # Unshared is what children get; the process itself moves by joining them.
    _join("/proc/self/ns/time_for_children", _CLONE_NEWTIME)
    _mount(boot_file, _BOOT_ID, _MS_BIND)


def _join(path: str, kind: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.setns(fd, kind)
    os.close(fd)


def _mount(source: str | None, target: str, flags: int) -> None:
    what = None if source is None else source.encode()
    if _LIBC.mount(what, target.encode(), None, ctypes.c_ulong(flags), None):
        raise OSError(ctypes.get_errno(), f"mount on {target}")
