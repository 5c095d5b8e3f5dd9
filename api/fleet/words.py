"""From a verified word of an agent to what it means here: pure, one case per tag."""

import hashlib
import ipaddress
import re

from msgspec import Struct

from api.fleet import device_words, volume_words
from api.fleet.state import FleetState, KnownNode, LiveRuntime
from contracts import fleet
from contracts.fleet import Attested, Body
from contracts.network import EGRESS_COUNTED
from contracts.volumes import STRAY_WIPED
from domain import node, runtime, volume
from domain.errors import DomainError
from domain.funding import Renewal
from domain.words import Attested as AttestedWords
from evidence.append import Append, Write

type End = runtime.Stopped | runtime.Failed | runtime.Lost | runtime.Cancelled

_MAX_BOOTTIME_US = 10**18
_MAX_PORT = 65_535
_MAX_BYTES = 10**18
_HOST_KEY = re.compile(r"[a-z0-9@.-]{1,60} [A-Za-z0-9+/]{16,1000}={0,2}")
_ENDS = (runtime.Stopped, runtime.Failed, runtime.Lost, runtime.Cancelled)
REFUSAL = re.compile(r"[a-z][a-z0-9_.]{0,63}")


class Ending(Struct, frozen=True):
    """A runtime's last fact, for the admission writer to append with the releases it implies."""

    runtime: str
    fact: End
    actor: str
    cause: str


class Renewing(Struct, frozen=True):
    """A lease on a node with prepaid runtimes, for the admission writer to append with their
    holds.
    """

    wanted: Renewal
    actor: str
    cause: str


class Nothing(Struct, frozen=True):
    """The word holds and its number is used up, but no fact follows from it."""

    code: str


type Meaning = Append | Ending | Renewing | Nothing


def cause_of(attested: Attested) -> str:
    """The command id of an event: one per (node, boot, number, words), so a repeat is a repeat."""
    name = (
        f"gpuaas-event/1\n{attested.node}\n{attested.boot}\n{attested.seq}\n"
        f"{hashlib.sha256(attested.body.encode()).hexdigest()}"
    )
    return f"cmd:{hashlib.sha256(name.encode()).hexdigest()}"


def meaning(state: FleetState, attested: Attested, body: Body, now_us: int) -> Meaning:
    """What `body` asks of the log. Its signature and its number were checked before.

    What the deciders refuse becomes `Nothing` with their code: a word that comes too late is
    answered, not asked again.
    """
    try:
        return _meaning(state, attested, body, now_us)
    except DomainError as refused:
        return Nothing(refused.code)


def _meaning(state: FleetState, attested: Attested, body: Body, now_us: int) -> Meaning:
    known = state.nodes[body.node]
    if not 0 <= body.boottime_us <= _MAX_BOOTTIME_US:
        return Nothing("event.malformed")
    if body.tag == fleet.ANCHORED:
        return _anchored(known, attested, body, now_us)
    if body.boot != known.anchor.boot:
        return Nothing("event.old_boot")
    if body.tag == fleet.COMMAND_REFUSED:
        return Nothing("command.refused")
    if body.tag == fleet.LEASE_RENEWED:
        return _lease(known, attested, body, now_us, state.leasing.lease_us)
    if body.tag in device_words.SHAPES or body.tag == STRAY_WIPED:
        read = volume_words.stray_of if body.tag == STRAY_WIPED else device_words.command_of
        command = read(known, body, _words(attested), now_us)
        if command is None:
            return Nothing("event.malformed")
        return _on_node(known, command, attested)
    if body.tag in volume_words.SHAPES:
        return _on_volume(state, known, attested, body, now_us)
    live = known.live.get(body.stream)
    if live is None:
        return Nothing("runtime.not_on_node")
    return _lifecycle(known, live, attested, body, now_us)


def revoked_of(known: KnownNode, body: Body) -> tuple[str, ...]:
    """Runtimes the agent named that are none of its own any more."""
    named = body.said.get("runtimes")
    if not isinstance(named, list):
        return ()
    return tuple(name for name in named if name not in known.live)


def _anchored(known: KnownNode, attested: Attested, body: Body, now_us: int) -> Meaning:
    if body.said or body.stream != known.node:
        return Nothing("event.malformed")
    if body.seq != 1:
        return Nothing("event.anchored_twice")
    command = node.AnchorBoot(body.boot, body.boottime_us, _words(attested), now_us)
    return _on_node(known, command, attested)


def _lease(known: KnownNode, attested: Attested, body: Body, now_us: int, lease_us: int) -> Meaning:
    named = body.said.get("runtimes")
    if set(body.said) != {"runtimes"} or not isinstance(named, list) or body.stream != known.node:
        return Nothing("event.malformed")
    if named != sorted(set(named)):
        return Nothing("event.malformed")
    if revoked_of(known, body):
        return Nothing("lease.revoked")
    words = (tuple(named), body.boottime_us, _words(attested), now_us)
    command = node.RenewLease(*words, lease_us)
    if known.holding():
        node.decide(command, known.state)  # what this state refuses, the writer need not look at
        return Renewing(Renewal(known.node, *words), known.node, cause_of(attested))
    return _on_node(known, command, attested)


