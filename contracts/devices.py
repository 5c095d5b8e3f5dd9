"""What is asked of a node about its devices, and the tags of what it says of them.

The facts: contracts/facts.md. Devices are indexes of the node's enrolled list, ascending.
"""

from msgspec import Struct

DEVICE_DESCRIBED = "gpuaas.node.device_described.v1"
DEVICE_PROBED = "gpuaas.node.device_probed.v1"
DEVICE_REPORTED = "gpuaas.node.device_reported.v1"
DEVICE_XID = "gpuaas.node.device_xid.v1"
DEVICE_TESTED = "gpuaas.node.device_tested.v1"
CANARY_LOOKED = "gpuaas.node.canary_looked.v1"
SANITIZED = "gpuaas.node.sanitized.v1"


class CheckDevices(Struct, frozen=True, forbid_unknown_fields=True, tag="device.test"):
    """Test these devices; the answer is a `node.device_tested`, later."""

    devices: tuple[int, ...]


class SanitizeDevices(Struct, frozen=True, forbid_unknown_fields=True, tag="device.sanitize"):
    """Overwrite these devices' memory and read it back; the answer is a receipt, later.

    Where there are means, a canary is planted before and looked for afterwards, which is said
    before the receipt, in words of its own: an older node says none, an older platform keeps none.
    """

    devices: tuple[int, ...]


# Of devices, not of an allocation: the command's `allocation` is empty, its `epoch` 0.
type DeviceOrder = CheckDevices | SanitizeDevices
