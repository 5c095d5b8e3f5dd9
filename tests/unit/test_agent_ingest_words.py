"""What an agent's word means to the control plane, and what silence does: pure decisions."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET, Struct

from api.fleet import commands, idleness, keys, leases
from api.fleet.leases import Timing
from api.fleet.state import FleetState, KnownNode
from api.fleet.words import Ending, Meaning, Nothing, cause_of, meaning, revoked_of
from contracts import fleet
from contracts.fleet import Body, Said
from contracts.network import EGRESS_COUNTED, Egress, Policy, SetPolicy
from contracts.signing import public_hex
from contracts.spec import Spec
from domain import identity, network, node, runtime
from domain.errors import DomainError
from domain.words import Attested, Gpu, Private, Share
from evidence.append import Append
from evidence.reader import Recorded

NODE = "node-01936f00-0000-7000-8000-000000000000"
OTHER = "node-01936f00-0000-7000-8000-000000000001"
ONE = "runtime-01936f00-0000-7000-8000-000000000000"
ORG = "organization-01936f00-0000-7000-8000-000000000000"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
BOOT = "b" * 32
S = 1_000_000
T0 = 1_000_000 * S
WORDS = Attested(NODE, public_hex(KEY), BOOT, 1, "", "")
PRIVATE = Private("0" * 64)


class Log:
    """Facts in the order they were appended, folded as ingest folds them."""

    def __init__(self) -> None:
        self.state = FleetState()
        self.versions: dict[str, int] = {}

    def add(self, stream: str, *facts: Struct) -> None:
        for fact in facts:
            version = self.versions[stream] = self.versions.get(stream, 0) + 1
            org = "-" if stream.startswith("node") else ORG
            self.state.apply(
                Recorded(self.state.applied, stream, version, "", org, "", "", 0, fact)
            )

    @property
    def node(self) -> KnownNode:
        return self.state.nodes[NODE]


ROUTE: Said = {"address": "10.1.0.2", "port": 22, "host_key": "ssh-ed25519 " + "A" * 68}


def serving(*, started: bool = True) -> Log:
    """An anchored node (boot time 100 s = T0) with one runtime allocated 1 s later."""
    log = Log()
    gpus = (Gpu(0, "GPU-SIMULATED-0"),)
    log.add(
        NODE,
        node.Invited(PRIVATE, "T4", "0" * 64, T0, T0),
        node.Enrolled(public_hex(KEY), "T4", True, gpus, "s", T0),
        node.Anchored(BOOT, 100 * S, T0, WORDS),
    )
    shares = (Share(0, 1000),)
    log.add(
        ONE,
        runtime.Requested("p", "d", "a", PRIVATE, 1, 1000, (), T0),
        runtime.Allocated("allocation-1", NODE, "T4", shares, 1, T0 + S),
    )
    log.add(NODE, node.Allocated("allocation-1", ONE, ORG, shares, 1, T0 + S))
    if started:
        log.add(ONE, runtime.Starting(4, T0 + 2 * S))
    return log


def said(
    log: Log,
    tag: str,
    said: Said | None = None,
    *,
    stream: str = ONE,
    boot: str = BOOT,
    seq: int = 2,
    at_s: int = 110,
    now_us: int = T0 + 20 * S,
) -> Meaning:
    body = Body("gpuaas-attest/1", NODE, boot, seq, tag, stream, at_s * S, said or {})
    return meaning(log.state, fleet.attest(KEY, body), body, now_us)


def fact_of(asked: Meaning) -> Struct:
    if isinstance(asked, Ending):
        return asked.fact
    assert isinstance(asked, Append), asked
    return asked.writes[0].facts[0]


def test_instants_come_from_the_anchor_not_from_the_arrival() -> None:
    """Usable at boot time 110 s is T0 + 10 s, however late it is heard; never before allocation."""
    usable = fact_of(said(serving(), fleet.USABLE))
    assert isinstance(usable, runtime.Usable)
    assert (usable.usable_us, usable.decided_us) == (T0 + 10 * S, T0 + 20 * S)
    early = fact_of(said(serving(), fleet.USABLE, at_s=50))
    assert isinstance(early, runtime.Usable)
    assert early.usable_us == T0 + S
    future = fact_of(said(serving(), fleet.USABLE, at_s=900))
    assert isinstance(future, runtime.Usable)
    assert future.usable_us == T0 + 20 * S


def test_a_route_is_the_nodes_word_field_for_field() -> None:
    """Where sshd answers goes into the log as it was said; it opens no billable time."""
    routed = fact_of(said(serving(), fleet.ROUTED, ROUTE))
    assert isinstance(routed, runtime.Routed)
    assert {"address": routed.address, "port": routed.port, "host_key": routed.host_key} == ROUTE
    assert routed.boottime_us == 110 * S


@pytest.mark.parametrize("tag", [fleet.ROUTED, fleet.USABLE, EGRESS_COUNTED])
def test_a_word_about_a_runtime_loses_to_a_revocation_of_its_node(tag: str) -> None:
    """Its append reads the node at the version that it was judged by."""
    log = serving()
    counts: Said = {"sent_bytes": 1, "received_bytes": 1}
    asked = said(log, tag, {fleet.ROUTED: ROUTE, EGRESS_COUNTED: counts}.get(tag))
    assert isinstance(asked, Append)
    assert asked.reads == ((NODE, log.node.version),)


def test_ends_go_to_the_admission_writer() -> None:
    """Stopped and failed release devices and quota: not ingest's to append alone."""
    for tag, words, kind in (
        (fleet.STOPPED, None, runtime.Stopped),
        (fleet.FAILED, {"code": "gpu.lost"}, runtime.Failed),
    ):
        asked = said(serving(), tag, dict(words) if words else None)
        assert isinstance(asked, Ending)
        assert isinstance(asked.fact, kind)
        assert asked.actor == NODE
        assert asked.cause.startswith("cmd:")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (lambda log: said(log, fleet.USABLE, boot="c" * 32), "event.old_boot"),
        (lambda log: said(log, fleet.USABLE, stream=ONE[:-1] + "9"), "runtime.not_on_node"),
        (lambda log: said(log, fleet.USABLE, {"x": 1}), "event.malformed"),
        (lambda log: said(log, fleet.FAILED), "event.malformed"),
        (lambda log: said(log, fleet.FAILED, {"code": "Not A Code"}), "event.malformed"),
        (lambda log: said(log, fleet.FAILED, {"code": "x", "y": 1}), "event.malformed"),
        (lambda log: said(log, fleet.DEGRADED), "runtime.not_possible"),
        (lambda log: said(log, "gpuaas.runtime.lost.v1"), "event.unknown_tag"),
        (lambda log: said(log, fleet.USABLE, at_s=-1), "event.malformed"),
        (lambda log: said(log, fleet.ANCHORED, stream=NODE, seq=2, boot="c" * 32), "event.anchored_twice"),
        (lambda log: said(log, fleet.ANCHORED, stream=NODE, seq=1), "node.already"),
        (lambda log: said(log, fleet.ANCHORED, stream=OTHER, seq=1), "event.malformed"),
        (lambda log: said(log, fleet.LEASE_RENEWED, {"runtimes": ["z", "a"]}, stream=NODE), "event.malformed"),
        (lambda log: said(log, fleet.LEASE_RENEWED, {}, stream=NODE), "event.malformed"),
        (lambda log: said(log, fleet.LEASE_RENEWED, {"runtimes": ["x"]}, stream=NODE), "lease.revoked"),
        (lambda log: said(log, fleet.LEASE_RENEWED, {"runtimes": [ONE]}, stream=OTHER), "event.malformed"),
        (lambda log: said(log, fleet.COMMAND_REFUSED, {"code": "x"}, stream=NODE), "command.refused"),
        (lambda log: said(log, fleet.ROUTED, {"address": "10.1.0.2"}), "event.malformed"),
        (lambda log: said(log, fleet.ROUTED, {**ROUTE, "address": "localhost"}), "event.malformed"),
        (lambda log: said(log, fleet.ROUTED, {**ROUTE, "address": "010.1.0.2"}), "event.malformed"),
        (lambda log: said(log, fleet.ROUTED, {**ROUTE, "port": 0}), "event.malformed"),
        (lambda log: said(log, fleet.ROUTED, {**ROUTE, "port": "22"}), "event.malformed"),
        (lambda log: said(log, fleet.ROUTED, {**ROUTE, "host_key": "ssh-ed25519 A\nB"}), "event.malformed"),
        (lambda log: said(log, fleet.ROUTED, ROUTE, stream=ONE[:-1] + "9"), "runtime.not_on_node"),
    ],
)  # fmt: skip
def test_true_words_that_change_nothing_are_answered_by_name(
    asked: Callable[[Log], Meaning], code: str
) -> None:
    """A signed word the deciders cannot use becomes no fact; its code says why."""
    assert asked(serving()) == Nothing(code)


