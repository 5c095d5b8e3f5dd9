"""Commands on one node: journal before effect, one answer each, signed refusals."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from agent import cdi, lease, orders, watch
from agent.engine import Settings
from agent.kept import KeptRuntimes
from agent.orders import Node
from agent.runtimes import Observed, Route
from agent.simulated import SimulatedRuntimes
from agent.spool import Spool
from agent.store import Store
from agent.terminal.desk import Terminals
from contracts import fleet
from contracts.devices import SanitizeDevices
from contracts.fleet import Attested, Body, Command, Share, StartRuntime, StopRuntime
from contracts.signing import FleetError, public_hex
from contracts.spec import Spec

NAME = "node-01936f00-0000-7000-8000-000000000000"
BOOT = "b" * 32
EVENT_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
COMMAND_KEY = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32)
S = 1_000_000
LEASE_END = 1_000 * S


def opened(tmp: Path, boot: str = BOOT) -> Node:
    store = Store(tmp, enrolled=False)
    runtimes = SimulatedRuntimes(tmp / "simulated.db", boot, 2, 1 * S)
    return Node(
        *(NAME, boot, public_hex(COMMAND_KEY), store, Spool(store, EVENT_KEY, NAME, boot)),
        *(runtimes, Terminals(tmp / "terminals", NAME)),
    )


def closed(node: Node) -> None:
    node.runtimes.close()
    node.store.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    opening = opened(tmp_path)
    yield opening
    closed(opening)


def start(number: int = 10, runtime: str = "runtime-1", milli: int = 1000) -> Command:
    return Command(
        "gpuaas-command/1", number, NAME, BOOT, f"allocation-{runtime}", 1, "n", LEASE_END,
        StartRuntime(runtime, (Share(0, milli),), LEASE_END),
    )  # fmt: skip


def stop(number: int = 11, runtime: str = "runtime-1") -> Command:
    return replace(start(number, runtime), order=StopRuntime(runtime, "user"))


def sent(command: Command) -> bytes:
    return fleet.seal(COMMAND_KEY, command)


def said(node: Node) -> list[Body]:
    """Everything in the spool, opened and verified."""
    bodies = []
    for row in node.spool.pending(1000):
        if row.lease:
            event = msgspec.json.decode(row.message, type=fleet.LeaseRequest).event
        else:
            event = msgspec.json.decode(row.message, type=Attested)
        bodies.append(fleet.open_attested(event, public_hex(EVENT_KEY)))
    return bodies


def test_a_start_becomes_usable_and_a_stop_becomes_stopped(node: Node) -> None:
    """The words follow what the probe saw, with its instants."""
    assert orders.handle(node, sent(start()), 5 * S) == orders.Answer()
    assert watch.report(node, 5 * S) == 0
    assert watch.report(node, 7 * S) == 1
    assert watch.report(node, 8 * S) == 0
    orders.handle(node, sent(stop()), 9 * S)
    watch.report(node, 10 * S)
    bodies = said(node)
    assert [(b.tag, b.boottime_us) for b in bodies] == [
        (fleet.USABLE, 7 * S),
        (fleet.STOPPED, 9 * S),
    ]
    assert [b.seq for b in bodies] == [1, 2]


def test_a_command_delivered_twice_has_one_effect_and_one_answer(node: Node) -> None:
    """At-least-once delivery, exactly-once effect: the stored answer is sent again."""
    orders.handle(node, sent(start()), 5 * S)
    watch.report(node, 7 * S)
    orders.handle(node, sent(stop()), 9 * S)
    watch.report(node, 9 * S)
    before = said(node)
    again = orders.handle(node, sent(stop()), 20 * S)
    orders.handle(node, sent(replace(start(), expires_boottime_us=2 * LEASE_END)), 21 * S)
    watch.report(node, 22 * S)
    assert said(node) == before
    assert again.again is not None


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (fleet.seal(STRANGER, start()), "command.forged"),
        (b"nonsense", "command.forged"),
        (sent(replace(start(), node=NAME[:-1] + "9")), "command.wrong_node"),
        (sent(replace(start(), boot="c" * 32)), "command.wrong_boot"),
        (sent(replace(start(), expires_boottime_us=4 * S)), "command.expired"),
    ],
)
def test_what_is_not_for_us_now_is_refused_with_our_signature(
    node: Node, raw: bytes, code: str
) -> None:
    """Forged, foreign, of another boot, expired: refused in writing, nothing started."""
    assert orders.handle(node, raw, 5 * S).refused == code
    (refusal,) = said(node)
    assert (refusal.tag, refusal.said["code"]) == (fleet.COMMAND_REFUSED, code)
    assert node.runtimes.observe(6 * S) == []
    assert orders.handle(node, raw, 6 * S).again is not None
    assert len(said(node)) == 1


def test_a_number_used_for_another_order_is_a_replay(node: Node) -> None:
    """A number names one order for ever."""
    orders.handle(node, sent(start()), 5 * S)
    assert orders.handle(node, sent(stop(10)), 6 * S).refused == "command.replayed"
    assert node.runtimes.observe(6 * S)[0].state == "usable"


def test_a_start_that_comes_after_its_stop_is_stale(node: Node) -> None:
    """The stop of an allocation never seen leaves a tombstone, and says stopped."""
    orders.handle(node, sent(stop(11)), 5 * S)
    assert orders.handle(node, sent(start(10)), 6 * S).refused == "command.stale"
    assert orders.handle(node, sent(start(12)), 6 * S).refused == "command.stale"
    assert [b.tag for b in said(node)] == [
        fleet.STOPPED,
        fleet.COMMAND_REFUSED,
        fleet.COMMAND_REFUSED,
    ]
    assert node.runtimes.observe(7 * S) == []


def test_an_order_under_an_old_lease_nonce_is_stale(node: Node) -> None:
    """The nonce just replaced still counts, one before it does not, a newer one may be ahead."""
    for nonce in ("n1", "n2", "n3"):
        lease.learn_nonce(node.store, BOOT, nonce)
    stale = replace(start(), nonce="n1")
    assert orders.handle(node, sent(stale), 5 * S).refused == "command.stale"
    assert orders.handle(node, sent(replace(start(), nonce="n2")), 5 * S).refused == ""
    ahead = replace(start(12, "runtime-2"), nonce="n4")
    other = StartRuntime("runtime-2", (Share(1, 1000),), LEASE_END)
    assert orders.handle(node, sent(replace(ahead, order=other)), 5 * S).refused == ""


def test_a_taken_device_refuses_the_start_and_keeps_the_answer(node: Node) -> None:
    """Pre-flight says no before anything runs; the number is used up."""
    orders.handle(node, sent(start()), 5 * S)
    second = start(12, "runtime-2", 1)
    assert orders.handle(node, sent(second), 6 * S).refused == "device.busy"
    later = replace(second, expires_boottime_us=2 * LEASE_END)
    assert orders.handle(node, sent(later), 7 * S).again is not None
    assert len(node.runtimes.observe(7 * S)) == 1


@pytest.mark.parametrize("cut", ["RECEIVED", "INTENT", "EFFECT"])
def test_a_command_cut_short_by_a_crash_is_finished_once(tmp_path: Path, cut: str) -> None:
    """RECEIVED, INTENT, the effect, DONE: wherever kill -9 falls, the next life ends it once."""
    node = opened(tmp_path)
    orders._receive(node, start())
    if cut in {"INTENT", "EFFECT"}:
        with node.store.transaction() as conn:
            conn.execute(orders._INTENT, {"number": 10})
    if cut == "EFFECT":
        node.runtimes.start(
            "allocation-runtime-1", "runtime-1", 1, (Share(0, 1000),), 5 * S, LEASE_END
        )
    closed(node)
    node = opened(tmp_path)
    assert orders.resume(node, 6 * S) == 1
    assert orders.resume(node, 7 * S) == 0
    assert orders.handle(node, sent(start()), 8 * S).refused == ""
    watch.report(node, 9 * S)
    assert [b.tag for b in said(node)] == [fleet.USABLE]
    closed(node)


def test_a_reboot_voids_what_the_old_boot_had_begun(tmp_path: Path) -> None:
    """New boot id: nothing is resumed, nothing runs, numbers start again at 1."""
    node = opened(tmp_path)
    watch.announce(node, 1 * S)
    orders.handle(node, sent(start()), 5 * S)
    orders._receive(node, start(12, "runtime-2"))
    closed(node)
    node = opened(tmp_path, "d" * 32)
    assert orders.resume(node, 1 * S) == 0
    watch.announce(node, 1 * S)
    assert node.runtimes.observe(2 * S) == []
    assert [(b.boot, b.seq) for b in said(node)] == [(BOOT, 1), ("d" * 32, 1)]
    assert orders.handle(node, sent(start()), 2 * S).refused == ""  # done under its number, void
    assert orders.handle(node, sent(start(13)), 2 * S).refused == "command.wrong_boot"
    assert node.runtimes.observe(3 * S) == []
    closed(node)


def test_a_flood_of_forged_commands_does_not_fill_the_disk(node: Node) -> None:
    """At most 256 refusals wait for their receipt; the rest is dropped unsigned."""
    for number in range(orders.MAX_REFUSALS + 20):
        orders.handle(node, b"%d" % number, 5 * S)
    assert node.spool.refusals_pending() == orders.MAX_REFUSALS


def test_an_image_that_is_not_allowed_is_refused_with_a_signature(tmp_path: Path) -> None:
    """The operator's list decides, before anything is begun; the same command gets the same
    answer, and the next start of the agent does not try again.
    """
    listed = "sha256:" + "1" * 64
    settings = Settings(kind="podman", images={"lab:1": listed}, cdi=str(tmp_path / "cdi"))
    devices = (cdi.simulated(0, "GPU-SIMULATED-0"),)
    source = KeptRuntimes(tmp_path, NAME, BOOT, settings, devices)
    opening = opened(tmp_path)
    node = replace(opening, runtimes=source)
    spec = Spec("lab:1", "sha256:" + "2" * 64, 500, 2**26, 64)
    order = StartRuntime("runtime-1", (Share(0, 1000),), LEASE_END, spec)
    raw = sent(replace(start(), order=order))
    assert orders.handle(node, raw, 5 * S) == orders.Answer(refused="image.refused")
    refused = said(node)[-1]
    assert (refused.tag, refused.said["code"]) == (fleet.COMMAND_REFUSED, "image.refused")
    assert refused.said["command"] == 10
    assert orders.handle(node, raw, 6 * S).again is not None
    assert orders.resume(node, 7 * S) == 0
    assert source.observe(7 * S) == []
    closed(opening)


class Routed(SimulatedRuntimes):
    """SIMULATED runtimes that answer somewhere."""

    at = "10.231.0.2"

    def observe(self, now_us: int) -> list[Observed]:
        key = "ssh-ed25519 " + "A" * 68
        return [
            replace(one, route=Route(self.at, 22, key)) if one.state == "usable" else one
            for one in super().observe(now_us)
        ]


def test_where_it_answers_is_said_before_usable_and_when_it_moves(tmp_path: Path) -> None:
    """Once each: nobody is billed for a runtime that nobody can reach."""
    opening = opened(tmp_path)
    source = Routed(tmp_path / "routed.db", BOOT, 2, 1 * S)
    node = replace(opening, runtimes=source)
    orders.handle(node, sent(start()), 5 * S)
    assert watch.report(node, 7 * S) == 2
    assert watch.report(node, 8 * S) == 0
    source.at = "10.231.0.3"
    assert watch.report(node, 9 * S) == 1
    tags = [(body.tag, body.said.get("address")) for body in said(node)]
    assert tags[-3:] == [
        (fleet.ROUTED, "10.231.0.2"), (fleet.USABLE, None), (fleet.ROUTED, "10.231.0.3"),
    ]  # fmt: skip
    source.close()
    closed(opening)


def about(number: int, boot: str = BOOT, *devices: int) -> Command:
    order = SanitizeDevices(devices or (1,))
    return Command("gpuaas-command/1", number, NAME, boot, "", 0, "n", LEASE_END, order)


def test_an_order_about_devices_is_taken_once_and_outlives_its_boot(tmp_path: Path) -> None:
    """Redelivered, or sent again to the next boot, it is the same order: one piece of work. Cut
    short by a crash before it was in the table, the next boot takes it up.
    """
    node = replace(opened(tmp_path), devices=2)
    for command in (about(7), about(7), replace(about(7), nonce="later")):
        assert orders.handle(node, sent(command), 1 * S).refused == ""
    node.store.conn.execute("UPDATE journal SET state = 'INTENT' WHERE number = 7")
    node.store.conn.execute("DELETE FROM device_work")
    closed(node)
    node = replace(opened(tmp_path, "c" * 32), devices=2)
    assert orders.resume(node, 2 * S) == 1
    assert orders.handle(node, sent(about(7, "c" * 32)), 3 * S).refused == ""
    rows = node.store.conn.execute("SELECT number, kind FROM device_work").fetchall()
    assert rows == [(7, "sanitize")]
    closed(node)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (about(7, BOOT, 0, 2), "device.unknown"),
        (replace(about(7), node=NAME[:-1] + "1"), "command.wrong_node"),
        (about(7, "d" * 32), "command.wrong_boot"),
        (replace(about(7), expires_boottime_us=S), "command.expired"),
    ],
)
def test_a_device_order_that_is_not_for_us_is_refused(
    node: Node, command: Command, code: str
) -> None:
    """Index, node, boot and expiry are checked as for any order; nothing is put to work."""
    assert orders.handle(replace(node, devices=2), sent(command), 1 * S).refused == code
    assert node.store.conn.execute("SELECT count(*) FROM device_work").fetchone() == (0,)


def test_a_number_is_one_order(node: Node) -> None:
    """A device order under a number that started a runtime is a replay, and the other way round."""
    here = replace(node, devices=2)
    assert orders.handle(here, sent(start(10)), 1 * S).refused == ""
    assert orders.handle(here, sent(about(10)), 1 * S).refused == "command.replayed"
    assert orders.handle(here, sent(about(12)), 1 * S).refused == ""
    assert orders.handle(here, sent(start(12, "runtime-9")), 1 * S).refused == "command.replayed"


def test_nothing_starts_on_an_ill_device(node: Node) -> None:
    """Pre-flight: refused by name, for good, although the platform has not heard of it yet."""
    told = FleetError("device.unhealthy", "device 0 is suspect")
    ill = replace(node, illness=lambda devices: told if 0 in devices else None)
    assert orders.handle(ill, sent(start()), 1 * S).refused == "device.unhealthy"
    assert node.runtimes.observe(2 * S) == []
    assert orders.handle(node, sent(replace(start(), nonce="again")), 3 * S).refused == ""
    assert node.runtimes.observe(4 * S) == []


def test_a_start_puts_off_no_renewal_of_what_runs(node: Node) -> None:
    """Others that start meanwhile, each within an interval of the last, never keep a node from
    asking for the lease of what runs already; once nothing holds any more, a start is a beginning.
    """
    lease.hold(node.store, BOOT, 600 * S, 0)
    for at_s in (100, 200, 300):
        lease.begin(node.store, BOOT, (at_s + 600) * S, at_s * S)
        held = lease.held(node.store, BOOT)
        assert held == lease.Held((at_s + 600) * S, 0)
        assert lease.is_due(held, at_s * S, 100 * S)
    lease.begin(node.store, BOOT, 1_600 * S, 1_000 * S)
    assert lease.held(node.store, BOOT) == lease.Held(1_600 * S, 1_000 * S)