def _lifecycle(
    known: KnownNode, live: LiveRuntime, attested: Attested, body: Body, now_us: int
) -> Meaning:
    if body.tag == fleet.ROUTED:
        return _routed(known, live, attested, body, now_us)
    if body.tag == EGRESS_COUNTED:
        return _egress(known, live, attested, body, now_us)
    if body.tag in {fleet.IDLE, fleet.BUSY}:
        return _idleness(known, live, attested, body, now_us)
    code = body.said.get("code")
    wanted = {"code"} if body.tag == fleet.FAILED else set()
    if set(body.said) != wanted or (wanted and not REFUSAL.fullmatch(str(code))):
        return Nothing("event.malformed")
    report = _report(known, attested, body, now_us)
    if report is None:
        return Nothing("event.unknown_tag")
    facts = runtime.decide(report, live.state)
    if not facts:
        return Nothing("runtime.already")
    (fact,) = facts
    cause = cause_of(attested)
    if isinstance(fact, _ENDS):
        return Ending(live.runtime, fact, attested.node, cause)
    write = Write(live.runtime, live.org, live.version, (fact,))
    # It loses to a revocation: no word of a barred node stands in the log.
    reads = ((known.node, known.version),)
    return Append((write,), actor=attested.node, cause=cause, reads=reads)


def _routed(
    known: KnownNode, live: LiveRuntime, attested: Attested, body: Body, now_us: int
) -> Meaning:
    said = body.said
    address, port, key = said.get("address"), said.get("port"), said.get("host_key")
    if tuple(said) != ("address", "port", "host_key") or not (
        isinstance(address, str) and isinstance(port, int) and isinstance(key, str)
    ):
        return Nothing("event.malformed")
    if not _is_address(address) or not 1 <= port <= _MAX_PORT or not _HOST_KEY.fullmatch(key):
        return Nothing("event.malformed")
    words = (body.boottime_us, known.anchor, _words(attested), now_us)
    facts = runtime.decide(runtime.ReportRouted(address, port, key, *words), live.state)
    if not facts:
        return Nothing("runtime.already")
    write = Write(live.runtime, live.org, live.version, tuple(facts))
    # It loses to a revocation: callers go where no barred node sends them.
    reads = ((known.node, known.version),)
    return Append((write,), actor=attested.node, cause=cause_of(attested), reads=reads)


def _egress(
    known: KnownNode, live: LiveRuntime, attested: Attested, body: Body, now_us: int
) -> Meaning:
    sent, received = body.said.get("sent_bytes"), body.said.get("received_bytes")
    if tuple(body.said) != ("sent_bytes", "received_bytes") or not (
        type(sent) is int and type(received) is int
    ):
        return Nothing("event.malformed")
    if not (
        live.sent_bytes <= sent <= _MAX_BYTES and live.received_bytes <= received <= _MAX_BYTES
    ):
        return Nothing("event.malformed")
    words = (body.boottime_us, known.anchor, _words(attested), now_us)
    facts = runtime.decide(runtime.ReportEgress(sent, received, *words), live.state)
    write = Write(live.runtime, live.org, live.version, tuple(facts))
    reads = ((known.node, known.version),)
    return Append((write,), actor=attested.node, cause=cause_of(attested), reads=reads)


def _idleness(
    known: KnownNode, live: LiveRuntime, attested: Attested, body: Body, now_us: int
) -> Meaning:
    words = (body.boottime_us, known.anchor, _words(attested), now_us)
    command: runtime.Command = runtime.ReportBusy(*words)
    if body.tag == fleet.IDLE:
        idle_us = body.said.get("idle_us")
        if type(idle_us) is not int or not 0 <= idle_us <= body.boottime_us:
            return Nothing("event.malformed")
        command = runtime.ReportIdle(idle_us, *words)
    if tuple(body.said) != (("idle_us",) if body.tag == fleet.IDLE else ()):
        return Nothing("event.malformed")
    facts = runtime.decide(command, live.state)
    if not facts:
        return Nothing("runtime.already")
    write = Write(live.runtime, live.org, live.version, tuple(facts))
    reads = ((known.node, known.version),)
    return Append((write,), actor=attested.node, cause=cause_of(attested), reads=reads)


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False


def _report(known: KnownNode, attested: Attested, body: Body, now_us: int) -> runtime.Report | None:
    said = (body.boottime_us, known.anchor, _words(attested), now_us)
    match body.tag:
        case fleet.USABLE:
            return runtime.ReportUsable(*said)
        case fleet.DEGRADED:
            return runtime.ReportDegraded(*said)
        case fleet.STOPPED:
            return runtime.ReportStopped(*said)
        case fleet.FAILED:
            return runtime.ReportFailed(str(body.said["code"]), *said)
        case _:
            return None


def _on_node(known: KnownNode, command: node.Command, attested: Attested) -> Meaning:
    facts = node.decide(command, known.state)
    if not facts:
        return Nothing("node.already")
    write = Write(known.node, "-", known.version, tuple(facts))
    return Append((write,), actor=known.node, cause=cause_of(attested))


def _on_volume(
    state: FleetState, known: KnownNode, attested: Attested, body: Body, now_us: int
) -> Meaning:
    found = state.volumes.known.get(body.stream)
    if found is None:
        return Nothing("volume.unknown")
    command = volume_words.command_of(known, body, _words(attested), now_us)
    if command is None:
        return Nothing("event.malformed")
    if command.word.command != found.asked_at:
        return Nothing("volume.not_asked")
    write = Write(body.stream, found.org, found.version, tuple(volume.decide(command, found.state)))
    # It loses to a revocation: no word of a barred node stands in the log.
    reads = ((known.node, known.version),)
    return Append((write,), actor=attested.node, cause=cause_of(attested), reads=reads)


def _words(attested: Attested) -> AttestedWords:
    return AttestedWords(
        attested.node, attested.key, attested.boot, attested.seq, attested.body, attested.sig
    )
