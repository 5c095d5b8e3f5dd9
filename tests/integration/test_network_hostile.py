"""Root inside a runtime, with raw sockets, against everything around it. Real Podman, real kernel."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.clock import boottime_us
from agent.engine import run_plain
from agent.kept import KeptRuntimes
from agent.walls import NAMESPACES, Walls, mark_of, names_of, table_of
from contracts.network import Egress, Policy
from contracts.signing import FleetError
from tests.containers import podman, until
from tests.kept_world import BOOT, Stage, is_in, keepers, kill_keepers, restarts, seen, staged
from tests.machine import PATH, need
from tests.network_world import (
    ANYWHERE,
    METADATA,
    TCP,
    UDP,
    Beyond,
    Runtime,
    Services,
    arp,
    beyond,
    connects,
    datagram,
    datagram6,
    ip,
    is_usable,
    node_addresses,
    policy,
    started,
)

pytestmark = [pytest.mark.slow, pytest.mark.machine, pytest.mark.timeout(600)]


class World:
    """Two networks of tenants on one node: `wide` may go anywhere, `shut` nowhere."""

    def __init__(self, stage: Stage, far: Beyond) -> None:
        self.stage, self.far = stage, far
        self.source = stage.opened()
        self.services = Services()
        self.wide_policy = policy(1, *ANYWHERE)
        self.wide = started(stage, self.source, self.wide_policy)
        self.shut = started(stage, self.source, None)
        is_usable(self.wide, self.shut)

    def nft(self, *arguments: str) -> str:
        env = {**os.environ, "PATH": PATH}
        argv = ("nft", *arguments)
        return subprocess.run(argv, capture_output=True, check=True, env=env, text=True).stdout


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    need("nft", "ip", root=True)
    state = Path(tempfile.mkdtemp(prefix="gpuaas-network-"))
    state.chmod(0o711)
    (state / "far").mkdir()
    with podman() as plain, beyond(state / "far") as far:
        settings = replace(
            plain.settings,
            create=(*plain.settings.create, "--cap-add", "NET_RAW"),
            opened=(far.range,),
            denied=(f"{far.nats}/32",),
        )
        with staged(replace(plain, settings=settings), state) as stage:
            made = World(stage, far)
            try:
                yield made
            finally:
                made.services.close()
    shutil.rmtree(state)


def forbidden(world: World) -> list[str]:
    """The node's addresses, the other runtime, metadata, NATS, a private range nobody opened."""
    node = [f"{one}:{world.services.port}" for one in node_addresses()]
    far = (f"{world.far.nats}:4222", f"{world.far.hidden}:{TCP}", f"{METADATA}:80")
    return [*node, *far, f"{world.shut.address}:22", f"127.0.0.1:{world.services.port}"]


def test_the_widest_policy_opens_the_world_and_nothing_else(world: World) -> None:
    """What the node itself reaches, and so does a runtime beside it that may, is refused to a
    runtime whose tenant allows everything: node, NATS, metadata, another runtime, private ranges.
    """
    far, targets = world.far, forbidden(world)
    for target in targets:
        address, _, port = target.partition(":")
        assert connects(address, int(port)), f"{target} is there"
    assert world.services.connections() == len(node_addresses()) + 1
    allowed = {f"{far.world}:{TCP}", f"{far.inner}:{TCP}"}
    assert world.wide.reaches(*targets, *allowed) == allowed
    assert world.services.connections() == 0


def test_without_a_network_nothing_is_reached(world: World) -> None:
    """Default deny: not even where another runtime of the node may go."""
    targets = (f"{world.far.world}:{TCP}", f"{world.far.inner}:{TCP}")
    assert world.shut.reaches(*forbidden(world), *targets) == {
        # Its own loopback and its own sshd are inside.
        f"{world.shut.address}:22"
    }
    assert ip("-n", names_of(world.shut.order)[0], "-6", "address").strip() == ""


def test_there_is_no_ipv6_inside_nor_any_way_around_by_it(world: World) -> None:
    """No address, no route, not even a loopback's, and root cannot bring it back; an IPv4 address
    written as IPv6 is judged as what it is.
    """
    mine, node = world.wide, node_addresses()[0]
    show = "cat /proc/net/if_inet6; echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6 || echo no"
    argv = (*world.stage.image.settings.podman, "exec", mine.order.name, "sh", "-c", show)
    said = subprocess.run(argv, capture_output=True, check=True, text=True)
    assert said.stdout == "no\n"
    allowed = f"[::ffff:{world.far.world}]:{TCP}"
    refused = (
        *("[::1]:22", "[fe80::1]:22", "[fd00:ec2::254]:80", f"[::ffff:{METADATA}]:80"),
        *(f"[::ffff:{node}]:{world.services.port}", f"[::ffff:{world.shut.address}]:22"),
    )
    assert mine.reaches(*refused, allowed) == {allowed}
    assert world.services.connections() == 0
    with pytest.raises(subprocess.CalledProcessError):
        ip("-n", names_of(mine.order)[0], "-6", "route", "get", "fd00:ec2::254")


