"""A fact in plain words: what happened, with the numbers and names that the fact itself carries."""

from typing import Final

import msgspec
from msgspec import Struct

from domain.facts import tag_of
from domain.words import Attested, Private

# By tag, with the fact's own fields in braces; a tag without a sentence is told by its name.
_SENTENCES: Final[dict[str, str]] = {
    "node.invited": "an operator expects a machine with {model}",
    "node.enrolled": "it enrolled with {model}, devices {gpus}",
    "node.anchored": "a new boot was anchored",
    "node.allocated": "devices {devices} were given to {runtime}, epoch {epoch}",
    "node.released": "{runtime} holds nothing here any more",
    "node.lease_renewed": "its leases were renewed",
    "node.unreachable": "it stopped answering",
    "node.reachable": "it answers again",
    "node.cordoned": "it takes no new work",
    "node.uncordoned": "it takes new work again",
    "node.drain_started": "{owner} drains it: {reason}",
    "node.drained": "nothing runs on it any more: drained",
    "node.drain_ended": "the drain of {owner} ended: {reason}",
    "node.quarantined": "devices {devices} went into quarantine: {reason}",
    "node.sanitization_required": "it owes sanitization receipts from now on",
    "node.sanitize_requested": "it was told to sanitize devices {devices}: {reason}",
    "node.canary_looked": "it says it planted a canary in {planted} places of devices {devices}, "
    "looked at {looked} after sanitizing and found it in {found} (attested)",
    "node.device_probed": "it says device {devices} moved {bytes} bytes of its memory in "
    "{duration_us} us by {method} (attested)",
    "node.sanitized": "it says it sanitized devices {devices} by {method}: {bytes_covered} bytes, "
    "{residual_processes} processes left (attested)",
    "node.returned": "devices {devices} came back from quarantine",
    "node.retired": "it was retired: {reason}",
    "node.topology_set": "it stands in zone {zone}",
    "node.region_set": "it stands in region {region}",
    "node.reserved": "devices {devices} were reserved as {reservation}",
    "node.unreserved": "devices {devices} are reserved no more",
    "node.volume_wipe_requested": "it was told to wipe {volume}, which is nobody's any more",
    "node.volume_wipe_refused": "it refused to wipe {volume}: {code}",
    "node.volume_wiped": "it says it wiped {volume}, nobody's any more, by {method}: "
    "{bytes_covered} bytes (attested)",
    "node.revoked": "its identity was revoked: {reason}",
    "node.doubled": "two agents spoke as this node: {sign}",
    "volume.created": "a volume of {size_mib} MiB was asked of {node}",
    "volume.formatted": "its node says it is made by {method} (attested)",
    "volume.attached": "{runtime} has it at {path}, epoch {epoch}",
    "volume.detached": "it was detached: {reason}",
    "volume.grown": "its node says it has {size_mib} MiB (attested)",
    "volume.wiped": "its node says it wiped it by {method}: {bytes_covered} bytes (attested)",
    "volume.lost": "it was given up with its node",
    "volume.order_refused": "its node refused to {order}: {code}",
    "runtime.requested": "a runtime of {gpu_milli} milli-GPU was asked for",
    "runtime.allocated": "it was placed on devices {devices}",
    "runtime.networked": "it is in {network}",
    "runtime.egress_counted": "the node says {sent_bytes} bytes left it and {received_bytes} came "
    "(attested)",
    "runtime.region_asked": "it was asked for in region {region}",
    "runtime.spot": "it is spot: it goes first when a claim takes back what is lent",
    "runtime.idle_limited": "it is stopped when idle for {stop_after_us} us",
    "runtime.idle": "the node says nobody used it for {idle_us} us (attested)",
    "runtime.busy": "the node says it is used again (attested)",
    "runtime.starting": "the node was told to start it",
    "runtime.usable": "the node says it is usable (attested)",
    "runtime.degraded": "the node says it is not usable any more (attested)",
    "runtime.stopping": "it was told to stop: {reason}",
    "runtime.stopped": "the node says it stopped (attested)",
    "runtime.failed": "the node says it failed: {code} (attested)",
    "runtime.cancelled": "it was cancelled: {reason}",
    "runtime.lost": "it was lost with its node",
}


def plain(fact: Struct) -> str:
    """One sentence; nothing of it is a person's word, which facts carry as digests only."""
    name = tag_of(fact).removeprefix("gpuaas.").rpartition(".")[0]
    sentence = _SENTENCES.get(name)
    if sentence is None:
        return name.replace(".", ": ", 1).replace("_", " ")
    return sentence.format_map({key: _said(value) for key, value in _fields(fact).items()})


def _fields(fact: Struct) -> dict[str, object]:
    return {name: getattr(fact, name) for name in fact.__struct_fields__}


def _said(value: object) -> str:
    if isinstance(value, Attested | Private):
        return "-"
    if isinstance(value, tuple):
        parts = [getattr(one, "index", one) for one in value]
        return ", ".join(str(part) for part in parts)
    if isinstance(value, Struct):
        return msgspec.json.encode(value).decode()
    return str(value)
