"""Real volumes under real containers: loopback ext4, mounted by keepers, wiped with a receipt."""

import asyncio
import fcntl
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent import volume_images, volume_mounts
from agent.clock import boottime_us
from agent.engine import EngineError, read_order
from agent.files import replace_file
from agent.kept import KeptRuntimes
from agent.volume_places import (
    Holder,
    Place,
    freeze,
    holder_of,
    loops,
    lying,
    mounted,
    place_of,
    thaw,
)  # fmt: skip
from api.embedded.nats import Nats
from contracts.signing import FleetError
from contracts.spec import VolumeMount
from contracts.volumes import (
    MIB,
    CreateVolume,
    GrowVolume,
    RestoreVolume,
    SnapshotVolume,
    VolumeOrder,
    WipeVolume,
)
from domain import stray, volume
from evidence.ids import new_id
from tests.agent_world import ORG, PRIVATE, World, enrolled_program, now_us, story
from tests.conftest import Database
from tests.containers import Image, podman, until
from tests.crew import crew_of
from tests.kept_world import WHOLE, S, Stage, is_in, keepers, kill_keepers, seen, staged
from tests.machine import need

pytestmark = [pytest.mark.slow, pytest.mark.machine, pytest.mark.timeout(900)]

SIZE_MIB = 24


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    need("mkfs.ext4", "losetup", "e2fsck", "resize2fs", "fallocate", root=True)
    with podman() as found:
        yield found


@pytest.fixture
def stage(image: Image, tmp_path: Path) -> Iterator[Stage]:
    with staged(image, tmp_path) as made:
        try:
            yield made
        finally:
            for name in made.containers():
                subprocess.run((*image.settings.podman, "rm", "-ft0", container(name)), check=True)
            until(lambda: not left(tmp_path), "nothing of it is mounted", 60)


def left(state: Path) -> list[str]:
    here = [line for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if str(state) in line]  # fmt: skip
    folder = state / "volumes"
    places = [Place(one) for one in folder.iterdir()] if folder.is_dir() else []
    return here + [device for place in places for device in loops(place)]


def container(name: str) -> str:
    return f"gpuaas-{name.removeprefix('allocation-')}-1"