def test_a_renewal_counts_from_before_the_request() -> None:
    """The lease ends L after the attested instant, not after its arrival."""
    log = serving()
    log.add(ONE, runtime.Usable(110 * S, T0 + 10 * S, T0 + 10 * S, WORDS))
    renewed = fact_of(said(log, fleet.LEASE_RENEWED, {"runtimes": [ONE]}, stream=NODE, at_s=115))
    assert isinstance(renewed, node.LeaseRenewed)
    assert (renewed.renewed_us, renewed.until_us) == (T0 + 15 * S, T0 + 15 * S + fleet.LEASE_US)
    body = Body(
        "gpuaas-attest/1", NODE, BOOT, 2, fleet.LEASE_RENEWED, NODE, 1, {"runtimes": [ONE, "x"]}
    )
    assert revoked_of(log.node, body) == ("x",)


def test_the_cause_names_the_words_not_only_their_number() -> None:
    """Other words under the same number are another command, never a repeat."""
    one = fleet.attest(KEY, Body("gpuaas-attest/1", NODE, BOOT, 2, fleet.USABLE, ONE, 1, {}))
    two = fleet.attest(KEY, Body("gpuaas-attest/1", NODE, BOOT, 2, fleet.STOPPED, ONE, 1, {}))
    assert cause_of(one) != cause_of(two)
    assert cause_of(one) == cause_of(one)


