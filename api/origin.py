"""From which address a call comes: the connection's, or what a proxy says that is trusted."""

import ipaddress
import os
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final

from litestar.connection import ASGIConnection

from domain.errors import DomainError

type _Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAME: Final = "GPUAAS_TRUSTED_PROXIES"
_ADDRESSES: Final = 10_000  # remembered: to read one takes longer than to know a key
_LONGEST: Final = 45  # an IPv6 address that says an IPv4 one


def proxies_of(env: Mapping[str, str] = os.environ) -> str:
    """GPUAAS_TRUSTED_PROXIES: networks, as `10.1.0.0/16 ::1/128`; none by default.

    Raises: DomainError config.malformed.
    """
    text = env.get(_NAME) or ""
    try:
        networks(text)
    except ValueError as error:
        raise DomainError("config.malformed", f"{_NAME}: {error}") from error
    return text


@cache
def networks(text: str) -> tuple[_Network, ...]:
    """Raises: ValueError."""
    return tuple(ipaddress.ip_network(one) for one in text.replace(",", " ").split())


def address(host: str) -> str:
    """As policies compare it: IPv4 also where it came mapped into IPv6; empty for what is none."""
    return _known(host) if len(host) <= _LONGEST else _read(host)


def _read(host: str) -> str:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


_known: Final = lru_cache(_ADDRESSES)(_read)


def origin(connection: ASGIConnection[Any, Any, Any, Any], proxies: str) -> str:
    """The last address that no trusted proxy has, read from the end of X-Forwarded-For, where the
    connection is a trusted proxy's; else the connection's. Empty where there is none.
    """
    peer = "" if connection.client is None else address(connection.client.host)
    if not proxies or not _trusted(peer, proxies):
        return peer
    said = ",".join(connection.headers.getall("x-forwarded-for", []))
    for one in reversed([address(part.strip()) for part in said.split(",")]):
        if not one:
            return peer  # what is no address is nobody's word
        peer = one
        if not _trusted(one, proxies):
            return one
    return peer


def _trusted(host: str, proxies: str) -> bool:
    if not host:
        return False
    found = ipaddress.ip_address(host)
    return any(found in one for one in networks(proxies))
