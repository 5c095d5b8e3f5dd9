"""What an operator does to a node, and why a device of it takes no work (part of `node`).

    Cordon / Uncordon
    Drain -> draining -> drained (nothing runs any more) -> Undrain
    Quarantine -> RequestSanitizing -> ReportCanary -> ReportSanitized -> Return
    Retire (only when empty; nothing comes after it)

A drain is a claim of one owner for one reason: the node takes work again when the last claim has
ended, and nobody ends another's by accident. Nothing here kills: what runs stays until it is told.
A receipt is owed by every node that is not SIMULATED, or was made to owe it: between a tenant or a
quarantine and the next organization lies one. A receipt proves nothing of a device whose canary was
missed in the same sanitization, until another one's is not.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.canary import FOUND, CanaryLooked, miss
from domain.device import HEALTH
from domain.errors import DomainError
from domain.node_facts import (
    Cordoned,
    Drained,
    DrainEnded,
    DrainStarted,
    Quarantined,
    Retired,
    Returned,
    SanitizationRequired,
    Sanitized,
    SanitizeRequested,
    Uncordoned,
    Upkept,
)
from domain.words import Attested


class Cordon(Struct, frozen=True):
    now_us: int


class Uncordon(Struct, frozen=True):
    now_us: int


class Drain(Struct, frozen=True):
    owner: str
    reason: str
    now_us: int


class Undrain(Struct, frozen=True):
    owner: str
    reason: str
    now_us: int


class Quarantine(Struct, frozen=True):
    """`devices` in this and the commands below: indexes in order; none means all of them."""

    devices: tuple[int, ...]
    reason: str
    now_us: int


class RequireSanitizing(Struct, frozen=True):
    """For good: a SIMULATED node that owes receipts from now on, as real ones always do."""

    now_us: int


class RequestSanitizing(Struct, frozen=True):
    devices: tuple[int, ...]
    reason: str
    now_us: int


class ReportCanary(Struct, frozen=True):
    """A verified word of the node's latest boot, as it would stand."""

    word: CanaryLooked


class ReportSanitized(Struct, frozen=True):
    """A verified attestation of the node's latest boot."""

    devices: tuple[int, ...]
    method: str
    bytes_covered: int
    duration_us: int
    driver: str
    ecc_uncorrected: int | None
    residual_processes: int
    boottime_us: int
    attested: Attested
    now_us: int


class Return(Struct, frozen=True):
    """None means all that are in quarantine."""

    devices: tuple[int, ...]
    now_us: int


class Retire(Struct, frozen=True):
    reason: str
    now_us: int


type Command = (
    Cordon | Uncordon | Drain | Undrain | Quarantine | RequireSanitizing | RequestSanitizing
    | ReportCanary | ReportSanitized | Return | Retire
)  # fmt: skip


class Upkeep(Struct, frozen=True):
    """`quarantined`: why, per device, `""` = not. `unproven`: no clean receipt since then.

    `missed`: its canary was, when it was last looked for. `strict`: it owes receipts. `drains`:
    (owner, reason) of the claims that stand.
    """

    quarantined: tuple[str, ...]
    unproven: tuple[bool, ...]
    missed: tuple[bool, ...]
    strict: bool
    cordoned: bool = False
    drains: tuple[tuple[str, str], ...] = ()
    drained: bool = False
    retired: bool = False

    @property
    def plain(self) -> bool:
        """Nothing here bears on single devices."""
        return not self.strict and not any(self.quarantined)

    @property
    def closed(self) -> bool:
        """No new work for the whole node."""
        return self.cordoned or bool(self.drains) or self.retired


class Load(Struct, frozen=True):
    """What the rest of the node knows: devices something holds, and those kept for a tenant."""

    busy: tuple[bool, ...]
    kept: tuple[str, ...]

    @property
    def idle(self) -> bool:
        return not any(self.busy)


def fresh(count: int, *, strict: bool) -> Upkeep:
    """Of a node that has just enrolled with so many devices."""
    return Upkeep(("",) * count, (False,) * count, (False,) * count, strict)