def test_frames_that_pretend_are_dropped(world: World) -> None:
    """A foreign source address, a foreign link address, IPv6, a VLAN tag: none arrives anywhere;
    the same frame with its own addresses does. No answer about an address is believed.
    """
    far, mine, services = world.far, world.wide, world.services
    own = datagram(mine.address, far.inner, UDP, b"own")
    lie = datagram(world.shut.address, far.inner, UDP, b"spoofed")
    to_node = [
        datagram(source, target, services.port, b"node")
        for source in (mine.address, far.inner, "127.0.0.1")
        for target in node_addresses()
    ]
    tagged = b"\0\1\x08\0" + datagram(mine.address, far.inner, UDP, b"tagged")
    frames = [
        mine.frame(lie),
        mine.frame(datagram(mine.address, far.inner, UDP, b"foreign"), source="02:aa:bb:cc:dd:ee"),
        mine.frame(tagged, kind=0x8100),
        *(mine.frame(packet) for packet in to_node),
        *(
            mine.frame(datagram6(target, services.port, b"six"), kind=0x86DD)
            for target in ("ff02::1", "fe80::1", "fd00:ec2::254", "::1")
        ),
        *(mine.frame(arp(one, mine.mac), kind=0x0806) for one in (far.inner, world.shut.address)),
        mine.frame(own),
    ]
    assert mine.tries("frames", *frames) == ["sent"]
    until(lambda: "own" in far.datagrams(), "its own frame arrives")
    assert far.datagrams() == ["own"]
    assert services.datagrams() == []
    known = ip("neighbour", "show", "dev", mine.device).split("\n")
    assert [line.split()[0] for line in known if line] == [mine.address]
    assert "PERMANENT" in known[0]


def test_what_leaves_is_counted(world: World) -> None:
    """A mebibyte sent is a mebibyte counted, and the headers of its packets; no refused packet
    is, nor what the node and the runtime say to each other.
    """
    far, mine = world.far, world.wide
    before, arrived = seen(world.source, mine.name).counted, far.stream()
    assert mine.tries("send", f"{far.world}:{TCP}", str(2**20)) == ["done"]
    assert far.stream() - arrived == 2**20

    def sent() -> int:
        return seen(world.source, mine.name).counted.sent_bytes - before.sent_bytes

    until(lambda: sent() > 2**20, "it is counted")
    time.sleep(1)
    assert 2**20 < sent() < 1.2 * 2**20
    received = seen(world.source, mine.name).counted.received_bytes - before.received_bytes
    assert 1 < received < 2**18
    assert seen(world.source, world.shut.name).counted.sent_bytes == 0


def test_runtimes_of_a_network_meet_only_where_it_says_so(world: World) -> None:
    """`internal` lets them reach each other, nobody else's; a change ends what was established."""
    shape = policy(1, internal=True)
    one, other = (started(world.stage, world.source, shape) for _ in range(2))
    alien = started(world.stage, world.source, policy(1, internal=True))
    is_usable(one, other, alien)
    targets = [f"{runtime.address}:22" for runtime in (other, alien, world.shut)]
    assert one.reaches(*targets) == {targets[0]}
    target = f"{other.address}:{TCP}"
    with other.begins("take", str(TCP)):
        until(lambda: one.reaches(target) == {target}, "it listens")
        with one.begins("drip", target):
            until(lambda: unacknowledged(one, target) == [0], "it flows")
            world.source.obey(replace(shape, version=2, internal=False), boottime_us())
            until(lambda: sum(unacknowledged(one, target)) > 10, "nothing of it arrives", 10)
            assert one.reaches(target) == set()
    # An older policy that comes late changes nothing.
    world.source.obey(shape, boottime_us())
    time.sleep(0.5)
    assert one.reaches(*targets) == set()
    for runtime in (one, other, alien):
        world.source.stop(runtime.name, boottime_us())
        is_in(world.source, runtime.name, "stopped")


