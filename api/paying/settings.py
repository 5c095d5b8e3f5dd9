"""What the environment says of Stripe: the key, who signs its events, where payers go back to."""

import os
from collections import Counter
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from api.paying.stripe import Stripe
from domain.errors import DomainError

HOME: Final = "https://api.stripe.com"


def stripe_of(env: Mapping[str, str] = os.environ) -> Stripe | None:
    """GPUAAS_STRIPE_KEY, GPUAAS_STRIPE_URL (default Stripe's own) and GPUAAS_STRIPE_RETURNS; None
    without a key.

    Raises: DomainError config.missing, config.malformed.
    """
    key = env.get("GPUAAS_STRIPE_KEY", "")
    if not key:
        return None
    returns, url = env.get("GPUAAS_STRIPE_RETURNS", ""), env.get("GPUAAS_STRIPE_URL") or HOME
    if not returns:
        raise DomainError("config.missing", "GPUAAS_STRIPE_RETURNS: where payers go back to")
    parts = urlsplit(url)
    here = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    # The key goes there: in the clear to this machine only.
    if not (parts.scheme == "https" or (parts.scheme == "http" and here)):
        raise DomainError("config.malformed", f"GPUAAS_STRIPE_URL is no https address: {url!r}")
    return Stripe(key, url.rstrip("/"), returns)


def secrets_of(env: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """GPUAAS_STRIPE_SECRETS: of the endpoint, with a space between while one is being replaced."""
    return tuple(env.get("GPUAAS_STRIPE_SECRETS", "").split())


class Payments(Struct):
    """`heard`: how many events of each (type, what became of it) since this process began."""

    port: Stripe | None
    secrets: tuple[str, ...]
    live: bool
    heard: Counter[tuple[str, str]]


def payments_of() -> Payments:
    """By the environment. Raises: DomainError `config.*`."""
    found = stripe_of()
    return Payments(found, secrets_of(), found is not None and found.live, Counter())
