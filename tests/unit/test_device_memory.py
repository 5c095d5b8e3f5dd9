"""The memory of a GPU as programs of ours treat it, through a CUDA library whose memory is a file."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import bandwidth, device_loops, device_memory, preflight, turns
from agent.canary import Canary, marker_of
from agent.cuda_canary import PAGE, Looked, Planted
from agent.cuda_copy import Copied
from agent.cuda_fill import Filled
from agent.device_memory import CudaMemory
from agent.device_watch import Unit
from agent.device_work import Means, enqueue
from agent.devices import Origin
from agent.runtimes import Observed
from agent.simulated_devices import SimulatedDevices
from contracts.devices import CheckDevices, SanitizeDevices
from domain.bandwidth import falls_short
from tests.containers import until
from tests.device_world import World
from tests.machine import need

SECRET = b"the former tenant's secret"
MARKER = marker_of("node-1", 7)
GPU = "GPU-a"


@pytest.fixture(scope="session")
def cuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A libcuda whose device memory is a file."""
    need("gcc")
    library = tmp_path_factory.mktemp("cuda") / "libcuda.so.1"
    source = Path(__file__).parent.parent / "nvml" / "cuda.c"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), str(source)], check=True
    )
    return library


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """8 MiB and a bit of device memory in which a tenant left secrets."""
    path = tmp_path / "memory"
    path.write_bytes((SECRET + bytes(4096)) * 2100)
    monkeypatch.setenv("STUB_CUDA", str(path))
    return path


class Machine:
    """SIMULATED devices that say they are real, so that their memory is CUDA's."""

    def __init__(self, source: SimulatedDevices) -> None:
        self.origin = Origin(simulated=False, driver="570.1", library_sha256="0" * 64)
        self.inventory = source.inventory
        self.read = source.read
        self.occupants = source.occupants
        self.utilisation = source.utilisation
        self.events = source.events
        self.close = source.close


@pytest.fixture
def world(tmp_path: Path, memory: Path) -> Iterator[World]:
    """Two devices whose memory is the same file."""
    assert memory.exists()
    one = World(tmp_path)
    one.desk.source = Machine(one.source)
    yield one
    one.close()


def fill(cuda: Path) -> Filled:
    done = asyncio.run(CudaMemory(cuda).fill(GPU))
    assert isinstance(done, Filled), done
    return done


def plant(cuda: Path) -> Planted:
    done = asyncio.run(CudaMemory(cuda).plant(GPU, MARKER))
    assert isinstance(done, Planted), done
    return done


def look(cuda: Path) -> Looked:
    done = asyncio.run(CudaMemory(cuda).look(GPU, MARKER))
    assert isinstance(done, Looked), done
    return done


def copy(cuda: Path) -> Copied:
    done = asyncio.run(CudaMemory(cuda).copy(GPU))
    assert isinstance(done, Copied), done
    return done


def test_memory_is_overwritten_and_read_back(cuda: Path, memory: Path) -> None:
    """All that could be had is covered, said in bytes, and no secret of the tenant is left there."""
    assert memory.read_bytes().count(SECRET) == 2100
    filled = fill(cuda)
    assert filled.total_bytes == memory.stat().st_size
    assert filled.total_bytes - filled.covered_bytes < 1 << 20
    assert filled.differing_bytes == 0
    assert memory.read_bytes()[: filled.covered_bytes].count(0) == filled.covered_bytes


