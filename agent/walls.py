"""A network namespace per runtime, made and guarded by us: default deny from its first packet.

A veth leads into it, point to point: no bridge, so no neighbour to talk to or to impersonate. The
rules stand before the container is made. Everything is the kernel's: it lives on while agent and
keeper are dead. All names follow from the container's, so whoever comes after a crash finds them.
Source: ip-netns(8), veth(4), nft(8).
"""

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent import ruleset
from agent.engine import Counted, EngineError, Order, Run, Settings
from agent.ruleset import Wall
from contracts.network import Policy

NAMESPACES = Path("/run/netns")
_DEVICES = Path("/sys/class/net")
_SYSCTL = Path("/proc/sys/net")
_PATIENCE_S = 20.0
_LOCKED_S = 30.0
_TICK_S = 0.02
_TRIES = 64
_RAZING = 5
_INSIDE = "eth0"
_NO_IPV6 = "for i in all default; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done"


class Walls:
    """Of every runtime that these settings serve. Stateless, every call may be repeated.

    Raises: EngineError engine.failed | engine.timeout.
    """

    def __init__(self, settings: Settings, run: Run) -> None:
        self._settings = settings
        self._run = run
        self._range = ipaddress.IPv4Network(settings.range)

    def build(self, order: Order, policy: Policy | None) -> None:
        """The runtime's namespace is there and shut but for what `policy` says."""
        name, device = names_of(order)
        with _alone(Path(order.folder).parent):
            if not (NAMESPACES / name).exists():
                self._run(("ip", "netns", "add", name), _PATIENCE_S)
            if not (_DEVICES / device).exists():
                self._link(order)
            self._address(order)
            self._apply(order, policy)
        self._furnish(order)

    def guard(self, order: Order, policy: Policy | None, *, fresh: bool) -> Counted:
        """What passed by policy; the rules are set again when `fresh`, or where they are gone."""
        mark = mark_of(order.name)
        listing = self._listing(order.node)
        found = ruleset.counted(listing, mark) if listing else None
        if found is None or fresh or not ruleset.intact(listing, self._wall(order), policy):
            with _alone(Path(order.folder).parent):
                self._apply(order, policy)
            found = found or (0, 0)
        return Counted(*found)

    def raze(self, node: str, mark: str) -> None:
        """Nothing of this runtime is left: the link first, so that nothing passes from now on."""
        device = f"{prefix_of(node)}{mark}"
        name = f"gpuaas-{prefix_of(node)}-{mark}"
        for attempt in range(_RAZING):
            try:
                self._raze(node, mark, device, name)
            except EngineError:
                # A keeper and the agent's round raze the same: what one found the other took.
                if attempt + 1 == _RAZING:
                    raise
            else:
                return

    def _raze(self, node: str, mark: str, device: str, name: str) -> None:
        if (_DEVICES / device).exists():
            self._run(("ip", "link", "delete", device), _PATIENCE_S)
        listing = self._listing(node)
        if listing:
            self._run(("nft", ruleset.razed(listing, table_of(node), mark, device)), _PATIENCE_S)
        if (NAMESPACES / name).exists():
            self._run(("ip", "netns", "delete", name), _PATIENCE_S)

    def clear(self, node: str, kept: Callable[[], Sequence[str]], place: Path) -> int:
        """As Engine.clear; without any runtime the node's own part goes too."""
        with _alone(place):
            standing = self._standing(node)
            wanted = {mark_of(name) for name in kept()}
            left = standing - wanted
            for mark in sorted(left):
                self.raze(node, mark)
            if not wanted and self._listing(node):
                table = table_of(node)
                gone = f"delete table inet {table}\ndelete table netdev {table}\n"
                self._run(("nft", gone), _PATIENCE_S)
        return len(left)

    def _standing(self, node: str) -> set[str]:
        listing = self._listing(node)
        found = ruleset.marks(listing) if listing else set()
        head = f"gpuaas-{prefix_of(node)}-"
        spaces = [one.name for one in NAMESPACES.iterdir()] if NAMESPACES.is_dir() else []
        return found | {name.removeprefix(head) for name in spaces if name.startswith(head)}

    def _link(self, order: Order) -> None:
        name, device = names_of(order)
        near, far = _macs(order)
        end = ("peer", "name", _INSIDE, "address", far, "netns", name)
        self._run(("ip", "link", "add", device, "address", near, "type", "veth", *end), _PATIENCE_S)

    def _address(self, order: Order) -> None:
        """An address that is nobody else's on this machine: the kernel takes a route only once."""
        _, device = names_of(order)
        here = str(self._range[1])
        # Nothing of the node answers on the wire but by what follows.
        with contextlib.suppress(OSError):
            (_SYSCTL / f"ipv6/conf/{device}/disable_ipv6").write_text("1")
        self._run(("ip", "link", "set", device, "up"), _PATIENCE_S)
        self._run(("ip", "address", "replace", f"{here}/32", "dev", device), _PATIENCE_S)
        for address in self._candidates(order):
            if self._routed(address, device, here):
                (Path(order.folder) / "address").write_text(address)
                far = ("lladdr", _macs(order)[1], "nud", "permanent", "dev", device)
                self._run(("ip", "neighbour", "replace", address, *far), _PATIENCE_S)
                return
        raise EngineError("engine.failed", f"no free address in {self._range}")

    def _candidates(self, order: Order) -> Iterator[str]:
        known = address_of(order)
        if known:
            yield known
        seed = int(hashlib.sha256(order.name.encode()).hexdigest()[:15], 16)
        for attempt in range(_TRIES):
            yield str(self._range[2 + (seed + attempt) % (self._range.num_addresses - 3)])

    def _routed(self, address: str, device: str, here: str) -> bool:
        route = ("ip", "route", "add", f"{address}/32", "dev", device, "src", here)
        try:
            self._run(route, _PATIENCE_S)
        except EngineError as error:
            if "exists" not in error.detail.lower():
                raise
            said = self._run(("ip", "-json", "route", "show", f"{address}/32"), _PATIENCE_S)
            return any(one.get("dev") == device for one in json.loads(said or "[]"))
        return True

    def _furnish(self, order: Order) -> None:
        """The runtime's end: no name resolution of links and no IPv6, which root inside, who has
        no power over the network, cannot bring back.
        """
        name, _ = names_of(order)
        here, near = str(self._range[1]), _macs(order)[0]
        batch = Path(order.folder) / "inside.ip"
        batch.write_text(
            f"link set lo up\nlink set {_INSIDE} up\n"
            f"address replace {address_of(order)}/32 dev {_INSIDE}\n"
            f"neighbour replace {here} lladdr {near} nud permanent dev {_INSIDE}\n"
            f"route replace {here}/32 dev {_INSIDE} scope link\n"
            f"route replace default via {here} dev {_INSIDE}\n"
        )
        said = ("sh", "-c", f"{{ {_NO_IPV6}; }} 2>/dev/null; exec ip -batch {batch}")
        self._run(("ip", "netns", "exec", name, *said), _PATIENCE_S)

    def _apply(self, order: Order, policy: Policy | None) -> None:
        if policy is not None and (policy.egress or policy.internal):
            # Whoever may leave is routed; everybody else is stopped before routing.
            with contextlib.suppress(OSError):
                (_SYSCTL / "ipv4/ip_forward").write_text("1")
        wall = self._wall(order)
        self._run(("nft", ruleset.raised(wall, policy)), _PATIENCE_S)
        inside = ("nft", ruleset.within(wall, policy, self._nodes()))
        self._run(("ip", "netns", "exec", names_of(order)[0], *inside), _PATIENCE_S)

    def _nodes(self) -> list[str]:
        """This node's own addresses, but those of its loopback."""
        links = json.loads(self._run(("ip", "-json", "-4", "address"), _PATIENCE_S) or "[]")
        found = {f"{one['local']}/32" for link in links for one in link["addr_info"]}
        return sorted(one for one in found if not one.startswith("127."))

    def _wall(self, order: Order) -> Wall:
        given = self._settings
        return Wall(
            table=table_of(order.node),
            prefix=prefix_of(order.node),
            mark=mark_of(order.name),
            interface=names_of(order)[1],
            mac=_macs(order)[1],
            address=address_of(order),
            range=given.range,
            opened=given.opened,
            denied=given.denied,
            gateways=given.gateways,
        )

    def _listing(self, node: str) -> str:
        """The node's table as JSON; empty when there is none."""
        try:
            return self._run(("nft", "-j", f"list table inet {table_of(node)}"), _PATIENCE_S)
        except EngineError as error:
            if "no such file" in error.detail.lower():
                return ""
            raise


