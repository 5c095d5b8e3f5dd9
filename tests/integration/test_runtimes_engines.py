"""One contract, two engines: what a keeper may ask of Podman and of bubblewrap alike."""

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent import idleness, probing, sshd, watch
from agent.cdi import Device
from agent.clock import boottime_us
from agent.device_watch import Desk
from agent.engine import EngineError, Order
from agent.engines import engine_of
from agent.idle_bounds import Bounds
from agent.simulated_devices import SimulatedDevices
from contracts import fleet
from evidence.ids import new_id
from tests.containers import Image, devices, podman, unpacked, until
from tests.kept_world import S, alive, is_in, staged
from tests.network_world import METADATA, Services, connects, node_addresses
from tests.unit.test_agent_orders import opened, said

pytestmark = [pytest.mark.slow, pytest.mark.machine, pytest.mark.timeout(900)]
_SAID = {fleet.IDLE, fleet.BUSY}


@pytest.fixture(scope="module", params=[podman, unpacked], ids=["podman", "bubblewrap"])
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    opened: Callable[[], AbstractContextManager[Image]] = request.param
    with opened() as found:
        yield found


@pytest.fixture
def device() -> Iterator[Device]:
    with devices(1) as (one,):
        yield one


@pytest.fixture
def order(image: Image, tmp_path: Path, device: Device) -> Iterator[Order]:
    """Of a node of its own, of which nothing is left afterwards."""
    key = sshd.prepare(tmp_path / "ssh", image.spec())
    made = Order(
        *(new_id("node"), "b" * 32, new_id("allocation"), new_id("runtime"), 3, 0),
        *(((0, 1000),), (device,), str(tmp_path), image.spec(), key, image.settings),
    )
    yield made
    engine = engine_of(image.settings)
    engine.stop(made)
    engine.clear(made.node, tuple, tmp_path)


def test_an_engine_creates_starts_adopts_lists_and_stops(
    image: Image, order: Order, tmp_path: Path
) -> None:
    """Each call does one thing and a repeat of it nothing; what is gone is gone."""
    engine = engine_of(image.settings)
    assert engine.adopt(order) is None
    assert engine.list_all(order.node) == []
    engine.create(order)
    engine.create(order)
    assert probing.devices_visible(1, order.devices) is False
    engine.start(order)
    engine.start(order)
    found = engine.adopt(order)
    assert found is not None
    assert (found.running, found.allocation) == (True, order.allocation)
    assert (found.epoch, found.boot) == (3, order.boot)
    until(lambda: probing.banner(found.address, found.port), "its sshd answers", 30)
    assert probing.devices_visible(found.pid, order.devices)
    listed = engine.list_all(order.node)
    assert [(one.allocation, one.epoch) for one in listed] == [(order.allocation, 3)]
    assert engine.list_all(new_id("node")) == []
    engine.stop(order)
    engine.stop(order)
    assert engine.adopt(order) is None
    assert engine.list_all(order.node) == []
    assert not Path(f"/proc/{found.pid}").exists()
    assert b"listening on" in (tmp_path / "log").read_bytes()


def test_what_has_no_order_is_removed_by_what_the_list_says(
    image: Image, order: Order, tmp_path: Path
) -> None:
    """An orphan is ended by its labels alone."""
    engine = engine_of(image.settings)
    engine.create(order)
    engine.start(order)
    [orphan] = engine.list_all(order.node)
    engine.remove(orphan)
    assert engine.list_all(order.node) == []


def test_another_image_than_the_ordered_one_never_runs(
    image: Image, order: Order, tmp_path: Path
) -> None:
    """A digest that is not here, or not the one of this name, is refused by name."""
    engine = engine_of(image.settings)
    other = replace(order, spec=replace(order.spec, digest="sha256:" + "0" * 64))
    missing = replace(other, spec=replace(other.spec, image="localhost/none:1"))
    for wrong, codes in ((other, {"image.digest", "image.missing"}), (missing, {"image.missing"})):
        with pytest.raises(EngineError) as error:
            engine.create(wrong)
        assert error.value.code in codes
        assert engine.adopt(wrong) is None


@pytest.mark.parametrize("image", [podman], ids=["podman"], indirect=True)
@pytest.mark.parametrize("later_s", [0.0, 0.01, 0.05])
def test_a_start_that_was_killed_half_way_leaves_nothing(
    image: Image, order: Order, later_s: float
) -> None:
    """Its monitor and what that began end with it, though Podman does not know of them."""
    engine = engine_of(image.settings)
    engine.create(order)
    argv = (*image.settings.podman, "start", order.name)
    start = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: monitors(order.name) != [] or start.poll() is not None, "it is monitored")
    time.sleep(later_s)
    start.kill()
    start.wait()
    begun = [pid for one in monitors(order.name) for pid in (one, *children(one))]
    engine.stop(order)
    until(lambda: not any(alive(pid) for pid in begun), "all of it has ended", 10)
    assert monitors(order.name) == []


