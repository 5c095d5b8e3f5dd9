"""The real binding against a library that is not NVIDIA's: devices, slices, every error code."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pynvml  # type: ignore[import-untyped]
import pytest

from agent import nvml, xid
from agent.devices import Reading
from tests.nvml.library import ROOT, Asker, compiled

TWO = """\
driver 550.54.15
gpu 0 GPU-00000000-aaaa 3 85899345920 NVIDIA_H100_80GB_HBM3 1650001
gpu 1 GPU-11111111-bbbb 4 85899345920 NVIDIA_H100_80GB_HBM3 1650002
set 0 utilisation 37
set 0 power 123456
set 0 temperature 41
set 0 used 1073741824
set 0 ecc0 2
set 0 ecc1 1
set 0 rows0 5
set 0 rows1 6
set 0 rows2 1
set 0 rows3 0
set 0 recovery 0
"""
FIRST, SECOND = "GPU-00000000-aaaa", "GPU-11111111-bbbb"
type Open = Callable[..., Asker]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stub, compiled."""
    return compiled(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def opened(library: Path, tmp_path: Path) -> Iterator[Open]:
    """Opens askers and ends them after the test."""
    open_now: list[Asker] = []

    def open_one(text: str = TWO) -> Asker:
        open_now.append(Asker(library, tmp_path / f"nvml-{len(open_now)}", text))
        return open_now[-1]

    yield open_one
    for one in open_now:
        one.__exit__(None, None, None)


def reading(raw: dict[str, Any]) -> Reading:
    return msgspec.convert(raw, Reading)


def test_the_inventory_is_what_the_library_says(opened: Open) -> None:
    """Uuid, product, bytes, minor, bus and serial of each GPU; origin names the file's digest."""
    asker = opened()
    first, second = asker.ask("inventory")
    assert (first["index"], first["uuid"], first["minor"]) == (0, FIRST, 3)
    assert (second["index"], second["uuid"], second["serial"]) == (1, SECOND, "1650002")
    assert first["product"] == "NVIDIA H100 80GB HBM3"
    assert first["memory_bytes"] == 80 << 30
    assert first["bus"] == "00000000:10:00.0"
    assert first["parent"] == ""


def test_what_was_loaded_is_what_was_hashed(opened: Open, library: Path) -> None:
    """The origin says driver, path and the SHA-256 of the library's file, and not simulated."""
    origin = opened().ask("origin")
    assert origin == {
        "simulated": False, "driver": "550.54.15", "library": str(library), "cuda": "12.4",
        "library_sha256": hashlib.sha256(library.read_bytes()).hexdigest(),
    }  # fmt: skip


def test_a_reading_is_complete_and_absent_is_none(opened: Open) -> None:
    """What the device knows is there in its unit; NOT_SUPPORTED is None, never 0."""
    asker = opened()
    asker.ask("inventory")
    assert reading(asker.ask("read", FIRST)) == Reading(
        uuid=FIRST, recovery="none", utilisation_percent=37, memory_total_bytes=80 << 30,
        memory_used_bytes=1 << 30, power_mw=123456, temperature_c=41, ecc_corrected=2,
        ecc_uncorrected=1, rows_corrected=5, rows_uncorrected=6, row_pending=True,
        row_failure=False,
    )  # fmt: skip
    assert reading(asker.ask("read", SECOND)) == Reading(
        uuid=SECOND, memory_total_bytes=80 << 30, memory_used_bytes=0
    )


def test_what_the_driver_reserves_is_not_in_use(opened: Open) -> None:
    """A driver that tells the two apart is asked so; one that does not gives one number for both."""
    asker = opened(f"{TWO}set 1 reserved 576716800\nset 1 used 4194304\n")
    asker.ask("inventory")
    second = reading(asker.ask("read", SECOND))
    assert (second.memory_used_bytes, second.memory_reserved_bytes) == (4 << 20, 550 << 20)
    assert reading(asker.ask("read", FIRST)).memory_reserved_bytes is None


def test_utilisation_is_what_the_driver_says_or_nothing(opened: Open) -> None:
    """Percent; None for a GPU that does not say, and for one that is not here: never 0."""
    asker = opened()
    asker.ask("inventory")
    assert asker.ask("utilisation", FIRST) == 37
    assert asker.ask("utilisation", SECOND) is None
    assert asker.ask("utilisation", "GPU-never") is None


SLICES = f"{TWO}set 1 mig 1\nmig 1 0 MIG-aaaa 7 0 9728\nmig 1 3 MIG-bbbb 9 1 9728\nset 1 gpm 1\n"


def test_a_slice_is_at_work_by_what_gpm_counted_since_the_last_question(opened: Open) -> None:
    """The larger of its two numbers, rounded up, its own and not its neighbour's; None at the
    first question, after an error, and for what is not here. No sample of the library is left.
    """
    asker = opened(f"{SLICES}gpm 1 7 1000 500 40\ngpm 1 9 1000 0 0\n")
    asker.ask("inventory")
    assert [asker.ask("utilisation", one) for one in ("MIG-aaaa", "MIG-bbbb")] == [None, None]
    asker.write(f"{SLICES}gpm 1 7 2000 600 41\ngpm 1 9 2000 1 1\n")
    assert asker.ask("utilisation", "MIG-aaaa") == 10
    assert asker.ask("utilisation", "MIG-bbbb") == 1
    assert asker.ask("utilisation", "MIG-aaaa") is None, "no time has passed"
    asker.write(f"{SLICES}gpm 1 7 3000 600 341\ngpm 1 9 3000 1 1\n")
    assert [asker.ask("utilisation", one) for one in ("MIG-aaaa", "MIG-bbbb")] == [None, 0]
    asker.write(f"{SLICES}gpm 1 7 4000 600 641\ngpm 1 9 4000 1 1\n")
    assert asker.ask("utilisation", "MIG-aaaa") == 30
    assert asker.ask("utilisation", SECOND) is None, "the GPU itself says nothing in MIG mode"
    assert asker.ask("utilisation", "MIG-never") is None
    asker.write(f"{TWO}set 1 mig 1\nmig 1 0 MIG-aaaa 7 0 9728\n")
    asker.ask("inventory")
    assert asker.ask("utilisation", "MIG-bbbb") is None


@pytest.mark.parametrize(
    "without", ["set 1 gpm 0\n", "error nvmlGpmQueryDeviceSupport 1 13\n",
                "error nvmlGpmMigSampleGet 1 3\n", "error nvmlGpmMetricsGet * 999\n"],
    ids=["no gpm", "an older driver", "no samples", "no numbers"],
)  # fmt: skip
def test_a_slice_that_does_not_say_is_unknown(opened: Open, without: str) -> None:
    """As of an Ampere: None however often it is asked, never 0."""
    asker = opened(f"{without}{SLICES}gpm 1 7 1000 0 0\n")
    asker.ask("inventory")
    assert asker.ask("utilisation", "MIG-aaaa") is None
    asker.write(f"{without}{SLICES}gpm 1 7 2000 0 0\n")
    assert asker.ask("utilisation", "MIG-aaaa") is None


def test_slices_stand_for_their_gpu(opened: Open) -> None:
    """In MIG mode the units are the slices, by MIG uuid, with their instances and their parent."""
    text = f"{TWO}set 1 mig 1\nmig 1 0 MIG-aaaa 7 0 9728\nmig 1 3 MIG-bbbb 9 1 9728\n"
    units = opened(text).ask("inventory")
    assert [(one["index"], one["uuid"]) for one in units] == [
        (0, FIRST), (1, "MIG-aaaa"), (2, "MIG-bbbb"),
    ]  # fmt: skip
    assert units[2]["parent"] == SECOND
    assert (units[2]["gpu_instance"], units[2]["compute_instance"]) == (9, 1)
    assert units[2]["memory_bytes"] == 9728 << 20
    assert units[2]["product"] == "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    assert units[2]["minor"] == 4


def test_processes_of_both_kinds_are_found_once(opened: Open) -> None:
    """Compute and graphics, by pid, with bytes; a call that an old driver lacks is no error."""
    asker = opened(f"{TWO}run 0 compute 42 1024\nrun 0 graphics 7 512\nrun 0 graphics 42 1024\n")
    asker.ask("inventory")
    assert asker.ask("occupants", FIRST) == [
        {"pid": 7, "memory_bytes": 512}, {"pid": 42, "memory_bytes": 1024},
    ]  # fmt: skip
    assert asker.ask("occupants", SECOND) == []
    asker.add("error nvmlDeviceGetComputeRunningProcesses_v3 0 13")
    asker.add("error nvmlDeviceGetGraphicsRunningProcesses_v3 0 13")
    assert asker.ask("occupants", FIRST) == [{"pid": 42, "memory_bytes": 1024}]


def test_unknown_occupancy_is_not_emptiness(opened: Open) -> None:
    """Where the driver does not let us see processes, the answer is None, not "none"."""
    asker = opened(f"{TWO}error nvmlDeviceGetComputeRunningProcesses_v3 0 4\n")
    asker.ask("inventory")
    assert asker.ask("occupants", FIRST) is None
    assert asker.ask("occupants", "GPU-never-there") is None


def test_each_xid_is_told_once_in_order(opened: Open) -> None:
    """Two of one kind are two events, not a gauge; what was told is not told again."""
    asker = opened()
    asker.ask("inventory")
    assert asker.ask("events") == []
    asker.add("xid 1 31\nxid 0 79\nxid 1 31")
    expected = [(SECOND, 31), (FIRST, 79), (SECOND, 31)]
    assert [(one["uuid"], one["xid"]) for one in asker.ask("events")] == expected
    assert asker.ask("events") == []


def test_a_lost_gpu_is_a_reading_and_hides_no_other(opened: Open) -> None:
    """GPU_IS_LOST crashes nothing: the GPU leaves the inventory, reads as lost, and the XIDs of
    the others still arrive.
    """
    asker = opened()
    asker.ask("inventory")
    asker.add("error * 0 15\nxid 1 48")
    assert reading(asker.ask("read", FIRST)) == Reading(uuid=FIRST, fault="lost")
    assert [one["uuid"] for one in asker.ask("inventory")] == [SECOND]
    events = [*asker.ask("events"), *asker.ask("events")]
    assert events == [{"uuid": SECOND, "xid": 48}]
    assert reading(asker.ask("read", SECOND)).fault == ""


def test_every_error_code_has_a_typed_outcome(opened: Open) -> None:
    """Injected into a call, then into every call about one GPU, each code that pynvml knows gives
    its outcome and no crash: a fault in the reading, an absence, or one refusal by name.
    """
    codes = {getattr(pynvml, name) for name in dir(pynvml) if name.startswith("NVML_ERROR_")}
    assert codes == set(nvml.OUTCOMES)
    faults = {"lost", "reset_required", "inforom", "interrupt", "power", "unknown"}
    asker = opened()
    asker.ask("inventory")
    for code, expected in nvml.OUTCOMES.items():
        asker.write(f"{TWO}error nvmlDeviceGetPowerUsage 0 {code}\n")
        raw = asker.ask("read", FIRST)
        if expected == "unavailable":
            assert raw == {"error": "nvml.unavailable"}, code
        else:
            read = reading(raw)
            assert read.power_mw is None, code
            assert read.temperature_c == (None if expected == "lost" else 41), code
            assert read.fault == (expected if expected in faults else ""), code
        asker.write(f"{TWO}error * 0 {code}\n")
        left = asker.ask("inventory")
        gone = {"error": "nvml.unavailable"}
        assert left == gone if expected == "unavailable" else [u["uuid"] for u in left] == [SECOND]


def test_a_code_that_is_newer_than_the_table_is_a_fault(opened: Open) -> None:
    """An unknown code is never taken for "all is well"."""
    asker = opened(f"{TWO}error nvmlDeviceGetPowerUsage 0 777\nset 1 recovery 99\n")
    asker.ask("inventory")
    assert reading(asker.ask("read", FIRST)).fault == "unknown"
    assert reading(asker.ask("read", SECOND)).recovery == "reboot"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("error nvmlInitWithFlags * 9", "nvml.unavailable"),
        ("error nvmlInitWithFlags * 18", "nvml.unavailable"),
        ("error nvmlInitWithFlags * 4", "nvml.refused"),
        ("error nvmlInitWithFlags * 999", "nvml.failed"),
        ("error nvmlSystemGetDriverVersion * 999", "nvml.failed"),
    ],
)
def test_a_driver_that_is_not_there_is_refused_by_name(text: str, code: str, opened: Open) -> None:
    """No driver, one that does not fit, no permission: said when it is opened."""
    assert opened(text).opened == {"error": code}


