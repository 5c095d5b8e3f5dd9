"""A process hears SIGTERM even while it waits for servers that are gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Database

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("verb", ["serve", "worker"])
def test_sigterm_ends_a_process_whose_nats_is_gone(
    database: Database, tmp_path: Path, verb: str
) -> None:
    """While it waits for NATS it ends when told to."""
    (tmp_path / "data").mkdir()
    env = {
        **os.environ,
        "GPUAAS_DATA": str(tmp_path / "data"),
        "GPUAAS_SIGNER_STATE": str(tmp_path / "signer"),
        "GPUAAS_DATABASE_URL": database.app_url,
        "GPUAAS_NATS_URL": "nats://127.0.0.1:9",
        "GPUAAS_EMBEDDED": "1",
    }
    child = subprocess.Popen([sys.executable, "-m", "api.cli", verb], env=env)
    try:
        _until_waiting(child)
        child.send_signal(signal.SIGTERM)
        child.wait(15)
    finally:
        child.kill()
        child.wait()
    assert child.returncode in {0, 1}


def _until_waiting(child: subprocess.Popen[bytes]) -> None:
    """Its handlers are there, so a signal is not the default's to answer."""
    status = Path(f"/proc/{child.pid}/status")
    deadline = time.monotonic() + 60
    while not _catches(status, signal.SIGTERM):
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _catches(status: Path, number: int) -> bool:
    caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
