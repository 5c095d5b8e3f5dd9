"""The connection to NATS that a URL names."""

import asyncio
import contextlib
import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client

from domain.errors import DomainError
from evidence.line import client_with, with_tls

PATIENCE_S: Final = 5
_FOR_EVER: Final[dict[str, Any]] = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.2}


async def connected(url: str, tls: ssl.SSLContext | None = None) -> Client:
    """A client that has reached NATS once; from then on it reconnects for ever, without a word.

    Raises: DomainError nats.unavailable when it has not within 5 s.
    """
    client = client_with(tls)
    last = "no answer"

    async def note(error: Exception) -> None:
        nonlocal last
        last = str(error) or type(error).__name__

    try:
        async with asyncio.timeout(PATIENCE_S):
            await client.connect(url, error_cb=note, **with_tls(tls), **_FOR_EVER)
    except (TimeoutError, OSError, nats.errors.Error) as error:
        with contextlib.suppress(nats.errors.Error, OSError):
            await client.close()
        where = urlsplit(url)
        place = f"{where.hostname}:{where.port or 4222}"
        detail = f"NATS at {place} cannot be reached: {last}"
        raise DomainError("nats.unavailable", detail) from error
    return client