def test_a_library_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    """A relative path, no file, a file that is no library, a second library in one process."""
    (tmp_path / "text.so").write_text("no library")
    for path in ("libnvidia-ml.so.1", str(tmp_path / "none.so"), str(tmp_path / "text.so")):
        with Asker(Path(path), tmp_path / "state", "") as asker:
            assert asker.opened == {"error": "nvml.library"}


def test_one_library_a_process(library: Path, tmp_path: Path) -> None:
    """A second one would silently be the first: refused; after `close` another may come."""
    program = (
        "import sys; from pathlib import Path; from agent.nvml import open_nvml\n"
        "from agent.devices import DeviceError\n"
        "one = open_nvml(Path(sys.argv[1]))\n"
        "try: open_nvml(Path(sys.argv[1]))\n"
        "except DeviceError as error: print(error.code)\n"
        "one.close(); print(open_nvml(Path(sys.argv[1])).origin.driver)\n"
    )
    (tmp_path / "state").write_text(TWO)
    out = subprocess.run(
        [sys.executable, "-c", program, str(library)], check=True, capture_output=True, text=True,
        cwd=ROOT, env={"STUB_NVML": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)},
    ).stdout  # fmt: skip
    assert out.split() == ["nvml.library", "550.54.15"]


def test_the_catalogue_of_xids_is_complete_for_what_it_claims() -> None:
    """The program's faults never take a device away; ECC, GSP and bus errors do; an unknown code is
    not harmless.
    """
    assert [xid.remedy(code) for code in (13, 31, 43, 45, 94)] == ["application"] * 5
    assert [xid.remedy(code) for code in (48, 64, 74, 95, 119, 120, 140)] == ["reset"] * 7
    assert xid.remedy(63) == xid.remedy(154) == "nothing"
    assert xid.remedy(79) == "reboot"
    assert xid.remedy(54) == "hands"
    assert 999 not in xid.CATALOGUE
    assert xid.remedy(999) == "reset"
