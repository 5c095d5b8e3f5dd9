"""Agents' words: what a node signed, and that the facts follow from it (contracts/facts.md)."""

from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gpuaas_verify import strict
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.note import strict_b64
from gpuaas_verify.spill import Spill

FORMAT = "gpuaas-attest/1"
BODY_KEYS = ("format", "node", "boot", "seq", "tag", "stream", "boottime_us", "said")
SAID: Final[dict[str, tuple[str, ...]]] = {
    "gpuaas.node.anchored.v1": (),
    "gpuaas.node.lease_renewed.v1": ("runtimes",),
    "gpuaas.runtime.routed.v1": ("address", "port", "host_key"),
    "gpuaas.runtime.egress_counted.v1": ("sent_bytes", "received_bytes"),
    "gpuaas.runtime.idle.v1": ("idle_us",),
    "gpuaas.runtime.busy.v1": (),
    "gpuaas.node.canary_looked.v1": (
        *("devices", "command", "method", "planted", "looked", "found", "duration_us"),
    ),
    "gpuaas.node.sanitized.v1": (
        "devices",
        "method",
        "bytes_covered",
        "duration_us",
        "driver",
        "ecc_uncorrected",
        "residual_processes",
    ),
    "gpuaas.node.device_described.v1": (
        *("devices", "uuid", "product", "memory_bytes", "serial", "driver", "library"),
    ),
    "gpuaas.node.device_probed.v1": ("devices", "uuid", "method", "bytes", "duration_us"),
    "gpuaas.node.device_reported.v1": (
        *("devices", "uuid", "state", "cause", "xid", "ecc_uncorrected"),
    ),
    "gpuaas.node.device_xid.v1": ("devices", "uuid", "xid", "count"),
    "gpuaas.node.device_tested.v1": (
        *("devices", "command", "passed", "method", "cause", "duration_us"),
    ),
    "gpuaas.node.volume_wiped.v1": (
        *("volume", "command", "method", "bytes_covered", "duration_us"),
    ),
    "gpuaas.runtime.usable.v1": (),
    "gpuaas.runtime.degraded.v1": (),
    "gpuaas.runtime.stopped.v1": (),
    "gpuaas.runtime.failed.v1": ("code",),
    "gpuaas.volume.formatted.v1": ("command", "method", "bytes"),
    "gpuaas.volume.grown.v1": ("command", "size_mib"),
    "gpuaas.volume.snapshotted.v1": ("command", "snapshot", "bytes", "frozen_us"),
    "gpuaas.volume.restored.v1": ("command", "snapshot"),
    "gpuaas.volume.wiped.v1": ("command", "method", "bytes_covered", "duration_us"),
}
# The field that holds a fact's billable instant.
INSTANT: Final[dict[str, str]] = {
    "gpuaas.runtime.usable.v1": "usable_us",
    "gpuaas.runtime.degraded.v1": "degraded_us",
    "gpuaas.runtime.stopped.v1": "stopped_us",
    "gpuaas.runtime.failed.v1": "failed_us",
    "gpuaas.volume.formatted.v1": "formatted_us",
    "gpuaas.volume.grown.v1": "grown_us",
    "gpuaas.volume.wiped.v1": "wiped_us",
}
# After these the runtime or volume lives on: the next instant is not before theirs.
CONTINUES: Final = (
    "gpuaas.runtime.usable.v1",
    "gpuaas.runtime.degraded.v1",
    "gpuaas.volume.formatted.v1",
    "gpuaas.volume.grown.v1",
)
# From these on a node's word counts for nothing, until it enrols anew.
BARRING: Final = ("gpuaas.node.revoked.v1", "gpuaas.node.doubled.v1")
# Tags `Attestations.apply` needs to see, attested or not.
WATCHED: Final[frozenset[str]] = frozenset(
    {
        *SAID,
        *BARRING,
        "gpuaas.node.enrolled.v1",
        "gpuaas.runtime.allocated.v1",
        "gpuaas.runtime.lost.v1",
        "gpuaas.volume.created.v1",
        "gpuaas.volume.unlocked.v1",
    }
)