def states(stage: Stage, name: str) -> str:
    """What its processes do: a letter each, as proc(5) has them; D waits in the kernel."""
    pid, found = stage.pid(name), ""
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and (place / "ns/pid").samefile(f"/proc/{pid}/ns/pid"):
                found += (place / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
    return found


def do(stage: Stage, order: VolumeOrder) -> volume_images.Outcome:
    """As the agent would have it done, in this process."""
    return volume_images.do(stage.state, order)


def made(stage: Stage, size_mib: int = SIZE_MIB) -> str:
    name = new_id("volume")
    assert do(stage, CreateVolume(name, size_mib)).said["bytes"] == size_mib * MIB
    return name


def start(stage: Stage, source: KeptRuntimes, volume: str, epoch: int, within_s: int = 300) -> str:
    name, at = new_id("allocation"), boottime_us()
    spec = stage.image.spec(volumes=(VolumeMount(volume, "/data"),))
    source.start(name, new_id("runtime"), epoch, WHOLE, at, at + within_s * S, spec)
    return name


def inside(stage: Stage, name: str, epoch: int, script: str) -> str:
    argv = (*stage.image.settings.podman, "exec", f"{container(name)[:-1]}{epoch}", "sh", "-c")
    done = subprocess.run((*argv, script), capture_output=True, check=False, timeout=120)
    return done.stdout.decode() + done.stderr.decode()


def ended(source: KeptRuntimes, name: str) -> None:
    source.stop(name, boottime_us())
    is_in(source, name, "stopped")


def test_data_survives_the_runtime_and_quota_is_the_file_systems(stage: Stage) -> None:
    """Written, stopped, started elsewhere in time: it is there. Past its size is ENOSPC inside.
    Devices and set-user-id programs on it count for nothing. Stopped means unmounted.
    """
    source, volume = stage.opened(), made(stage)
    place = place_of(stage.state, volume)
    first = start(stage, source, volume, 1)
    is_in(source, first, "usable")
    assert "kept" in inside(stage, first, 1, "echo kept > /data/word && sync && cat /data/word")
    full = inside(stage, first, 1, "dd if=/dev/zero of=/data/big bs=1M count=64 2>&1")
    assert "No space left" in full
    options = inside(stage, first, 1, "grep ' /data ' /proc/mounts")
    assert "nosuid" in options
    assert "nodev" in options
    ended(source, first)
    assert (mounted(place), loops(place), holder_of(place)) == ("", [], Holder("", 1))
    second = start(stage, source, volume, 2)
    is_in(source, second, "usable")
    assert inside(stage, second, 2, "cat /data/word") == "kept\n"
    ended(source, second)


def test_one_writer_and_no_stale_epoch(stage: Stage) -> None:
    """While one has it a second start is refused, and so is an epoch that was passed; a keeper of
    a passed epoch neither mounts nor unmounts; a volume that is not here starts nothing.
    """
    source, volume = stage.opened(), made(stage)
    place = place_of(stage.state, volume)
    first = start(stage, source, volume, 5)
    is_in(source, first, "usable")
    order = read_order(source.folder / first)
    assert order is not None
    with pytest.raises(EngineError, match=r"volume\.attached"):
        volume_mounts.hold(stage.state, order.spec, "allocation-2", 6)
    stale = replace(order, allocation="allocation-0", epoch=4)
    volume_mounts.unmount(stale)
    assert mounted(place)
    with pytest.raises(EngineError, match=r"volume\.stale_epoch"):
        volume_mounts.mount(stale, lambda *_: "")
    assert do(stage, WipeVolume(volume)).code == "volume.attached"
    ended(source, first)
    for wanted, epoch, code in (
        (volume, 5, "volume.stale_epoch"),
        (new_id("volume"), 9, "volume.missing"),
        ("../runtimes", 9, "volume.missing"),
    ):
        with pytest.raises(FleetError) as error:
            start(stage, source, wanted, epoch)
        assert error.value.code == code
    assert list(source.folder.iterdir()) == [source.folder / first]


def test_growing_copying_and_restoring(stage: Stage) -> None:
    """A snapshot of what was written, taken under a writer that goes on. Larger inside at once
    where the kernel lets us resize what is mounted, refused by name where not. Restored while
    detached, its size stays; a restore under a writer is refused.
    """
    source, volume, snapshot = stage.opened(), made(stage), new_id("snapshot")
    name = start(stage, source, volume, 1)
    is_in(source, name, "usable")
    inside(stage, name, 1, "echo old > /data/word")
    copied = do(stage, SnapshotVolume(volume, snapshot))
    assert isinstance(copied.said["frozen_us"], int)
    assert copied.said["frozen_us"] > 0
    assert do(stage, SnapshotVolume(volume, snapshot)).said["snapshot"] == snapshot
    before = int(inside(stage, name, 1, "df -m --output=size /data | tail -1"))
    grown = do(stage, GrowVolume(volume, 2 * SIZE_MIB)).code
    now = int(inside(stage, name, 1, "df -m --output=size /data | tail -1"))
    if volume_images.may_resize():
        assert (grown, now > before + 10) == ("", True)
    else:
        assert (grown, now) == ("volume.attached", before)
        with pytest.raises(PermissionError):
            resize(place_of(stage.state, volume).mnt, 2 * SIZE_MIB)
    inside(stage, name, 1, "echo new > /data/word; echo more > /data/b")
    assert do(stage, RestoreVolume(volume, snapshot)).code == "volume.attached"
    ended(source, name)
    assert do(stage, RestoreVolume(volume, new_id("snapshot"))).code == "volume.snapshot_unknown"
    assert do(stage, GrowVolume(volume, 2 * SIZE_MIB)).code == ""
    assert do(stage, RestoreVolume(volume, snapshot)).code == ""
    again = start(stage, source, volume, 2)
    is_in(source, again, "usable")
    assert inside(stage, again, 2, "cat /data/word; ls /data/b 2>&1").startswith("old\nls: ")
    assert int(inside(stage, again, 2, "df -m --output=size /data | tail -1")) > before + 10
    ended(source, again)


def resize(mount: Path, size_mib: int) -> None:
    """What resize2fs asks of the kernel: EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64), in blocks."""
    handle = os.open(mount, os.O_RDONLY)
    try:
        blocks = size_mib * MIB // os.fstatvfs(handle).f_bsize
        fcntl.ioctl(handle, 0x40086610, struct.pack("=Q", blocks))
    finally:
        os.close(handle)


def test_a_wipe_leaves_nothing_and_says_how_much(stage: Stage) -> None:
    """The receipt covers volume and snapshots, is the same after a repeat, and no byte of a marker
    is left in the files that were there.
    """
    volume, snapshot, marker = made(stage), new_id("snapshot"), b"marker-of-a-tenant"
    place = place_of(stage.state, volume)
    with place.image.open("r+b") as file:
        file.seek(12 * MIB)
        file.write(marker)
    do(stage, SnapshotVolume(volume, snapshot))
    handles = [path.open("rb") for path in (place.image, place.snapshot(snapshot))]
    receipt = do(stage, WipeVolume(volume))
    assert receipt.said["method"] == volume_images.WIPED
    assert receipt.said["bytes_covered"] == 2 * SIZE_MIB * MIB
    assert do(stage, WipeVolume(volume)) == receipt
    for handle in handles:
        assert marker not in handle.read()
        handle.close()
    assert not place.image.exists()
    assert do(stage, CreateVolume(volume, SIZE_MIB)).code == "volume.missing"
    assert do(stage, WipeVolume(new_id("volume"))).said["method"] == "absent"


def test_no_room_takes_nothing(stage: Stage) -> None:
    """Larger than the disk: refused by name, and no file is left that fills it."""
    volume = new_id("volume")
    assert do(stage, CreateVolume(volume, 1 << 24)).code == "volume.no_space"
    assert [one.name for one in place_of(stage.state, volume).folder.iterdir()] == ["lock"]


def both_after_a_round(source: KeptRuntimes, folder: Path) -> bool:
    """Rounds follow each other: one that began while the killed were still going begins nothing."""
    source.tend(boottime_us())
    return len(keepers(folder)) == 2


def test_kills_between_the_steps_of_attaching_and_detaching(stage: Stage) -> None:
    """Keeper killed under a running container, and both of it with the agent's order gone: the
    next round finds container, mount and holder, and frees them in this order. A holder without an
    order, and a mount without a container, are freed too.
    """
    source, volume = stage.opened(), made(stage)
    place = place_of(stage.state, volume)
    name = start(stage, source, volume, 1)
    is_in(source, name, "usable")
    kill_keepers(source.folder / name)
    again = stage.opened()
    again.tend(boottime_us())
    assert mounted(place)
    assert seen(again, name).state == "usable"
    until(lambda: both_after_a_round(again, source.folder / name), "both are there again")
    kill_keepers(source.folder / name)
    (source.folder / name / "order.json").unlink()
    again.tend(boottime_us())
    assert (mounted(place), loops(place), holder_of(place)) == ("", [], Holder("", 1))
    assert not left(stage.state)
    # The agent was killed after holder.json; then its keeper after the mount, before a container.
    spec = stage.image.spec(volumes=(VolumeMount(volume, "/data"),))
    volume_mounts.hold(stage.state, spec, "allocation-7", 7)
    again.tend(boottime_us())
    assert holder_of(place) == Holder("", 7)
    volume_mounts.hold(stage.state, spec, "allocation-8", 8)
    subprocess.run(["mount", "-o", "loop", str(place.image), str(place.mnt)], check=True)
    freeze(place)
    again.tend(boottime_us())
    assert (mounted(place), loops(place), holder_of(place)) == ("", [], Holder("", 8))
    third = start(stage, again, volume, 9)
    is_in(again, third, "usable")
    ended(again, third)


def test_a_namespace_copied_meanwhile_keeps_nothing(stage: Stage) -> None:
    """Some other program of the machine takes a copy of the mounts while a runtime has the volume:
    the end of the runtime unmounts it there too, so that it can be wiped.
    """
    source, volume = stage.opened(), made(stage)
    name = start(stage, source, volume, 1)
    is_in(source, name, "usable")
    argv = ["unshare", "--mount", "--propagation", "slave", "sleep", "600"]
    with subprocess.Popen(argv) as other:
        try:
            until(lambda: "sleep" in Path(f"/proc/{other.pid}/comm").read_text(), "it is copied")
            place = place_of(stage.state, volume)
            assert str(place.mnt) in Path(f"/proc/{other.pid}/mountinfo").read_text()
            ended(source, name)
            assert str(place.mnt) not in Path(f"/proc/{other.pid}/mountinfo").read_text()
            assert do(stage, WipeVolume(volume)).said["bytes_covered"] == SIZE_MIB * MIB
        finally:
            other.kill()


def test_a_copy_that_is_let_go_of_in_a_moment_costs_no_order(stage: Stage) -> None:
    """A device that some other program's copied mounts keep for a second is waited for."""
    volume = made(stage)
    place = place_of(stage.state, volume)
    held = ["losetup", "--find", "--show", str(place.image)]
    device = subprocess.run(held, check=True, capture_output=True, text=True).stdout.strip()
    letting_go = threading.Timer(1, subprocess.run, [["losetup", "--detach", device]])
    letting_go.start()
    assert do(stage, WipeVolume(volume)).said["bytes_covered"] == SIZE_MIB * MIB
    letting_go.join()


def test_a_frozen_volume_keeps_no_runtime_from_its_end(stage: Stage) -> None:
    """Frozen by a program that was killed: its writers cannot be killed while they wait, so the
    keeper wakes them first. What is not mounted is never frozen: not the node's own disk.
    """
    source, volume = stage.opened(), made(stage)
    place = place_of(stage.state, volume)
    assert not freeze(place)
    name = start(stage, source, volume, 1)
    is_in(source, name, "usable")
    assert freeze(place)
    writer = threading.Thread(
        target=inside, args=(stage, name, 1, "while :; do date > /data/x; sync; done")
    )
    writer.start()
    until(lambda: "D" in states(stage, name), "its writer waits")
    ended(source, name)
    writer.join(60)
    assert stage.containers() == []
    assert not thaw(place)
    assert mounted(place) == ""


@pytest.mark.parametrize("after_s", [0.05, 0.25])
def test_orders_cut_short_are_done_again(stage: Stage, after_s: float) -> None:
    """Created, grown, copied, restored and wiped by programs that are killed at some instant each:
    done again, the outcome is that of one that was not.
    """
    volume, snapshot = new_id("volume"), new_id("snapshot")
    wanted: tuple[VolumeOrder, ...] = (
        CreateVolume(volume, SIZE_MIB),
        GrowVolume(volume, 2 * SIZE_MIB),
        SnapshotVolume(volume, snapshot),
        RestoreVolume(volume, snapshot),
        WipeVolume(volume),
    )
    for order in wanted:
        child = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(stage.state), _encoded(order)],
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(after_s)
        child.kill()
        child.communicate()
        assert do(stage, order).code == "", order
    assert [one.name for one in place_of(stage.state, volume).folder.iterdir() if one.is_file()] == [
        "lock", "wiped.json",
    ] or not place_of(stage.state, volume).image.exists()  # fmt: skip


