import asyncio
import contextlib
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import nats.errors
from msgspec.structs import replace
from nats.aio.client import Client

from agent import (
    bandwidth,
    cdi,
    certificate,
    clock,
    device_loops,
    hardware,
    host_certificates,
    identity,
    idleness,
    kept,
    link,
    machine,
    node_watchdog,
    orders,
    preflight,
    reporting,
    volume_work,
    watch,
)
from agent.config import Config
from agent.device_watch import Desk
from agent.device_work import Means
from agent.devices import DeviceSource
from agent.engine import EngineError, Settings
from agent.enrol import Keys, Machine, enrol, request_of
from agent.log_answers import answer_logs
from agent.orders import Node
from agent.runtimes import Runtimes
from agent.simulated import SimulatedRuntimes
from agent.spool import Spool
from agent.store import Store
from agent.terminal.desk import Terminals
from agent.usage import Usage
from contracts.enrolment import EnrolReply
from contracts.signing import FleetError, public_hex

_RETRY_S = 1.0
_ENROL_ATTEMPTS = 30


async def run(config: Config, stop: asyncio.Event | None = None) -> None:
    """Returns when `stop` is set: connections closed, everything unsaid still in the spool.

    Kill -9 at any instant loses and doubles nothing: run again with the same `state`.
    Raises: FleetError enrol.* | journal.missing | journal.rolled_back | state.in_use | watchdog.*.
    """
    stop = stop or asyncio.Event()
    config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = identity.enrolment(config.state)
    try:
        store = Store(config.state, enrolled=known is not None)
    except FleetError as error:
        if error.code == "journal.missing" and known is not None:
            _end_all(config, known.node)
        raise
    try:
        source = machine.open_source(config, public_hex(identity.event_key(config.state)))
        reply = known or await _enrol(config, source)
        desk = machine.open_desk(config, store, source)
        given = () if config.engine is None else machine.given_to_containers(desk)
        node = open_node(config, store, reply, given, desk)
        try:
            await _guard(config)
            await bandwidth.measure_once_a_boot(desk, node.spool, config.cuda_library)
            await _serve(config, node, reply, stop, desk)
            if config.watchdog is not None:
                node_watchdog.ask_to_end(config.state)
        finally:
            node.runtimes.close()
            desk.close()
    finally:
        store.close()


def open_node(
    config: Config,
    store: Store,
    reply: EnrolReply,
    given: tuple[cdi.Device, ...] = (),
    desk: Desk | None = None,
) -> Node:
    """The node as this boot: same boot adopts what runs, a new one starts from nothing."""
    # Enrolled anew on a machine that did not reboot, its words are under another boot all the same.
    incarnation = str(reply.position) if isinstance(reply.ca, str) else ""
    since = config.machine_boot or clock.machine_boot()
    boot = clock.boot_of(reply.node, f"{since}{incarnation}")
    spool = Spool(store, identity.event_key(config.state), reply.node, boot)
    runtimes = source_of(config, reply.node, boot, given)
    terminals = Terminals(config.state / "terminals", reply.node)
    node = Node(
        *(reply.node, boot, reply.command_key, store, spool, runtimes, terminals),
        lease_us=config.lease_us,
    )
    if desk is not None:
        node = _with_devices(node, desk)
    watch.announce(node, clock.boottime_us())
    orders.resume(node, clock.boottime_us())
    return node


def _with_devices(node: Node, desk: Desk) -> Node:
    """The node, whose starts are looked at on these devices first."""
    desk.holders = lambda: node.runtimes.observe(clock.boottime_us())

    async def examine(devices: tuple[int, ...]) -> None:
        await preflight.examine(desk, node.spool, devices, clock.boottime_us())

    return replace(node, devices=len(desk.units), illness=desk.illness, examine=examine)


def source_of(config: Config, node: str, boot: str, given: tuple[cdi.Device, ...]) -> Runtimes:
    """Where this node's runtimes come from: containers on these devices, or SIMULATED ones."""
    if config.engine is None:
        return SimulatedRuntimes(
            config.state / "simulated.db", boot, config.gpus, config.usable_after_us
        )
    return kept.KeptRuntimes(config.state, node, boot, _shut(config), given)


def _shut(config: Config) -> Settings:
    """The engine's settings with the control plane where no policy leads, as it resolves now."""
    assert config.engine is not None
    known = identity.enrolment(config.state)
    urls = (config.nats_url or (known.nats_url if known else ""), identity.api_url(config.state))
    hosts = {urlsplit(url).hostname for one in (*urls, config.api_url) for url in one.split(",")}
    found = set(config.engine.denied)
    for host in hosts - {None}:
        # A name that does not resolve is one that nobody reaches by it now.
        with contextlib.suppress(OSError):
            told = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
            found |= {f"{address[0]}/32" for *_, address in told}
    return replace(config.engine, denied=tuple(sorted(found)))


async def _guard(config: Config) -> None:
    """What resets this machine when all else fails is armed, where one is set; an old reset is told
    of. After the runtimes were opened: what another boot left is void by then.
    """
    cause = node_watchdog.cause_of_reset(config.state)
    if cause:
        sys.stderr.write(f"agent: the watchdog reset this machine: {cause}\n")
    if config.watchdog is not None:
        armed = await asyncio.to_thread(node_watchdog.begin, config.state, config.watchdog)
        sys.stderr.write(f"agent: watchdog armed: {armed}\n")


