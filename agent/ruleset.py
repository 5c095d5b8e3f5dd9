"""What the kernel is told about one runtime's wall: nftables rules as text, pure.

A node has one table `inet` and one `netdev`, a runtime its own chains in both. Nothing here
trusts the runtime: its packets are judged where they leave its veth, before any bridge, route or
translation of this machine sees them, and each one anew: what a policy no longer allows ends,
established or not. The runtime's own namespace has the same judgement a second time, for the
moment in which somebody flushed the node's rules: there root inside has no power over it.
Source: nft(8), 1.0.6.
"""

import hashlib
import ipaddress
import json
from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from contracts.network import Policy

# Ranges that mean something on the node or beside it, never the internet (RFC 6890, RFC 1112).
_NEVER = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
_PRIVATE = (
    *("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"),
    *("192.0.0.0/24", "198.18.0.0/15"),
)
_COUNTERS = ("sent", "received")
_WITHIN = "gpuaas"


class Wall(Struct, frozen=True):
    """One runtime's: its names on this node, its address, and what the node says of all.

    `table` and `prefix` (of interfaces) are the node's, `mark` the runtime's; `interface` is the
    node's end of its veth, `mac` the address of the other end. The rest: as in engine.Settings.
    """

    table: str
    prefix: str
    mark: str
    interface: str
    mac: str
    address: str
    range: str
    opened: tuple[str, ...]
    denied: tuple[str, ...]
    gateways: tuple[str, ...]


type Chains = dict[str, tuple[str, ...]]
_HOOKS = {
    "outbound": "filter hook prerouting priority mangle",
    "inbound": "filter hook forward priority mangle",
    "own": "filter hook output priority mangle",
    "leaving": "nat hook postrouting priority srcnat",
}


def _shared(prefix: str) -> Chains:
    """The node's part: what comes from or goes to an interface of ours and has no chain, ends.

    To a runtime the node itself may open TCP connections (probe, gateway), nobody else.
    """
    ours = f'"{prefix}*"'
    outbound = ("iifname vmap @from_runtime", f"iifname {ours} drop")
    inbound = ("oifname vmap @to_runtime", f"oifname {ours} drop")
    own = (f"oifname {ours} ct direction reply drop", f"oifname {ours} meta l4proto != tcp drop")
    leaving = (f"iifname {ours} oifname != {ours} masquerade",)
    return {"outbound": outbound, "inbound": inbound, "own": own, "leaving": leaving}


def _chains(wall: Wall, policy: Policy | None) -> Chains:
    """All rules of table `inet` that bear on the runtime, by chain."""
    judged = {"from": tuple(_from(wall, policy)), "to": tuple(_to(wall, policy))}
    return _shared(wall.prefix) | {f"{way}_{wall.mark}": judged[way] for way in judged}


def raised(wall: Wall, policy: Policy | None) -> str:
    """The whole wall as one transaction; a repeat changes nothing and keeps the counters."""
    table, mark = wall.table, wall.mark
    lines = [f"add table {family} {table}" for family in ("inet", "netdev")]
    lines += [
        f"add map inet {table} {name}_runtime {{ type ifname : verdict; }}"
        for name in ("from", "to")
    ]
    for chain, hook in _HOOKS.items():
        lines.append(f"add chain inet {table} {chain} {{ type {hook}; policy accept; }}")
    lines += [f"add counter inet {table} {name}_{mark}" for name in _COUNTERS]
    if policy is not None:
        lines.append(f"add set inet {table} {peers(policy.network)} {{ type ifname; }}")
        member = f'{peers(policy.network)} {{ "{wall.interface}" }}'
        lines.append(f"add element inet {table} {member}")
    lines += [f"add chain inet {table} {name}_{mark}" for name in ("from", "to")]
    for chain, rules in _chains(wall, policy).items():
        lines += _filled(table, chain, rules)
    for name in ("from", "to"):
        jump = f'{{ "{wall.interface}" : jump {name}_{mark} }}'
        lines.append(f"add element inet {table} {name}_runtime {jump}")
    hook = f'type filter hook ingress device "{wall.interface}" priority filter; policy drop;'
    only = f"ip saddr {wall.address} ether saddr {wall.mac} accept"
    lines += [
        f"add chain netdev {table} wire_{mark} {{ {hook} }}",
        f"flush chain netdev {table} wire_{mark}",
        f"add rule netdev {table} wire_{mark} {only}",
    ]
    return "\n".join([*lines, ""])


