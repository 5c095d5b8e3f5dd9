"""Devices through NVML: the library by absolute path, its digest known, every error code typed.

Source: NVML API reference (docs.nvidia.com/deploy/nvml-api), `nvmlReturn_t`. pynvml has no way to
name a library: it looks for `libnvidia-ml.so.1` unless its global is set already, so it is set. One
library per process, therefore.
"""

import ctypes
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import pynvml  # type: ignore[import-untyped]

from agent.devices import Device, DeviceError, Fault, Occupant, Origin, Reading, Recovery, XidEvent
from agent.gpm import Gpm

type Outcome = Literal[
    "absent", "lost", "reset_required", "inforom", "interrupt", "power", "unknown",
    "busy", "refused", "unavailable",
]  # fmt: skip

# absent: the device or driver has no such thing. busy: another moment may tell. refused: not to
# us. unavailable: nothing can be asked of any device. The rest is about the device itself.
OUTCOMES: Final[dict[int, Outcome]] = {
    pynvml.NVML_ERROR_UNINITIALIZED: "unavailable",
    pynvml.NVML_ERROR_INVALID_ARGUMENT: "unknown",
    pynvml.NVML_ERROR_NOT_SUPPORTED: "absent",
    pynvml.NVML_ERROR_NO_PERMISSION: "refused",
    pynvml.NVML_ERROR_ALREADY_INITIALIZED: "unknown",
    pynvml.NVML_ERROR_NOT_FOUND: "absent",
    pynvml.NVML_ERROR_INSUFFICIENT_SIZE: "busy",
    pynvml.NVML_ERROR_INSUFFICIENT_POWER: "power",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "unavailable",
    pynvml.NVML_ERROR_TIMEOUT: "busy",
    pynvml.NVML_ERROR_IRQ_ISSUE: "interrupt",
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "unavailable",
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: "absent",
    pynvml.NVML_ERROR_CORRUPTED_INFOROM: "inforom",
    pynvml.NVML_ERROR_GPU_IS_LOST: "lost",
    pynvml.NVML_ERROR_RESET_REQUIRED: "reset_required",
    pynvml.NVML_ERROR_OPERATING_SYSTEM: "refused",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "unavailable",
    pynvml.NVML_ERROR_IN_USE: "busy",
    pynvml.NVML_ERROR_MEMORY: "busy",
    pynvml.NVML_ERROR_NO_DATA: "absent",
    pynvml.NVML_ERROR_VGPU_ECC_NOT_SUPPORTED: "absent",
    pynvml.NVML_ERROR_INSUFFICIENT_RESOURCES: "busy",
    pynvml.NVML_ERROR_FREQ_NOT_SUPPORTED: "absent",
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH: "absent",
    pynvml.NVML_ERROR_DEPRECATED: "absent",
    pynvml.NVML_ERROR_NOT_READY: "busy",
    pynvml.NVML_ERROR_GPU_NOT_FOUND: "lost",
    pynvml.NVML_ERROR_INVALID_STATE: "busy",
    pynvml.NVML_ERROR_RESET_TYPE_NOT_SUPPORTED: "absent",
    pynvml.NVML_ERROR_UNKNOWN: "unknown",
}
_FAULTS: Final[dict[Outcome, Fault]] = {
    "lost": "lost",
    "reset_required": "reset_required",
    "inforom": "inforom",
    "interrupt": "interrupt",
    "power": "power",
    "unknown": "unknown",
}
_CODES: Final[dict[Outcome, str]] = {
    "lost": "device.lost",
    "reset_required": "device.reset_required",
    "absent": "device.not_asked",
    "busy": "nvml.busy",
    "refused": "nvml.refused",
    "unavailable": "nvml.unavailable",
    "unknown": "nvml.failed",
    "inforom": "device.faulty",
    "interrupt": "device.faulty",
    "power": "device.faulty",
}
_RECOVERY: Final[dict[int, Recovery]] = {
    pynvml.NVML_GPU_RECOVERY_ACTION_NONE: "none",
    pynvml.NVML_GPU_RECOVERY_ACTION_GPU_RESET: "reset",
    pynvml.NVML_GPU_RECOVERY_ACTION_NODE_REBOOT: "reboot",
    pynvml.NVML_GPU_RECOVERY_ACTION_DRAIN_P2P: "drain",
    pynvml.NVML_GPU_RECOVERY_ACTION_DRAIN_AND_RESET: "reset",
    pynvml.NVML_GPU_RECOVERY_ACTION_RECOVER_IMEX_DOMAIN: "drain",
    pynvml.NVML_GPU_RECOVERY_ACTION_BUS_RESET: "reset",
    pynvml.NVML_GPU_RECOVERY_ACTION_SYSTEM_REBOOT: "reboot",
}
# The worst of several faults is the one that is told.
_WORST: Final[tuple[Fault, ...]] = (
    "lost", "reset_required", "inforom", "power", "interrupt", "unknown", "",
)  # fmt: skip
_MAX_EVENTS: Final = 256
_MIB: Final = 1 << 20