_PROGRAM = """
import sys
from agent.volume_images import main
print("begun", flush=True)
main(sys.argv[1], sys.argv[2])
"""


def _encoded(order: VolumeOrder) -> str:
    import msgspec

    return msgspec.json.encode(order).decode()


def test_from_the_log_to_the_disk_and_back(
    database: Database, nats_server: Nats, tmp_path: Path, image: Image
) -> None:
    """Made by order, attached by a launch's own append, written, told to grow: it is larger when the
    runtime has ended, where the kernel resizes nothing that is mounted. Started again: the data is
    there. The agent is killed while it has it. Wiped: the receipt covers it. An auditor believes
    every word.
    """

    async def law(world: World, tmp: Path) -> None:
        crew = await crew_of(world, image, tmp / "a")
        try:
            name = new_id("volume")
            fact = volume.Created("project-1", "department-1", "account-1", crew.node, PRIVATE,
                                  SIZE_MIB, now_us())  # fmt: skip
            await world.write(name, fact, org=ORG)
            await world.until(name, "volume.formatted", 60)
            spec = image.spec(volumes=(VolumeMount(name, "/data"),))
            said, df = "", "df -m --output=size /data | tail -1"
            for number, script in ((1, "echo kept > /data/word"), (2, f"cat /data/word; {df}")):
                one = await world.launch(crew.node, 0, spec)
                await world.until(one, "runtime.usable", 120)
                if number == 1:
                    crew.program.kill()
                    crew.program.start()
                [allocation] = await asyncio.to_thread(crew.containers)
                box = f"gpuaas-{allocation.removeprefix('allocation-')}-{number}"
                said = await asyncio.to_thread(image.say, "exec", box, "sh", "-c", script)
                if number == 1:
                    await world.write(name, volume.GrowRequested(2 * SIZE_MIB, now_us()), org=ORG)
                    await asyncio.sleep(2)
                    grown = (await world.tags(name)).count("volume.grown")
                    assert grown == volume_images.may_resize()
                await world.stop(one)
                await world.until(name, "volume.grown", 90)
                await world.until(one, "runtime.stopped", 90)
            word, size = said.split()
            assert (word, int(size) > SIZE_MIB) == ("kept", True)
            await world.write(name, volume.WipeRequested(now_us()), org=ORG)
            await world.until(name, "volume.deleted", 60)
            facts = [entry.fact for entry in await world.log.read_stream(name)]
            [receipt] = [one for one in facts if isinstance(one, volume.Wiped)]
            assert (receipt.method, receipt.bytes_covered) == (
                volume_images.WIPED, 2 * SIZE_MIB * MIB,
            )  # fmt: skip
            assert not left(crew.state)
        finally:
            await asyncio.to_thread(crew.clear)

    story(law, database, nats_server, tmp_path)