def test_a_cell_that_keeps_its_old_value_is_found(
    cuda: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verified means read back: one stuck byte of millions fails it."""
    assert memory.exists()
    monkeypatch.setenv("STUB_CUDA_STUCK", "5000001")
    assert fill(cuda).differing_bytes > 0


@pytest.mark.parametrize(
    "function", ["cuInit", "cuCtxCreate_v2", "cuMemAlloc_v2", "cuMemcpyDtoH_v2"]
)
def test_a_fill_that_fails_is_no_receipt(
    function: str, cuda: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any call of the driver that fails: nothing was proven, said in one word."""
    monkeypatch.setenv("STUB_CUDA_FAIL", function)
    assert asyncio.run(CudaMemory(cuda).fill(GPU)) == "fill_failed"
    assert asyncio.run(CudaMemory(memory).fill(GPU)) == "fill_failed"


def test_a_canary_is_in_every_page_until_it_is_overwritten(cuda: Path, memory: Path) -> None:
    """One process plants, another one finds it in each place; after a fill no place has it."""
    places = plant(cuda).places
    assert places == 4
    assert memory.read_bytes().count(MARKER) == places
    assert all(memory.read_bytes()[at * PAGE :].startswith(MARKER) for at in range(places))
    assert look(cuda) == Looked(places, places)
    fill(cuda)
    assert look(cuda) == Looked(places, 0)


@pytest.mark.parametrize(("lie", "read_back"), [("private", True), ("nothing", False)])
def test_a_wipe_that_wipes_for_nobody_else_is_found(
    lie: str, read_back: bool, cuda: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wiper reads its own zeros back and the next context the marker; a wipe that does nothing
    is found both ways.
    """
    assert memory.exists()
    monkeypatch.setenv("STUB_CUDA_MEMSET", lie)
    places = plant(cuda).places
    assert (fill(cuda).differing_bytes == 0) is read_back
    assert look(cuda) == Looked(places, places)


def test_a_hanging_driver_holds_nobody(
    cuda: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that does not end in time, or whose order is given up, is ended."""
    assert memory.exists()
    monkeypatch.setenv("STUB_CUDA_HANG", "cuMemcpyDtoD_v2")
    monkeypatch.setattr(device_memory, "_COPY_S", 1.0)
    assert asyncio.run(CudaMemory(cuda).copy(GPU)) == "copy_timeout"
    monkeypatch.setattr(device_memory, "_COPY_S", 600.0)

    async def given_up() -> None:
        asked = asyncio.create_task(CudaMemory(cuda).copy(GPU))
        await asyncio.sleep(1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    began = time.monotonic()
    asyncio.run(given_up())
    assert time.monotonic() - began < 300
    assert children_of(cuda) == []


def test_programs_die_with_their_agent(
    cuda: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill -9 of whoever began it: a context that nobody waits for would spoil the next receipt."""
    assert memory.exists()
    monkeypatch.setenv("STUB_CUDA_HANG", "cuMemsetD8_v2")
    asking = f"asyncio.run(CudaMemory(Path({str(cuda)!r})).fill('GPU-a'))"
    lines = (
        "import asyncio", "from pathlib import Path",
        "from agent.device_memory import CudaMemory", asking,
    )  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", "\n".join(lines)]) as agent:
        until(lambda: hangs(cuda), "it is begun")
        agent.kill()
    until(lambda: children_of(cuda) == [], "it is gone")


def hangs(cuda: Path) -> bool:
    """Whether a program has loaded the library, which it does after it ties its life to ours."""
    maps = [Path(f"/proc/{pid}/maps") for pid in children_of(cuda)]
    return any(str(cuda) in one.read_text() for one in maps)


def children_of(cuda: Path, module: str = "") -> list[str]:
    """Processes of ours that have this library; those of one module, if named."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(cuda).encode() in words and module.encode() in (*words, b""):
            found.append(process.name)
    return found


def test_speed_is_the_devices_own(
    cuda: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes read and written by the time that the GPU's events say; a slow one falls short of what
    is expected, not of what it is.
    """
    assert memory.exists()
    fast = copy(cuda)
    assert 2_900_000 < fast.moved_bytes // fast.duration_us < 3_100_000
    monkeypatch.setenv("STUB_CUDA_SLOW", GPU)
    slow = copy(cuda)
    assert slow.duration_us >= 100_000
    assert 99_000 < slow.moved_bytes // slow.duration_us < 101_000
    short = [falls_short(m, slow.moved_bytes, slow.duration_us) for m in ("T4", "H100", "X9")]
    assert short == [True, True, False]
    assert not falls_short("H200", fast.moved_bytes, fast.duration_us)


def measured(world: World, cuda: Path | None) -> list[int]:
    """Which devices were said to have been measured, by asking once more."""
    before = len(world.said("device_probed"))
    asyncio.run(bandwidth.measure_once_a_boot(world.desk, world.spool, cuda))
    return [one["devices"][0] for one in world.said("device_probed")[before:]]


def test_each_device_is_measured_once_a_boot(world: World, cuda: Path) -> None:
    """After it was described; not again in this boot, nor without means; again in the next."""
    assert measured(world, None) == []
    assert measured(world, cuda) == [0, 1]
    assert world.tags() == ["device_described"] * 2 + ["device_probed"] * 2
    word = world.said("device_probed")[0]
    assert (word["uuid"], word["method"]) == (world.gpu, "cuda_copy")
    assert word["bytes"] > word["duration_us"] > 0
    assert measured(world, cuda) == []
    world = world.reopen("c" * 32)
    world.desk.source = Machine(world.source)
    assert measured(world, cuda) == [0, 1]
    world.close()


def test_nothing_is_measured_beside_anybody(world: World, cuda: Path) -> None:
    """A process on a device, or a runtime of ours that holds it: it waits for another boot or an
    order.
    """
    world.source.occupy(world.gpu, 4242)
    held = Observed("allocation-1", "runtime-1", "starting", 0, devices=(1,))
    world.desk.holders = lambda: [held]
    assert measured(world, cuda) == []
    world.source.leave(world.gpu)
    assert measured(world, cuda) == [0]


def test_a_driver_that_fails_or_hangs_is_said(
    world: World, cuda: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bytes and why, of each device; the agent goes on."""
    monkeypatch.setenv("STUB_CUDA_FAIL", "cuEventRecord")
    assert measured(world, cuda) == [0, 1]
    word = world.said("device_probed")[0]
    assert (word["method"], word["bytes"], word["duration_us"]) == ("refused:copy_failed", 0, 0)
    world = world.reopen("c" * 32)
    world.desk.source = Machine(world.source)
    monkeypatch.delenv("STUB_CUDA_FAIL")
    monkeypatch.setenv("STUB_CUDA_HANG", "cuMemcpyDtoD_v2")
    monkeypatch.setattr(device_memory, "_COPY_S", 1.0)
    assert measured(world, cuda) == [0, 1]
    assert {one["method"] for one in world.said("device_probed")[2:]} == {"refused:copy_timeout"}
    world.close()


def test_an_order_says_speed_and_canary_before_its_receipt(
    world: World, cuda: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wipe that reads its own zeros back gets a clean receipt, and a canary that was found."""
    monkeypatch.setenv("STUB_CUDA_MEMSET", "private")
    asyncio.run(world.order(7, SanitizeDevices((0,)), Means(cuda, patience_us=0)))
    assert world.tags() == ["device_probed", "canary_looked", "sanitized"]
    [receipt], [canary] = world.said("sanitized"), world.said("canary_looked")
    assert (receipt["method"], receipt["bytes_covered"]) == ("cuda_fill_verify", 8 << 20)
    places = [canary[name] for name in ("planted", "looked", "found")]
    assert (canary["method"], places) == ("cuda_marker", [4, 4, 4])
    asyncio.run(world.order(8, CheckDevices((1,)), Means(cuda, patience_us=0)))
    assert world.tags()[3:] == ["device_probed", "device_tested"]
    world.desk.holders = lambda: [Observed("allocation-1", "runtime-1", "usable", 0, devices=(1,))]
    asyncio.run(world.order(9, CheckDevices((1,)), Means(cuda, patience_us=0)))
    assert world.tags()[5:] == ["device_tested"]
    assert world.said("device_tested")[-1]["method"] == "nvml_read"


def test_what_was_not_planted_and_what_was_not_wiped(
    world: World, cuda: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A canary that could not be planted is said so beside a clean receipt; of a wipe that did not
    run to its end nothing is said but the receipt.
    """
    means = Means(cuda, patience_us=0)
    monkeypatch.setenv("STUB_CUDA_FAIL", "cuMemcpyHtoD_v2")
    asyncio.run(world.order(7, SanitizeDevices((0,)), means))
    [canary] = world.said("canary_looked")
    assert [canary[name] for name in ("planted", "looked", "found")] == [0, 0, 0]
    assert canary["method"] == "refused:plant_failed"
    assert world.said("sanitized")[0]["bytes_covered"] > 0
    monkeypatch.setenv("STUB_CUDA_FAIL", "cuMemsetD8_v2")
    asyncio.run(world.order(8, SanitizeDevices((0,)), means))
    assert len(world.said("canary_looked")) == 1
    assert world.said("sanitized")[1]["method"] == "refused:fill_failed"


def test_a_start_is_not_refused_for_our_own_work(
    world: World, cuda: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wipe under way gives way to a start on its device, at once and without a word, and is not
    begun again beside the runtime; one on another device goes on. When the runtime is over the
    order is done.
    """
    monkeypatch.setenv("STUB_CUDA_HANG", "cuMemsetD8_v2")
    monkeypatch.setattr(turns, "PROMISED_S", 1.0)
    means = Means(cuda, patience_us=0)

    async def meanwhile() -> None:
        enqueue(world.store, 7, SanitizeDevices((0,)))
        working = asyncio.create_task(
            device_loops.work(world.desk, world.spool, means, asyncio.Event())
        )
        try:
            await eventually(lambda: children_of(cuda, "agent.cuda_fill") != [])
            await preflight.examine(world.desk, world.spool, (1,), 7)
            assert children_of(cuda) != []
            await preflight.examine(world.desk, world.spool, (0,), 7)
            assert children_of(cuda) == []
            assert world.desk.illness((0,)) is None
            assert world.tags() == []
            held = Observed("allocation-1", "runtime-1", "starting", 0, devices=(0,))
            world.desk.holders = lambda: [held]
            await eventually(lambda: world.tags() == ["sanitized"])
            assert world.said("sanitized")[0]["method"] == "refused:held"
            world.desk.holders = list
            monkeypatch.delenv("STUB_CUDA_HANG")
            enqueue(world.store, 8, SanitizeDevices((0,)))
            await eventually(lambda: len(world.said("sanitized")) == 2)
            assert world.said("sanitized")[1]["bytes_covered"] == 8 << 20
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    asyncio.run(meanwhile())


async def eventually(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not seen():  # noqa: ASYNC110  what is waited for happens in another program
            await asyncio.sleep(0.05)


def test_a_question_that_was_given_up_makes_no_driver_silent(world: World) -> None:
    """The next one waits for its answer."""

    async def given_up() -> int:
        began = threading.Event()

        def slow() -> None:
            began.set()
            time.sleep(0.5)

        asking = asyncio.create_task(world.desk.ask(slow))
        await asyncio.to_thread(began.wait)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return await world.desk.ask(lambda: 7)

    assert asyncio.run(given_up()) == 7


class Blind:
    """Memory in which nobody can look."""

    simulated = False

    async def fill(self, uuid: str) -> Filled | str:
        return Filled(1, 1, 0) if uuid else ""

    async def plant(self, uuid: str, marker: bytes) -> Planted | str:
        return Planted(5) if uuid and marker else ""

    async def look(self, uuid: str, marker: bytes) -> Looked | str:
        return Looked(5, 1) if uuid == "a" and marker else "look_failed"


def test_a_look_that_fails_counts_for_none() -> None:
    """On one of two devices: no place was looked at, and what was found stays found."""

    async def both() -> None:
        canary = Canary(Blind(), MARKER)
        units = [Unit(0, "a", "a"), Unit(1, "b", "b")]
        await canary.plant(units)
        assert canary.said((0, 1), 7) is None
        await canary.look(units)
        said = canary.said((0, 1), 7)
        assert said is not None
        assert [said[name] for name in ("planted", "looked", "found")] == [10, 0, 1]
        assert said["method"] == "refused:look_failed"

    asyncio.run(both())


def test_markers_are_of_one_order_of_one_node() -> None:
    """The same order has the same one after a crash; another order, or node, has another."""
    assert len({marker_of("node-1", 7), marker_of("node-1", 8), marker_of("node-2", 7)}) == 3
    assert len(MARKER) == 32
