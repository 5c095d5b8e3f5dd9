"""Agents' signed words become facts, each exactly once; the answer goes out after the append.

Ordering: per node, by number. Durable: when the receipt is sent, the fact is committed. A crash
between append and receipt shows as a repeat: the same word is answered with the same position.
One ingest per deployment (an advisory lock), because numbers are checked in its memory.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET

from api.fleet import commands, strays
from api.fleet import records as ingest_records
from api.fleet.follower import Appending, Ends, Follower, Renews
from api.fleet.leases import ACTOR, nonce_of
from api.fleet.records import Unlogged
from api.fleet.state import KnownNode, LiveRuntime
from api.fleet.words import REFUSAL, Ending, Nothing, Renewing, cause_of, meaning, revoked_of
from contracts import fleet
from contracts.fleet import Attested, Body, Granted, Receipt
from contracts.signing import FleetError
from domain import identity, node, runtime
from domain.errors import DomainError
from evidence.append import Append, Appended, Write

_TRIES: Final = 16
_ORDERS: Final = 16_384
_TRANSIENT: Final = frozenset(
    {
        "log.version_stale",
        "log.unavailable",
        "log.unsigned_tail",
        "clock.disagrees",
        "admission.unavailable",
        "runtime.end_stale",
    }
)
# What was decided rests on a state that is no more: it is decided again at once.
_MOVED: Final = frozenset({"log.version_stale", "runtime.end_stale"})


def _admitted(known: KnownNode) -> None:
    try:
        identity.admitted(known.identity)
    except DomainError as error:
        raise FleetError(error.code, error.detail) from error


class LaterError(Exception):
    """Not now: the word stays where it is and is offered again."""


class Ingest:
    """`now_us` is the control plane's clock, read when a word arrives."""

    def __init__(
        self,
        follower: Follower,
        append: Appending,
        ends: Ends,
        key: Ed25519PrivateKey,
        now_us: Callable[[], int],
        renews: Renews | None = None,
    ) -> None:
        self.follower = follower
        self.append = append
        self.ends = ends
        self.renews = renews
        self.key = key
        self.now_us = now_us
        self.last_seen_us: dict[str, int] = {}
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.orders: dict[str, int] = {}

    async def open(self) -> None:
        """The state as the log and our own tables have it.

        Raises: DomainError ingest.not_alone while another ingest holds the deployment.
        """
        if not await ingest_records.become_the_only_one(self.follower.conn):
            raise DomainError("ingest.not_alone", "another ingest serves this database")
        await self.follower.catch_up()
        for name, boot, seq in await ingest_records.last_seqs(self.follower.conn):
            known = self.follower.state.nodes.get(name)
            if known is not None:
                known.seqs[boot] = max(known.seqs.get(boot, 0), seq)

    async def receive(self, node: str, event: Attested, nonce: str | None = None) -> Receipt:
        """The receipt for a word that arrived on `node`'s own subject; sent by the caller.

        Raises: FleetError (nothing of it is believed: count it and drop it), LaterError.
        """
        known = await self.known(node)
        if event.node != node:
            raise FleetError("attest.wrong_node", "another node's word on this node's subject")
        body = fleet.open_attested(event, known.key)
        async with self.locks[node]:
            for _ in range(_TRIES):
                _admitted(known)
                last = known.seqs.get(body.boot, 0)
                if body.seq <= last:
                    return await self._repeat(known, event, body)
                if body.seq > last + 1:
                    raise LaterError(f"number {body.seq} after {last}")
                receipt = await self._take(known, event, body, nonce)
                if receipt is not None:
                    return receipt
        raise LaterError("the streams kept moving")

    async def known(self, node: str) -> KnownNode:
        """Raises: FleetError node.unknown when it never enrolled; node.revoked | node.doubled."""
        known = self.follower.state.nodes.get(node)
        if known is None or not known.key:
            await self.follower.catch_up()
            known = self.follower.state.nodes.get(node)
        if known is None or not known.key:
            raise FleetError("node.unknown", "no such node is enrolled")
        _admitted(known)
        return known

    async def refuse(self, node: str, error: FleetError) -> None:
        """Counted, for readiness and for the operator."""
        await ingest_records.count_refusal(self.follower.conn, node, error.code, self.now_us())

    def remember(self, number: int, message: bytes) -> None:
        """An order as sent, for the refusal of an agent too old to read its number."""
        self.orders[hashlib.sha256(message).hexdigest()] = number
        if len(self.orders) > _ORDERS:
            del self.orders[next(iter(self.orders))]

    async def report_double(self, known: KnownNode, sign: str) -> None:
        """Two agents spoke as this node: neither gets a lease from here on."""
        for _ in range(_TRIES):
            facts = node.decide(identity.ReportDouble(sign, self.now_us()), known.state)
            if not facts:
                return
            write = Write(known.node, "-", known.version, tuple(facts))
            try:
                await self.append(Append((write,), actor=ACTOR, cause=f"pos:{known.last_position}"))
            except DomainError as error:
                if error.code not in _TRANSIENT:
                    raise
            await self.follower.catch_up()

    async def end(self, ending: Ending) -> Appended | None:
        """The runtime's end is in the log; None when something moved first: look again."""
        try:
            appended = await self.ends(ending)
        except DomainError as error:
            await self.follower.catch_up()
            if error.code in _TRANSIENT or ending.runtime not in self.follower.state.runtimes:
                return None
            raise
        await self.follower.catch_up()
        return appended

    async def _take(
        self, known: KnownNode, event: Attested, body: Body, nonce: str | None
    ) -> Receipt | None:
        # None: the log moved under the decision; the caller decides again on the new state.
        asked = meaning(self.follower.state, event, body, self.now_us())
        if isinstance(asked, Nothing):
            # A word is refused for good: by the log as it is, not as it was read a moment ago.
            await self.follower.catch_up()
            asked = meaning(self.follower.state, event, body, self.now_us())
        if isinstance(asked, Append | Renewing) and body.tag == fleet.LEASE_RENEWED:
            expected = nonce_of(self.key, known.node, known.nonce_position)
            if nonce != expected:
                asked = Nothing("lease.nonce")
        if body.tag == fleet.COMMAND_REFUSED:
            await self._command_refused(known, body)
        if not isinstance(asked, Nothing):
            try:
                appended = await self._said(asked)
            except DomainError as error:
                await self.follower.catch_up()
                again = meaning(self.follower.state, event, body, self.now_us())
                if error.code in _MOVED or isinstance(again, Nothing):
                    return None
                if error.code in _TRANSIENT or isinstance(asked, Ending):
                    # An end must not be dropped for a reason that may pass: better to wait, seen.
                    await self.refuse(known.node, FleetError(f"append.{error.code}", error.detail))
                    raise LaterError(error.code) from error
                asked = Nothing(error.code)
            else:
                # A crash here leaves the fact without a receipt: the repeat finds it by cause.
                await self.follower.reached(appended.last)
                return self._receipt(known, body, position=appended.last)
        await self._keep(known, event, body, asked.code)
        if asked.code == "lease.nonce":
            await self.report_double(known, asked.code)
        return self._receipt(known, body, code=asked.code)

    async def _said(self, asked: Append | Ending | Renewing) -> Appended:
        if isinstance(asked, Ending):
            return await self.ends(asked)
        if isinstance(asked, Append):
            return await self.append(asked)
        if self.renews is None:
            raise DomainError("admission.unavailable", "nobody here decides on holds")
        return await self.renews(asked)

    async def _keep(self, known: KnownNode, event: Attested, body: Body, code: str) -> None:
        word = Unlogged(code, msgspec.json.encode(event))
        await ingest_records.keep(
            self.follower.conn, known.node, body.boot, body.seq, word, self.now_us()
        )
        known.seqs[body.boot] = body.seq

    async def _repeat(self, known: KnownNode, event: Attested, body: Body) -> Receipt:
        appended = await self.follower.outcome(cause_of(event))
        if appended is not None:
            return self._receipt(known, body, position=appended.last)
        kept = await ingest_records.find(self.follower.conn, known.node, body.boot, body.seq)
        if kept is not None and kept.message == msgspec.json.encode(event):
            return self._receipt(known, body, code=kept.code)
        await self.report_double(known, "event.seq_reused")
        return self._receipt(known, body, code="event.seq_reused")

    async def _command_refused(self, known: KnownNode, body: Body) -> None:
        # Before the number counts as used: after a crash here the repeat comes this way again.
        code = str(body.said.get("code"))
        number = body.said.get("command") or self.orders.get(str(body.said.get("sha256")))
        for live in list(known.live.values()):
            mine = live.allocated_at == number
            if mine and isinstance(live.state, runtime.Booting) and REFUSAL.fullmatch(code):
                await self._stop(live, code)
        if isinstance(number, int) and REFUSAL.fullmatch(code):
            now_us, volumes = self.now_us(), self.follower.state.volumes
            refused = volumes.refused(known.node, number, code, now_us)
            refused = refused or strays.refused(known, number, code, now_us)
            if refused is not None:
                await self._refused(refused)

    async def _stop(self, live: LiveRuntime, reason: str) -> None:
        await self._refused(commands.stopping(live, reason, self.now_us()))

    async def _refused(self, append: Append) -> None:
        try:
            await self.append(append)
        except DomainError as error:
            await self.follower.catch_up()
            if error.code in _TRANSIENT:
                raise LaterError(error.code) from error
            raise
        await self.follower.catch_up()

    def _receipt(
        self, known: KnownNode, body: Body, *, position: int | None = None, code: str = ""
    ) -> Receipt:
        granted = position is not None and body.tag == fleet.LEASE_RENEWED
        anchored = position is not None and body.tag == fleet.ANCHORED
        until = body.boottime_us + known.lease_us  # as the log has it
        return Receipt(
            format="gpuaas-receipt/1",
            node=known.node,
            boot=body.boot,
            seq=body.seq,
            position=position,
            code=code or UNSET,
            nonce=nonce_of(self.key, known.node, position or 0) if granted or anchored else UNSET,
            granted=Granted(body.boottime_us, until) if granted else UNSET,
            # What could not be paid for any longer stops with the receipt that renews the rest.
            revoked=(
                revoked_of(known, body)
                if code == "lease.revoked"
                else known.exhausted()
                if granted
                else ()
            ),
        )
