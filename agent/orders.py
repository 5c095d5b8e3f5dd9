"""Commands: checked, journaled before each effect, answered once however often they arrive."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import UNSET, Struct, field

from agent import device_work, lease, volume_work
from agent.runtimes import Runtimes
from agent.spool import Spool
from agent.store import Store
from agent.terminal.desk import Terminals
from agent.terminal.shells import shell_of
from contracts import fleet
from contracts.devices import CheckDevices, SanitizeDevices
from contracts.fleet import LASTING, Command, StartRuntime, StopRuntime
from contracts.network import SetPolicy
from contracts.signing import FleetError
from contracts.terminal import CloseTerminal, OpenTerminal
from contracts.volumes import VOLUME_ORDERS

_JOURNALED = "SELECT command, state, answer FROM journal WHERE number = :number"
_RECEIVED = "INSERT INTO journal (number, command, state) VALUES (:number, :command, 'RECEIVED')"
_INTENT = "UPDATE journal SET state = 'INTENT' WHERE number = :number"
_DONE = "UPDATE journal SET state = 'DONE', answer = :answer WHERE number = :number"
_OPEN = "SELECT command FROM journal WHERE state <> 'DONE' ORDER BY number"
_FENCE = "SELECT epoch, number, stopped FROM fence WHERE allocation = :allocation"
_SET_FENCE = """
INSERT INTO fence (allocation, runtime, epoch, number, stopped)
VALUES (:allocation, :runtime, :epoch, :number, :stopped)
ON CONFLICT (allocation) DO UPDATE SET
  epoch = excluded.epoch, number = excluded.number, stopped = max(stopped, excluded.stopped)"""
_TOLD = "SELECT message FROM told WHERE allocation = :allocation"
_TELL = """
INSERT INTO told (allocation, state, message) VALUES (:allocation, :state, :message)
ON CONFLICT (allocation) DO UPDATE SET state = excluded.state, message = excluded.message"""
_REFUSED = "SELECT answer FROM refusal WHERE sha256 = :sha256"
_REFUSE = "INSERT INTO refusal (sha256, number, answer) VALUES (:sha256, :number, :answer)"

MAX_REFUSALS = 256
_UNBOUNDED_US = 10**18
_UNFENCED = (*LASTING, OpenTerminal, CloseTerminal)
# What is refused after it was journaled, before anything of it was begun.
_PREFLIGHT = ("device.", "image.", "terminal.", "network.", "volume.")


def _well(_devices: tuple[int, ...]) -> FleetError | None:
    return None


async def _unseen(_devices: tuple[int, ...]) -> None:
    """Nothing is looked at."""


class Node(Struct, frozen=True):
    """What commands are checked against and act on.

    `devices`: how many were enrolled. `illness`: why one of these takes no new work, or None.
    `examine`: looks at devices that something is about to start on, for `illness` to tell.
    `lease_us`: how long anything runs at most without a word of the platform. `instance`: of this
    process, and of no other.
    """

    node: str
    boot: str
    command_key: str
    store: Store
    spool: Spool
    runtimes: Runtimes
    terminals: Terminals
    devices: int = 0
    illness: Callable[[tuple[int, ...]], FleetError | None] = _well
    examine: Callable[[tuple[int, ...]], Awaitable[None]] = _unseen
    lease_us: int = _UNBOUNDED_US
    instance: str = field(default_factory=lambda: secrets.token_hex(8))


class Answer(Struct, frozen=True):
    """`again`: the stored answer of a command seen before, to be sent once more."""

    again: bytes | None = None
    refused: str = ""


def handle(node: Node, raw: bytes, now_us: int) -> Answer:
    """The command is done or refused, durably, and may be acknowledged.

    A crash at any line leaves it unacknowledged: JetStream brings it back, the journal knows how
    far it came, and every effect is idempotent.
    """
    sha256 = hashlib.sha256(raw).hexdigest()
    refused = node.store.conn.execute(_REFUSED, {"sha256": sha256}).fetchone()
    if refused is not None:
        return Answer(again=bytes(refused[0]))
    number = 0
    try:
        command = fleet.open_command(raw, node.command_key)
        number = command.number
        stored = journaled(node, command)
        if stored is None:
            check(node, command, now_us)
            _receive(node, command)
            _preflight(node, command)
        elif stored[0] == "DONE":
            return Answer(again=stored[1])
        carry_out(node, command, now_us)
    except FleetError as error:
        if error.code == "command.unknown":
            # Named, so that the platform ends what this release cannot carry out.
            number = fleet.number_in(raw, node.command_key)
        refuse(node, number, error.code, sha256, now_us)
        return Answer(refused=error.code)
    return Answer()


async def look_ahead(node: Node, raw: bytes) -> None:
    """Devices that a new start names were looked at a moment ago: before `handle`, off its path."""
    try:
        command = fleet.open_command(raw, node.command_key)
        if isinstance(command.order, StartRuntime) and journaled(node, command) is None:
            await node.examine(tuple(share.index for share in command.order.devices))
    except FleetError:
        return  # `handle` says why


def resume(node: Node, now_us: int) -> int:
    """How many commands a crash had cut short; all are done on return."""
    rows = node.store.conn.execute(_OPEN).fetchall()
    count = 0
    for (raw,) in rows:
        command = msgspec.json.decode(raw, type=Command)
        if command.boot != node.boot and not isinstance(command.order, LASTING):
            # A reboot voids what the old boot had begun: nothing of it can still be running.
            _finish(node, command, None)
            continue
        try:
            carry_out(node, command, now_us)
        except FleetError as error:
            refuse(node, command.number, error.code, f"number {command.number}", now_us)
        count += 1
    return count


def journaled(node: Node, command: Command) -> tuple[str, bytes | None] | None:
    """(state, answer) of this command, None when it is new.

    Raises: FleetError command.replayed when the number was used for something else.
    """
    row = node.store.conn.execute(_JOURNALED, {"number": command.number}).fetchone()
    if row is None:
        return None
    if not msgspec.json.decode(row[0], type=Command).same_as(command):
        raise FleetError("command.replayed", f"number {command.number} was another command")
    return str(row[1]), None if row[2] is None else bytes(row[2])


def check(node: Node, command: Command, now_us: int) -> None:
    """Raises: FleetError command.wrong_node | wrong_boot | expired | stale."""
    if command.node != node.node:
        raise FleetError("command.wrong_node", f"for {command.node}")
    if command.boot != node.boot:
        raise FleetError("command.wrong_boot", f"for boot {command.boot}")
    if now_us >= command.expires_boottime_us:
        raise FleetError("command.expired", f"at {command.expires_boottime_us}")
    if lease.nonce_is_stale(node.store, node.boot, command.nonce):
        raise FleetError("command.stale", "its lease nonce is an old one")
    if isinstance(command.order, VOLUME_ORDERS):
        volume_work.check(node.store, command.number, command.order)
    if isinstance(command.order, LASTING):
        return
    fence = node.store.conn.execute(_FENCE, {"allocation": command.allocation}).fetchone()
    of_terminal = isinstance(command.order, OpenTerminal | CloseTerminal)
    if fence is None:
        if of_terminal:
            raise FleetError("command.stale", "nothing of the allocation was started here")
        return
    epoch, number, stopped = fence
    if command.epoch != epoch or command.number < number:
        raise FleetError("command.stale", f"behind command {number} of epoch {epoch}")
    if stopped and isinstance(command.order, StartRuntime | OpenTerminal):
        raise FleetError("command.stale", "the allocation was stopped for good")


def carry_out(node: Node, command: Command, now_us: int) -> None:
    """INTENT, the effect, DONE. Pre-flight raises FleetError device.* | image.* | …."""
    with node.store.transaction() as conn:
        conn.execute(_INTENT, {"number": command.number})
    # A crash after the effect and before DONE repeats the effect: both are idempotent.
    match command.order:
        case StartRuntime() as order:
            until_us = min(order.lease_boottime_us, now_us + node.lease_us)
            lease.begin(node.store, node.boot, until_us, now_us)
            node.runtimes.start(
                command.allocation,
                order.runtime,
                command.epoch,
                order.devices,
                now_us,
                until_us,
                None if order.spec is UNSET else order.spec,
            )
            _finish(node, command, None)
        case CheckDevices() | SanitizeDevices() as order:
            if not all(0 <= index < node.devices for index in order.devices):
                raise FleetError("device.unknown", f"not all of {order.devices} are here")
            with node.store.transaction():
                device_work.enqueue(node.store, command.number, order)
                _finish(node, command, None)
        case volume_order if isinstance(volume_order, VOLUME_ORDERS):
            with node.store.transaction():
                volume_work.enqueue(node.store, command.number, volume_order)
                _finish(node, command, None)
        case StopRuntime() as order:
            if node.runtimes.stop(command.allocation, now_us):
                _finish(node, command, None)
            else:
                _tombstone(node, command, order, now_us)
        case OpenTerminal() as order:
            held = lease.held(node.store, node.boot)
            shell = shell_of(node.runtimes, command.allocation, order.session)
            until_us = command.expires_boottime_us if held is None else held.until_us
            node.terminals.open(order, command.allocation, shell, until_us)
            _finish(node, command, None)
        case CloseTerminal() as order:
            node.terminals.close(order.session)
            _finish(node, command, None)
        case SetPolicy() as order:
            node.runtimes.obey(order.policy, now_us)
            _finish(node, command, None)


def _preflight(node: Node, command: Command) -> None:
    """Nothing new starts on an ill device, though the platform has not heard of it yet.

    Raises: FleetError device.unhealthy, or what `examine` found on it.
    """
    if isinstance(command.order, StartRuntime):
        refused = node.illness(tuple(share.index for share in command.order.devices))
        if refused is not None:
            raise refused


def refuse(node: Node, number: int, code: str, sha256: str, now_us: int) -> None:
    """A signed refusal is in the spool; the same bytes again get the same refusal.

    At most MAX_REFUSALS wait at a time: past that a flood is dropped unsigned.
    """
    with node.store.transaction() as conn:
        answer = None
        if node.spool.refusals_pending() < MAX_REFUSALS:
            answer = node.spool.add(
                fleet.COMMAND_REFUSED,
                node.node,
                now_us,
                {"command": number, "code": code, "sha256": sha256},
                refusal=True,
            )
            conn.execute(_REFUSE, {"sha256": sha256, "number": number, "answer": answer})
        if code.startswith(_PREFLIGHT):
            conn.execute(_DONE, {"number": number, "answer": answer})


def tell(node: Node, allocation: str, state: str, message: bytes) -> None:
    """`message` is the last word about this allocation, in the surrounding transaction."""
    with node.store.transaction() as conn:
        conn.execute(_TELL, {"allocation": allocation, "state": state, "message": message})


def _receive(node: Node, command: Command) -> None:
    with node.store.transaction() as conn:
        conn.execute(_RECEIVED, {"number": command.number, "command": msgspec.json.encode(command)})
        if isinstance(command.order, VOLUME_ORDERS):
            volume_work.fence(node.store, command.number, command.order)
        if isinstance(command.order, _UNFENCED):
            return  # they move no fence: a stop sent before one may come after it
        conn.execute(
            _SET_FENCE,
            {
                "allocation": command.allocation,
                "runtime": command.order.runtime,
                "epoch": command.epoch,
                "number": command.number,
                "stopped": int(isinstance(command.order, StopRuntime)),
            },
        )


def _finish(node: Node, command: Command, answer: bytes | None) -> None:
    with node.store.transaction() as conn:
        told = conn.execute(_TOLD, {"allocation": command.allocation}).fetchone()
        kept = answer if answer is not None or told is None else bytes(told[0])
        conn.execute(_DONE, {"number": command.number, "answer": kept})


def _tombstone(node: Node, command: Command, order: StopRuntime, now_us: int) -> None:
    # Never started here: say "stopped" all the same, and the fence refuses a start that comes late.
    with node.store.transaction():
        message = node.spool.add(fleet.STOPPED, order.runtime, now_us, {})
        tell(node, command.allocation, "stopped", message)
        _finish(node, command, message)
