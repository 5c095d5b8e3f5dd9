"""The agent's side of NATS: sends the spool in order, takes receipts and commands, beats."""

import asyncio
import contextlib
import itertools
import random
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator

import nats.errors
import nats.js.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.client import JetStreamContext

from agent import volume_places, watch
from agent.clock import boottime_us
from agent.config import Config
from agent.engine import EngineError
from agent.line import client_with, with_tls
from agent.orders import Node, handle, look_ahead
from agent.spool import Spooled
from agent.terminal.relay import Relay
from contracts import fleet, nkeys
from contracts.signing import FleetError

_PATIENCE_S = 5.0
_BACKOFF_S = 0.5
_LEASE_PAUSE_S = 5.0
_MAX_DOUBLINGS = 5
_FIRST_S = 0.2
_LONGEST_S = 20.0
_ENTER_S = 10
_LISTED_EACH = 6  # beats
_LISTED_MOST = 256


class Link:
    """A connection and what was sent over it. Only this process's memory: the spool decides."""

    def __init__(self, config: Config, node: Node, client: Client) -> None:
        self.config = config
        self.node = node
        self.client = client
        self.stream: JetStreamContext = client.jetstream(timeout=_PATIENCE_S)
        self.wake = asyncio.Event()
        self.sent: dict[int, Sent] = {}
        self.next_lease = 0.0
        self.counts: dict[str, int] = {}

    def count(self, what: str) -> None:
        """One more of `what`, for the log line at the end."""
        self.counts[what] = self.counts.get(what, 0) + 1


class Sent(Struct, frozen=True):
    """When a spooled message is to be sent again, and how often it was sent."""

    again_at: float
    times: int


class Credentials(Struct, frozen=True):
    """`key` proves who we are; user and password only where enrolment gave them.

    `tls`: what tls:// is entered with, asked for at each connection: the certificate of `state`
    is renewed while we live. Raises: OSError while there is none.
    """

    url: str
    user: str
    password: str
    key: Ed25519PrivateKey
    tls: Callable[[], ssl.SSLContext]


class Backoff:
    """Pauses before the next try: doubled each time, spread at random, at most half a minute.

    A server that comes back is met by its nodes one after the other, not by all at once.
    """

    def __init__(self, chance: random.Random | None = None) -> None:
        self._tries = 0
        self._chance = chance or random.Random()  # noqa: S311 - spreads a crowd, no secret

    def next_s(self) -> float:
        """Between half and one and a half times 0.2 s, 0.4 s, … 20 s."""
        pause_s: float = min(_FIRST_S * 2.0 ** min(self._tries, 10), _LONGEST_S)
        self._tries += 1
        return pause_s * self._chance.uniform(0.5, 1.5)


async def connect(credentials: Credentials, node: str) -> Client:
    """A client that listens only under its own inbox; it ends with its connection.

    Raises: OSError, TimeoutError, nats.errors.Error when it was not let in.
    """

    async def quiet(_error: Exception) -> None:
        """A lost server is no event: the spool waits, the lease runs."""

    tls = credentials.tls() if credentials.url.startswith("tls:") else None
    client = client_with(tls)
    try:
        await client.connect(
            credentials.url,
            user=credentials.user or None,
            password=credentials.password or None,
            nkeys_seed_str=None if credentials.user else nkeys.seed(credentials.key, nkeys.USER),
            inbox_prefix=fleet.inbox_prefix(node).encode(),
            allow_reconnect=False,
            connect_timeout=_ENTER_S,
            error_cb=quiet,
            name=node,
            **with_tls(tls),
        )
        # The server may still be asking who we are: only its answer to this says that we are in.
        await client.flush(_ENTER_S)
    except BaseException:
        # A connection refused half-way has a socket to close too.
        await client.close()
        raise
    return client


async def send_spool(link: Link) -> None:
    """Never returns: what has no receipt is sent, oldest first, and again after `resend_us`.

    A lease request waits until everything before it has its receipt: both ways of sending
    together must keep the numbers in order. So does a boot's first word: an anchor of an older
    boot that a redelivery brought later would void what runs.
    """
    while True:
        pending = link.node.spool.pending()
        link.sent = {row.id: link.sent[row.id] for row in pending if row.id in link.sent}
        with _patiently(link, "evt_unsent"):
            for place, row in enumerate(pending):
                if place > 0 and (row.lease or row.boot != pending[0].boot):
                    break
                await _send(link, row)
                if row.lease:
                    break
        link.wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BACKOFF_S):
                await link.wake.wait()


async def take_receipts(link: Link) -> None:
    """Never returns: every true receipt frees its event."""
    subscription = await link.client.subscribe(fleet.receipt_subject(link.node.node))
    async for message in subscription.messages:
        obey(link, message)
    raise nats.errors.ConnectionClosedError


