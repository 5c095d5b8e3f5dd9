"""How the verifier spreads work over processes."""

import subprocess
import sys
import threading

from gpuaas_verify.pool import start_method


def test_nothing_is_forked_beside_a_thread() -> None:
    """A forked copy of a locked lock is never released; spawning is safe beside threads."""
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait)
    thread.start()
    try:
        assert start_method() == "spawn"
    finally:
        ending.set()
        thread.join()


def test_a_process_alone_forks() -> None:
    """The command line has no thread, so its workers need not start from nothing (Linux)."""
    code = "from gpuaas_verify.pool import start_method; print(start_method())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("fork" if sys.platform == "linux" else "spawn")