def monitors(name: str) -> list[int]:
    """The conmon processes of the container."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (place / "cmdline").read_bytes().split(b"\0")
            if said[0].endswith(b"conmon") and name.encode() in said:
                found.append(int(place.name))
    return found


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


_TRIES = r"""
use strict; use IO::Socket::INET;
for my $to (@ARGV) {
    print "$to\n" if IO::Socket::INET->new(PeerAddr => $to, Proto => 'tcp', Timeout => 2);
}
"""


def inside(image: Image, order: Order, pid: int, *argv: str) -> str:
    """What root inside sees of a program there."""
    enter = engine_of(image.settings).shell(order, pid)[:-1]
    return subprocess.run((*enter, *argv), capture_output=True, check=True, text=True).stdout


@pytest.mark.parametrize("image", [unpacked], ids=["bubblewrap"], indirect=True)
def test_a_process_runtime_has_no_network_but_its_own_loopback(
    image: Image, order: Order, tmp_path: Path
) -> None:
    """Root inside reaches no service of the node, on its loopback neither, no abstract socket of it,
    no metadata, no other runtime. A door that is killed is there again at the next probe; it ends
    with its runtime.
    """
    engine = engine_of(image.settings)
    engine.create(order)
    engine.start(order)
    found = engine.adopt(order)
    assert found is not None
    until(lambda: probing.banner(found.address, found.port), "its door leads to its sshd", 30)
    with Services() as services, socket.socket(socket.AF_UNIX) as hidden:
        hidden.bind(f"\0gpuaas-{order.allocation}")
        forbidden = [f"{one}:{services.port}" for one in (*node_addresses(), "127.0.0.1")]
        for target in forbidden:
            assert connects(target.partition(":")[0], services.port)
        assert services.connections() == len(forbidden)
        mine = f"127.0.0.1:{found.port}"
        tried = (*forbidden, f"{METADATA}:80", "203.0.113.1:80", mine)
        said = inside(image, order, found.pid, "perl", "-e", _TRIES, *tried)
        assert said.split() == [mine], "its own sshd"
        assert services.connections() == 0
        assert inside(image, order, found.pid, "cat", "/proc/net/route").count("\n") == 1
        links = inside(image, order, found.pid, "cat", "/proc/net/dev").splitlines()[2:]
        assert [line.split(":")[0].strip() for line in links] == ["lo"]
        seen = inside(image, order, found.pid, "cat", "/proc/net/unix")
        assert order.allocation not in seen
        assert order.allocation in Path("/proc/net/unix").read_text()
    [door] = doors(order)
    handles = len(list(Path(f"/proc/{door}/fd").iterdir()))
    for reset in (0, 1) * 20:
        with socket.create_connection((found.address, found.port), timeout=5) as peer:
            assert peer.recv(8) == b"SSH-2.0-"
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", reset, 0))
    until(
        lambda: len(list(Path(f"/proc/{door}/fd").iterdir())) == handles,
        "it lets go of whom it served",
    )
    os.kill(door, signal.SIGKILL)
    until(lambda: not probing.banner(found.address, found.port), "nobody is at the door")

    def there_again() -> bool:
        # One that is killed may let go of its port before its lock: the probe after that.
        engine.guard(order, fresh=False)
        return probing.banner(found.address, found.port)

    until(there_again, "it is there again", 30)
    engine.stop(order)
    until(lambda: not doors(order), "it has ended with its runtime")
    assert not connects(found.address, found.port)


@pytest.mark.parametrize("image", [unpacked], ids=["bubblewrap"], indirect=True)
def test_a_process_runtime_is_idle_and_used_as_a_container_is(image: Image, tmp_path: Path) -> None:
    """By the CPU time of all its processes, those that nobody inside waits for included, and by a
    connection through its door; each change is said once.
    """
    patient = replace(image, settings=replace(image.settings, probe_us=600_000_000))
    node, devices_db = opened(tmp_path), tmp_path / "devices.db"
    with staged(patient, tmp_path / "kept") as stage:
        source = stage.opened()
        name = stage.start(source)
        one = is_in(source, name, "usable")
        assert one.route is not None
        desk = Desk(SimulatedDevices(devices_db, "seed", 1, "T4"), node.store, ())
        node = replace(node, runtimes=source)
        watch.report(node, boottime_us())
        watcher = idleness.Watcher(node, desk, Bounds(S))

        def words() -> list[str]:
            time.sleep(0.2)
            asyncio.run(watcher.look())
            return [body.tag.split(".")[2] for body in said(node) if body.tag in _SAID]

        until(lambda: words() == ["idle"], "nobody uses it")
        burn = "(i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done) > /dev/null 2>&1 &"
        subprocess.run((*source.terminal_argv(name), "-c", burn), check=True)
        until(lambda: words() == ["idle", "busy"], "it computes")
        until(lambda: words() == ["idle", "busy", "idle"], "it has done so")
        with socket.create_connection((one.route.address, one.route.port)) as line:
            assert line.recv(4) == b"SSH-"
            assert words() == ["idle", "busy", "idle", "busy"]
        desk.close()
    node.store.close()


def doors(order: Order) -> list[int]:
    """The programs at the runtime's door."""
    pids = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (place / "cmdline").read_bytes().split(b"\0")
            if b"agent.doorway" in said and order.folder.encode() in said:
                pids.append(int(place.name))
    return [pid for pid in pids if alive(pid)]