def encode_body(
    node: str,
    boot: str,
    seq: int,
    tag: str,
    stream: str,
    boottime_us: int,
    said: dict[str, Any],
) -> bytes:
    """The bytes a node signs."""
    values = (FORMAT, node, boot, seq, tag, stream, boottime_us, said)
    return strict.encode(dict(zip(BODY_KEYS, values, strict=True)))


def _fail(code: str, detail: str, entry: Entry, field: str | None = None) -> Invalid:
    return Invalid(code, detail, position=entry.position, field=field)


def check_words(entry: Entry) -> None:
    """Nothing when the fact follows from its signed body; needs no other entry.

    Raises: Invalid `attest.malformed`, `attest.contradicts`, `attest.bad_signature`.
    """
    attested = entry.fact["attested"]
    try:
        raw = strict_b64(attested["body"])
        # One meaning has one encoding: what is not these bytes says something else, or is none.
        body = None if raw == _meant(entry) else strict.decode(raw)
        signature = strict_b64(attested["sig"])
    except Invalid as error:
        raise _fail("attest.malformed", error.detail, entry, "attested") from error
    if body is not None:
        _check_body(entry, body)
    _check_signature(entry, signature, raw)


def _meant(entry: Entry) -> bytes:
    """The body that the fact follows from."""
    fact, attested = entry.fact, entry.fact["attested"]
    said = {field: fact[field] for field in SAID[entry.tag]}
    return encode_body(
        attested["node"], attested["boot"], attested["seq"], entry.tag, entry.stream,
        fact["boottime_us"], said,
    )  # fmt: skip


def _check_body(entry: Entry, body: dict[str, Any]) -> None:
    """What is wrong with it."""
    fact, attested = entry.fact, entry.fact["attested"]
    if tuple(body) != BODY_KEYS or body["format"] != FORMAT or type(body["said"]) is not dict:
        raise _fail("attest.malformed", f"the body is not {FORMAT}", entry, "attested")
    expected = {
        "node": attested["node"],
        "boot": attested["boot"],
        "seq": attested["seq"],
        "tag": entry.tag,
        "stream": entry.stream,
        "boottime_us": fact["boottime_us"],
    }
    for field, value in expected.items():
        if body[field] != value or type(body[field]) is not type(value):
            raise _fail("attest.contradicts", f"the body says another {field}", entry, field)
    _check_said(entry, body["said"])


def _check_said(entry: Entry, said: dict[str, Any]) -> None:
    if tuple(said) != SAID[entry.tag]:
        raise _fail("attest.contradicts", "the body says more or less", entry, "said")
    for field, value in said.items():
        if strict.encode({field: value}) != strict.encode({field: entry.fact[field]}):
            raise _fail("attest.contradicts", f"the body says another {field}", entry, field)


@lru_cache(maxsize=4_096)  # a node says much with one key
def _public(key: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))


def _check_signature(entry: Entry, signature: bytes, body: bytes) -> None:
    try:
        _public(entry.fact["attested"]["key"]).verify(signature, body)
    except (InvalidSignature, ValueError) as error:
        raise _fail("attest.bad_signature", "not signed by its key", entry, "sig") from error