def test_what_is_lost_is_wiped_when_its_disk_comes_back(
    database: Database, nats_server: Nats, tmp_path: Path, image: Image
) -> None:
    """Given up while its node is dead; the machine comes back enrolled as another node over the old
    state: it wipes what is lost, by a receipt of its own, and what the log still gives to the node
    that it was only once that is lost too.
    """

    async def law(world: World, tmp: Path) -> None:
        crew = await crew_of(world, image, tmp / "a")
        try:
            lost, kept = new_id("volume"), new_id("volume")
            of = ("project-1", "department-1", "account-1", crew.node, PRIVATE, SIZE_MIB)
            for name in (lost, kept):
                await world.write(name, volume.Created(*of, now_us()), org=ORG)
                await world.until(name, "volume.formatted", 60)
            (crew.state / "volumes" / lost / "snapshots").mkdir()
            (crew.state / "volumes" / lost / "snapshots" / "old").write_bytes(b"secret")
            crew.program.kill()
            await world.write(lost, volume.Lost(now_us(), now_us()), org=ORG)
            for path in (*crew.state.glob("agent.db*"), crew.state / "enrolment.json"):
                path.unlink()
            crew.node, _ = await enrolled_program(world, crew.state)
            for name in (lost, kept):
                crew.program.start()
                await world.until(crew.node, "node.volume_wiped", 60, times=1 + (name == kept))
                crew.program.kill()
                assert lying(crew.state) == ([kept] if name == lost else [])
                if name == lost:
                    await world.write(kept, volume.Lost(now_us(), now_us()), org=ORG)
            facts = [entry.fact for entry in await world.log.read_stream(crew.node)]
            receipts = [one for one in facts if isinstance(one, stray.VolumeWiped)]
            assert [(one.volume, one.method, one.bytes_covered) for one in receipts] == [
                (lost, volume_images.WIPED, SIZE_MIB * MIB + len(b"secret")),
                (kept, volume_images.WIPED, SIZE_MIB * MIB),
            ]
            assert not left(crew.state)
            spec = image.spec(volumes=(VolumeMount(lost, "/data"),))
            with pytest.raises(EngineError) as error:
                volume_mounts.may_hold(crew.state, spec, new_id("allocation"), 9)
            assert error.value.code == "volume.missing"
        finally:
            await asyncio.to_thread(crew.clear)

    story(law, database, nats_server, tmp_path)


def test_a_full_holder_file_is_nobody(tmp_path: Path) -> None:
    """Rubbish where the holder is said counts as nobody, and nothing is mounted for it."""
    place = Place(tmp_path)
    replace_file(tmp_path / "holder.json", b"\x00rubbish")
    assert holder_of(place) == Holder()
