"""What a replay refuses before it writes anything: each fault by its file and line."""

import argparse
import itertools
from pathlib import Path

import pytest

from api.cli import replay
from api.replay.input import instant, month_starts, read_trace
from api.replay.output import decimal
from api.replay.plan import plan
from api.replay.run import run
from domain.errors import DomainError
from evidence.ids import STREAM

NODES = "sn,cpu_milli,memory_mib,gpu,model\nnode-0,64000,262144,2,T4\n"
POD_HEADER = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,"
    "deletion_time,scheduled_time\n"
)
POD = "pod-1,1000,1000,1,500,T4,LS,Running,5,20,10\n"
PRICES = "model,effective_from_s,pico_usd_per_gpu_hour,note\nT4,0,350000000000,list\n"


def arguments(
    folder: Path, *, nodes: str = NODES, pods: str = POD_HEADER + POD, prices: str = PRICES,
    start: str = "2025-01-01T00:00:00Z", zone: str = "Europe/Berlin",
) -> argparse.Namespace:  # fmt: skip
    """A command line on files with these contents."""
    for name, text in (("nodes", nodes), ("pods", pods), ("prices", prices)):
        (folder / f"{name}.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    given = [f"--{name}={folder / name}.csv" for name in ("nodes", "pods", "prices")]
    given += ["--start", start, "--zone", zone, "--out", str(folder / "out")]
    return argparse.Namespace(**replay.make_context("replay", given).params)


BAD = [
    ("pods", POD_HEADER + POD + "pod-2,1,1\n", "pods.csv line 3"),
    ("pods", POD_HEADER + POD.replace("20,10", "9,10"), "pods.csv line 2: deleted at 9, before"),
    ("pods", POD_HEADER + POD.replace("20,10", "20,-1"), "pods.csv line 2: scheduled_time is neg"),
    ("pods", POD_HEADER + POD.replace("20,10", "20,1.5"), "scheduled_time is no whole number"),
    ("pods", POD_HEADER + POD.replace("20,10", "20,0x1"), "scheduled_time is no whole number"),
    ("pods", POD_HEADER + POD.replace("20,10", "20,٣"), "scheduled_time is no whole number"),
    ("pods", POD_HEADER + POD.replace("T4", "H100"), "line 2: unknown model 'H100'"),
    ("pods", POD_HEADER + POD.replace("T4", "T4|"), "line 2: unknown model ''"),
    ("pods", POD_HEADER + POD.replace(",500,", ",1001,"), "gpu_milli is over 1000"),
    ("pods", POD_HEADER + POD.replace(",1,500,", ",2,500,"), "2 GPUs of 500 milli"),
    ("pods", POD_HEADER + POD.replace("pod-1", "pod"), "ends in no number"),
    ("pods", POD_HEADER + POD.replace("pod-1", "a\x00b-1"), "pods.csv line 2: name"),
    ("pods", POD_HEADER + POD + POD, "line 3: a second task pod-1"),
    ("pods", POD, "pods.csv line 1: the columns must be"),
    ("pods", "", "pods.csv line 1: the columns must be"),
    ("pods", POD_HEADER + '"pod', "pods.csv line 2"),
    ("pods", POD_HEADER + POD + "\udcff\n", "pods.csv line 3: not UTF-8"),
    ("nodes", NODES + "node-0,1,1,1,T4\n", "nodes.csv line 3: a second node"),
    ("nodes", NODES.replace("T4", "H100"), "nodes.csv line 2: unknown model H100"),
    ("nodes", NODES.replace(",2,", ",0,"), "nodes.csv line 2: a node without GPUs"),
    ("nodes", NODES.splitlines()[0] + "\n", "nodes.csv line 1: no node"),
    ("prices", PRICES.replace("350000000000", "0.35"), "prices.csv line 2: pico_usd_per_gpu_hour"),
    ("prices", PRICES.replace("350000000000", "-1"), "pico_usd_per_gpu_hour is negative"),
    (
        "prices",
        PRICES.replace("350000000000", f"1{'0' * 20}1"),
        "prices.csv line 2: pico_usd_per_g",
    ),
    ("prices", PRICES.replace("350000000000", "9" * 5000), "pico_usd_per_gpu_hour is no whole"),
    ("prices", PRICES + "T4,0,1,again\n", "prices.csv line 3: a second price of T4 from 0"),
    ("prices", PRICES.replace(",0,", ",11,"), "T4 has no price at second 10"),
]


@pytest.mark.parametrize(("which", "text", "said"), BAD)
def test_a_fault_in_a_file_is_named_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str, text: str, said: str
) -> None:
    """Exit 2, one line with file, line and fault, and no folder made."""
    args = arguments(tmp_path, **{which: text})
    assert run(args) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", "2025-01-01"), ("start", "2025-01-01T00:00:00"), ("start", "2025-13-01T00:00:00Z"),
        ("start", "0001-01-01T00:00:00Z"), ("start", "9999-12-31T23:59:59Z"),
        ("start", "1500-01-01T00:00:00Z"), ("start", "1969-12-31T23:59:59Z"),
        ("start", "yesterday"), ("zone", "Mars/Olympus"), ("zone", "../etc/passwd"), ("zone", ""),
    ],
)  # fmt: skip
def test_a_wrong_instant_or_zone_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, value: str
) -> None:
    """Exit 2 with the argument named."""
    args = arguments(tmp_path)
    setattr(args, field, value)
    assert run(args) == 2
    assert f"--{field}" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, no traceback; a folder in its place is no file either."""
    args = arguments(tmp_path)
    for wrong in (tmp_path / "none.csv", tmp_path):
        args.pods = wrong
        assert run(args) == 2
        assert "cannot be read" in capsys.readouterr().err


def test_what_is_no_gpu_task_is_skipped_and_counted(tmp_path: Path) -> None:
    """Tasks without GPUs, never scheduled or never deleted."""
    more = (
        "pod-2,1,1,0,0,,LS,Running,5,20,10\n"
        "pod-3,1,1,1,1000,,LS,Pending,5,20,\n"
        "pod-4,1,1,1,1000,,LS,Running,5,,10\n"
        "pod-5,1,1,1,1000,,LS,Running,5,10,10\n"
    )
    args = arguments(tmp_path, pods=POD_HEADER + POD + more)
    trace = read_trace(args.nodes, args.pods, args.prices, args.start, args.zone)
    assert [task.name for task in trace.tasks] == ["pod-1", "pod-5"]
    assert trace.skipped == 3


def test_at_equal_seconds_ends_come_before_starts(tmp_path: Path) -> None:
    """Except the end of a task that ends in the second it starts."""
    more = "pod-2,1,1,1,500,T4,LS,Running,5,30,20\npod-3,1,1,1,500,T4,LS,Running,5,20,20\n"
    args = arguments(tmp_path, pods=POD_HEADER + POD + more)
    planned = plan(read_trace(args.nodes, args.pods, args.prices, args.start, args.zone))
    order = [(step.kind, step.index) for step in planned.steps]
    assert order == [(2, 0), (0, 0), (2, 1), (2, 2), (0, 2), (0, 1), (1, 0)]


def test_identities_and_commands_follow_from_the_input(tmp_path: Path) -> None:
    """Well-formed, the same for the same input, others for another."""
    first = arguments(tmp_path)
    one = plan(read_trace(first.nodes, first.pods, first.prices, first.start, first.zone))
    two = plan(read_trace(first.nodes, first.pods, first.prices, first.start, "UTC"))
    assert one.id("runtime", 3) == one.id("runtime", 3) != two.id("runtime", 3)
    assert STREAM.fullmatch(one.id("runtime", 3))
    assert one.command(3, "start") != one.command(3, "end")
    assert one.command(3, "start") != two.command(3, "start")


def test_months_are_local_and_contiguous() -> None:
    """Europe/Berlin: 2024-12-31T23:00Z, and an hour less after the clocks change."""
    start = instant("2025-01-01T00:00:00Z")
    starts = month_starts(start, start + 149 * 86_400_000_000, "Europe/Berlin")
    assert starts[0] == 1_735_686_000_000_000
    assert [(b - a) // 3_600_000_000 for a, b in itertools.pairwise(starts)] == [
        31 * 24, 28 * 24, 31 * 24 - 1, 30 * 24, 31 * 24,
    ]  # fmt: skip


def test_an_instant_keeps_its_microseconds_and_zone() -> None:
    """RFC 3339, offsets and fractions included."""
    assert instant("1970-01-01T01:00:00.000001+01:00") == 1
    with pytest.raises(DomainError, match="--start"):
        instant("1970-01-01T00:00:00.0000001Z")


@pytest.mark.parametrize(
    ("minor", "digits", "text"),
    [(1034217, 2, "10342.17"), (5, 2, "0.05"), (-5, 2, "-0.05"), (7, 0, "7"), (7, 3, "0.007")],
)
def test_a_total_is_written_as_its_currency_writes_it(minor: int, digits: int, text: str) -> None:
    """Exactly `digits` places, no float on the way."""
    assert decimal(minor, digits) == text