def test_nothing_is_overdue_until_even_a_slow_clock_has_stopped_it() -> None:
    """Start grant + L, then drift and stop latency, to the microsecond; then lost, costing 0."""
    log = serving()
    end_us = T0 + 2 * S + fleet.LEASE_US + fleet.DRIFT_US + fleet.STOP_LATENCY_US
    assert leases.overdue(log.node, end_us, Timing()) == []
    (ending,) = leases.overdue(log.node, end_us + 1, Timing())
    assert isinstance(ending.fact, runtime.Lost)
    assert ending.fact.lost_us == T0 + S


def test_a_runtime_never_started_is_cancelled_when_its_node_stays_silent() -> None:
    """No order was ever sent: there is nothing that could run."""
    log = serving(started=False)
    end_us = T0 + S + fleet.LEASE_US + fleet.DRIFT_US + fleet.STOP_LATENCY_US
    assert leases.overdue(log.node, end_us, Timing()) == []
    (ending,) = leases.overdue(log.node, end_us + 1, Timing())
    assert isinstance(ending.fact, runtime.Cancelled)


def test_a_new_boot_ends_what_was_started_before_it_at_once() -> None:
    """Billed to the last renewal that named it; what was not yet started goes on."""
    log = serving()
    log.add(ONE, runtime.Usable(110 * S, T0 + 10 * S, T0 + 10 * S, WORDS))
    log.add(NODE, node.LeaseRenewed((ONE,), 115 * S, T0 + 15 * S, T0 + 615 * S, WORDS))
    assert leases.overdue(log.node, T0 + 20 * S, Timing()) == []
    log.add(NODE, node.Anchored("c" * 32, 5 * S, T0 + 30 * S, WORDS))
    (ending,) = leases.overdue(log.node, T0 + 31 * S, Timing())
    assert isinstance(ending.fact, runtime.Lost)
    assert ending.fact.lost_us == T0 + 15 * S
    waiting = serving(started=False)
    waiting.add(NODE, node.Anchored("c" * 32, 5 * S, T0 + 30 * S, WORDS))
    assert leases.overdue(waiting.node, T0 + 31 * S, Timing()) == []