def within(wall: Wall, policy: Policy | None, nodes: Iterable[str]) -> str:
    """The rules inside the runtime's namespace, as one transaction; a repeat changes nothing.

    `nodes`: this node's own addresses. Whom an internal network holds only the node's table tells.
    """
    out, into = "type filter hook output priority filter", "type filter hook input priority filter"
    lines = [f"add table inet {_WITHIN}"]
    for chain, hook, rules in (
        ("out", out, _out(wall, policy, tuple(nodes))),
        ("into", into, _into(wall, policy, tuple(nodes))),
    ):
        lines.append(f"add chain inet {_WITHIN} {chain} {{ {hook}; policy drop; }}")
        lines += _filled(_WITHIN, chain, rules)
    return "\n".join([*lines, ""])


def intact(listing: str, wall: Wall, policy: Policy | None) -> bool:
    """Whether no rule is missing of what `raised` made, nor the way from the hooks to them."""
    found = Counter(
        str(one["rule"]["chain"]) for one in json.loads(listing)["nftables"] if "rule" in one
    )
    ways = {name: elements for kind, name, elements in _things(listing) if kind == "map"}
    led = all(wall.interface in ways.get(f"{way}_runtime", ()) for way in ("from", "to"))
    return led and all(found[name] == len(rules) for name, rules in _chains(wall, policy).items())


def razed(listing: str, table: str, mark: str, interface: str) -> str:
    """Nothing of the runtime is left; the node's own part stays, and denies.

    `listing`: what `nft -j list table inet <table>` says now; nft refuses to delete what is not
    there.
    """
    things = _things(listing)
    chains = {name for kind, name, _ in things if kind == "chain"}
    lines = [
        f'delete element inet {table} {name} {{ "{interface}" }}'
        for kind, name, elements in things
        if kind in ("set", "map") and interface in elements
    ]
    mine = [name for name in (f"from_{mark}", f"to_{mark}") if name in chains]
    lines += [f"flush chain inet {table} {name}" for name in mine]
    lines += [f"delete chain inet {table} {name}" for name in mine]
    lines += [
        f"delete {kind} inet {table} {name}"
        for kind, name, elements in things
        if (kind == "counter" and name.endswith(f"_{mark}"))
        or (kind == "set" and elements == [interface])
    ]
    for verb in ("add", "flush", "delete"):
        lines.append(f"{verb} chain netdev {table} wire_{mark}")
    return "\n".join([*lines, ""])


def marks(listing: str) -> set[str]:
    """The runtimes that have a wall in the table."""
    found = (name for kind, name, _ in _things(listing) if kind == "chain")
    return {name.removeprefix("from_") for name in found if name.startswith("from_")}


def counted(listing: str, mark: str) -> tuple[int, int] | None:
    """Bytes sent and received by policy; None when the wall does not stand (any more)."""
    bytes_of: dict[str, int] = {
        one["counter"]["name"]: one["counter"]["bytes"]
        for one in json.loads(listing)["nftables"]
        if "counter" in one
    }
    try:
        return bytes_of[f"sent_{mark}"], bytes_of[f"received_{mark}"]
    except KeyError:
        return None


def peers(network: str) -> str:
    """The name of the set of interfaces whose runtimes are in this network."""
    return f"peers_{hashlib.sha256(network.encode()).hexdigest()[:16]}"


def _from(wall: Wall, policy: Policy | None) -> Iterator[str]:
    yield "meta nfproto != ipv4 drop"
    yield f"ip saddr != {wall.address} drop"
    answers = "ct direction reply ct state established meta l4proto tcp"
    yield f"{answers} fib daddr type local accept"
    if wall.gateways:
        yield f"{answers} ip daddr {_set(wall.gateways)} accept"
    yield "fib daddr type != unicast drop"
    if policy is not None and policy.internal:
        # On to the other's chain, which looks for us among its peers.
        yield f'ip daddr {wall.range} fib daddr oifname "{wall.prefix}*" accept'
    yield from _never(wall)
    for rule in () if policy is None else policy.egress:
        ports = f"{rule.protocol} dport {rule.first_port}-{rule.last_port}"
        yield f"ip daddr {rule.cidr} {ports} counter name sent_{wall.mark} accept"
    yield "counter drop"