def outcome(code: int) -> Outcome:
    """What a return code of NVML means; `unknown` for one that is newer than this table."""
    return OUTCOMES.get(code, "unknown")


def open_nvml(library: Path) -> "Nvml":
    """NVML of the library at this absolute path, initialised.

    Raises: DeviceError nvml.library (no such file, not absolute, no library, or another one is
    loaded in this process) | nvml.unavailable (no driver, or one that does not fit the library) |
    nvml.refused | nvml.failed.
    """
    digest = _load(library)
    try:
        _call(pynvml.nvmlInitWithFlags, 0)
        driver = _text(_call(pynvml.nvmlSystemGetDriverVersion))
        version = _ask(pynvml.nvmlSystemGetCudaDriverVersion_v2)[0]
    except DeviceError:
        _unload()
        raise
    cuda = "" if version is None else f"{version // 1000}.{version % 1000 // 10}"
    return Nvml(Origin(False, driver, str(library), digest, cuda))


class Nvml:
    """The one NVML of this process; `close` gives the library back.

    `_handles` are of the last inventory: a GPU that is gone since answers `lost` on its handle.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._handles: dict[str, Any] = {}
        self._parts: dict[str, Device] = {}
        self._gpm = Gpm()
        self._listening: set[str] = set()
        self._events, _ = _ask(pynvml.nvmlEventSetCreate)

    @property
    def origin(self) -> Origin:
        return self._origin

    def inventory(self) -> tuple[Device, ...]:
        """GPUs, and instead of a GPU in MIG mode its slices; one that does not answer is left
        out.
        """
        units: list[Device] = []
        for index in range(_call(pynvml.nvmlDeviceGetCount)):
            handle, _ = _ask(pynvml.nvmlDeviceGetHandleByIndex, index)
            uuid, _ = (None, "") if handle is None else _ask(pynvml.nvmlDeviceGetUUID, handle)
            if uuid is None:
                continue
            gpu = self._gpu(handle, _text(uuid))
            self._handles[gpu.uuid] = handle
            self._listen(gpu.uuid, handle)
            mode, _ = _ask(pynvml.nvmlDeviceGetMigMode, handle)
            in_mig = mode is not None and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE
            units.extend(self._slices(gpu, handle) if in_mig else [gpu])
        self._parts = {unit.uuid: unit for unit in units if unit.parent}
        self._gpm.keep(self._parts)
        return tuple(_numbered(unit, index) for index, unit in enumerate(units))

    def read(self, gpu: str) -> Reading:
        handle = self._handles.get(gpu)
        if handle is None:
            return Reading(uuid=gpu, fault="lost")
        asked = _Asked(handle)
        # The older call counts what the driver reserves as used.
        newer = asked(pynvml.nvmlDeviceGetMemoryInfo, pynvml.nvmlMemory_v2)
        memory = newer or asked(pynvml.nvmlDeviceGetMemoryInfo)
        use = asked(pynvml.nvmlDeviceGetUtilizationRates)
        rows = asked(pynvml.nvmlDeviceGetRemappedRows) or (None, None, None, None)
        volatile = pynvml.NVML_VOLATILE_ECC
        return Reading(
            uuid=gpu,
            memory_total_bytes=None if memory is None else memory.total,
            memory_used_bytes=None if memory is None else memory.used,
            memory_reserved_bytes=None if newer is None else newer.reserved,
            utilisation_percent=None if use is None else use.gpu,
            power_mw=asked(pynvml.nvmlDeviceGetPowerUsage),
            temperature_c=asked(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU),
            ecc_corrected=asked(pynvml.nvmlDeviceGetTotalEccErrors, _CORRECTED, volatile),
            ecc_uncorrected=asked(pynvml.nvmlDeviceGetTotalEccErrors, _UNCORRECTED, volatile),
            rows_corrected=rows[0],
            rows_uncorrected=rows[1],
            row_pending=None if rows[2] is None else bool(rows[2]),
            row_failure=None if rows[3] is None else bool(rows[3]),
            recovery=_recovery(asked),
            fault=asked.fault,
        )

    def occupants(self, gpu: str) -> tuple[Occupant, ...] | None:
        handle = self._handles.get(gpu)
        if handle is None:
            return None
        found: dict[int, Occupant] = {}
        for newest, older in _PROCESSES:
            running, why = _ask(newest, handle)
            if running is None and why == "absent":
                running, why = _ask(older, handle)
            if running is None and why != "absent":
                return None
            for one in running or ():
                found[one.pid] = Occupant(one.pid, one.usedGpuMemory)
        return tuple(found[pid] for pid in sorted(found))

    def utilisation(self, uuid: str) -> int | None:
        part = self._parts.get(uuid)
        handle = self._handles.get(uuid if part is None else part.parent)
        if handle is None:
            return None
        if part is not None:
            percent: int | None
            percent, _ = _ask(self._gpm.percent, uuid, handle, part.gpu_instance)
            return percent
        use, _ = _ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
        return None if use is None else int(use.gpu)

    def events(self) -> tuple[XidEvent, ...]:
        names = {_address(handle): uuid for uuid, handle in self._handles.items()}
        found: list[XidEvent] = []
        while self._events is not None and len(found) < _MAX_EVENTS:
            data, why = _ask(pynvml.nvmlEventSetWait_v2, self._events, 0)
            if data is None:  # a timeout: nothing waits
                if why == "lost":
                    self._listen_anew()
                break
            uuid = names.get(_address(data.device), "")
            if uuid and data.eventType == pynvml.nvmlEventTypeXidCriticalError:
                found.append(XidEvent(uuid, data.eventData))
        return tuple(found)

    def close(self) -> None:
        self._gpm.keep(())
        if self._events is not None:
            _ask(pynvml.nvmlEventSetFree, self._events)
        _ask(pynvml.nvmlShutdown)
        _unload()

    def _gpu(self, handle: Any, uuid: str) -> Device:
        memory, _ = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
        minor, _ = _ask(pynvml.nvmlDeviceGetMinorNumber, handle)
        bus, _ = _ask(pynvml.nvmlDeviceGetPciInfo, handle)
        return Device(
            index=0,
            uuid=uuid,
            product=_text(_ask(pynvml.nvmlDeviceGetName, handle)[0]),
            memory_bytes=0 if memory is None else memory.total,
            minor=-1 if minor is None else minor,
            bus="" if bus is None else _text(bus.busId),
            serial=_text(_ask(pynvml.nvmlDeviceGetSerial, handle)[0]),
        )

    def _slices(self, gpu: Device, handle: Any) -> list[Device]:
        found = []
        for place in range(_ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle)[0] or 0):
            part, _ = _ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, place)
            uuid, _ = (None, "") if part is None else _ask(pynvml.nvmlDeviceGetUUID, part)
            if uuid is None:
                continue
            size, _ = _ask(pynvml.nvmlDeviceGetAttributes, part)
            found.append(
                Device(
                    index=0,
                    uuid=_text(uuid),
                    product=_text(_ask(pynvml.nvmlDeviceGetName, part)[0]) or gpu.product,
                    memory_bytes=0 if size is None else size.memorySizeMB * _MIB,
                    minor=gpu.minor,
                    bus=gpu.bus,
                    serial=gpu.serial,
                    parent=gpu.uuid,
                    gpu_instance=_number(pynvml.nvmlDeviceGetGpuInstanceId, part),
                    compute_instance=_number(pynvml.nvmlDeviceGetComputeInstanceId, part),
                )
            )
        return found

    def _listen_anew(self) -> None:
        # One lost GPU in a set hides the events of all others for good: leave it out.
        _ask(pynvml.nvmlEventSetFree, self._events)
        self._events, _ = _ask(pynvml.nvmlEventSetCreate)
        self._listening.clear()
        for uuid, handle in self._handles.items():
            self._listen(uuid, handle)

    def _listen(self, uuid: str, handle: Any) -> None:
        # Registered once: a second registration would be an argument error of the driver's.
        if self._events is None or uuid in self._listening:
            return
        kinds, _ = _ask(pynvml.nvmlDeviceGetSupportedEventTypes, handle)
        wanted = pynvml.nvmlEventTypeXidCriticalError & (kinds or 0)
        if wanted and _ask(pynvml.nvmlDeviceRegisterEvents, handle, wanted, self._events)[1] == "":
            self._listening.add(uuid)


_CORRECTED: Final = pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED
_UNCORRECTED: Final = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
_PROCESSES: Final = (
    (
        pynvml.nvmlDeviceGetComputeRunningProcesses_v3,
        pynvml.nvmlDeviceGetComputeRunningProcesses_v2,
    ),
    (
        pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses_v2,
    ),
)


class _Asked:
    """Questions to one device; remembers the worst fault and asks a lost device nothing more."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.fault: Fault = ""

    def __call__(self, question: Callable[..., Any], *more: Any) -> Any:
        if self.fault == "lost":
            return None
        value, why = _ask(question, self._handle, *more)
        fault = _FAULTS.get(why, "") if why else ""
        self.fault = min(self.fault, fault, key=_WORST.index)
        return value


