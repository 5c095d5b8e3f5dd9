"""Replays for tests: inputs cut from the shared trace, runs, and outputs read back
independently.
"""

import csv
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
START_US = 1_735_689_600_000_000
SECOND_US = 1_000_000


@dataclass
class Inputs:
    """Three files of one replay."""

    nodes: Path
    pods: Path
    prices: Path

    def arguments(self, out: Path, database_url: str | None = None) -> list[str]:
        """The command line after `gpuaas`."""
        given = [
            "replay", "--nodes", str(self.nodes), "--pods", str(self.pods),
            "--prices", str(self.prices), "--start", "2025-01-01T00:00:00Z",
            "--zone", "Europe/Berlin", "--out", str(out),
        ]  # fmt: skip
        return given if database_url is None else [*given, "--database-url", database_url]

    def tasks(self) -> list[dict[str, str]]:
        """The GPU tasks that were scheduled and deleted, in order of the file."""
        return [
            row for row in rows(self.pods)
            if row["num_gpu"] != "0" and row["scheduled_time"] and row["deletion_time"]
        ]  # fmt: skip


def sliced(shared: Path, folder: Path, tasks: int, nodes: str = "nodes.csv") -> Inputs:
    """The first GPU tasks of the trace in order of time, so that many run at once."""
    data = shared / "data"
    pods = folder / "pods.csv"
    with (data / "openb" / "pods_spec.csv").open() as source:
        reader = csv.DictReader(source)
        every = [row for row in reader if row["num_gpu"] != "0" and row["scheduled_time"]]
        every.sort(key=lambda row: int(row["scheduled_time"]))
        with pods.open("w", newline="") as out:
            writer = csv.DictWriter(out, list(every[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(every[:tasks])
    return Inputs(data / "openb" / nodes, pods, data / "prices" / "openb.csv")


def grown(shared: Path, folder: Path, times: int) -> Inputs:
    """The trace again and again, each time after the last, under names of its own."""
    data = shared / "data"
    every = rows(data / "openb" / "pods.csv")
    moments = ("creation_time", "scheduled_time", "deletion_time")
    span = max(int(row[name]) for row in every for name in moments if row[name]) + 1
    pods = folder / "grown.csv"
    with pods.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(every[0]), lineterminator="\n")
        writer.writeheader()
        for turn in range(times):
            for row in every:
                later = {name: str(int(row[name]) + turn * span) for name in moments if row[name]}
                writer.writerow({**row, "name": f"{row['name']}-{turn}", **later})
    return Inputs(data / "openb" / "nodes.csv", pods, data / "prices" / "openb.csv")


def command(inputs: Inputs, out: Path, database_url: str | None = None) -> list[str]:
    """The replay as a process."""
    return [sys.executable, "-m", "api.cli", *inputs.arguments(out, database_url)]


def run(inputs: Inputs, out: Path, database_url: str | None = None, timeout_s: int = 150) -> None:
    """A whole replay in a process of its own; its outputs lie in `out`."""
    done = subprocess.run(
        command(inputs, out, database_url), cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=timeout_s,
        env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def environment() -> dict[str, str]:
    """This one without what would point a replay elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GPUAAS_")}


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file's rows."""
    with path.open(newline="") as source:
        return list(csv.DictReader(source))


def charged(out: Path) -> dict[str, int]:
    """milli-GPU-us charged, by task."""
    sums: dict[str, int] = defaultdict(int)
    for row in rows(out / "charges.csv"):
        sums[row["pod"]] += int(row["quantity_milli_gpu_us"])
    return sums


def owed(task: dict[str, str]) -> int:
    """(deletion - scheduled) x num_gpu x gpu_milli x 10^6."""
    seconds = int(task["deletion_time"]) - int(task["scheduled_time"])
    return seconds * int(task["num_gpu"]) * int(task["gpu_milli"]) * SECOND_US


def invoices(out: Path) -> list[dict[str, Any]]:
    """invoices.json."""
    found: list[dict[str, Any]] = json.loads((out / "invoices.json").read_bytes())
    return found


class Floor:
    """Devices and what lies on them, kept by the test alone: capacity in milli per device."""

    def __init__(self, nodes: Path) -> None:
        self.model = {row["sn"]: row["model"] for row in rows(nodes)}
        self.free = {row["sn"]: [1000] * int(row["gpu"]) for row in rows(nodes)}

    def take(self, node: str, devices: list[int], each: int) -> None:
        """`each` milli of every device; never more than a device has."""
        for index in devices:
            self.free[node][index] -= each
            assert 0 <= self.free[node][index] <= 1000, (node, index)

    def fits(self, gpus: int, each: int, models: str) -> bool:
        """Whether some node of an accepted model has room for the task."""
        accepted = set(models.split("|")) if models else set(self.model.values())
        return any(
            sum(free >= each for free in devices) >= gpus
            for node, devices in self.free.items()
            if self.model[node] in accepted
        )


def walk(inputs: Inputs, out: Path) -> Iterator[tuple[dict[str, str], Floor]]:
    """Every refused task with the floor as it was at that moment; every allocation checked.

    Ends before starts at equal seconds; starts in the order of the file.
    """
    placed = {row["pod"]: row for row in rows(out / "charges.csv")}
    refused = {row["pod"]: row for row in rows(out / "refused.csv")}
    floor = Floor(inputs.nodes)
    events = []
    for number, task in enumerate(inputs.tasks()):
        start, end = int(task["scheduled_time"]), int(task["deletion_time"])
        events += [(start, 1, number, task), (end, 0 if end > start else 2, number, task)]
    for _, kind, _, task in sorted(events, key=lambda event: event[:3]):
        name, each = task["name"], int(task["gpu_milli"])
        assert (name in placed) != (name in refused), name
        if name in refused:
            if kind == 1:
                yield task, floor
            continue
        row = placed[name]
        devices = [int(index) for index in row["devices"].split(";")]
        assert len(devices) == int(task["num_gpu"])
        assert not task["gpu_spec"] or row["model"] in task["gpu_spec"].split("|")
        assert floor.model[row["node"]] == row["model"]
        floor.take(row["node"], devices, each if kind == 1 else -each)