async def take_commands(link: Link) -> None:
    """Never returns: each command is acknowledged once the journal holds its end."""
    subscription = await link.stream.pull_subscribe_bind(
        durable=link.node.node, stream=fleet.CMD_STREAM
    )
    while not link.client.is_closed:
        batch: list[Msg] = []
        try:
            batch = await subscription.fetch(16, timeout=_PATIENCE_S)
        except TimeoutError:
            continue
        except (nats.errors.Error, nats.js.errors.Error):
            link.count("cmd_fetch")
            await asyncio.sleep(_BACKOFF_S)
        for message in batch:
            await look_ahead(link.node, message.data)
            answer = handle(link.node, message.data, boottime_us())
            link.count(f"cmd_{answer.refused or 'done'}")
            with _patiently(link, "cmd_ack"):
                if answer.again is not None:
                    await _publish(link, answer.again)
                await message.ack()
            link.wake.set()


async def beat(link: Link) -> None:
    """Never returns: a signed heartbeat every `heartbeat_us`."""
    node = link.node
    for count in itertools.count():
        words = [fleet.Beat("gpuaas-beat/1", node.node, node.boot, boottime_us())]
        if not count % _LISTED_EACH:
            listed = await _listed(link, count // _LISTED_EACH)
            words.append(replace(words[0], volumes=listed, instance=node.instance))
        with _patiently(link, "hb"):
            for word in words:
                message = fleet.beat_message(node.spool.key, word)
                await link.client.publish(fleet.subject(node.node, "hb"), message)
        await asyncio.sleep(link.config.heartbeat_us / 1e6)


async def _listed(link: Link, turn: int) -> tuple[str, ...]:
    """Volumes on this disk, the next of them at each turn where they are many."""
    if link.config.engine is None:
        return ()
    found = await asyncio.to_thread(volume_places.lying, link.config.state)
    first = turn * _LISTED_MOST % max(1, len(found))
    return tuple(found[first : first + _LISTED_MOST])


async def probe(link: Link) -> None:
    """Never returns: changes of state and due renewals go into the spool."""
    while True:
        now_us = boottime_us()
        said = watch.report(link.node, now_us)
        # A refused renewal is asked for again, but not ten times a second.
        if time.monotonic() >= link.next_lease and watch.renew(
            link.node, now_us, link.config.renew_us
        ):
            link.next_lease = time.monotonic() + min(_LEASE_PAUSE_S, link.config.renew_us / 1e6 / 4)
            said += 1
        if said:
            link.wake.set()
        await asyncio.sleep(link.config.observe_us / 1e6)


async def tend(link: Link) -> None:
    """Never returns: keepers that died begin again, what nobody allows is ended. Off the loop."""
    while True:
        try:
            await asyncio.to_thread(link.node.runtimes.tend, boottime_us())
        except EngineError as error:
            # The engine does not answer: the next round asks again.
            link.count(error.code)
        await asyncio.sleep(link.config.tend_us / 1e6)


def obey(link: Link, message: Msg) -> None:
    """A forged receipt is counted and changes nothing.

    Raises: FleetError journal.rolled_back when the control plane knows other words of ours
    under a number we just used: this state directory is a copy.
    """
    try:
        receipt = fleet.open_receipt(message.data, link.node.command_key)
    except FleetError as error:
        link.count(error.code)
        return
    if receipt.node != link.node.node:
        link.count("receipt.wrong_node")
        return
    if receipt.code == "event.seq_reused":
        watch.void(link.node, boottime_us())
        raise FleetError(
            "journal.rolled_back", "this state is older than what was said: enrol anew"
        )
    if watch.contradict(link.node, receipt, boottime_us()):
        link.count("receipt.foreign")
        link.wake.set()
    if watch.obey(link.node, receipt, boottime_us()):
        link.wake.set()


async def _send(link: Link, row: Spooled) -> None:
    last = link.sent.get(row.id, Sent(0.0, 0))
    if time.monotonic() < last.again_at:
        return
    if row.lease:
        subject = fleet.subject(link.node.node, "lease")
        reply = await link.client.request(subject, row.message, timeout=_PATIENCE_S)
        obey(link, reply)
    else:
        await _publish(link, row.message)
    # JetStream has it: only a lost receipt needs it again, and ever less often.
    wait_s = link.config.resend_us / 1e6 * 2 ** min(last.times, _MAX_DOUBLINGS)
    link.sent[row.id] = Sent(time.monotonic() + wait_s, last.times + 1)


async def _publish(link: Link, message: bytes) -> None:
    # No Nats-Msg-Id: a foreign id would make a victim's event a "duplicate" (FLEET.md).
    await link.stream.publish(fleet.subject(link.node.node, "evt"), message)


@contextlib.contextmanager
def _patiently(link: Link, what: str) -> Iterator[None]:
    """The network's failures are counted and outlived; nothing is lost, the spool holds it."""
    try:
        yield
    except (TimeoutError, OSError, nats.errors.Error, nats.js.errors.Error):
        link.count(what)


async def relay_terminals(link: Link) -> None:
    """Never returns: sealed frames pass between NATS and the programs that hold a PTY."""
    node = link.node
    await Relay(
        link.client,
        node.terminals,
        node.spool.key,
        node.command_key,
        lambda: watch.leases_of(node, boottime_us()),
        link.count,
    ).run()


type Loop = Callable[[Link], Coroutine[None, None, None]]
LOOPS: tuple[Loop, ...] = (
    *(send_spool, take_receipts, take_commands, beat, probe),
    *(relay_terminals, tend),
)