def _recovery(asked: _Asked) -> Recovery | None:
    values = asked(pynvml.nvmlDeviceGetFieldValues, [pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION])
    if values is None or values[0].nvmlReturn != pynvml.NVML_SUCCESS:
        return None
    # An action that is newer than the table: the strongest that we can name.
    return _RECOVERY.get(values[0].value.uiVal, "reboot")


def _ask(question: Callable[..., Any], *given: Any) -> tuple[Any, Outcome | Literal[""]]:
    """(answer, "") or (None, why not). Raises: DeviceError nvml.unavailable."""
    try:
        return question(*given), ""
    except pynvml.NVMLError as error:
        why = outcome(error.value)
        if why == "unavailable":
            raise DeviceError(_CODES[why], str(error)) from error
        return None, why


def _call(question: Callable[..., Any], *given: Any) -> Any:
    """The answer. Raises: DeviceError by the outcome."""
    answer, why = _ask(question, *given)
    if why:
        raise DeviceError(_CODES[why], f"{question.__name__}: {why}")
    return answer


def _number(question: Callable[..., Any], handle: Any) -> int:
    answer, _ = _ask(question, handle)
    return -1 if answer is None else int(answer)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def _address(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def _numbered(unit: Device, index: int) -> Device:
    return Device(
        index, unit.uuid, unit.product, unit.memory_bytes, unit.minor, unit.bus, unit.serial,
        unit.parent, unit.gpu_instance, unit.compute_instance,
    )  # fmt: skip


def _load(library: Path) -> str:
    """The SHA-256 (hex) of the file that is now pynvml's library."""
    if not library.is_absolute():
        raise DeviceError("nvml.library", f"{library} is not an absolute path")
    if pynvml.nvmlLib is not None:
        raise DeviceError("nvml.library", "another NVML is loaded in this process")
    try:
        handle = os.open(library, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DeviceError("nvml.library", f"{library}: {error.strerror}") from error
    try:
        # The file that was hashed is the file that is loaded, whatever the path names by then.
        with os.fdopen(os.dup(handle), "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        pynvml.nvmlLib = ctypes.CDLL(f"/proc/self/fd/{handle}")
    except OSError as error:
        raise DeviceError("nvml.library", f"{library}: {error}") from error
    finally:
        os.close(handle)
    return digest


def _unload() -> None:
    pynvml.nvmlLib = None
    pynvml._nvmlGetFunctionPointer_cache.clear()  # noqa: SLF001  pointers of the library left
