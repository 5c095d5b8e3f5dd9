"""Runtimes under attack from inside, and a place beyond the node that they may want to reach."""

import contextlib
import json
import os
import secrets
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from agent.clock import boottime_us
from agent.engine import Order, read_order
from agent.kept import KeptRuntimes
from agent.walls import address_of, names_of
from contracts.fleet import Share
from contracts.network import Egress, Policy
from evidence.ids import new_id
from tests.containers import until
from tests.kept_world import S, Stage
from tests.machine import PATH

METADATA = "169.254.169.254"
TCP, UDP = 8080, 9090
ANYWHERE = (Egress("0.0.0.0/0", "tcp", 1, 65_535), Egress("0.0.0.0/0", "udp", 1, 65_535))

# What root inside tries: perl is all there is. One line per thing that worked.
_HOSTILE = r"""
use strict; use IO::Socket::INET; use Socket; $| = 1;
my ($what, @given) = @ARGV;
sub six {
    my ($host, $port) = @_;
    my $scope = $host =~ /^fe80/ ? index_of() : 0;
    socket(my $peer, Socket::AF_INET6(), SOCK_STREAM, 0) or return;
    alarm 2;
    connect($peer, Socket::pack_sockaddr_in6(
        $port, Socket::inet_pton(Socket::AF_INET6(), $host), $scope));
}
sub to {
    return six($1, $2) if $_[0] =~ /^\[(.*)\]:(\d+)$/;
    IO::Socket::INET->new(PeerAddr => $_[0], Proto => 'tcp', Timeout => 2);
}
sub index_of { open(my $file, '<', '/sys/class/net/eth0/ifindex') or die; 0 + <$file> }
if ($what eq 'connect') {
    for my $to (@given) { fork or do { print "$to\n" if to($to); exit 0 } }
    while (wait != -1) {}
} elsif ($what eq 'send') {
    my $peer = to($given[0]) or exit 3;
    my $left = $given[1];
    while ($left > 0) { $left -= syswrite($peer, 'x' x ($left < 8192 ? $left : 8192)) || exit 4 }
    shutdown($peer, 1); sysread($peer, my $said, 1) and print "done\n";
} elsif ($what eq 'drip') {
    my $peer = to($given[0]) or exit 3;
    while (1) { syswrite($peer, 'x') or exit 4; select(undef, undef, undef, 0.05) }
} elsif ($what eq 'take') {
    my $door = IO::Socket::INET->new(LocalPort => $given[0], Listen => 9, Proto => 'tcp') or exit 5;
    while (my $peer = $door->accept) { 1 while sysread($peer, my $said, 4096) }
} else {
    socket(my $raw, 17, SOCK_RAW, unpack('S', pack('n', 3))) or die "raw: $!";
    my $to = pack('SnlSCCx8', 17, 3, index_of(), 0, 0, 0);
    defined(send($raw, pack('H*', $_), 0, $to)) or die "send: $!" for @given;
    print "sent\n";
}
"""

