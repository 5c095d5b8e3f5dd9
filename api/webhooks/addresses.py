"""Where a webhook may lead: public addresses only, and exactly those that were looked at.

An address is looked at each time before it is called, and the connection goes to that address, not
to the name again: a name that leads elsewhere a moment later (DNS rebinding) leads nowhere.
"""

import asyncio
import contextlib
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from msgspec import Struct

from domain.errors import DomainError

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS: Final = {"https": 443, "http": 80}
_LOOK_S: Final = 5
_THREADS: Final = 64
_OF_ONE: Final = 8
# All that is assigned for the internet; site-local and IPv4-compatible addresses lie outside.
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
# Of the registries of special purpose what this Python takes for public: protocols' own, relays of
# 6to4, documentation.
_SPECIAL: Final = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
# What a gateway may turn into an IPv4 address: judged as that address.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class Checked(Struct, frozen=True):
    """`host` is what the URL names: of the Host header and the certificate; `address` is called."""

    url: str
    host: str
    port: int
    address: str


class Lookups:
    """Names looked up, on threads of their own: a name server that never answers keeps none of
    anything else. It keeps one for longer than anybody waits for it, so each for whom names are
    looked up has few, until they are back. Owned by one event loop.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook-lookup")
        self._turns = WeakValueDictionary[str, asyncio.Semaphore]()

    async def addresses(self, of: str, host: str, port: int) -> list[Address]:
        """All of the name, one at least; an address is its own. `of`: for whom.

        Raises: OSError, UnicodeError.
        """
        if "%" not in host:
            with contextlib.suppress(ValueError):
                return [ipaddress.ip_address(host)]
        turn = self._turns.setdefault(of, asyncio.Semaphore(_OF_ONE))
        await turn.acquire()
        look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        looking = asyncio.get_running_loop().run_in_executor(self._threads, look)
        looking.add_done_callback(lambda _: turn.release())
        found = await asyncio.shield(looking)
        return [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]


def networks_of(text: str) -> tuple[Network, ...]:
    """Networks that may be called although they are not public, from `10.1.0.0/16 ::1/128`.

    Raises: DomainError config.malformed.
    """
    try:
        return tuple(ipaddress.ip_network(one) for one in text.replace(",", " ").split())
    except ValueError as error:
        raise DomainError("config.malformed", f"GPUAAS_WEBHOOK_NETWORKS: {error}") from error


async def checked(
    url: str, lookups: Lookups, of: str, besides: tuple[Network, ...] = ()
) -> Checked:
    """The address that the URL leads to now, to be connected to as it is; looked up for `of`.

    https only, and every address of the name is public; both may be otherwise within `besides`.

    Raises: DomainError webhook.url_refused, webhook.not_https, webhook.not_public of an address
    that the URL itself names, webhook.unresolved: in the same words for a name that leads inside,
    that nobody knows or that cannot be looked up: nobody asks through us what there is inside.
    """
    host, port, scheme = _parts(url)
    if scheme != "https" and not besides:
        raise _not_https(scheme)
    try:
        async with asyncio.timeout(_LOOK_S):
            addresses = await lookups.addresses(of, host, port)
    except (OSError, TimeoutError, UnicodeError):
        addresses = []
    if not addresses or not all(public(one) or _within(one, besides) for one in addresses):
        raise _inward(host)
    if scheme != "https" and not all(_within(one, besides) for one in addresses):
        raise _not_https(scheme)
    return Checked(url, host, port, str(addresses[0]))


def public(address: Address) -> bool:
    """Whether anybody on the internet may be meant by it, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour or _translated(address)
        if inside is not None:
            return public(inside)
        if address not in _UNICAST:
            return False
    if _within(address, _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _parts(url: str) -> tuple[str, int, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("it is no URL") from error
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if plain and parts.scheme and parts.scheme not in _PORTS:
        raise _not_https(parts.scheme)
    if not plain or not parts.scheme or not parts.hostname or parts.fragment:
        raise _refused("it is no plain https URL: a name, no fragment, ASCII without spaces")
    if "@" in parts.netloc:
        raise _refused("it names a user")
    return parts.hostname, port or _PORTS[parts.scheme], parts.scheme


def _inward(host: str) -> DomainError:
    """Of an address that the URL names everything is known already; of a name nothing is told."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        detail = f"{host} is not found, or leads to addresses that are not public"
        return _refused(detail, "webhook.unresolved")
    return _refused(f"{host} is not a public address", "webhook.not_public")


def _not_https(scheme: str) -> DomainError:
    return _refused(f"it begins with {scheme}:, not https:", "webhook.not_https")


def _refused(detail: str, code: str = "webhook.url_refused") -> DomainError:
    return DomainError(code, detail, {"pointer": "/url"})