def unacknowledged(runtime: Runtime, target: str) -> list[int]:
    """Bytes on the way to the target, a number for each connection, by the runtime's kernel."""
    argv = ("ip", "netns", "exec", names_of(runtime.order)[0], "cat", "/proc/net/tcp")
    env = {**os.environ, "PATH": PATH}
    said = subprocess.run(argv, capture_output=True, check=True, env=env, text=True).stdout
    address, _, port = target.partition(":")
    (packed,) = struct.unpack("<I", socket.inet_aton(address))
    peer = f"{packed:08X}:{int(port):04X}"
    rows = (line.split() for line in said.splitlines())
    return [int(row[4].split(":")[0], 16) for row in rows if row[2:4] == [peer, "01"]]


def test_a_changed_policy_ends_what_is_established(world: World) -> None:
    """A stream that was allowed stands still when its policy goes, and no new one begins."""
    far, mine = world.far, world.wide
    target = f"{far.world}:{TCP}"
    with mine.begins("drip", target):
        first = far.stream()
        until(lambda: far.stream() > first + 3, "it flows")
        world.source.obey(replace(world.wide_policy, version=2, egress=()), boottime_us())
        until(lambda: mine.reaches(target) == set(), "the change is in force", 10)
        left = far.stream()
        time.sleep(1)
        assert far.stream() == left
    only = Egress(f"{far.world}/32", "tcp", TCP, TCP)
    world.source.obey(replace(world.wide_policy, version=3, egress=(only,)), boottime_us())
    until(lambda: mine.reaches(target) == {target}, "allowed again", 10)
    assert mine.reaches(f"{far.world}:80", f"{far.inner}:{TCP}") == set()
    world.source.obey(replace(world.wide_policy, version=4), boottime_us())
    until(lambda: mine.reaches(f"{far.inner}:{TCP}") != set(), "as before", 10)


def test_the_wall_stands_without_keeper_and_is_raised_again_when_flushed(world: World) -> None:
    """Kill -9 of both processes of the keeper opens nothing; what another program of the node
    flushed is there again after the next probe.
    """
    mine = world.wide
    assert mine.reaches(f"{world.far.world}:{TCP}") != set()
    until(lambda: seen(world.source, mine.name).counted.sent_bytes > 0, "it is counted")
    kill_keepers(mine.folder)
    assert mine.reaches(*forbidden(world)) == set()
    world.source.tend(boottime_us())
    until(lambda: len(keepers(mine.folder)) == 2, "its keeper is back")
    before = seen(world.source, mine.name).counted.sent_bytes
    table = table_of(world.stage.node)
    world.nft("delete", "table", "inet", table)
    until(lambda: f" {table}\n" in world.nft("list", "tables"), "it stands again", 20)
    until(lambda: mine.reaches(*forbidden(world)) == set(), "both are shut", 20)
    assert mine.reaches(f"{world.far.world}:{TCP}") == {f"{world.far.world}:{TCP}"}
    assert seen(world.source, mine.name).counted.sent_bytes >= before > 0
    assert restarts(mine.folder) == 0


