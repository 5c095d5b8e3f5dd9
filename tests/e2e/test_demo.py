"""The newcomer's first command, as a person runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GPUAAS = Path(sys.executable).parent / "gpuaas"


def test_the_demo_ends_by_itself_with_a_verified_invoice(tmp_path: Path) -> None:
    """From nothing to an invoice whose bundle verifies offline; one flipped bit is refused by
    place.
    """
    env = {**os.environ, "HOME": str(tmp_path)}
    for name in ("GPUAAS_DATABASE_URL", "GPUAAS_NATS_URL", "GPUAAS_DATA"):
        env.pop(name, None)
    done = subprocess.run(
        [str(GPUAAS), "demo"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=560,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n   VALID" in done.stdout
    assert "INVALID leaf.mismatch: not the tile's hash (position " in done.stdout
    assert "SIMULATED" in done.stdout
    out = tmp_path / "build" / "demo"
    invoice = json.loads(next(out.glob("invoice-*.json")).read_bytes())
    assert invoice["simulated"] is True
    line, stored = sorted(invoice["lines"], key=lambda one: one["sku"])
    assert (line["sku"], stored["sku"]) == ("gpu.time:T4", "storage.capacity:local")
    # How much of both falls into the demo's short period is a matter of how busy the machine is.
    assert stored["quantity"] // (64 * 1024) >= line["quantity"] // 2_000, "as long as the GPUs"
    assert abs(stored["amount_pico"] * 1024 * 3600 - stored["quantity"] * 10**6) <= 1024 * 1800
    assert line["quantity"] > 0
    owed = line["quantity"] * 90_000_000_000_000
    assert abs(line["amount_pico"] * 3_600_000_000_000 - owed) <= 1_800_000_000_000
    assert invoice["total_minor"] > 0, "seconds show on the invoice"
