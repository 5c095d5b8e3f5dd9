"""Spool, leases and what the probe makes the agent say; SIMULATED devices."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import clock, enrol, identity, lease, orders, watch
from agent.orders import Node
from agent.simulated import SimulatedRuntimes, inventory
from agent.store import Store
from contracts import enrolment, fleet
from contracts.fleet import Granted, Receipt
from contracts.signing import FleetError, public_hex
from tests.unit.test_agent_orders import (
    BOOT,
    COMMAND_KEY,
    NAME,
    S,
    closed,
    opened,
    said,
    sent,
    start,
)

L = fleet.LEASE_US


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    opening = opened(tmp_path)
    yield opening
    closed(opening)


def receipt(seq: int, boot: str = BOOT, **more: object) -> Receipt:
    return msgspec.structs.replace(Receipt("gpuaas-receipt/1", NAME, boot, seq, 100 + seq), **more)


def test_numbers_are_contiguous_and_survive_a_crash(tmp_path: Path) -> None:
    """A number is durable with its event or was never given."""
    node = opened(tmp_path)
    watch.announce(node, 1)

    def cut_short() -> None:
        with node.store.transaction():
            node.spool.add(fleet.STOPPED, "runtime-1", 2, {})
            raise InterruptedError

    with pytest.raises(InterruptedError):
        cut_short()
    node.spool.add(fleet.STOPPED, "runtime-2", 3, {})
    closed(node)
    node = opened(tmp_path)
    watch.announce(node, 9)
    node.spool.add(fleet.STOPPED, "runtime-3", 4, {})
    assert [(b.seq, b.stream) for b in said(node)] == [
        (1, NAME),
        (2, "runtime-2"),
        (3, "runtime-3"),
    ]
    closed(node)


def test_only_its_receipt_frees_an_event(node: Node) -> None:
    """Boot and number must both match; a repeat of the receipt changes nothing."""
    watch.announce(node, 1)
    assert not watch.obey(node, receipt(2), 2)
    assert not watch.obey(node, receipt(1, "e" * 32), 2)
    assert len(said(node)) == 1
    assert watch.obey(node, receipt(1), 2)
    assert not watch.obey(node, receipt(1), 2)
    assert said(node) == []


def simulated(node: Node) -> SimulatedRuntimes:
    assert isinstance(node.runtimes, SimulatedRuntimes)
    return node.runtimes


def test_each_change_is_said_once_over_restarts(tmp_path: Path) -> None:
    """Usable, degraded, usable again, failed: four words, however often the agent restarts."""
    node = opened(tmp_path)
    orders.handle(node, sent(start()), 5 * S)
    steps: list[tuple[int, Callable[[Node], None]]] = [
        (7 * S, lambda n: None),
        (8 * S, lambda n: simulated(n).degrade("runtime-1", 7 * S + 5)),
        (9 * S, lambda n: simulated(n).recover("runtime-1")),
        (10 * S, lambda n: simulated(n).fail("runtime-1", "gpu.lost", 9 * S + 1)),
    ]
    for now, change in steps:
        change(node)
        watch.report(node, now)
        closed(node)
        node = opened(tmp_path)
        assert watch.report(node, now) == 0
    assert [(b.tag.split(".")[2], b.boottime_us, b.said) for b in said(node)] == [
        ("usable", 7 * S, {}),
        ("degraded", 7 * S + 5, {}),
        ("usable", 9 * S, {}),
        ("failed", 9 * S + 1, {"code": "gpu.lost"}),
    ]
    closed(node)


def test_an_unrenewed_lease_stops_the_runtime_though_the_agent_is_dead(tmp_path: Path) -> None:
    """The deadline lies outside the agent: it stopped then, not when somebody looks."""
    node = opened(tmp_path)
    orders.handle(node, sent(start()), 5 * S)
    watch.report(node, 7 * S)
    closed(node)
    node = opened(tmp_path)
    watch.report(node, 5_000 * S)
    last = said(node)[-1]
    assert (last.tag, last.boottime_us) == (fleet.STOPPED, 1_000 * S)
    node.runtimes.arm(9_000 * S, 5_001 * S)
    assert node.runtimes.observe(5_002 * S)[0].state == "stopped"
    closed(node)


def test_a_node_may_run_shorter_alone_than_it_is_granted_and_never_longer(node: Node) -> None:
    """Its own bound cuts what a start and what a renewal grant; a shorter grant stays as it is."""
    bounded = msgspec.structs.replace(node, lease_us=20 * S)
    orders.handle(bounded, sent(start()), 5 * S)
    assert lease.held(node.store, BOOT) == lease.Held(25 * S, 5 * S)
    bounded.spool.add(fleet.LEASE_RENEWED, NAME, 9 * S, {"runtimes": []}, nonce="n")
    watch.obey(bounded, receipt(1, granted=Granted(9 * S, 9 * S + L)), 10 * S)
    assert lease.held(node.store, BOOT) == lease.Held(29 * S, 9 * S)
    watch.obey(bounded, receipt(1, granted=Granted(20 * S, 31 * S)), 21 * S)
    assert lease.held(node.store, BOOT) == lease.Held(31 * S, 20 * S)
    assert node.runtimes.observe(30 * S)[0].state == "usable"
    assert node.runtimes.observe(31 * S)[0].state == "stopped"


def test_a_renewal_is_asked_for_in_time_and_counts_from_before_the_request(node: Node) -> None:
    """However late the answer, the lease ends L after the instant that the request names."""
    lease.learn_nonce(node.store, BOOT, "first")
    orders.handle(node, sent(start()), 5 * S)
    watch.report(node, 7 * S)
    assert not watch.renew(node, 100 * S, fleet.RENEW_US)
    assert watch.renew(node, 126 * S, fleet.RENEW_US)
    assert not watch.renew(node, 127 * S, fleet.RENEW_US)
    row = node.spool.pending()[-1]
    request = msgspec.json.decode(row.message, type=fleet.LeaseRequest)
    assert (row.lease, request.nonce) == (True, "first")
    assert said(node)[-1].said == {"runtimes": ["runtime-1"]}
    granted = receipt(2, granted=Granted(126 * S, 126 * S + L), nonce="second")
    watch.obey(node, granted, 180 * S)
    held = lease.held(node.store, BOOT)
    assert held == lease.Held(max(126 * S + L, 1_000 * S), 126 * S)
    assert lease.latest_nonce(node.store, BOOT) == "second"
    watch.obey(node, granted, 190 * S)
    assert lease.latest_nonce(node.store, BOOT) == "second"


def test_nothing_alive_asks_for_no_lease(node: Node) -> None:
    """An idle node writes nothing into the log."""
    lease.learn_nonce(node.store, BOOT, "first")
    assert not watch.renew(node, 10_000 * S, fleet.RENEW_US)


def test_a_revoked_runtime_is_stopped(node: Node) -> None:
    """What the control plane no longer counts as ours must not go on running."""
    orders.handle(node, sent(start()), 5 * S)
    watch.report(node, 7 * S)
    watch.obey(node, receipt(9, position=None, code="lease.revoked", revoked=("runtime-1",)), 8 * S)
    watch.report(node, 9 * S)
    assert said(node)[-1].tag == fleet.STOPPED


def test_a_receipt_that_renews_the_rest_stops_what_it_names(node: Node) -> None:
    """One receipt does both: no lease goes on without the stop that came with it; once."""
    orders.handle(node, sent(start()), 5 * S)
    watch.report(node, 7 * S)
    told = receipt(9, granted=Granted(9 * S, 9 * S + L), revoked=("runtime-1",))
    for at in (10, 12):
        watch.obey(node, told, at * S)
        watch.report(node, (at + 1) * S)
    assert [one.tag for one in said(node)].count(fleet.STOPPED) == 1
    assert said(node)[-1].boottime_us == 10 * S


def test_a_second_agent_on_the_same_state_is_refused(tmp_path: Path) -> None:
    """One identity, one program."""
    node = opened(tmp_path)
    with pytest.raises(FleetError) as error:
        Store(tmp_path, enrolled=False)
    assert error.value.code == "state.in_use"
    closed(node)


def test_a_missing_journal_voids_the_node(tmp_path: Path) -> None:
    """Enrolled, but nobody knows any more what was done: enrol anew."""
    with pytest.raises(FleetError) as error:
        Store(tmp_path, enrolled=True)
    assert error.value.code == "journal.missing"


def test_the_boot_is_this_node_s_and_this_boot_s() -> None:
    """Two nodes on one machine differ, a restart does not, a reboot does."""
    one = clock.boot_of("node-a", "m1")
    assert one == clock.boot_of("node-a", "m1")
    assert len({one, clock.boot_of("node-b", "m1"), clock.boot_of("node-a", "m2")}) == 3
    assert len(one) == 32


def test_simulated_devices_say_that_they_are() -> None:
    """Always called SIMULATED, and the same ones every time."""
    gpus = inventory("seed", 3)
    assert gpus == inventory("seed", 3)
    assert [gpu.index for gpu in gpus] == [0, 1, 2]
    assert all(gpu.uuid.startswith("GPU-SIMULATED-") for gpu in gpus)
    token = enrolment.new_token(NAME, public_hex(COMMAND_KEY)).text()
    keys = enrol.Keys(COMMAND_KEY, COMMAND_KEY, COMMAND_KEY)
    machine = enrol.Machine("T4", gpus, "SIMULATED-1", enrolment.Hardware("", "", ""))
    request = enrol.request_of(keys, token, machine)
    assert request.simulated


def test_an_answer_under_another_command_key_is_an_impostor_s() -> None:
    """The token carries the hash of the true key: the first contact cannot be hijacked."""
    token = enrolment.new_token(NAME, public_hex(COMMAND_KEY)).text()
    good = enrolment.EnrolReply(NAME, 1, public_hex(COMMAND_KEY), "nats://x", "node", "p")
    assert enrol.checked(token, msgspec.json.encode(good)) == good
    stranger = public_hex(Ed25519PrivateKey.generate())
    for bad in (
        msgspec.structs.replace(good, command_key=stranger),
        msgspec.structs.replace(good, command_key="zz"),
        msgspec.structs.replace(good, node=NAME[:-1] + "1"),
    ):
        with pytest.raises(FleetError) as error:
            enrol.checked(token, msgspec.json.encode(bad))
        assert error.value.code == "enrol.impostor"


def test_the_event_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """The key outlives restarts and nobody else may read it."""
    assert public_hex(identity.event_key(tmp_path)) == public_hex(identity.event_key(tmp_path))
    assert (tmp_path / "event.key").stat().st_mode & 0o777 == 0o600


def test_a_receipt_for_a_number_never_given_is_contradicted_once(node: Node) -> None:
    """Somebody else speaks with our key: a word under that number makes the log see two of us."""
    watch.announce(node, 1)
    assert not watch.contradict(node, receipt(1), 2)
    watch.obey(node, receipt(1), 2)
    assert not watch.contradict(node, receipt(1), 3)
    assert not watch.contradict(node, receipt(7, "e" * 32), 3)
    assert watch.contradict(node, receipt(2), 3)
    assert not watch.contradict(node, receipt(3), 4)
    assert [(one.seq, one.tag) for one in said(node)] == [(2, fleet.ANCHORED)]
