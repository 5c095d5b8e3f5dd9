"""What a runtime may reach: the policy of a network, as signed orders to nodes carry it.

Nothing is reached that no rule names. Rules are IPv4; no runtime has IPv6. What a node denies to
everybody (itself, other runtimes, link-local and metadata addresses, private ranges that its
operator did not open) no rule opens.
"""

import ipaddress
from typing import Final, Literal

from msgspec import Struct

MOST_RULES: Final = 64
MOST_PORT: Final = 65_535
EGRESS_COUNTED: Final = "gpuaas.runtime.egress_counted.v1"

type Protocol = Literal["tcp", "udp"]


class Egress(Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses of `cidr` may be reached on the ports `first_port` to `last_port`, both included.

    `cidr` is canonical: `203.0.113.0/24`, no bits set behind the prefix.
    """

    cidr: str
    protocol: Protocol
    first_port: int
    last_port: int


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """Of one network; of two, the one with the higher `version` counts.

    `internal`: runtimes of the network on one node may reach each other, on any port.
    """

    network: str
    version: int
    internal: bool
    egress: tuple[Egress, ...] = ()


class SetPolicy(Struct, frozen=True, forbid_unknown_fields=True, tag="network.policy"):
    """All runtimes of this network here, now and later, obey this policy.

    Of a node, not of an allocation: the command's `allocation` is empty, its `epoch` 0.
    """

    policy: Policy


def fault_of(egress: tuple[Egress, ...]) -> str:
    """What is wrong with these rules, in one sentence; empty when nothing is."""
    if len(egress) > MOST_RULES:
        return f"at most {MOST_RULES} rules"
    for rule in egress:
        try:
            network = ipaddress.IPv4Network(rule.cidr)
        except ValueError:
            return f"{rule.cidr[:64]!r} is no IPv4 network"
        if str(network) != rule.cidr:
            return f"{rule.cidr[:64]!r} is not canonical: {network}"
        if not 1 <= rule.first_port <= rule.last_port <= MOST_PORT:
            return f"ports {rule.first_port} to {rule.last_port} are none"
    return ""