def resized(state: Upkeep, count: int, *, strict: bool) -> Upkeep:
    """Of a node that has enrolled anew, perhaps with other devices: what it owes, it owes."""
    return replace(
        state,
        quarantined=(*state.quarantined, *("",) * count)[:count],
        unproven=(*state.unproven, *(False,) * count)[:count],
        missed=(*state.missed, *(False,) * count)[:count],
        strict=state.strict or strict,
    )


def decide(command: Command, state: Upkeep, load: Load) -> list[Upkept]:
    """The facts this command makes of this state; none when it was done already.

    Raises:
        DomainError: `node.retired`, `node.drain_foreign`, `node.device_unknown`, `node.not_empty`,
            `node.receipt_missing`.
    """
    if state.retired and not isinstance(command, Retire):
        raise DomainError("node.retired", "it was retired for good")
    match command:
        case Cordon():
            return [] if state.cordoned else [Cordoned(command.now_us)]
        case Uncordon():
            return [Uncordoned(command.now_us)] if state.cordoned else []
        case Drain():
            return _drain(command, state, load)
        case Undrain():
            return _undrain(command, state)
        case Quarantine():
            devices = _named(command.devices, state)
            return _barred(devices, command.reason, command.now_us, state)
        case RequireSanitizing():
            return [] if state.strict else [SanitizationRequired(command.now_us)]
        case RequestSanitizing():
            devices = _named(command.devices, state)
            _check_empty(devices, load)
            return [SanitizeRequested(devices, command.reason, command.now_us)]
        case ReportCanary(word=word):
            return _canary(word, state)
        case ReportSanitized():
            return _sanitized(command, state, load)
        case Return():
            return _return(command, state, load)
        case Retire() if state.retired:
            return []
        case Retire():
            _check_empty(tuple(range(len(load.busy))), load)
            return [Retired(command.reason, command.now_us)]
        case _:
            assert_never(command)


def emptied(state: Upkeep, devices: tuple[int, ...], now_us: int, *, idle: bool) -> list[Upkept]:
    """What follows from a release that left these devices empty, in the same append."""
    facts: list[Upkept] = []
    if state.strict and devices:
        facts.append(SanitizeRequested(devices, "emptied", now_us))
    if state.drains and idle and not state.drained:
        facts.append(Drained(now_us))
    return facts


def is_clean(receipt: Sanitized) -> bool:
    """Whether the receipt proves anything: memory was covered and no process was left."""
    return receipt.bytes_covered > 0 and receipt.residual_processes == 0


def proven(state: Upkeep, receipt: Sanitized) -> tuple[int, ...]:
    """The devices of which the receipt proves that nothing is left on them."""
    if not is_clean(receipt):
        return ()
    return tuple(index for index in receipt.devices if not state.missed[index])


def _drain(command: Drain, state: Upkeep, load: Load) -> list[Upkept]:
    if (command.owner, command.reason) in state.drains:
        return []
    facts: list[Upkept] = [DrainStarted(command.owner, command.reason, command.now_us)]
    if load.idle and not state.drained:
        facts.append(Drained(command.now_us))
    return facts


def _undrain(command: Undrain, state: Upkeep) -> list[Upkept]:
    if (command.owner, command.reason) in state.drains:
        return [DrainEnded(command.owner, command.reason, command.now_us)]
    if not state.drains:
        return []
    owner, reason = state.drains[0]
    raise DomainError(
        "node.drain_foreign",
        "it is drained by somebody else, or for another reason",
        {"owner": owner, "reason": reason, "drains": len(state.drains)},
    )


def _barred(devices: tuple[int, ...], reason: str, now_us: int, state: Upkeep) -> list[Upkept]:
    """The quarantine of those that have none, or one that would end by itself while this does not:
    what health put there it gives back after a test, and everything else waits for a person.
    """
    new = tuple(
        index
        for index in devices
        if not state.quarantined[index]
        or (state.quarantined[index].startswith(HEALTH) and not reason.startswith(HEALTH))
    )
    return [Quarantined(new, reason, now_us)] if new else []