def _end_all(config: Config, node: str) -> None:
    # Without a journal nobody knows which epochs are true: nothing of this node may run.
    if config.engine is None:
        return
    try:
        kept.end_all(config.state, node, config.engine)
    except EngineError as error:
        # What could not be ended now its own keeper ends: its order is gone.
        sys.stderr.write(f"agent: {error}\n")


async def _serve(
    config: Config, node: Node, reply: EnrolReply, stop: asyncio.Event, desk: Desk
) -> None:
    """One session with NATS after the other, each as short or long as its connection lives."""
    credentials = link.Credentials(
        url=config.nats_url or reply.nats_url,
        user=reply.nats_user,
        password=reply.nats_password,
        key=identity.nats_key(config.state),
        tls=lambda: certificate.shown(config.state),
    )
    fresh = asyncio.create_task(certificate.keep_fresh(config, node.node))
    backoff = link.Backoff()
    watcher = idleness.Watcher(node, desk, config.idle)
    told = (node.store, node.spool.key, node.node, node.boot)
    kept_usage = Usage(*told, reply.position, config.usage_us)
    try:
        while not stop.is_set():
            if await _session(config, node, credentials, stop, desk, watcher, kept_usage):
                backoff = link.Backoff()
            await _pause(stop, backoff.next_s())
    finally:
        fresh.cancel()
        await asyncio.gather(fresh, return_exceptions=True)


async def _session(
    config: Config,
    node: Node,
    credentials: link.Credentials,
    stop: asyncio.Event,
    desk: Desk,
    watcher: idleness.Watcher,
    kept_usage: Usage,
) -> bool:
    """True when it was let in. Ends when told to stop, or with the connection.

    Raises: FleetError that must end the agent.
    """
    client = await _let_in(credentials, node.node, stop)
    if client is None:
        return False
    over = asyncio.create_task(stop.wait())
    here = link.Link(config, node, client)
    means = Means(config.cuda_library)
    courier = reporting.Courier(here, kept_usage)
    loops = [
        *(asyncio.create_task(loop(here)) for loop in link.LOOPS),
        asyncio.create_task(courier.take_anchors()),
        asyncio.create_task(courier.take_answers()),
        asyncio.create_task(courier.send()),
        asyncio.create_task(
            device_loops.probe(desk, node.spool, config.device_probe_us, here.wake)
        ),
        asyncio.create_task(device_loops.work(desk, node.spool, means, here.wake)),
        asyncio.create_task(volume_work.work(node.store, node.spool, _volumes(config), here.wake)),
        asyncio.create_task(host_certificates.keep(config, node)),
        asyncio.create_task(answer_logs(here)),
        asyncio.create_task(idleness.watch(watcher, here.wake)),
    ]
    try:
        # A loop ends with the connection, or by a failure that must end the agent.
        done, _ = await asyncio.wait([over, *loops], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with contextlib.suppress(nats.errors.Error):
                task.result()
    finally:
        for task in (over, *loops):
            task.cancel()
        await asyncio.gather(over, *loops, return_exceptions=True)
        with contextlib.suppress(nats.errors.Error, OSError):
            await client.close()
    return True


async def _let_in(credentials: link.Credentials, node: str, stop: asyncio.Event) -> Client | None:
    """The connection; None when it was refused, or `stop` came first: a server that is away is
    tried for two minutes, and whoever stops an agent does not wait for that.
    """
    entering = asyncio.create_task(link.connect(credentials, node))
    over = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([entering, over], return_when=asyncio.FIRST_COMPLETED)
        return entering.result() if entering.done() else None
    except (OSError, TimeoutError, nats.errors.Error):
        return None
    finally:
        for task in (entering, over):
            task.cancel()
        await asyncio.gather(entering, over, return_exceptions=True)


def _volumes(config: Config) -> Path | None:
    """Where volumes lie; None where runtimes are SIMULATED, and volumes with them."""
    return None if config.engine is None else config.state.absolute()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _enrol(config: Config, source: DeviceSource) -> EnrolReply:
    keys = Keys(
        identity.event_key(config.state),
        identity.nats_key(config.state),
        identity.certificate_key(config.state),
    )
    public = public_hex(keys.event)
    devices = source.inventory()
    simulated = source.origin.simulated
    stated = Machine(
        model=config.model if simulated else machine.one_model(devices),
        gpus=machine.enrolled(config.state, devices),
        serial=f"SIMULATED-{public[:16]}" if simulated else machine.serial_of(devices),
        hardware=hardware.stated(),
        simulated=simulated,
    )
    request = request_of(keys, config.token, stated)
    attempt = 0
    while attempt < _ENROL_ATTEMPTS:
        try:
            reply = await asyncio.to_thread(enrol, config.api_url, request, config.ca_file)
        except FleetError as error:
            if error.code not in {"enrol.unreachable", "enrol.not_yet"}:
                raise
            # What an old identity held here ends with its lease: that may take ten minutes.
            attempt += error.code == "enrol.unreachable"
            await asyncio.sleep(_RETRY_S)
        else:
            identity.keep_enrolment(config.state, reply, config.api_url)
            return reply
    raise FleetError("enrol.unreachable", config.api_url)


def state_of(data: Path, name: str) -> Path:
    """The state directory of the agent called `name` under a stack's data directory."""
    return data / "agents" / name
