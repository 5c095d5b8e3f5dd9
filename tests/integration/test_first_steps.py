"""A newcomer's way, by nothing but what the platform prints: up, first steps, a launch."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from api.calling import Api
from tests.machine import need

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
GPUAAS = Path(sys.executable).parent / "gpuaas"


def shell(command: str, **env: str) -> str:
    done = subprocess.run(
        ["bash", "-euc", command], cwd=ROOT, env={**os.environ, **env}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_up_prints_leads_to_a_launch() -> None:
    """A fresh log prices nothing; the command that is printed makes what a launch needs, once."""
    need("curl")
    # Servers' accounts must be able to enter it.
    home = Path(tempfile.mkdtemp(prefix="gpuaas-first-"))
    home.chmod(0o711)
    env = os.environ | {"GPUAAS_DATA": f"{home}/data", "GPUAAS_SIGNER_STATE": f"{home}/signer"}
    env = {name: value for name, value in env.items() if not name.endswith("_URL")}
    said = home / "said"
    with said.open("wb") as out:
        up = subprocess.Popen([str(GPUAAS), "up"], cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 120
        while "Ctrl-C stops it" not in said.read_text():
            assert up.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        newcomer(said.read_text())
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(60)
        shutil.rmtree(home)


def newcomer(said: str) -> None:
    [command] = [line for line in said.splitlines() if line.endswith("first-steps")]
    told = shell(command)
    assert "T4 at 1 USD per GPU-hour: an example, for SIMULATED GPUs" in told
    url, token = (re.findall(rf"{name}=(\S+)", command)[0] for name in ("URL", "TOKEN"))
    launch = told.partition("launch one:")[2].partition("then:")[0]
    answer = shell(f"{launch.strip()} --fail-with-body -s", GPUAAS_TOKEN=token)
    assert '"state":"' in answer.replace(" ", ""), answer
    again = shell(command)
    assert "T4 has a price already" in again
    assert re.findall(r"project +(\S+)", told) == re.findall(r"project +(\S+)", again)
    api = Api(url, token)
    for what in ("organizations", "projects", "meters", "prices"):
        assert len(api.get(f"/v1/{what}")["items"]) == 1, what
