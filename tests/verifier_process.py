"""`gpuaas-verify` as an auditor runs it, a process of its own, and the memory it took."""

import subprocess
import sys
import time
from pathlib import Path

_PROGRAM = Path(sys.executable).with_name("gpuaas-verify")


def verified(bundle: Path, vkey: Path, timeout_s: int = 120) -> tuple[int, int]:
    """(exit status, bytes of memory it and its workers had at most, sampled each 10 ms).

    Shared pages count once (PSS), the pages of files it has mapped among them.
    """
    process = subprocess.Popen(
        [_PROGRAM, bundle, "--key", vkey.read_text().strip()],
        stdout=subprocess.DEVNULL,
    )
    most, until = 0, time.monotonic() + timeout_s
    while process.poll() is None:
        assert time.monotonic() < until, "the verifier did not end"
        most = max(most, sum(_pss_bytes(pid) for pid in [process.pid, *_children(process.pid)]))
        time.sleep(0.01)
    return process.returncode, most


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _pss_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(text.partition("Pss:")[2].split()[0]) * 1024 if "Pss:" in text else 0
