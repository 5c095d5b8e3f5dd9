"""What a node says of its devices, and what follows from it (part of `node`).

    healthy -ReportDevice-> suspect | failed, and at once in quarantine
    suspect -RequestTest-> -ReportTested(passed)-> healthy (-> returned, or a receipt first)

Words are the node's: nothing here measures. A device of which nobody spoke is healthy. Tests are
asked for by us, at most TRIES times a boot and for BOX_US after the report or the boot; then the
device waits in quarantine for a person.
"""

import re
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.bandwidth import falls_short
from domain.errors import DomainError
from domain.words import Attested

TRIES: Final = 3
BOX_US: Final = 3_600_000_000
RETRY_US: Final = 60_000_000
HEALTH: Final = "health."

# GiB as sold, of models whose size is public; a model that is not here has any.
_SIZES: Final[dict[str, tuple[int, ...]]] = {
    "T4": (16,), "L4": (24,), "A10": (24,), "L40S": (48,), "V100": (16, 32), "A100": (40, 80),
    "H100": (64, 80, 94, 96), "H200": (141,), "B200": (180, 192),
}  # fmt: skip
_GIB: Final = 1 << 30


class DeviceDescribed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.device_described.v1"
):
    """`devices`: one index. `library`: SHA-256 of the NVML library that the node loaded."""

    devices: tuple[int, ...]
    uuid: str
    product: str
    memory_bytes: int
    serial: str
    driver: str
    library: str
    boottime_us: int
    decided_us: int
    attested: Attested


class DeviceProbed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.device_probed.v1"
):
    """`bytes` of its memory were read and written in `duration_us`; 0: `method` says why not."""

    devices: tuple[int, ...]
    uuid: str
    method: str
    bytes: int
    duration_us: int
    boottime_us: int
    decided_us: int
    attested: Attested


class DeviceReported(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.device_reported.v1"
):
    """`state`: suspect or failed, by `xid` (0: none); `ecc_uncorrected` null: it has no count."""

    devices: tuple[int, ...]
    uuid: str
    state: str
    cause: str
    xid: int
    ecc_uncorrected: int | None
    boottime_us: int
    decided_us: int
    attested: Attested


