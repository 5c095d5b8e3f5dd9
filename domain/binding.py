"""What gives authority and what takes it: bindings and guardrails, as words that others decide on.

A binding lets a principal (or a group) do what its role holds, in its scope and all below, while
its condition is met. A guardrail forbids actions in its scope and all below; nothing below it, and
no binding, allows again what it forbids.
"""

import ipaddress
import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

OWNER: Final = "owner"
SUPPORT: Final = "support"
OPERATOR: Final = "operator"
TENANT_ROLES: Final = ("admin", "auditor", "billing", "member", OWNER, "viewer")
STAFF_ROLES: Final = ("auditor", OPERATOR, SUPPORT)
RESOURCES: Final = ("runtime", "volume", "network")  # kinds of one thing that may be a scope
RESOURCE_ROLES: Final = ("member", "viewer")  # what may be given for one
NEVER: Final = 0  # of `until_us`: it does not end by itself
_PRINCIPAL: Final = re.compile(r"(?:user|service|group)-[A-Za-z0-9_.-]{1,92}")


type Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Binding(Struct, frozen=True, forbid_unknown_fields=True):
    """`scope`: the id of an organization, a department, a project, or one resource. `networks`: the
    caller's address is in one of them (empty: anywhere); `mfa`: it signed in with a second factor.
    `desk`: of the platform's staff; in tenants it gives what staff does at its desk, and nothing
    else.
    """

    id: str
    principal: str
    role: str
    scope: str
    mfa: bool = False
    networks: tuple[str, ...] = ()
    until_us: int = NEVER
    desk: bool = False

    def covers(self, other: "Binding") -> bool:
        """The other holds at no time, without no factor and from no address that this one bars."""
        ends = self.until_us == NEVER or NEVER < other.until_us <= self.until_us
        factor = other.mfa or not self.mfa
        return ends and factor and _within(other.networks, self.networks)

    def ending(self, until_us: int) -> "Binding":
        """The same, and over by then; NEVER: as it is."""
        ends = [one for one in (self.until_us, until_us) if one != NEVER]
        return replace(self, until_us=min(ends, default=NEVER))

    def stands(self, now_us: int) -> bool:
        return self.until_us == NEVER or now_us < self.until_us


class Sso(Struct, frozen=True):
    """People act in sessions of this issuer alone, but for the `exempt`; programs are no people."""

    issuer: str
    exempt: tuple[str, ...]

    def bars(self, actor: str, issuer: str) -> bool:
        """Who came in by that issuer; by none of them, where it is empty."""
        return actor.startswith("user-") and actor not in self.exempt and issuer != self.issuer


class Guardrail(Struct, frozen=True, forbid_unknown_fields=True):
    """`actions`: names, areas (`runtime.*`) or `*`. Without `unless_mfa` and `unless_networks` it
    forbids always; with them it forbids unless all that is named is met.
    """

    id: str
    actions: tuple[str, ...]
    scope: str
    unless_mfa: bool = False
    unless_networks: tuple[str, ...] = ()

    @property
    def flat(self) -> bool:
        return not self.unless_mfa and not self.unless_networks


def _within(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    if not outer:
        return True
    around = [ipaddress.ip_network(one) for one in outer]
    return bool(inner) and all(
        any(_in(ipaddress.ip_network(one), other) for other in around) for one in inner
    )


def _in(one: Network, other: Network) -> bool:
    match one, other:
        case ipaddress.IPv4Network(), ipaddress.IPv4Network():
            return one.subnet_of(other)
        case ipaddress.IPv6Network(), ipaddress.IPv6Network():
            return one.subnet_of(other)
        case _:
            return False


def is_principal(word: str) -> bool:
    return _PRINCIPAL.fullmatch(word) is not None


def is_resource(scope: str) -> bool:
    return scope.partition("-")[0] in RESOURCES


def is_network(word: str) -> bool:
    """Whether the word is a network of IPv4 or IPv6, in the one form that names it."""
    try:
        return str(ipaddress.ip_network(word)) == word
    except ValueError:
        return False