# Beyond: counts what arrives and answers one byte at the end of a stream.
_SERVER = """
import asyncio, sys
place, tcp, udp = sys.argv[1], [int(one) for one in sys.argv[2].split(",")], int(sys.argv[3])
async def served(reader, writer):
    with open(place + "/stream", "ab", buffering=0) as file:
        while data := await reader.read(65536):
            file.write(data)
    writer.write(b"y")
    writer.close()
class Datagrams(asyncio.DatagramProtocol):
    def datagram_received(self, data, peer):
        with open(place + "/datagrams", "ab") as file:
            file.write(data + b"\\n")
async def main():
    for port in tcp:
        await asyncio.start_server(served, "0.0.0.0", port)
    await asyncio.get_running_loop().create_datagram_endpoint(
        Datagrams, local_addr=("0.0.0.0", udp))
    print("up", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def ip(*arguments: str, check: bool = True) -> str:
    env = {**os.environ, "PATH": PATH}
    return subprocess.run(
        ("ip", *arguments), check=check, capture_output=True, env=env, text=True
    ).stdout


class Beyond:
    """A namespace behind the node: private and public addresses, and the metadata one.

    `inner` is a private range that policies may name, `hidden` one that they may not; `world`
    and `nats` are public.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.name = f"gpuaas-far-{secrets.token_hex(4)}"
        self.device = f"gf{secrets.token_hex(4)}"
        third = secrets.randbelow(120) * 2
        self.range = f"10.214.{third}.0/24"
        self.inner, self.near = f"10.214.{third}.2", f"10.214.{third}.1"
        self.hidden = f"10.214.{third + 1}.2"
        last = secrets.randbelow(120) * 2
        self.world, self.nats = f"203.0.113.{last}", f"203.0.113.{last + 1}"

    def open(self) -> None:
        ip("netns", "add", self.name)
        ip("link", "add", self.device, "type", "veth", "peer", "name", "far", "netns", self.name)
        ip("address", "add", f"{self.near}/24", "dev", self.device)
        ip("link", "set", self.device, "up")
        ip("-n", self.name, "address", "add", f"{self.inner}/24", "dev", "far")
        for name in ("lo", "far"):
            ip("-n", self.name, "link", "set", name, "up")
        ip("-n", self.name, "route", "add", "default", "via", self.near)
        # Another of these tests may have the same one: each has a route of its own metric.
        metric = str(1000 + secrets.randbelow(1_000_000))
        for address in (self.hidden, self.world, self.nats, METADATA):
            ip("-n", self.name, "address", "add", f"{address}/32", "dev", "lo")
            ip("route", "add", f"{address}/32", "via", self.inner, "metric", metric)

    def close(self) -> None:
        ip("link", "delete", self.device, check=False)
        ip("netns", "delete", self.name, check=False)

    def stream(self) -> int:
        """Bytes that came over TCP."""
        path = self.place / "stream"
        return path.stat().st_size if path.exists() else 0

    def datagrams(self) -> list[str]:
        path = self.place / "datagrams"
        return path.read_text().split() if path.exists() else []


@contextmanager
def beyond(place: Path) -> Iterator[Beyond]:
    """It answers on TCP 8080, 80 and 4222 and takes UDP 9090; nothing of it is left."""
    made = Beyond(place)
    try:
        made.open()
        argv = ("ip", "netns", "exec", made.name, sys.executable, "-c", _SERVER)
        env = {**os.environ, "PATH": PATH}
        with subprocess.Popen(
            (*argv, str(place), f"{TCP},80,4222", str(UDP)), env=env, stdout=subprocess.PIPE
        ) as child:
            try:
                assert child.stdout is not None
                assert child.stdout.readline() == b"up\n"
                yield made
            finally:
                child.kill()
    finally:
        made.close()


class Runtime:
    """A runtime of the stage, and root inside."""

    def __init__(self, stage: Stage, source: KeptRuntimes, name: str) -> None:
        self.stage = stage
        self.source = source
        self.name = name
        self.folder = source.folder / name
        order = read_order(self.folder)
        assert order is not None
        self.order: Order = order

    @property
    def address(self) -> str:
        return address_of(self.order)

    @property
    def device(self) -> str:
        """The node's end of its veth."""
        return names_of(self.order)[1]

    def tries(self, *what: str) -> list[str]:
        """What root inside does, and which of it worked."""
        argv = (*self.stage.image.settings.podman, "exec", self.order.name, "perl", "-e", _HOSTILE)
        done = subprocess.run(
            (*argv, *what), capture_output=True, check=False, timeout=60, text=True
        )
        return done.stdout.split()

    def reaches(self, *targets: str) -> set[str]:
        return set(self.tries("connect", *targets))

    @contextmanager
    def begins(self, *what: str) -> Iterator[None]:
        """It goes on meanwhile, whatever becomes of the test."""
        argv = (*self.stage.image.settings.podman, "exec", self.order.name, "perl", "-e", _HOSTILE)
        with subprocess.Popen((*argv, *what), stdout=subprocess.DEVNULL) as child:
            try:
                yield
            finally:
                child.kill()

    def frame(self, payload: bytes, kind: int = 0x0800, source: str = "") -> str:
        """A frame from its veth (or from `source`) to the node's end."""
        links = json.loads(ip("-json", "link", "show", "dev", self.device))
        near = bytes.fromhex(links[0]["address"].replace(":", ""))
        far = bytes.fromhex((source or self.mac).replace(":", ""))
        return (near + far + struct.pack("!H", kind) + payload).hex()

    @property
    def mac(self) -> str:
        said = ip("-json", "-n", names_of(self.order)[0], "link", "show", "dev", "eth0")
        return str(json.loads(said)[0]["address"])