def _to(wall: Wall, policy: Policy | None) -> Iterator[str]:
    if wall.gateways:
        yield f"ip saddr {_set(wall.gateways)} meta l4proto tcp ct direction original accept"
    if policy is not None and policy.internal:
        yield f"iifname @{peers(policy.network)} accept"
    answers = "ct direction reply ct state established"
    for rule in () if policy is None else policy.egress:
        ports = f"{rule.protocol} sport {rule.first_port}-{rule.last_port}"
        yield f"ip saddr {rule.cidr} {ports} {answers} counter name received_{wall.mark} accept"
    if policy is not None and policy.egress:
        # A router on the way says that a packet was too big, or came nowhere.
        yield "ct state related icmp type { destination-unreachable, time-exceeded } accept"
    yield "counter drop"


def _out(wall: Wall, policy: Policy | None, nodes: tuple[str, ...]) -> Iterator[str]:
    yield 'oifname "lo" accept'
    yield "meta nfproto != ipv4 drop"
    yield f"ip saddr != {wall.address} drop"
    yield "ct direction reply ct state established accept"
    yield f"ip daddr {_set(nodes)} drop"
    if policy is not None and policy.internal:
        yield f"ip daddr {wall.range} accept"
    yield from _never(wall)
    for rule in () if policy is None else policy.egress:
        ports = f"{rule.protocol} dport {rule.first_port}-{rule.last_port}"
        yield f"ip daddr {rule.cidr} {ports} accept"


def _into(wall: Wall, policy: Policy | None, nodes: tuple[str, ...]) -> Iterator[str]:
    yield 'iifname "lo" accept'
    yield "meta nfproto != ipv4 drop"
    yield "ct direction reply ct state established accept"
    yield "ct state related icmp type { destination-unreachable, time-exceeded } accept"
    yield f"ip saddr {_set((*nodes, *wall.gateways))} meta l4proto tcp accept"
    if policy is not None and policy.internal:
        yield f"ip saddr {wall.range} accept"


def _never(wall: Wall) -> Iterator[str]:
    """What no policy opens."""
    yield f"ip daddr {_set((*_NEVER, wall.range, *wall.denied))} drop"
    yield f"ip daddr {_set(_closed(wall.opened))} drop"


def _filled(table: str, chain: str, rules: Iterable[str]) -> list[str]:
    return [
        f"flush chain inet {table} {chain}",
        *(f"add rule inet {table} {chain} {rule}" for rule in rules),
    ]


def _closed(opened: Iterable[str]) -> Iterator[str]:
    """The private ranges without what the operator opened."""
    left = [ipaddress.IPv4Network(one) for one in _PRIVATE]
    for text in opened:
        hole = ipaddress.IPv4Network(text)
        kept: list[ipaddress.IPv4Network] = []
        for one in left:
            if one.subnet_of(hole):
                continue
            kept += one.address_exclude(hole) if hole.subnet_of(one) else [one]
        left = kept
    return (str(one) for one in left)


def _set(networks: Iterable[str]) -> str:
    """An anonymous set; nft refuses ranges that overlap in one."""
    joined = ipaddress.collapse_addresses(ipaddress.IPv4Network(one) for one in networks)
    return f"{{ {', '.join(str(one) for one in joined)} }}"


def _things(listing: str) -> list[tuple[str, str, list[str]]]:
    """(kind, name, interfaces among its elements) of what a table holds."""
    found = []
    for one in json.loads(listing)["nftables"]:
        for kind in ("chain", "set", "map", "counter"):
            if kind in one:
                held = one[kind].get("elem", [])
                names = [part[0] if isinstance(part, list) else part for part in held]
                found.append((kind, str(one[kind]["name"]), names))
    return found
