"""The gateway process: its parts, its name, what it says of itself. `gpuaas gateway`."""

import asyncio
import contextlib
import ipaddress
import signal
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.certificates import Said, reported, said
from api.config import Settings
from api.connecting import connected
from api.edge import now_us
from api.gateway.authority import FOLLOWED, Authorized
from api.gateway.doors import Doors
from api.gateway.flows import Flows, Limits
from api.gateway.parts import Networks, Parts
from api.gateway.server import Reception
from api.gateway.sessions import Sessions
from api.gateway.tail import Tail
from api.gateway.web.cookies import Cookies
from api.gateway.web.front import Front
from api.gateway.web.inside import Inside
from api.renewal import Renewal
from api.ssh.authority import public_text
from api.ssh.desk import papers, passage
from api.stopping import until_signal
from api.terminal.tickets import Tickets
from api.tokens import private_key
from domain.errors import DomainError
from evidence.storage import Storage
from evidence.tail import gated
from evidence.wake import HeadWake
from evidence.watched import Watched
from projections.live import report_component

_SWEEP_S: Final = 1.0
_REPORT_S: Final = 5.0
_RENEW_S: Final = 8 * 3600.0
_DRAIN_S: Final = 3.0
_NAME_TRIES: Final = 10
_NAME_PAUSE_S: Final = 0.5
# A name is held by one process: another of the same name would bury its sessions.
_ONLY_ONE: Final = "SELECT pg_try_advisory_lock(hashtext('gpuaas gateway ' || %(name)s))"


def run(settings: Settings) -> int:
    """Until SIGTERM or SIGINT; 0 after a clean stop."""
    uvloop.run(until_signal(lambda stop: serving(settings, stop)))
    return 0


async def serving(settings: Settings, stop: asyncio.Event, limits: Limits | None = None) -> None:
    """Everything this process does. A part that fails ends it: it starts again from the log."""
    async with (
        _name_held(settings) as named,
        _opened(settings, limits or Limits()) as (
            parts,
            reception,
            client,
            heads,
        ),
        _apps(settings, parts, client) as (front, tls),
    ):
        await reception.listen(settings.gateway_host, settings.gateway_port)
        try:
            await _until(
                stop,
                parts.tail.follow(heads),
                _sweep(parts, front),
                _keep_name(settings, named),
                _report(settings, parts, reception),
                _renew(settings, client, reception),
                *_renewed(settings, tls),
            )
        finally:
            front.close()
            reception.close()
            await _drained(parts)


