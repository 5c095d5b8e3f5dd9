"""The whole trace, from three files to a bundle: decisions, evidence, rating and
invoices included.
"""

import os
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from api.embedded.postgres import Postgres
from evidence.storage import split_bundle
from tests.bench.bench_evidence import verification
from tests.bench.bench_log import Measured, fresh_database, row
from tests.integration.replay_runs import Inputs, rows, run

FLOOR_S = 90  # issue 2; its goal is 15


def replay(server: Postgres) -> list[Measured]:
    """Wall-clock seconds of `gpuaas replay` as a process, its start and its end included.

    The baseline is no measurement but the floor asked for: nothing comparable exists.
    """
    data = Path(os.environ.get("GPUAAS_SHARED", "../shared")).resolve() / "data"
    files = data / "openb"
    inputs = Inputs(files / "nodes.csv", files / "pods.csv", data / "prices" / "openb.csv")
    with fresh_database(server) as urls, tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run(inputs, Path(folder) / "out", urls["app"])
        took = time.perf_counter() - began
        out = Path(folder) / "out"
        assert len(rows(out / "charges.csv")) > len(inputs.tasks())
        bundle, vkey = out / "bundle.tar", (out / "log.vkey").read_text().strip()
        verified = verification(bundle, bundled_entries(bundle), vkey, Path(folder))
    return [
        row("the whole trace replayed", took, "s", "the floor of 90 s", FLOOR_S),
        row("offline verification of the whole trace", *verified),
    ]


def bundled_entries(path: Path) -> list[bytes]:
    """Every entry of a bundle, in no order that matters."""
    found: list[bytes] = []
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.startswith("tile/entries/"):
                data = tar.extractfile(member)
                assert data is not None, "the bundle has regular files only"
                found += split_bundle(data.read())
    return found


BENCHES: list[Callable[[Postgres], list[Measured]]] = [replay]
