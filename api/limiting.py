"""How often one principal may ask, or one address without a token: a bucket each, of this process.

Source: draft-ietf-httpapi-ratelimit-headers-10 (`RateLimit-Policy`, `RateLimit`), RFC 6585 (429).
"""

import ipaddress
import math
import time
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.types import HTTPResponseStartEvent, Scope

from api.limits import Rate
from api.origin import origin
from domain.errors import DomainError

_MOST: Final = 50_000  # buckets; beyond it the one that asked longest ago is let go
_LEFT: Final = "gpuaas.limit"


class Limits:
    """Owned by one event loop. A bucket fills at `per_second` up to `burst`."""

    def __init__(self, rate: Rate, of: str = "principal") -> None:
        self.of = of
        self.per_second, self.burst = rate.per_second, rate.burst
        seconds = -(-self.burst // self.per_second)
        # So many requests in so many seconds, the header's value.
        self.policy = f'"{of}";q={self.burst};w={seconds}'
        # What was left, and when; who asked last stands last.
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, actor: str, now_s: float) -> tuple[int, int]:
        """How many are left, and in how many seconds the bucket is full again.

        Raises: DomainError rate.limited, with the seconds until the next may be asked.
        """
        held, at_s = self._buckets.get(actor, (float(self.burst), now_s))
        held = min(self.burst, held + (now_s - at_s) * self.per_second)
        if held < 1:
            wait = math.ceil((1 - held) / self.per_second)
            detail = f"more than {self.per_second} requests a second"
            raise DomainError("rate.limited", detail, {"retry_after_s": wait})
        self._buckets.pop(actor, None)
        if len(self._buckets) >= _MOST:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[actor] = (held - 1, now_s)
        return int(held - 1), math.ceil((self.burst - held + 1) / self.per_second)


def limited(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """A guard behind that which knows who asks. Raises: DomainError rate.limited."""
    principal = connection.scope.get("user")
    state = connection.app.state
    limits: Limits = state.public_limits if principal is None else state.limits
    _take(connection, limits, _place(connection) if principal is None else principal.actor)


def unknown_caller(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Counts one who shows no token that counts, by address. Raises: DomainError rate.limited."""
    _take(connection, connection.app.state.public_limits, _place(connection))


def _take(connection: ASGIConnection[Any, Any, Any, Any], limits: Limits, actor: str) -> None:
    """What is left is said with the answer, a refusal too."""
    left: tuple[int, int] = (0, 0)
    try:
        left = limits.take(actor, time.monotonic())
    except DomainError as error:
        left = (0, int(error.facts["retry_after_s"]))
        raise
    finally:
        connection.scope["state"][_LEFT] = (limits, *left)


def _place(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The address; of IPv6 what one customer has at the least (a /64, RFC 6177)."""
    found = origin(connection, connection.app.state.services.settings.proxies)
    if ":" not in found:
        return found
    return str(ipaddress.ip_network((found, 64), strict=False))


def say_limits(message: HTTPResponseStartEvent, scope: Scope) -> None:
    """What is left of whose share the answer came from."""
    left = scope.get("state", {}).get(_LEFT)
    if left is not None:
        limits, remaining, until = left
        rest = f'"{limits.of}";r={remaining};t={until}'
        said = (
            (b"ratelimit-policy", limits.policy.encode()),
            (b"ratelimit", rest.encode()),
        )
        message["headers"] = [*message["headers"], *said]