async def _until(stop: asyncio.Event, *loops: Any) -> None:
    """Returns when told to stop; raises what the first loop that fails raised."""
    tasks = [asyncio.ensure_future(one) for one in (stop.wait(), *loops)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _name_held(settings: Settings) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Raises: DomainError gateway.second; psycopg.OperationalError."""
    async with await _name_taken(settings) as conn:
        yield conn


async def _name_taken(settings: Settings) -> psycopg.AsyncConnection[Any]:
    """Waits a moment: PostgreSQL may not have noticed yet that the one before was killed."""
    conn = await Watched.connect(settings.database_url, autocommit=True)
    try:
        for _ in range(_NAME_TRIES):
            row = await (await conn.execute(_ONLY_ONE, {"name": settings.gateway_name})).fetchone()
            if row is not None and row[0]:
                return conn
            await asyncio.sleep(_NAME_PAUSE_S)
    except BaseException:
        await conn.close()
        raise
    await conn.close()
    raise DomainError("gateway.second", f"another {settings.gateway_name} runs")


async def _keep_name(settings: Settings, conn: psycopg.AsyncConnection[Any]) -> None:
    """For ever; a database that restarts is asked for the name again. Raises: gateway.second."""
    try:
        while True:
            try:
                await conn.execute("SELECT 1")
            except psycopg.OperationalError:
                await conn.close()
                with contextlib.suppress(psycopg.OperationalError):
                    conn = await _name_taken(settings)
            await asyncio.sleep(_REPORT_S)
    finally:
        await conn.close()


@asynccontextmanager
async def _opened(
    settings: Settings, limits: Limits
) -> AsyncIterator[tuple[Parts, Reception, Any, HeadWake]]:
    async with contextlib.AsyncExitStack() as exits:
        client = await connected(settings.nats_url, settings.nats_tls)
        exits.push_async_callback(client.close)
        heads = HeadWake(client)
        await heads.start()
        exits.push_async_callback(heads.close)
        bound_ms = settings.unsigned_bound_s * 1000
        log = await exits.enter_async_context(
            gated(settings.database_url, Storage(settings.storage), bound_ms, heads.publish)
        )
        doors = Doors(settings.gateway_name)
        flows = Flows(doors, limits)
        authorized = Authorized(doors, now_us)

        def changed() -> None:
            authorized.look(every=False)
            flows.check(now_us())

        tail = Tail(settings.database_url, authorized, changed, FOLLOWED)
        exits.push_async_callback(tail.close)
        await tail.catch_up()
        sessions = Sessions(log, settings.gateway_name)
        await sessions.bury(doors)
        key = private_key(settings.data / f"{settings.gateway_name}-host-key")
        got = await papers(client, public_text(key.public_key()))
        parts = Parts(
            doors=doors,
            authorized=authorized,
            tail=tail,
            flows=flows,
            sessions=sessions,
            limits=limits,
            networks=networks(settings.gateway_networks),
            user_ca=got.user_ca,
            host_ca=got.host_ca,
            apps_url=settings.apps_url,
        )
        yield parts, Reception(parts, _pem(key), got.certificate), client, heads


@asynccontextmanager
async def _apps(
    settings: Settings, parts: Parts, client: Any
) -> AsyncIterator[tuple[Front, ssl.SSLContext | None]]:
    """HTTP to apps, beside SSH: the same doors, flows and sessions; and what it is served with."""
    inside = Inside(parts, lambda key, principal: passage(client, key, principal))
    cookies, tickets = Cookies(settings.database_url), Tickets(settings.database_url)
    front = Front(parts, inside, cookies, tickets)
    tls = None if settings.tls is None else settings.tls.serving()
    await front.listen(settings.gateway_host, settings.apps_port, tls)
    try:
        yield front, tls
    finally:
        front.close()
        inside.close()
        await cookies.close()
        await tickets.close()


def _renewed(
    settings: Settings, context: ssl.SSLContext | None
) -> tuple[Coroutine[Any, Any, None], ...]:
    """The loops that serve a renewed pair to whoever comes, and say until when it is good."""
    pair = settings.tls
    if pair is None or context is None:
        return ()
    renewal = Renewal(pair, "gateway")
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, renewal.look)

    async def take() -> None:
        pair.load_into(context)

    def looked() -> list[Said]:
        return [said(settings.gateway_name, renewal.served, now_us(), renewal.fault)]

    return renewal.watch(take), reported(settings, looked)


def networks(text: str) -> Networks:
    """Raises: DomainError config.malformed."""
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError as error:
        detail = f"GPUAAS_GATEWAY_NETWORKS are no CIDRs: {text!r}"
        raise DomainError("config.malformed", detail) from error


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


async def _sweep(parts: Parts, front: Front) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_SWEEP_S)
        parts.authorized.look(every=True)
        parts.flows.check(now_us())
        parts.flows.sweep(loop.time(), parts.tail.fresh_at)
        parts.doors.forget(now_us())
        front.tend()
        await parts.sessions.settle()


async def _report(settings: Settings, parts: Parts, reception: Reception) -> None:
    """Says what the gateway does, while the database listens."""
    while True:
        refused = ", ".join(f"{why} {count}" for why, count in sorted(parts.flows.refused.items()))
        detail = (
            f"{parts.flows.open} sessions, {reception.connections} connections, "
            f"refused: {refused or 'none'}"
        )
        with contextlib.suppress(psycopg.OperationalError):
            await asyncio.to_thread(_say, settings.database_url, settings.gateway_name, detail)
        await asyncio.sleep(_REPORT_S)


def _say(url: str, name: str, detail: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        report_component(conn, name, True, detail, now_us())


async def _renew(settings: Settings, client: Any, reception: Reception) -> None:
    key = private_key(settings.data / f"{settings.gateway_name}-host-key")
    while True:
        await asyncio.sleep(_RENEW_S)
        got = await papers(client, public_text(key.public_key()))
        reception.renew(_pem(key), got.certificate)


async def _drained(parts: Parts) -> None:
    """Gives what was cut a moment to say so in the log."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            await parts.flows.quiet.wait()
            await asyncio.gather(*parts.flows.relays)