def _canary(word: CanaryLooked, state: Upkeep) -> list[Upkept]:
    """The word; a miss puts its devices in quarantine, and one that was found all of the node's:
    whatever it wipes may be there still.
    """
    if not word.devices:
        raise DomainError("node.device_unknown", "a canary names its devices")
    named, reason = _named(word.devices, state), miss(word)
    if not reason:
        return [word]
    barred = _named((), state) if reason == FOUND else named
    return [word, *_barred(barred, reason, word.decided_us, state)]


def _sanitized(command: ReportSanitized, state: Upkeep, load: Load) -> list[Upkept]:
    """The receipt; one that names what was left behind puts its devices in quarantine."""
    if not command.devices:
        raise DomainError("node.device_unknown", "a receipt names its devices")
    _check_empty(_named(command.devices, state), load)
    receipt = Sanitized(
        *(command.devices, command.method, command.bytes_covered, command.duration_us),
        *(command.driver, command.ecc_uncorrected, command.residual_processes),
        *(command.boottime_us, command.now_us, command.attested),
    )
    if is_clean(receipt):
        return [receipt]
    new = tuple(index for index in command.devices if not state.quarantined[index])
    left = [Quarantined(new, "sanitize.left", command.now_us)] if new else []
    return [receipt, *left]


def _return(command: Return, state: Upkeep, load: Load) -> list[Upkept]:
    devices = tuple(index for index in _named(command.devices, state) if state.quarantined[index])
    if not devices:
        return []
    for index in devices if state.strict else ():
        if state.unproven[index] or load.kept[index] or load.busy[index]:
            raise DomainError(
                "node.receipt_missing",
                f"device {index} has no clean receipt since its quarantine or its last tenant",
                {"device": index},
            )
    return [Returned(devices, command.now_us)]


def _named(devices: tuple[int, ...], state: Upkeep) -> tuple[int, ...]:
    count = len(state.quarantined)
    if not devices:
        return tuple(range(count))
    if list(devices) != sorted(set(devices)) or not 0 <= devices[0] <= devices[-1] < count:
        raise DomainError("node.device_unknown", f"its devices are 0 to {count - 1}, each once")
    return devices


def _check_empty(devices: tuple[int, ...], load: Load) -> None:
    for index in devices:
        if load.busy[index]:
            raise DomainError("node.not_empty", f"device {index} is in use", {"device": index})


def evolve(state: Upkeep, event: Upkept) -> Upkeep:
    """The state after the event."""
    match event:
        case Cordoned():
            return replace(state, cordoned=True)
        case Uncordoned():
            return replace(state, cordoned=False)
        case DrainStarted():
            return replace(state, drains=(*state.drains, (event.owner, event.reason)))
        case Drained():
            return replace(state, drained=True)
        case DrainEnded():
            left = tuple(one for one in state.drains if one != (event.owner, event.reason))
            return replace(state, drains=left, drained=state.drained and bool(left))
        case Quarantined():
            why = _set(state.quarantined, event.devices, event.reason)
            return replace(
                state, quarantined=why, unproven=_set(state.unproven, event.devices, value=True)
            )
        case SanitizationRequired():
            return replace(state, strict=True)
        case SanitizeRequested():
            return state
        case CanaryLooked() if miss(event):
            return replace(
                state,
                missed=_set(state.missed, event.devices, value=True),
                unproven=_set(state.unproven, event.devices, value=True),
            )
        case CanaryLooked():
            return replace(state, missed=_set(state.missed, event.devices, value=False))
        case Sanitized():
            return replace(state, unproven=_set(state.unproven, proven(state, event), value=False))
        case Returned():
            return replace(
                state,
                quarantined=_set(state.quarantined, event.devices, ""),
                missed=_set(state.missed, event.devices, value=False),
            )
        case Retired():
            return replace(state, retired=True)
        case _:
            assert_never(event)


def _set[T](values: tuple[T, ...], indexes: tuple[int, ...], value: T) -> tuple[T, ...]:
    changed = list(values)
    for index in indexes:
        changed[index] = value
    return tuple(changed)
