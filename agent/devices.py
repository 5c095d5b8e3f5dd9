"""What a source of devices must say, whoever makes it: NVML (`agent/nvml.py`) or SIMULATED.

Nothing here is trusted by the control plane: it is what the node says. A quantity that the device
does not know is `None`, never 0. Bytes, milliwatts, percent; instants are boot time in us.
"""

from typing import Literal, Protocol

from msgspec import Struct

from contracts.signing import FleetError

# What NVML asks to be done before the device is used again, smallest intervention first.
type Recovery = Literal["none", "drain", "reset", "reboot"]
# Why a device could not be asked, where that says something about the device itself.
type Fault = Literal["", "lost", "reset_required", "inforom", "interrupt", "power", "unknown"]


class Device(Struct, frozen=True):
    """One device that can be given away: a GPU, or one MIG slice of a GPU.

    `index` counts units from 0 in the order of NVML, slices in the order of their GPU. `minor` is
    the number of the GPU's `/dev/nvidia<minor>`. `parent` is the GPU's uuid for a slice, else `""`.
    """

    index: int
    uuid: str
    product: str
    memory_bytes: int
    minor: int
    bus: str = ""
    serial: str = ""
    parent: str = ""
    gpu_instance: int = -1
    compute_instance: int = -1

    @property
    def gpu(self) -> str:
        """The uuid of the whole GPU: health and XIDs are its, not a slice's."""
        return self.parent or self.uuid


class Origin(Struct, frozen=True):
    """Who answers. `library_sha256` is of the file that was loaded; `""` for SIMULATED."""

    simulated: bool
    driver: str
    library: str = ""
    library_sha256: str = ""
    cuda: str = ""


class Reading(Struct, frozen=True, kw_only=True):
    """A GPU as it is now. Counters of ECC and rows only grow within a boot of the machine.

    `memory_used_bytes` is without the driver's own where `memory_reserved_bytes` says how much that
    is; where that is None it is both.
    """

    uuid: str
    fault: Fault = ""
    recovery: Recovery | None = None
    utilisation_percent: int | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    memory_reserved_bytes: int | None = None
    power_mw: int | None = None
    temperature_c: int | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    rows_corrected: int | None = None
    rows_uncorrected: int | None = None
    row_pending: bool | None = None
    row_failure: bool | None = None


class Occupant(Struct, frozen=True):
    """A process on a GPU; `memory_bytes` is None where the driver does not say."""

    pid: int
    memory_bytes: int | None


class XidEvent(Struct, frozen=True):
    """One XID, seen once. It is an event: what it means for the device is xid.py's to say."""

    uuid: str
    xid: int


class DeviceError(FleetError):
    """`code` is one of device.lost, device.reset_required, device.faulty, device.not_asked and
    nvml.unavailable, nvml.refused, nvml.busy, nvml.failed, nvml.library.
    """


class DeviceSource(Protocol):
    """Devices of this machine. Not shared between threads; nobody retries: the next probe does.

    No call raises for what one device cannot say or no longer is: that is in `Reading`. All raise
    DeviceError nvml.unavailable when the driver itself is gone.
    """

    @property
    def origin(self) -> Origin:
        """Who answers; the same for the life of the source."""
        ...

    def inventory(self) -> tuple[Device, ...]:
        """Every unit that answers, by index. Raises: DeviceError nvml.* when nobody answers.

        An index is that of this call: what the control plane calls device 3 is the uuid that was
        third at enrolment.
        """
        ...

    def read(self, gpu: str) -> Reading:
        """The GPU of this uuid now; one that was never there reads as `lost`."""
        ...

    def occupants(self, gpu: str) -> tuple[Occupant, ...] | None:
        """Processes on the GPU (of all its slices), by pid; None when that cannot be known."""
        ...

    def utilisation(self, uuid: str) -> int | None:
        """Percent of the last moment in which something ran on this unit, of a slice of the time
        since the question before; None when it is not said.
        """
        ...

    def events(self) -> tuple[XidEvent, ...]:
        """XIDs since the last call, in order, each once. Those of before the source was opened
        are gone: only `Reading.recovery` still tells of them.
        """
        ...

    def close(self) -> None:
        """Gives the library back."""
        ...
