"""From a verified word of an agent to what it means here: pure, one case per tag."""

import hashlib
import re

from msgspec import Struct

from api.ingest_state import FleetState, KnownNode, LiveRuntime
from contracts import fleet
from contracts.fleet import Attested, Body
from domain import node, runtime
from domain.words import Attested as AttestedWords
from evidence.append import Append, Write

type End = runtime.Stopped | runtime.Failed | runtime.Lost | runtime.Cancelled

_MAX_BOOTTIME_US = 10**18
_CODE = re.compile(r"[a-z][a-z0-9_.]{0,63}")


class Ending(Struct, frozen=True):
    """A runtime's last fact, for the admission writer to append with the releases it implies."""

    runtime: str
    fact: End
    actor: str
    cause: str


class Nothing(Struct, frozen=True):
    """The word holds and its number is used up, but no fact follows from it."""

    code: str


type Meaning = Append | Ending | Nothing


def cause_of(attested: Attested) -> str:
    """The command id of an event: one per (node, boot, number, words), so a repeat is a repeat."""
    name = (
        f"gpuaas-event/1\n{attested.node}\n{attested.boot}\n{attested.seq}\n"
        f"{hashlib.sha256(attested.body.encode()).hexdigest()}"
    )
    return f"cmd:{hashlib.sha256(name.encode()).hexdigest()}"


def meaning(state: FleetState, attested: Attested, body: Body, now_us: int) -> Meaning:
    """What `body` asks of the log. Its signature and its number were checked before."""
    known = state.nodes[body.node]
    if not 0 <= body.boottime_us <= _MAX_BOOTTIME_US:
        return Nothing("event.malformed")
    if body.tag == fleet.ANCHORED:
        return _anchored(known, attested, body, now_us)
    if body.boot != known.boot:
        return Nothing("event.old_boot")
    if body.tag == fleet.COMMAND_REFUSED:
        return Nothing("command.refused")
    if body.tag == fleet.LEASE_RENEWED:
        return _lease(known, attested, body, now_us)
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
    fact = node.Anchored(body.boot, body.boottime_us, now_us, _words(attested))
    return _on_node(known, fact, attested)


def _lease(known: KnownNode, attested: Attested, body: Body, now_us: int) -> Meaning:
    named = body.said.get("runtimes")
    if set(body.said) != {"runtimes"} or not isinstance(named, list) or body.stream != known.node:
        return Nothing("event.malformed")
    if named != sorted(set(named)):
        return Nothing("event.malformed")
    if revoked_of(known, body):
        return Nothing("lease.revoked")
    renewed_us = min(known.instant(body.boottime_us), now_us)
    fact = node.LeaseRenewed(
        runtimes=tuple(named),
        boottime_us=body.boottime_us,
        renewed_us=renewed_us,
        until_us=renewed_us + fleet.LEASE_US,
        attested=_words(attested),
    )
    return _on_node(known, fact, attested)


def _lifecycle(
    known: KnownNode, live: LiveRuntime, attested: Attested, body: Body, now_us: int
) -> Meaning:
    words = _words(attested)
    boottime_us = body.boottime_us
    decided_us = max(now_us, live.previous_us)
    instant = min(max(known.instant(boottime_us), live.previous_us), decided_us)
    code = body.said.get("code")
    wanted = {"code"} if body.tag == fleet.FAILED else set()
    if set(body.said) != wanted or (wanted and not _CODE.fullmatch(str(code))):
        return Nothing("event.malformed")
    match body.tag:
        case fleet.USABLE if live.standing in {"starting", "degraded"}:
            fact = runtime.Usable(boottime_us, instant, decided_us, words)
            return _on_runtime(live, fact, attested)
        case fleet.DEGRADED if live.standing == "usable":
            lost = runtime.Degraded(boottime_us, instant, decided_us, words)
            return _on_runtime(live, lost, attested)
        case fleet.STOPPED:
            end: End = runtime.Stopped(boottime_us, instant, decided_us, words)
        case fleet.FAILED:
            end = runtime.Failed(str(code), boottime_us, instant, decided_us, words)
        case fleet.USABLE | fleet.DEGRADED:
            return Nothing("runtime.not_expected")
        case _:
            return Nothing("event.unknown_tag")
    return Ending(live.runtime, end, attested.node, cause_of(attested))


def _on_node(known: KnownNode, fact: Struct, attested: Attested) -> Append:
    write = Write(known.node, "-", known.version, (fact,))
    return Append((write,), actor=known.node, cause=cause_of(attested))


def _on_runtime(live: LiveRuntime, fact: Struct, attested: Attested) -> Append:
    write = Write(live.runtime, live.org, live.version, (fact,))
    return Append((write,), actor=attested.node, cause=cause_of(attested))


def _words(attested: Attested) -> AttestedWords:
    return AttestedWords(
        attested.node, attested.key, attested.boot, attested.seq, attested.body, attested.sig
    )