def test_silence_and_return_are_one_fact_each() -> None:
    """15 s without a beat is unreachable; a beat ends it; nothing is said twice."""
    log = serving()
    seen = T0 + 5 * S
    assert leases.silence(log.node, seen, seen + 15 * S, Timing()) is None
    gone = leases.silence(log.node, seen, seen + 15 * S + 1, Timing())
    assert gone is not None
    assert gone.writes[0].facts == (node.Unreachable(seen),)
    log.add(NODE, *gone.writes[0].facts)
    assert leases.silence(log.node, seen, seen + 16 * S, Timing()) is None
    back = leases.silence(log.node, seen + 60 * S, seen + 61 * S, Timing())
    assert back is not None
    assert back.writes[0].facts == (node.Reachable(seen + 60 * S),)


def test_orders_are_made_of_the_log_alone() -> None:
    """The number is the position of the cause; sent again it is the same order."""
    log = serving()
    live = log.state.runtimes[ONE]
    order = commands.order_of(KEY, log.node, live, T0 + 9 * S)
    assert order is not None
    assert order.number == live.allocated_at
    assert order.expires_boottime_us == 102 * S + fleet.LEASE_US
    assert order == commands.order_of(KEY, log.node, live, T0 + 99 * S)
    log.add(ONE, runtime.Stopping("user", T0 + 9 * S))
    stop = commands.order_of(KEY, log.node, live, T0 + 9 * S)
    assert stop is not None
    assert stop.number == live.stopping_at > order.number
    later = commands.order_of(KEY, log.node, live, T0 + 99 * S)
    assert later is not None
    assert stop.same_as(later)


def test_nonces_are_the_key_s_secret_and_come_again() -> None:
    """A restarted control plane knows them; nobody without the key does."""
    one = leases.nonce_of(KEY, NODE, 7)
    assert one == leases.nonce_of(KEY, NODE, 7)
    stranger = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    others = {
        leases.nonce_of(KEY, NODE, 8),
        leases.nonce_of(KEY, OTHER, 7),
        leases.nonce_of(stranger, NODE, 7),
    }
    assert one not in others
    assert len(others) == 3


