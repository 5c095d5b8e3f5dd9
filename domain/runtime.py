"""A runtime: what runs on an allocation, and when it was usable.

    (none) -Request-> Waiting -Allocate-> Placed -Start-> Booting
    Placed | Booting -ReportUsable-> Running <-ReportUsable/ReportDegraded-> Impaired
    Placed -BeIn | GoFirst | Configure | Join | LimitIdle-> Placed, in the admission; routes,
        egress change nothing
    Running -ReportIdle-> Running, idle -ReportBusy-> Running
    Placed | Booting | Running | Impaired -Stop-> Ending
    Placed .. Ending -ReportStopped | ReportFailed | DeclareLost-> Ended
    Waiting | Placed | Ending, never started -Cancel-> Ended

Request and Allocate happen together, in the admission. Only attested reports open and close
billable time; a report that comes after `Stop` still tells when the time began.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.decider import Decider
from domain.errors import DomainError
from domain.instants import billable_instant, lost_instant
from domain.runtime_commands import (
    Allocate,
    BeIn,
    Cancel,
    Command,
    Configure,
    DeclareLost,
    GoFirst,
    Join,
    LimitIdle,
    Report,
    ReportBusy,
    ReportDegraded,
    ReportEgress,
    ReportFailed,
    ReportIdle,
    ReportRouted,
    ReportStopped,
    ReportUsable,
    Request,
    Start,
    Stop,
)
from domain.runtime_facts import (
    Allocated,
    Busy,
    Cancelled,
    Configured,
    Degraded,
    EgressCounted,
    Event,
    Failed,
    Final,
    Idle,
    IdleLimited,
    Lost,
    Networked,
    RegionAsked,
    Requested,
    Routed,
    Spot,
    Starting,
    Stopped,
    Stopping,
    Usable,
)
from domain.words import MILLI, MOST_DEVICES

# Facts and commands are read as this aggregate's own.
__all__ = [
    "Allocate",
    "Allocated",
    "BeIn",
    "Busy",
    "Cancel",
    "Cancelled",
    "Command",
    "Configure",
    "Configured",
    "DeclareLost",
    "Degraded",
    "EgressCounted",
    "Event",
    "Failed",
    "Final",
    "GoFirst",
    "Idle",
    "IdleLimited",
    "Join",
    "LimitIdle",
    "Lost",
    "Networked",
    "RegionAsked",
    "Report",
    "ReportBusy",
    "ReportDegraded",
    "ReportEgress",
    "ReportFailed",
    "ReportIdle",
    "ReportRouted",
    "ReportStopped",
    "ReportUsable",
    "Request",
    "Requested",
    "Routed",
    "Spot",
    "Start",
    "Starting",
    "Stop",
    "Stopped",
    "Stopping",
    "Usable",
]


class Missing(Struct, frozen=True):
    pass


class Waiting(Struct, frozen=True):
    requested: Requested


class Placed(Struct, frozen=True):
    """`previous_us` in this and later states: the instant no later one may precede."""

    allocation: str
    node: str
    previous_us: int


class Booting(Struct, frozen=True):
    allocation: str
    node: str
    previous_us: int
    command: int


class Running(Struct, frozen=True):
    allocation: str
    node: str
    previous_us: int
    idle: bool = False


class Impaired(Struct, frozen=True):
    allocation: str
    node: str
    previous_us: int


class Ending(Struct, frozen=True):
    allocation: str
    node: str
    previous_us: int
    usable: bool  # time is being billed until the stop is attested
    started: bool  # a start command was sent: only its node's word or its lease's end frees it


class Ended(Struct, frozen=True):
    how: type[Final]


type Live = Placed | Booting | Running | Impaired | Ending
type State = Missing | Waiting | Live | Ended


def decide(command: Command, state: State) -> list[Event]:
    """The facts this command makes of this state; none when it was done already.

    Raises:
        DomainError: `runtime.shape_invalid`, `runtime.limits_invalid`, `runtime.lease_not_over`,
            `runtime.foreign_node`, `runtime.foreign_boot`, `runtime.may_run`,
            `runtime.not_possible`.
    """
    match command, state:
        case Request(), Missing():
            return [_requested(command)]
        case Request(), Waiting(requested) if requested == _requested(command):
            return []
        case Allocate(), Waiting():
            place = (command.allocation, command.node, command.model, command.devices)
            return [Allocated(*place, command.epoch, command.now_us)]
        case Allocate(allocation), Placed() if allocation == state.allocation:
            return []
        case ((BeIn() | Configure() | Join() | LimitIdle() | GoFirst()), Placed()):
            return [_made(command)]
        case ((ReportIdle() | ReportBusy()), Running()):
            return _idleness(command, state)
        case ReportEgress(), Placed() | Booting() | Running() | Impaired() | Ending():
            return [_egress(command, state)]
        case ReportRouted(), Placed() | Booting() | Running() | Impaired():
            return [_routed(command, state)]
        case ((ReportRouted() | ReportIdle() | ReportBusy()), Ending()):
            return []
        case Start(), Placed():
            return [Starting(command.command, command.now_us)]
        case Start(number), Booting() if number == state.command:
            return []
        case (
            (ReportUsable() | ReportDegraded() | ReportStopped() | ReportFailed()),
            (Placed() | Booting() | Running() | Impaired() | Ending()),
        ):
            return _report(command, state)
        case Stop(), Placed() | Booting() | Running() | Impaired():
            return [Stopping(command.reason, command.now_us)]
        case Stop(), Ending() | Ended():
            return []
        case Cancel(), Waiting() | Placed() | Ending(started=False):
            return [Cancelled(command.reason, command.now_us)]
        case Cancel(), Booting() | Running() | Impaired() | Ending():
            raise DomainError("runtime.may_run", "it was started: it is stopped, not cancelled")
        case DeclareLost(), Placed() | Booting() | Running() | Impaired() | Ending():
            return [_lost(command, state)]
        case (
            (ReportStopped() | ReportFailed() | Cancel() | DeclareLost()),
            Ended(how),
        ) if how is _ENDS[type(command)]:
            return []
        case _, Ended(how):
            raise DomainError("runtime.ended", f"it ended before: {how.__name__.lower()}")
        case _:
            what, where = type(command).__name__, type(state).__name__
            raise DomainError("runtime.not_possible", f"{what} while {where}", {"state": where})


_ENDS = {ReportStopped: Stopped, ReportFailed: Failed, Cancel: Cancelled, DeclareLost: Lost}


def _requested(command: Request) -> Requested:
    """The fact, if the shape is one that can be placed: whole devices, or a part of one."""
    each, rest = divmod(command.gpu_milli, command.devices) if command.devices > 0 else (0, 1)
    whole = each == MILLI and command.devices <= MOST_DEVICES
    if rest or not 0 < each <= MILLI or not (command.devices == 1 or whole):
        raise DomainError(
            "runtime.shape_invalid",
            "a runtime takes 1..1000 milli of one device, or whole devices",
            {"devices": command.devices, "gpu_milli": command.gpu_milli},
        )
    return Requested(
        *(command.project, command.department, command.account, command.name),
        *(command.devices, command.gpu_milli, command.models, command.now_us),
    )


def _made(
    command: BeIn | Configure | Join | LimitIdle | GoFirst,
) -> RegionAsked | Configured | Networked | IdleLimited | Spot:
    """What the launch asked for beside its devices."""
    match command:
        case Configure():
            return _configured(command)
        case Join():
            return Networked(command.network, command.now_us)
        case LimitIdle():
            return _limited(command)
        case BeIn():
            return RegionAsked(command.region, command.now_us)
        case GoFirst():
            return Spot(command.now_us)
        case _:
            assert_never(command)


def _configured(command: Configure) -> Configured:
    limits = (command.cpu_milli, command.memory_bytes, command.pids)
    if min(limits) < 1 or command.restarts < 0:
        raise DomainError("runtime.limits_invalid", "a limit of nothing is none")
    return Configured(command.image, command.digest, *limits, command.restarts, command.now_us)


def _routed(command: ReportRouted, state: Live) -> Routed:
    _own_word(command, state)
    return Routed(
        *(command.boottime_us, command.address, command.port, command.host_key),
        *(command.now_us, command.attested),
    )


def _egress(command: ReportEgress, state: Live) -> EgressCounted:
    _own_word(command, state)
    counts = (command.sent_bytes, command.received_bytes, command.boottime_us, command.now_us)
    return EgressCounted(*counts, command.attested)


def _limited(command: LimitIdle) -> IdleLimited:
    if command.stop_after_us < 1:
        raise DomainError("runtime.limits_invalid", "a limit of nothing is none")
    return IdleLimited(command.stop_after_us, command.now_us)


def _idleness(command: ReportIdle | ReportBusy, state: Running) -> list[Event]:
    """A change only."""
    _own_word(command, state)
    if isinstance(command, ReportIdle) is state.idle:
        return []
    said = (command.boottime_us, command.now_us, command.attested)
    if isinstance(command, ReportBusy):
        return [Busy(*said)]
    return [Idle(command.idle_us, *said)]


def _own_word(
    command: Report | ReportRouted | ReportEgress | ReportIdle | ReportBusy, state: Live
) -> None:
    if command.attested.node != state.node:
        raise DomainError("runtime.foreign_node", f"it runs on {state.node}")
    if command.attested.boot != command.anchor.boot:
        raise DomainError("runtime.foreign_boot", "the attestation is of another boot")


def _report(command: Report, state: Live) -> list[Event]:
    """What a node says of its own runtime, at its billable instant."""
    _own_word(command, state)
    at = billable_instant(command.boottime_us, command.anchor, state.previous_us, command.now_us)
    said = (command.boottime_us, at, command.now_us, command.attested)
    match command, state:
        case ReportUsable(), Running() | Ending(usable=True):
            return []
        case ReportUsable(), _:
            return [Usable(*said)]
        case ReportDegraded(), Running() | Ending(usable=True):
            return [Degraded(*said)]
        case ReportDegraded(), Impaired():
            return []
        case ReportStopped(), _:
            return [Stopped(*said)]
        case ReportFailed(), _:
            return [Failed(command.code, *said)]
        case _:
            raise DomainError("runtime.not_possible", "it is not usable, so it cannot degrade")


def _lost(command: DeclareLost, state: Live) -> Lost:
    over_us = command.until_us + command.grace_us if command.until_us else 0
    if command.now_us < over_us:
        raise DomainError(
            "runtime.lease_not_over",
            "it may still run until its lease is over",
            {"over_us": over_us},
        )
    return Lost(lost_instant(command.renewed_us, state.previous_us), command.now_us)


def evolve(state: State, event: Event) -> State:
    """The state after the event; what a live state does not carry over is forgotten."""
    match event:
        case Requested():
            return Waiting(event)
        case Allocated():
            return Placed(event.allocation, event.node, event.allocated_us)
        case Stopped() | Failed() | Cancelled() | Lost():
            return Ended(type(event))
        case RegionAsked() | Spot() | Configured() | Networked() | IdleLimited():
            return state
        case Routed() | EgressCounted():
            return state
        case Idle() | Busy():
            # After an end was decided they tell nothing any more.
            now = isinstance(event, Idle)
            return replace(state, idle=now) if isinstance(state, Running) else state
        case Starting() | Usable() | Degraded() | Stopping():
            assert isinstance(state, Placed | Booting | Running | Impaired | Ending)
            return _onward(state, event)
        case _:
            assert_never(event)


def _onward(state: Live, event: Starting | Usable | Degraded | Stopping) -> Live:
    held = (state.allocation, state.node)
    match event:
        case Starting():
            return Booting(*held, state.previous_us, event.command)
        case Usable():
            if isinstance(state, Ending):
                return Ending(*held, event.usable_us, usable=True, started=True)
            return Running(*held, event.usable_us)
        case Degraded():
            if isinstance(state, Ending):
                return Ending(*held, event.degraded_us, usable=False, started=True)
            return Impaired(*held, event.degraded_us)
        case Stopping():
            usable = isinstance(state, Running)
            started = not isinstance(state, Placed)
            return Ending(*held, state.previous_us, usable=usable, started=started)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
