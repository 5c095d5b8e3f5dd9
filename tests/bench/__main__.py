"""`make bench`: every bench, each against its baseline in the same run, into build/bench.json.

Beside each row stands what was asked of it (`asked.py`) and whether that was reached; what was
missed is named at the end.
"""

import json
import shutil
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from api.embedded.postgres import Postgres
from tests import warm
from tests.bench import (
    bench_api,
    bench_authorization,
    bench_crowd,
    bench_domain,
    bench_events,
    bench_evidence,
    bench_exports,
    bench_gets,
    bench_ledger,
    bench_lists,
    bench_log,
    bench_projections,
    bench_proofs,
    bench_quota,
    bench_rating,
    bench_readings,
    bench_replay,
    bench_runtimes,
    bench_terminal,
)
from tests.bench.asked import beside, judged

OUT = Path("build/bench.json")
MODULES = (
    bench_log,
    bench_evidence,
    bench_api,
    bench_projections,
    bench_proofs,
    bench_domain,
    bench_rating,
    bench_replay,
    bench_quota,
    bench_readings,
    bench_terminal,
    bench_runtimes,
    bench_crowd,
    bench_exports,
    bench_ledger,
    bench_authorization,
    bench_gets,
    bench_lists,
    bench_events,
)


def main(only: list[str]) -> int:
    """Runs all benches, or those whose module is named on the command line; prints as it goes.

    Of some, what the others found before stays in the file.
    """
    warm.uninstall()  # a server is measured as it is started, not as tests fork it
    folder = Path(tempfile.mkdtemp(prefix="gpuaas-bench-"))
    folder.chmod(0o711)
    rows: list[Any] = []
    before = json.loads(OUT.read_text()) if only and OUT.exists() else []
    try:
        with closing(Postgres(folder)) as server:
            for module in MODULES:
                name = module.__name__.rsplit("_", 1)[1]
                if only and name not in only:
                    continue
                for bench in module.BENCHES:
                    began = time.monotonic()
                    found = [judged(row) for row in bench(server)]
                    for row in found:
                        print(_line(row), flush=True)
                    print(f"    ({name}.{bench.__name__}: {time.monotonic() - began:.0f} s)")
                    rows += found
                    OUT.parent.mkdir(exist_ok=True)
                    OUT.write_text(json.dumps(beside(before, rows), indent=1) + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for row in rows:
        if row.get("verdict") == "MISSED":
            print(f"MISSED {_line(row)}")
    return 0


def _line(row: Any) -> str:
    ratio = "" if row["ratio"] is None else f"  ratio {row['ratio']:.2f}"
    baseline = "" if row["baseline_value"] is None else (
        f"  vs {row['baseline_name']} {row['baseline_value']:,.2f}"
    )  # fmt: skip
    asked = "" if "verdict" not in row else (
        f"  ({row['bounds']}: floor {row['floor']:g}, goal {row['goal']:g}: {row['verdict']})"
    )  # fmt: skip
    return f"{row['name']}: {row['value']:,.2f} {row['unit']}{baseline}{ratio}{asked}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