@contextmanager
def held(*folders: Path) -> Iterator[None]:
    """Their keepers do nothing meanwhile."""
    pids = [pid for folder in folders for pid in keepers(folder)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_flush_of_the_nodes_rules_opens_nothing(world: World) -> None:
    """While nobody sets them again root inside reaches no more than before, though the node passes
    on what it is given; nor does the node let go of whoever was shut in altogether.
    """
    far, table = world.far, table_of(world.stage.node)
    allowed = {f"{far.world}:{TCP}", f"{far.inner}:{TCP}"}
    with held(world.wide.folder, world.shut.folder):
        for family in ("inet", "netdev"):
            world.nft("delete", "table", family, table)
        assert world.wide.reaches(*forbidden(world), *allowed) == allowed
        assert world.shut.reaches(*forbidden(world), *allowed) == {f"{world.shut.address}:22"}
        assert world.services.connections() == 0
        assert connects(world.shut.address, 22), "whom the node lets in it lets in still"
        assert f" {table}\n" not in world.nft("list", "tables")
    until(lambda: f" {table}\n" in world.nft("list", "tables"), "they stand again", 20)


def test_flushed_rules_are_set_again_at_once(world: World) -> None:
    """Its keeper hears of it from the kernel, long before it looks again, and says so."""
    image = world.stage.image
    slow = replace(image.settings, probe_us=600_000_000)
    source = KeptRuntimes(world.stage.state, world.stage.node, BOOT, slow, world.stage.devices)
    one = started(world.stage, source, policy(1, *ANYWHERE))
    is_usable(one)
    table = table_of(world.stage.node)
    with held(world.wide.folder, world.shut.folder):
        for family in ("inet", "netdev"):
            world.nft("delete", "table", family, table)
        until(lambda: one.device in world.nft("list", "ruleset"), "its rules stand again", 20)
        assert "network.flushed" in (one.folder / "keeper.log").read_text()
    source.stop(one.name, boottime_us())
    is_in(source, one.name, "stopped")


def test_a_rule_that_is_taken_away_is_there_again_after_the_next_probe(world: World) -> None:
    """Its chain emptied, its way from the hook cut, its frames let through: none stays so. What it
    sent meanwhile is counted on.
    """
    mine, table = world.wide, table_of(world.stage.node)
    mark = mark_of(mine.order.name)

    def standing() -> tuple[int, bool]:
        said = world.nft("list", "ruleset")
        return said.count(mark), "vmap @to_runtime" in said

    whole, before = standing(), seen(world.source, mine.name).counted.sent_bytes
    for harm in (
        ("flush", "chain", "inet", table, f"from_{mark}"),
        ("delete", "element", "inet", table, "from_runtime", f'{{ "{mine.device}" }}'),
        ("flush", "chain", "inet", table, "inbound"),
        ("delete", "table", "netdev", table),
    ):
        world.nft(*harm)
        until(lambda: standing() == whole, f"{harm} is undone", 20)
    assert mine.reaches(*forbidden(world)) == set()
    assert seen(world.source, mine.name).counted.sent_bytes >= before


def test_an_end_cuts_what_the_gateway_had_and_leaves_nothing(world: World) -> None:
    """After a stop a connection into the runtime is dead, its namespace, link, rules and address
    are gone, and an orphan's too.
    """
    one = started(world.stage, world.source, policy(1, *ANYWHERE))
    is_usable(one)
    name, device = names_of(one.order)
    address, table = one.address, table_of(world.stage.node)
    with socket.create_connection((address, 22), timeout=5) as into:
        assert into.recv(8) == b"SSH-2.0-"
        world.source.stop(one.name, boottime_us())
        is_in(world.source, one.name, "stopped")
        assert not answers(into)
    listing = world.nft("list", "table", "inet", table)
    assert device not in listing
    assert device not in world.nft("list", "table", "netdev", table)
    assert not (NAMESPACES / name).exists()
    assert not Path("/sys/class/net", device).exists()
    assert address not in ip("route")
    orphan = f"gpuaas-{name.split('-')[1]}-{'0' * 8}"
    ip("netns", "add", orphan)
    world.source.tend(boottime_us())
    assert not (NAMESPACES / orphan).exists()
    assert (NAMESPACES / names_of(world.shut.order)[0]).exists()


def answers(into: socket.socket) -> bool:
    """Whether an SSH server that was asked something on this connection says anything more."""
    into.settimeout(3)
    try:
        into.recv(100)  # the rest of its greeting
        into.sendall(b"SSH-2.0-test\r\n")
        return bool(into.recv(100))
    except OSError:
        return False


def test_a_policy_that_no_wall_could_keep_is_refused(world: World) -> None:
    """Rubbish never reaches the kernel."""
    for rule in (
        Egress("0.0.0.0/0 accept; #", "tcp", 1, 1),
        Egress("::/0", "tcp", 1, 1),
        Egress("10.0.0.1/8", "tcp", 1, 1),
        Egress("10.0.0.0/8", "tcp", 2, 1),
        Egress("10.0.0.0/8", "tcp", 0, 70_000),
    ):
        with pytest.raises(FleetError) as error:
            started(world.stage, world.source, Policy("network-1", 1, False, (rule,)))
        assert error.value.code == "network.malformed"


def test_two_that_raze_at_once_leave_nothing(world: World) -> None:
    """A keeper and a round of its agent take the same wall down: neither fails, nothing stays."""
    one = started(world.stage, world.source, policy(1, *ANYWHERE))
    is_usable(one)
    _, device = names_of(one.order)
    walls = Walls(world.stage.image.settings, run_plain)
    with ThreadPoolExecutor(4) as pool:
        razing = [
            pool.submit(walls.raze, world.stage.node, mark_of(one.order.name)) for _ in range(4)
        ]
        for each in razing:
            each.result()
    assert device not in world.nft("list", "table", "inet", table_of(world.stage.node))
    world.source.stop(one.name, boottime_us())
    is_in(world.source, one.name, "stopped")
