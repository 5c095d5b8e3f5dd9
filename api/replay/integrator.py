"""The integrator of a replay, a process of its own so that the log may use another core."""

import os
import signal
import sys
import threading
from pathlib import Path

from evidence.custody import keep_integrated
from evidence.storage import Storage


def run() -> int:
    """0 after SIGTERM. Its faults are in the storage's `status/integrator`."""
    stop, wake = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    keep_integrated(
        os.environ["GPUAAS_DATABASE_URL"],
        Storage(Path(os.environ["GPUAAS_REPLAY_STORAGE"])),
        Path(os.environ["GPUAAS_REPLAY_SOCKET"]),
        wake,
        stop,
    )
    return 0


if __name__ == "__main__":
    sys.exit(run())