def test_the_command_key_is_made_once(tmp_path: Path) -> None:
    """A second process finds the first one's key; a damaged file is named."""
    path = tmp_path / "keys" / "command-key.pem"
    assert public_hex(keys.ed25519(path)) == public_hex(keys.ed25519(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    keys._write(path, b"x" * 32)
    path.write_bytes(b"short")
    with pytest.raises(DomainError) as error:
        keys.ed25519(path)
    assert error.value.code == "command.key_unreadable"


def test_the_start_order_says_what_the_log_configured() -> None:
    """Image, limits and principal go out as they were admitted; without them a plain start."""
    log = serving(started=False)
    plain = log.state.runtimes[ONE]
    assert commands.spec_of(plain, ()) is UNSET
    log.add(ONE, runtime.Configured("image:1", "sha256:0", 500, 2**20, 64, 2, T0 + S))
    log.add(ONE, runtime.Starting(4, T0 + 2 * S))
    order = commands.order_of(
        KEY, log.node, log.state.runtimes[ONE], T0 + 3 * S, ("ssh-ed25519 A",)
    )
    assert order is not None
    assert isinstance(order.order, fleet.StartRuntime)
    assert order.order.spec == Spec(
        "image:1", "sha256:0", 500, 2**20, 64, 2, ("ssh-ed25519 A",), "allocation-1.1"
    )


NET = "network-00000000-0000-7000-8000-000000000009"
WEB = network.Rule("203.0.113.0/24", "tcp", 80, 443)


def in_a_network() -> Log:
    log = serving(started=False)
    log.add(NET, network.Created("p", PRIVATE, False, (WEB,), T0))
    log.add(ONE, runtime.Configured("image:1", "sha256:0", 500, 2**20, 64, 2, T0 + S))
    log.add(ONE, runtime.Networked(NET, T0 + S), runtime.Starting(4, T0 + 2 * S))
    return log


def test_a_policy_goes_out_with_the_start_and_after_each_change() -> None:
    """Once a node and change, whatever runs there; a deleted network's policy lets nothing."""
    log = in_a_network()
    live = log.state.runtimes[ONE]
    policy = log.state.networks[NET].policy
    assert policy == Policy(NET, 1, False, (Egress("203.0.113.0/24", "tcp", 80, 443),))
    start = commands.order_of(KEY, log.node, live, T0 + 3 * S, (), policy)
    assert start is not None
    assert isinstance(start.order, fleet.StartRuntime)
    assert isinstance(start.order.spec, Spec)
    assert start.order.spec.network == policy
    assert commands.policies(KEY, log.node, log.state.networks, T0 + 3 * S) == []
    log.state.touched.clear()
    log.add(NET, network.PolicyChanged(True, (), T0 + 4 * S))
    assert log.state.touched == {NODE}
    [told] = commands.policies(KEY, log.node, log.state.networks, T0 + 5 * S)
    assert (told.order, told.number) == (SetPolicy(Policy(NET, 2, True)), log.state.applied - 1)
    assert fleet.open_command(fleet.seal(KEY, told), public_hex(KEY)) == told
    log.add(NET, network.Deleted(T0 + 6 * S))
    [told] = commands.policies(KEY, log.node, log.state.networks, T0 + 7 * S)
    assert told.order == SetPolicy(Policy(NET, 3, False))
    log.add(ONE, runtime.Stopping("user", T0 + 8 * S), runtime.Stopped(120 * S, T0, T0, WORDS))
    assert commands.policies(KEY, log.node, log.state.networks, T0 + 9 * S) == []


def test_what_left_becomes_a_fact_and_never_falls() -> None:
    """Bytes as the node counted them; less than before, more than can be, or rubbish is no fact."""
    log = in_a_network()
    fact = fact_of(said(log, EGRESS_COUNTED, {"sent_bytes": 10, "received_bytes": 4}))
    assert isinstance(fact, runtime.EgressCounted)
    assert (fact.sent_bytes, fact.received_bytes, fact.boottime_us) == (10, 4, 110 * S)
    log.add(ONE, fact)
    for rubbish in (
        {"sent_bytes": 9, "received_bytes": 4},
        {"sent_bytes": 10, "received_bytes": 3},
        {"sent_bytes": True, "received_bytes": 4},
        {"sent_bytes": 10**19, "received_bytes": 4},
        {"received_bytes": 4, "sent_bytes": 10},
        {"sent_bytes": 10},
    ):
        assert said(log, EGRESS_COUNTED, dict(rubbish)) == Nothing("event.malformed")


def idle_for(seconds: int, limit_s: int = 60, **more: int) -> Log:
    """Usable since T0 + 10 s, and called idle for so long at T0 + 110 s."""
    log = serving(started=False)
    if limit_s:
        log.add(ONE, runtime.IdleLimited(limit_s * S, T0 + S))
    log.add(ONE, runtime.Starting(4, T0 + 2 * S))
    log.add(ONE, runtime.Usable(110 * S, T0 + 10 * S, T0 + 10 * S, WORDS))
    log.add(
        ONE, fact_of(said(log, fleet.IDLE, {"idle_us": seconds * S}, at_s=210, now_us=T0 + 110 * S))
    )
    return log


def renewed(log: Log, at_s: int) -> None:
    log.add(NODE, node.LeaseRenewed((ONE,), at_s * S, T0 + at_s * S, T0 + (at_s + 600) * S, WORDS))


def due(log: Log, at_s: int = 10_000) -> bool:
    return idleness.is_due(log.node, log.state.runtimes[ONE], T0 + at_s * S)


def test_an_idle_runtime_is_stopped_when_no_older_word_can_be_under_way() -> None:
    """Idle since T0 + 80 s, 60 s allowed: due by a renewal of T0 + 140 s or later, not before one,
    not by the clock alone. Without a limit never.
    """
    log = idle_for(30)
    assert not due(log)
    renewed(log, 139)
    assert not due(log)
    renewed(log, 140)
    assert due(log)
    assert commands.unused(log.state.runtimes[ONE], T0 + 141 * S).writes[0].facts == (
        runtime.Stopping("idle", T0 + 141 * S),
    )
    unlimited = idle_for(30, limit_s=0)
    renewed(unlimited, 9_000)
    assert not due(unlimited)


def test_nothing_is_stopped_by_a_word_that_counts_no_more() -> None:
    """Used again, degraded, usable anew, unreachable, barred, told to stop: each ends it."""
    for after in (
        (ONE, runtime.Busy(215 * S, T0 + 115 * S, WORDS)),
        (ONE, runtime.Degraded(215 * S, T0 + 115 * S, T0 + 115 * S, WORDS)),
        (NODE, node.Unreachable(T0 + 9_000 * S)),
        (NODE, identity.Revoked("stolen", T0 + 9_000 * S)),
        (ONE, runtime.Stopping("user", T0 + 115 * S)),
    ):
        log = idle_for(30)
        renewed(log, 5_000)
        assert due(log)
        log.add(*after)
        assert not due(log), after
    log = idle_for(30)
    log.add(ONE, runtime.Degraded(215 * S, T0 + 115 * S, T0 + 115 * S, WORDS))
    log.add(ONE, runtime.Usable(216 * S, T0 + 116 * S, T0 + 116 * S, WORDS))
    renewed(log, 5_000)
    assert not due(log)


def test_nobody_is_idle_since_before_it_was_usable() -> None:
    """A node that says more than there was makes nothing due sooner; rubbish is no fact."""
    log = idle_for(210)
    renewed(log, 69)
    assert not due(log)
    renewed(log, 70)
    assert due(log)
    fresh = serving()
    fresh.add(ONE, runtime.Usable(110 * S, T0 + 10 * S, T0 + 10 * S, WORDS))
    for tag, rubbish in (
        (fleet.IDLE, {}), (fleet.IDLE, {"idle_us": -1}), (fleet.IDLE, {"idle_us": True}),
        (fleet.IDLE, {"idle_us": 111 * S}), (fleet.IDLE, {"idle_us": 1, "more": 1}),
        (fleet.IDLE, {"idle_us": "1"}), (fleet.BUSY, {"idle_us": 1}),
    ):  # fmt: skip
        assert said(fresh, tag, rubbish) == Nothing("event.malformed")  # type: ignore[arg-type]
    assert said(fresh, fleet.BUSY) == Nothing("runtime.already")
    assert said(serving(), fleet.IDLE, {"idle_us": 1}) == Nothing("runtime.not_possible")
