"""CPU time of runtimes, from the kernel: of a cgroup of its own, else of its tree of processes."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")
_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
# In /proc/<pid>/stat after the name, which may be anything. Source: proc_pid_stat(5).
_PARENT: Final = 1
_TIMES: Final = slice(11, 15)  # utime stime cutime cstime


def cpu_times_us(pids: Iterable[int]) -> dict[int, int]:
    """CPU time of each runtime by its first process, us; without those that are gone.

    What has no cgroup of its own is summed over the descendants of its first process, which is
    that of their pid namespace: who loses a parent there becomes its child. Those that ended are
    in their parents' times, but for children that a parent said it would not wait for: then the
    sum may become less, which is no number of anything.
    """
    found, trees = {}, []
    for pid in pids:
        own_us = _cgroup_us(pid)
        if own_us is None:
            trees.append(pid)
        else:
            found[pid] = own_us
    if trees:
        parents, ticks = _all()
        below = defaultdict(list)
        for pid, parent in parents.items():
            below[parent].append(pid)
        for pid in trees:
            if pid in ticks:
                found[pid] = _sum(pid, below, ticks) * 1_000_000 // _TICKS
    return found


def _sum(first: int, below: dict[int, list[int]], ticks: dict[int, int]) -> int:
    total, waiting, counted = 0, [first], set[int]()
    while waiting:
        pid = waiting.pop()
        if pid not in counted:  # a number may be used again while we read
            counted.add(pid)
            total += ticks[pid]
            waiting += below.get(pid, ())
    return total


def _all() -> tuple[dict[int, int], dict[int, int]]:
    """Parent and CPU time (ticks, with those of children that were waited for) of each process."""
    parents, ticks = {}, {}
    for place in _PROC.iterdir():
        if not place.name.isdigit():
            continue
        try:
            fields = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()
            pid = int(place.name)
            parents[pid], ticks[pid] = int(fields[_PARENT]), sum(map(int, fields[_TIMES]))
        except (OSError, ValueError, IndexError):
            continue
    return parents, ticks


def _cgroup_us(pid: int) -> int | None:
    """Of a cgroup of its own: neither ours, nor that of the program that began it."""
    its = _cgroups(str(pid))
    others = [_cgroups(name) for name in ("self", str(_parent_of(pid)))]
    for names, path in its.items():
        if path == "/" or path in [one.get(names) for one in others]:
            continue
        place = _CGROUPS / names / path.lstrip("/")
        try:
            if "cpuacct" in names.split(","):
                return int((place / "cpuacct.usage").read_text()) // 1000
            if not names:
                return int((place / "cpu.stat").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return None


def _parent_of(pid: int) -> int:
    try:
        said = (_PROC / str(pid) / "stat").read_text(errors="replace")
        return int(said.rpartition(")")[2].split()[_PARENT])
    except (OSError, ValueError, IndexError):
        return 0


def _cgroups(pid: str) -> dict[str, str]:
    """Controllers -> path, of a process; the unified hierarchy has no controllers here."""
    try:
        rows = (_PROC / pid / "cgroup").read_text().splitlines()
    except OSError:
        return {}
    return {names: path for _, names, path in (row.split(":", 2) for row in rows)}