def started(stage: Stage, source: KeptRuntimes, policy: Policy | None) -> Runtime:
    """A runtime with a tenth of the device, not yet usable."""
    name, at = new_id("allocation"), boottime_us()
    spec = stage.image.spec(network=policy)
    source.start(name, new_id("runtime"), 1, (Share(0, 100),), at, at + 600 * S, spec)
    return Runtime(stage, source, name)


def policy(version: int = 1, *egress: Egress, internal: bool = False, of: str = "") -> Policy:
    return Policy(of or new_id("network"), version, internal, egress)


def datagram(source: str, target: str, port: int, said: bytes) -> bytes:
    """An IPv4 packet of UDP, its checksums as they must be (UDP's may be left out)."""
    udp = struct.pack("!HHHH", 40_000, port, 8 + len(said), 0) + said
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
        socket.inet_aton(source), socket.inet_aton(target),
    )  # fmt: skip
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + udp


def datagram6(target: str, port: int, said: bytes) -> bytes:
    """An IPv6 packet of UDP from a link-local address."""
    source, to = (socket.inet_pton(socket.AF_INET6, one) for one in ("fe80::bad", target))
    length = 8 + len(said)
    pseudo = source + to + struct.pack("!IxxxB", length, 17)
    blank = struct.pack("!HHHH", 40_000, port, length, 0) + said
    padded = pseudo + blank + b"\0" * (len(blank) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    udp = struct.pack("!HHHH", 40_000, port, length, ~total & 0xFFFF) + said
    return struct.pack("!IHBB", 6 << 28, length, 17, 255) + source + to + udp


def arp(claimed: str, mac: str) -> bytes:
    """An answer nobody asked for: `claimed` is at `mac`."""
    who = bytes.fromhex(mac.replace(":", "")) + socket.inet_aton(claimed)
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + who + b"\xff" * 6 + socket.inet_aton(claimed)


class Services:
    """The node's own, on every address of it: TCP and UDP, IPv4 and IPv6."""

    def __init__(self) -> None:
        self.tcp = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = int(self.tcp.getsockname()[1])
        self.udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.udp.bind(("::", self.port))
        for one in (self.tcp, self.udp):
            one.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_why: object) -> None:
        self.close()

    def close(self) -> None:
        self.tcp.close()
        self.udp.close()

    def connections(self) -> int:
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.tcp.accept()[0].close()
                count += 1
        return count

    def datagrams(self) -> list[bytes]:
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.udp.recv(1000))
        return found


def node_addresses() -> list[str]:
    """Every IPv4 address of this machine but its loopback's."""
    links = json.loads(ip("-json", "-4", "address"))
    found = {one["local"] for link in links for one in link["addr_info"]}
    return sorted(one for one in found if not one.startswith("127."))


def connects(address: str, port: int) -> bool:
    """From the node itself."""
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError:
        return False
    return True


def is_usable(*runtimes: Runtime) -> None:
    for one in runtimes:
        until(
            lambda one=one: any(  # type: ignore[misc]
                seen.allocation == one.name and seen.state == "usable"
                for seen in one.source.observe(boottime_us())
            ),
            f"{one.name} is usable",
        )
