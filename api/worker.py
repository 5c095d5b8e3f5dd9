"""The worker process: what keeps the evidence, the views and the reactions at the head
of the log.
"""

import asyncio
import gc
import sys

import nats.errors
import psycopg
import uvloop

from api.admission.election import Admission
from api.admission.wire import SettleAsk
from api.config import Settings
from api.connecting import connected
from api.stopping import until_signal
from api.webhooks import deliverer
from api.webhooks.addresses import networks_of
from api.webhooks.sending import Sender
from domain.errors import DomainError
from domain.prepayment import Settlement
from domain.wallet import Settle
from evidence import custody
from evidence.storage import Storage
from evidence.tail import gated
from evidence.wake import HeadWake
from projections import worker as downstream

_RETRY_S = 1.0
_SETTLER = "system-settler"


def run(settings: Settings) -> int:
    """Until SIGTERM or SIGINT; 0 after a clean stop."""
    uvloop.run(until_signal(lambda stop: _working(settings, stop)))
    return 0


async def _working(settings: Settings, stop: asyncio.Event) -> None:
    gc.set_threshold(*custody.COLLECT)
    async with asyncio.TaskGroup() as parts:
        parts.create_task(_evidence(settings, stop))
        parts.create_task(_downstream(settings, stop))
        parts.create_task(_webhooks(settings, stop))


async def _evidence(settings: Settings, stop: asyncio.Event) -> None:
    """Integrator, scrubber and heartbeat; each says itself what is wrong and goes on."""
    while not stop.is_set():
        try:
            await custody.keep(
                settings.database_url,
                settings.storage,
                settings.signer_socket,
                settings.nats_url,
                stop,
                settings.unsigned_bound_s * 1000,
                settings.nats_tls,
            )
        except (DomainError, psycopg.OperationalError, nats.errors.Error, OSError) as error:
            await _again("evidence", error, stop)


async def _downstream(settings: Settings, stop: asyncio.Event) -> None:
    """Views and reactions: they end with the first failure and resume from the database.

    A fact that cannot be applied stays one: readiness is red, and each new try says so again.
    """
    while not stop.is_set():
        try:
            await _session(settings, stop)
        except (DomainError, psycopg.OperationalError, nats.errors.Error, OSError) as error:
            await _again("projections", error, stop)


async def _webhooks(settings: Settings, stop: asyncio.Event) -> None:
    """Facts to webhooks; a receiver's faults are its own, ours are tried again."""
    while not stop.is_set():
        try:
            await _sending(settings, stop)
        except (DomainError, psycopg.OperationalError, nats.errors.Error, OSError) as error:
            await _again("webhooks", error, stop)


async def _sending(settings: Settings, stop: asyncio.Event) -> None:
    sender = Sender(networks_of(settings.webhook_networks))
    client = await connected(settings.nats_url, settings.nats_tls)
    try:
        heads = HeadWake(client)
        await heads.start()
        bound_ms = settings.unsigned_bound_s * 1000
        async with gated(settings.database_url, Storage(settings.storage), bound_ms) as log:
            await deliverer.run(settings.database_url, log, sender, stop, heads.wait)
    finally:
        await client.close()
        await sender.close()


async def _session(settings: Settings, stop: asyncio.Event) -> None:
    client = await connected(settings.nats_url, settings.nats_tls)
    try:
        storage = Storage(settings.storage)
        async with gated(settings.database_url, storage, settings.unsigned_bound_s * 1000) as log:
            bell = downstream.Bell()
            stopping = asyncio.create_task(_ring_out(stop, bell))
            # Takes part in no election: it asks the writer, wherever that is.
            admission = Admission(settings.database_url, log, client, HeadWake(client))

            async def settle(due: Settlement, cause: str) -> None:
                wanted = Settle(
                    *(due.runtime, due.charged_pico, due.from_us, due.over),
                    downstream.clock_us(),
                )
                await admission.ask(SettleAsk(due.wallet, wanted, _SETTLER, cause))

            work = downstream.run(settings.database_url, client, log, storage, bell, settle=settle)
            parts = [asyncio.create_task(work), asyncio.create_task(log.broken())]
            try:
                done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                for part in done:
                    part.result()
            finally:
                bell.stop()
                for task in (stopping, parts[1]):
                    task.cancel()
                await asyncio.gather(stopping, *parts, return_exceptions=True)
    finally:
        await client.close()


async def _ring_out(stop: asyncio.Event, bell: downstream.Bell) -> None:
    await stop.wait()
    bell.stop()


async def _again(part: str, error: Exception, stop: asyncio.Event) -> None:
    print(f"{part}: {error}; trying again", file=sys.stderr, flush=True)
    try:
        await asyncio.wait_for(stop.wait(), _RETRY_S)
    except TimeoutError:
        return
