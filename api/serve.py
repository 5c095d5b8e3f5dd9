"""The API process: HTTP, the admission writer, the ingest of agents' messages and readings, in one
loop.
"""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator
from typing import Any, Final

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar.types import ASGIApp

from api.admission.wire import RenewAsk, end_ask
from api.app import create_app
from api.certificates import of_api, reported
from api.config import Settings
from api.fleet import loops as ingest_loops
from api.fleet.words import Ending, Renewing
from api.listening import Listener
from api.metering.hearing import Ear, hear
from api.renewal import Renewal
from api.services import Services, opened
from api.ssh import desk
from api.stopping import until_signal
from contracts.http_limits import HEAD_LIMIT, HEAD_S
from evidence.append import Appended

# The states of admission and ingest are large, live for ever and hold no cycles: at the default
# the collector walks them again after every few launches.
_COLLECT: Final = (20_000, 50, 50)
# Followers of events and terminals last: the server's own default of 128 requests at once is
# that many of them, and then nobody is answered any more.
_WAITING: Final = 1_024
_AT_ONCE: Final = 16_384
# HTTP/2 too would be told from it by the first bytes, for which the server waits without end.
_HTTP1: Final = HTTP1Settings(header_read_timeout=HEAD_S * 1000, max_buffer_size=HEAD_LIMIT)


def calm_collector() -> None:
    """The process's collector looks less often, and never again at what is there already."""
    gc.set_threshold(*_COLLECT)
    gc.collect()
    gc.freeze()


def run(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; 0 after a clean stop."""
    uvloop.run(until_signal(lambda stop: serving(settings, stop)))
    return 0


async def serving(settings: Settings, stop: asyncio.Event, *, more: tuple[Any, ...] = ()) -> None:
    """Everything this process does, until it is told to stop or a part of it fails.

    A part that fails ends the process: it is started again and resumes from the log.
    """
    async with opened(settings) as services:
        calm_collector()

        @contextlib.asynccontextmanager
        async def ready() -> AsyncIterator[Services]:
            yield services

        await desk.attend(services.nats, services.ssh)

        def server() -> Server:
            return front(settings, create_app(settings, open_services=ready, more=more))

        renewal = _renewal(settings)
        listener = Listener(server, (settings.http_host, settings.http_port), renewal)
        http = asyncio.ensure_future(listener.run())
        saying = asyncio.ensure_future(reported(settings, of_api(settings, renewal)))
        ingest = asyncio.ensure_future(_ingest(settings, services))
        heard = Ear(services.nats, services.desk, services.command_key)
        metering = asyncio.ensure_future(hear(heard))
        broken = [asyncio.ensure_future(part.broken()) for part in services.parts]
        stopped = asyncio.ensure_future(stop.wait())
        try:
            done, _ = await asyncio.wait(
                {http, saying, ingest, metering, *broken, stopped},
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                task.result()
        finally:
            for task in (stopped, http, saying, ingest, metering, *broken):
                task.cancel()
            await listener.close()
            await asyncio.gather(
                *(http, saying, ingest, metering, *broken, stopped), return_exceptions=True
            )


def front(settings: Settings, app: ASGIApp) -> Server:
    """The server of HTTP in front of an application, not yet begun."""
    return Server(
        app,
        address=settings.http_host,
        port=settings.http_port,
        interface=Interfaces.ASGI,
        backlog=_WAITING,
        backpressure=_AT_ONCE,
        http=HTTPModes.http1,
        http1_settings=_HTTP1,
        log_access=False,
        ssl_cert=None if settings.tls is None else settings.tls.certificate,
        ssl_key=None if settings.tls is None else settings.tls.key,
    )


def _renewal(settings: Settings) -> Renewal | None:
    """Of our pair, if any; SIGHUP has it looked at now."""
    if settings.tls is None:
        return None
    found = Renewal(settings.tls, "serve")
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, found.look)
    return found


async def _ingest(settings: Settings, services: Services) -> None:
    async def renews(lease: Renewing) -> Appended:
        ask = RenewAsk(lease.wanted, lease.actor, lease.cause)
        return (await services.admission.ask(ask)).appended

    async def ends(ending: Ending) -> Appended:
        ask = end_ask(ending.runtime, ending.fact, ending.actor, ending.cause)
        return (await services.admission.ask(ask)).appended

    await ingest_loops.run(
        *(settings.database_url, settings.nats_url, services.command_key),
        *(services.log.append, ends),
        account=services.account_key,
        ssh_ca=(services.ssh.user_ca,),
        tls=settings.nats_tls,
        renews=renews,
        leasing=settings.leasing,
    )