class Attestations:
    """What earlier entries say about nodes and runtimes, to judge the next attested fact.

    Fed every entry whose tag is in WATCHED, in order. State per node, per boot and per runtime,
    spilled.
    """

    def __init__(self) -> None:
        self.checked = 0
        self._nodes = Spill()
        self._seqs = Spill()
        self._runtimes = Spill()

    def close(self) -> None:
        for spill in (self._nodes, self._seqs, self._runtimes):
            spill.close()

    def apply(self, entry: Entry) -> None:
        """Nothing when the entry agrees with those before it; `check_words` was done.

        Raises: Invalid `attest.unknown_node`, `attest.wrong_key`, `attest.wrong_node`,
        `attest.wrong_boot`, `attest.barred`, `attest.repeated_seq`, `attest.wrong_instant`.
        """
        fact = entry.fact
        if entry.tag == "gpuaas.node.enrolled.v1":
            self._nodes.put(entry.stream, [fact["key"], self._anchor(entry.stream)])
        elif entry.tag in BARRING:
            self._nodes.put(entry.stream, [None, self._anchor(entry.stream)])
        elif entry.tag == "gpuaas.runtime.allocated.v1":
            self._runtimes.put(entry.stream, [fact["node"], fact["allocated_us"], None])
        elif entry.tag == "gpuaas.volume.created.v1":
            self._runtimes.put(entry.stream, [fact["node"], fact["created_us"], None])
        elif entry.tag == "gpuaas.volume.unlocked.v1":
            known = self._runtimes.get(entry.stream)
            if known is not None:  # the books say what is wrong with one that never was
                previous = max(known[1], fact["unlocked_us"])
                self._runtimes.put(entry.stream, [known[0], previous, *known[2:]])
        elif entry.tag == "gpuaas.runtime.lost.v1":
            self._lost(entry)
        else:
            self._spoken(entry)
            self.checked += 1

    def _anchor(self, node: str) -> Any:
        return (self._nodes.get(node) or [None, None])[1]

    def _spoken(self, entry: Entry) -> None:
        fact, attested = entry.fact, entry.fact["attested"]
        node = self._nodes.get(attested["node"])
        if node is None:
            raise _fail("attest.unknown_node", "the node never enrolled", entry, "node")
        if node[0] is None:
            raise _fail("attest.barred", "the node's identity was barred", entry, "node")
        if node[0] != attested["key"]:
            raise _fail("attest.wrong_key", "not the key the node enrolled with", entry, "key")
        if entry.tag == "gpuaas.node.anchored.v1":
            if fact["boot"] != attested["boot"]:
                raise _fail("attest.wrong_boot", "the anchor is of another boot", entry, "boot")
            node[1] = [fact["boot"], fact["boottime_us"], fact["anchor_us"]]
            self._nodes.put(attested["node"], node)
        elif node[1] is None or node[1][0] != attested["boot"]:
            raise _fail("attest.wrong_boot", "not the boot last anchored", entry, "boot")
        self._count_up(entry)
        if entry.stream.startswith("node-"):
            if entry.stream != attested["node"]:
                raise _fail("attest.wrong_node", "another node speaks", entry, "node")
            self._renewed(entry)
        else:
            self._lived(entry, node[1])

    def _count_up(self, entry: Entry) -> None:
        attested = entry.fact["attested"]
        key = f"{attested['node']} {attested['boot']}"
        last = self._seqs.get(key)
        if last is not None and attested["seq"] <= last:
            raise _fail("attest.repeated_seq", f"seq {attested['seq']} after {last}", entry, "seq")
        self._seqs.put(key, attested["seq"])

    def _renewed(self, entry: Entry) -> None:
        for name in entry.fact.get("runtimes", ()):
            runtime = self._runtimes.get(name)
            if runtime is not None and runtime[0] == entry.stream:
                self._runtimes.put(name, [*runtime[:2], entry.fact["renewed_us"]])

    def _runtime(self, entry: Entry) -> list[Any]:
        runtime: list[Any] | None = self._runtimes.get(entry.stream)
        if runtime is None:
            raise _fail("attest.wrong_node", "the runtime was never allocated", entry, "node")
        return runtime

    def _lived(self, entry: Entry, anchor: list[Any]) -> None:
        fact, runtime = entry.fact, self._runtime(entry)
        if runtime[0] != fact["attested"]["node"]:
            raise _fail("attest.wrong_node", "the runtime is on another node", entry, "node")
        if entry.tag not in INSTANT:
            return  # where it answers has no instant that is billed
        previous, field = runtime[1], INSTANT[entry.tag]
        instant = billable_instant(anchor, fact["boottime_us"], previous, fact["decided_us"])
        if fact[field] != instant:
            raise _fail("attest.wrong_instant", f"the instant is {instant}", entry, field)
        if entry.tag in CONTINUES:
            self._runtimes.put(entry.stream, [runtime[0], instant, runtime[2]])

    def _lost(self, entry: Entry) -> None:
        runtime = self._runtime(entry)
        instant = max(runtime[1], runtime[2] if runtime[2] is not None else runtime[1])
        if entry.fact["lost_us"] != instant:
            raise _fail("attest.wrong_instant", f"the instant is {instant}", entry, "lost_us")


def billable_instant(anchor: list[Any], boottime_us: int, previous_us: int, decided_us: int) -> int:
    """Microseconds since the epoch: the attested moment, clamped to [previous, decided]."""
    moment: int = anchor[2] + (boottime_us - anchor[1])
    return max(previous_us, min(moment, decided_us))
