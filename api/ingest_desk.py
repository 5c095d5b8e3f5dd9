"""Ingest as a part of a process: begun and ended with a block."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.ingest_log import Appending, Ends
from api.ingest_loops import run


@asynccontextmanager
async def ingesting(
    database_url: str,
    nats_url: str,
    key: Ed25519PrivateKey,
    append: Appending,
    ends: Ends,
) -> AsyncIterator[asyncio.Task[None]]:
    """Ingest runs inside the block.

    The task outlives lost servers; it ends by itself only by a failure that must end the process.
    """
    task = asyncio.create_task(run(database_url, nats_url, key, append, ends))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