class DeviceXid(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.device_xid.v1"):
    """`count`: how often this XID was seen on the GPU since it was enrolled; no last value."""

    devices: tuple[int, ...]
    uuid: str
    xid: int
    count: int
    boottime_us: int
    decided_us: int
    attested: Attested


class DeviceTestRequested(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.device_test_requested.v1"
):
    devices: tuple[int, ...]
    decided_us: int


class DeviceTested(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.device_tested.v1"
):
    """`command`: the position of the request."""

    devices: tuple[int, ...]
    command: int
    passed: bool
    method: str
    cause: str
    duration_us: int
    boottime_us: int
    decided_us: int
    attested: Attested


type DeviceEvent = (
    DeviceDescribed | DeviceProbed | DeviceReported | DeviceXid | DeviceTestRequested
    | DeviceTested
)  # fmt: skip
EVENTS: Final = (
    DeviceDescribed, DeviceProbed, DeviceReported, DeviceXid, DeviceTestRequested, DeviceTested,
)  # fmt: skip


class RequestTest(Struct, frozen=True):
    devices: tuple[int, ...]
    now_us: int


class Say(Struct, frozen=True):
    """A verified word of the node's latest boot: one of the facts above, as it would stand."""

    word: DeviceDescribed | DeviceProbed | DeviceReported | DeviceXid | DeviceTested


type DeviceCommand = RequestTest | Say


class Sick(Struct, frozen=True):
    """`since_us`: of the first report. `asked_us`: of the open test request, 0 = none.

    `tries` and `tried_us` count since the node's boot.
    """

    state: str
    cause: str
    since_us: int
    asked_us: int = 0
    tries: int = 0
    tried_us: int = 0


class Devices(Struct, frozen=True):
    """Who is not healthy, by index; `boot_us`: when the node's boot was anchored."""

    sick: dict[int, Sick] = {}
    boot_us: int = 0


def decide(command: DeviceCommand, state: Devices, uuids: tuple[str, ...]) -> list[DeviceEvent]:
    """The facts; none when nothing is new. `uuids`: as enrolled, by index.

    Raises:
        DomainError: `node.device_unknown`, `device.not_suspect`.
    """
    match command:
        case RequestTest():
            _check(command.devices, uuids)
            for index in command.devices:
                if index not in state.sick:
                    raise DomainError("device.not_suspect", f"device {index} needs no test")
                if state.sick[index].asked_us:
                    return []
            return [DeviceTestRequested(command.devices, command.now_us)]
        case Say(word=word):
            _check(word.devices, uuids)
            if isinstance(word, DeviceReported) and not _news(word, state):
                return []
            return [word]
        case _:
            assert_never(command)


def differences(word: DeviceDescribed, model: str, uuids: tuple[str, ...]) -> tuple[str, ...]:
    """What the node says of a device that is not what was enrolled or expected; none = it fits."""
    found = []
    if word.uuid != uuids[word.devices[0]]:
        found.append("uuid")
    if not set(model.split()) <= set(re.split(r"[\s-]+", word.product)):
        found.append("product")
    sizes = _SIZES.get(model)
    if sizes and not any(
        size * _GIB * 88 <= word.memory_bytes * 100 <= size * _GIB * 102 for size in sizes
    ):
        found.append("memory")
    return tuple(found)


def bars(fact: DeviceEvent, model: str, uuids: tuple[str, ...]) -> str:
    """Why the fact puts its devices in quarantine; "" when it does not."""
    match fact:
        case DeviceReported(xid=xid) if xid:
            return f"{HEALTH}xid.{xid}"
        case DeviceReported():
            return f"{HEALTH}{fact.cause}"
        case DeviceDescribed():
            wrong = differences(fact, model, uuids)
            return f"differs.{wrong[0]}" if wrong else ""
        case DeviceProbed():
            slow = falls_short(model, fact.bytes, fact.duration_us)
            return "differs.bandwidth" if slow else ""
        case _:
            return ""


def due_test(state: Devices, index: int, now_us: int) -> bool:
    """Whether we should ask for a test of this device now: time-boxed, and not too often."""
    sick = state.sick.get(index)
    if sick is None or sick.tries >= TRIES:
        return False
    if now_us - max(sick.since_us, state.boot_us) > BOX_US:
        return False
    if sick.asked_us:
        return False
    return not sick.tries or now_us - sick.tried_us >= RETRY_US * sick.tries


def evolve(state: Devices, event: DeviceEvent) -> Devices:
    """The state after the event."""
    match event:
        case DeviceReported():
            sick = dict(state.sick)
            for index in event.devices:
                old = sick.get(index)
                since_us = event.decided_us if old is None else old.since_us
                sick[index] = Sick(
                    event.state, event.cause, since_us, *(() if old is None else _trials(old))
                )
            return replace(state, sick=sick)
        case DeviceTestRequested():
            return _each(state, event.devices, asked_us=event.decided_us)
        case DeviceTested(passed=True):
            left = {k: v for k, v in state.sick.items() if k not in event.devices}
            return replace(state, sick=left)
        case DeviceTested():
            sick = dict(state.sick)
            for index in event.devices:
                if index in sick:
                    tries = sick[index].tries + 1
                    sick[index] = replace(
                        sick[index], asked_us=0, tries=tries, tried_us=event.decided_us
                    )
            return replace(state, sick=sick)
        case DeviceDescribed() | DeviceProbed() | DeviceXid():
            return state
        case _:
            assert_never(event)


def rebooted(state: Devices, anchor_us: int) -> Devices:
    """A new boot is a new chance: what a reset or a reboot may have healed is tested again."""
    sick = {k: replace(v, asked_us=0, tries=0, tried_us=0) for k, v in state.sick.items()}
    return Devices(sick, anchor_us)


def _trials(old: Sick) -> tuple[int, int, int]:
    return old.asked_us, old.tries, old.tried_us


def _each(state: Devices, devices: tuple[int, ...], *, asked_us: int) -> Devices:
    sick = dict(state.sick)
    for index in devices:
        if index in sick:
            sick[index] = replace(sick[index], asked_us=asked_us)
    return replace(state, sick=sick)


def _news(word: DeviceReported, state: Devices) -> bool:
    for index in word.devices:
        old = state.sick.get(index)
        if old is None or (old.state, old.cause) != (word.state, word.cause):
            return True
    return False


def _check(devices: tuple[int, ...], uuids: tuple[str, ...]) -> None:
    if not devices or list(devices) != sorted(set(devices)):
        raise DomainError("node.device_unknown", "devices are named in order, each once")
    if not 0 <= devices[0] <= devices[-1] < len(uuids):
        raise DomainError("node.device_unknown", f"its devices are 0 to {len(uuids) - 1}")
