"""An invoice of 10,000 lines recomputed offline from its proof, as an auditor runs it."""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.embedded.postgres import Postgres
from tests import proof_world as pw
from tests.bench.bench_log import Measured, row
from tests.bundles import (
    ACCOUNT,
    HOUR_US,
    LOG_VKEY,
    NODE,
    ORG,
    PERIOD,
    PICO,
    START_US,
    attested,
    opened,
    private,
    tar_of,
    uid,
)

LINES = 10_000
MIB = 1 << 20


# The peak of this program alone: what wait4 tells of a child includes the bench's memory at the fork.
MEASURED = """
import sys
from gpuaas_verify.cli import run
status = run(sys.argv[1:])
with open("/proc/self/status") as lines:
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(status)
"""


def proof_of(lines: int) -> bytes:
    """The proof of an invoice of so many lines: a project and a runtime each, six entries of its
    life, two entries of others between any two.
    """
    made = pw.World(opened(), {"opened": 0})
    pw.people(made)
    pw.prices(made)
    pw.nodes(made)
    pw.shut(made)
    chosen = {0, *(made.at[name] for name in ("account", "earlier", "shut", "first", "default"))}
    chosen |= {made.at["node"], made.at["node anchor"]}
    half, stated = 500 * HOUR_US, list[tuple[Any, ...]]()
    seq = 10
    for number in range(lines):
        project, runtime = uid("project", 1_000 + number), uid("runtime", 100_000 + number)
        for stream, version, tag, fact in _life(project, runtime, seq):
            of = stream in {project, runtime}
            org = ORG if of else "-"
            position = _add(made, stream, version, tag, fact, org)
            if of:
                chosen.add(position)
        seq += 2
        stated.append((project, "gpu.time:T4", made.at["default"], PERIOD, 2 * half, 3 * PICO))
    fact = {"account": ACCOUNT, "start_us": START_US, "end_us": pw.END_US}
    fact |= {"closed_us": pw.END_US}
    made.at["closed"] = _add(made, PERIOD, 2, "period.closed", fact, ORG)
    made.lines = stated
    pw.finish(made)
    chosen |= {made.at[name] for name in ("closed", "invoice", "file", "counted")}
    return tar_of(pw.members(made, sorted(chosen)))


def _add(
    made: pw.World, stream: str, version: int, tag: str, fact: dict[str, Any], org: str
) -> int:
    return made.log.add(stream, tag, fact, org=org, version=version)


def _life(project: str, runtime: str, seq: int) -> Iterator[tuple[str, int, str, dict[str, Any]]]:
    """Two hours of half a GPU."""
    made: dict[str, Any] = {"organization": ORG, "department": uid("department", 8)}
    made |= {"account": ACCOUNT, "name": private("p"), "created_us": START_US}
    yield project, 1, "project.created", made
    asked: dict[str, Any] = {"project": project, "department": uid("department", 8)}
    asked |= {"account": ACCOUNT, "name": private("r"), "devices": 1, "gpu_milli": 500}
    yield runtime, 1, "runtime.requested", {**asked, "models": ["T4"], "requested_us": START_US}
    place: dict[str, Any] = {"allocation": uid("allocation", 9), "node": NODE, "model": "T4"}
    place |= {"devices": [{"index": 0, "milli": 500}], "epoch": 1, "allocated_us": START_US}
    yield runtime, 2, "runtime.allocated", place
    yield NODE, 9, "node.allocated", {}
    yield runtime, 3, "runtime.starting", {"command": 1, "decided_us": START_US}
    yield runtime, 4, "runtime.usable", _said(runtime, "usable", 2, seq)
    yield runtime, 5, "runtime.stopping", {"reason": "asked", "decided_us": START_US}
    yield NODE, 9, "node.released", {}
    yield runtime, 6, "runtime.stopped", _said(runtime, "stopped", 4, seq + 1)


def _said(runtime: str, what: str, hours: int, seq: int) -> dict[str, Any]:
    at_us = hours * HOUR_US
    words = attested(runtime, f"gpuaas.runtime.{what}.v1", at_us, {}, seq=seq)
    instant = START_US + at_us
    return {"boottime_us": at_us, f"{what}_us": instant, "decided_us": instant, "attested": words}


def verified(_server: Postgres) -> list[Measured]:
    """The program from its start to its exit, on all cores."""
    data = proof_of(LINES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "proof"
        path.write_bytes(data)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        before, began = used.ru_utime + used.ru_stime, time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "invoice", path, "--key", LOG_VKEY.format()],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        seconds = time.monotonic() - began
    assert done.stdout.count("recomputed, equal") == LINES + 1
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = used.ru_utime + used.ru_stime - before
    return [
        row("invoice of 10,000 lines verified offline", seconds, "s", "none", 0),
        row("processor time of that, all processes", busy, "s", "none", 0),
        row("its proof", len(data) / MIB, "MiB", "none", 0),
        row("memory of the process that verified it", int(done.stderr) / 1024, "MiB", "none", 0),
    ]


BENCHES = (verified,)