def names_of(order: Order) -> tuple[str, str]:
    """The runtime's namespace, and the node's end of its veth (15 characters, the most)."""
    prefix, mark = prefix_of(order.node), mark_of(order.name)
    return f"gpuaas-{prefix}-{mark}", f"{prefix}{mark}"


def prefix_of(node: str) -> str:
    """How the interfaces of this node's runtimes begin."""
    return f"g{hashlib.sha256(node.encode()).hexdigest()[:6]}"


def table_of(node: str) -> str:
    """The node's table in nftables."""
    return f"gpuaas_{prefix_of(node)}"


def mark_of(container: str) -> str:
    """What stands for a container in names that may not be longer."""
    return hashlib.sha256(container.encode()).hexdigest()[:8]


def address_of(order: Order) -> str:
    """The runtime's address; empty before its wall is built."""
    try:
        return (Path(order.folder) / "address").read_text()
    except OSError:
        return ""


def _macs(order: Order) -> tuple[str, str]:
    """Of the node's and of the runtime's end: local, unicast."""
    octets = hashlib.sha256(order.name.encode()).hexdigest()[8:16]
    tail = ":".join(octets[at : at + 2] for at in range(0, 8, 2))
    return f"02:00:{tail}", f"02:01:{tail}"


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Nobody else of this agent builds or clears walls. Raises: EngineError engine.timeout."""
    handle = os.open(place.parent / "network.lock", os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + _LOCKED_S
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise EngineError("engine.timeout", "another wall is being built") from None
                time.sleep(_TICK_S)
        yield
    finally:
        os.close(handle)
