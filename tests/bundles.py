"""Small logs and their bundles, built to order: right ones, and ones that are wrong in one place
only.

A `LogDraft` holds entries as dictionaries until `members` renders, chains, hashes and signs them,
so a test may change any field of any entry, row or file and still get a bundle whose other parts
agree with the change.
"""

import io
import pickle
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gpuaas_verify import attest, bulk, strict
from gpuaas_verify.books import Books
from gpuaas_verify.checkpoint import Checkpoint
from gpuaas_verify.entry import KEYS, NO_PREV
from gpuaas_verify.merkle import leaf_hash, root_hash
from gpuaas_verify.note import Vkey, sign_note
from gpuaas_verify.source import frame
from gpuaas_verify.tarball import write_tar
from gpuaas_verify.tiles import (
    TILE_WIDTH,
    entries_path,
    level_tiles,
    levels,
    tile_path,
)

ORIGIN = "log.test.example/0123456789abcdef"
START_US = 1_764_547_200_000_000
HOUR_US = 3_600_000_000
PICO = 10**12


def uid(kind: str, number: int) -> str:
    """A stream id that is the same in every run."""
    return f"{kind}-01932c00-0000-7000-8000-{number:012x}"


def private_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())


def public_key(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


LOG_KEY = private_key("log")
LOG_VKEY = Vkey(ORIGIN, public_key(LOG_KEY))
NODE_KEY = private_key("node")
BOOT = "b0" * 16
ORG, NODE, RUNTIME = uid("organization", 1), uid("node", 2), uid("runtime", 3)
ACCOUNT, PERIOD = uid("account", 4), uid("period", 5)


@dataclass
class LogDraft:
    """Entries, rows and files of a log that is not written yet."""

    drafts: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, list[bytes]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    seq: int = 0

    def copy(self) -> "LogDraft":
        # Ten times as fast as deepcopy.
        copied: LogDraft = pickle.loads(pickle.dumps(self))  # noqa: S301 - our own
        return copied

    def add(
        self,
        stream: str,
        tag: str,
        fact: dict[str, Any],
        *,
        org: str = "-",
        cause: str = "",
        version: int | None = None,
    ) -> int:
        """The position of the new entry. `prev` is filled in when rendered, unless a
        test sets it.
        """
        position = len(self.drafts)
        if version is None:
            version = 1 + sum(draft["stream"] == stream for draft in self.drafts)
        values = (
            position,
            None,
            START_US + position,
            sha256(b"salt %d" % position).hexdigest()[:32],
            stream,
            version,
            f"gpuaas.{tag}.v1",
            org,
            "system-test",
            cause or "cmd:" + sha256(b"command %d" % position).hexdigest(),
            fact,
        )
        self.drafts.append(dict(zip(KEYS, values, strict=True)))
        return position

    def spoken(
        self,
        stream: str,
        tag: str,
        fact: dict[str, Any],
        said: dict[str, Any] | None = None,
        *,
        node: str = NODE,
    ) -> int:
        """As `add`, with the node's signed word for it."""
        self.seq += 1
        moment = fact["boottime_us"]
        words = attested(stream, f"gpuaas.{tag}.v1", moment, said or {}, seq=self.seq, node=node)
        org = "-" if stream.startswith("node-") else ORG
        return self.add(stream, tag, {**fact, "attested": words}, org=org)

    def seal(self, table: str, rows: list[bytes], *, through: int, cause: str = "") -> int:
        """Appends the seal of these rows."""
        spec = bulk.TABLES[table]
        seals = [draft for draft in self.drafts if draft["tag"] == spec.seal]
        first = sum(draft["fact"]["count"] for draft in seals)
        self.rows[bulk.member_name(table, first)] = rows
        area = spec.seal.split(".")[1]
        fact = {
            "table": table,
            "first_row": first,
            "count": len(rows),
            "root": root_hash(map(leaf_hash, rows)).hex(),
            "prev_seal": seals[-1]["position"] if seals else None,
            "through": through,
            spec.sum_field: sum(spec.summand(strict.decode(row)) for row in rows),
        }
        number = {"rating": 20, "ledger": 21}[area]
        return self.add(uid(area, number), f"{area}.batch_sealed", fact, cause=cause)

    def seal_books(self) -> None:
        """Seals every row the entries so far give: as derived by the verifier, whose derivation has
        its own tests.
        """
        through = len(self.drafts) - 1
        cause = "cmd:" + sha256(b"seal %d" % through).hexdigest()
        derived: dict[str, list[bytes]] = {}
        with Books(None) as books:
            for position, draft in enumerate(self.drafts):
                books.feed(position, draft)
                if draft["stream"].startswith("usage-"):
                    first = draft["fact"]["first_row"]
                    books.read(strict.decode(row) for row in self.rows[f"bulk/reading/{first}"])
            for table in bulk.TABLES:
                derived[table] = [salted(row) for row in books.expected_rows(table)]
        for table, rows in derived.items():
            if rows:
                self.seal(table, rows, through=through, cause=cause)

    def seal_file(self, name: str, data: bytes, supersedes: int | None = None) -> int:
        self.files[name] = data
        fact = {
            "name": name,
            "sha256": sha256(data).hexdigest(),
            "bytes": len(data),
            "as_of_size": len(self.drafts),
            "supersedes": supersedes,
        }
        return self.add(uid("files", 22), "evidence.file_sealed", fact)

    def entries(self) -> list[bytes]:
        """The entries' bytes, each naming the leaf before it."""
        rendered: list[bytes] = []
        prev = NO_PREV
        for draft in self.drafts:
            raw = strict.encode({**draft, "prev": draft["prev"] or prev})
            rendered.append(raw)
            prev = leaf_hash(raw).hex()
        return rendered

    def members(self) -> dict[str, bytes]:
        members = tree_members(self.entries())
        members.update({name: frame(rows) for name, rows in self.rows.items()})
        members.update({f"file/{name}": data for name, data in self.files.items()})
        return members

    def tar(self) -> bytes:
        return tar_of(self.members())


def salted(row: dict[str, Any]) -> bytes:
    """The row's bytes with a salt that is the same in every run."""
    salt = sha256(repr(row).encode()).hexdigest()[:32]
    rest = {key: value for key, value in row.items() if key != "row"}
    return strict.encode({"row": row["row"], "salt": salt, **rest})


def attested(
    stream: str,
    tag: str,
    boottime_us: int,
    said: dict[str, Any],
    *,
    seq: int,
    node: str = NODE,
    boot: str = BOOT,
    key: Ed25519PrivateKey = NODE_KEY,
) -> dict[str, Any]:
    body = attest.encode_body(node, boot, seq, tag, stream, boottime_us, said)
    return {
        "node": node,
        "key": public_key(key).hex(),
        "boot": boot,
        "seq": seq,
        "body": b64encode(body).decode(),
        "sig": _signature(key, body),
    }


@cache
def _signature(key: Ed25519PrivateKey, body: bytes) -> str:
    return b64encode(key.sign(body)).decode()


def signed_note(leaves: Iterable[bytes], size: int) -> bytes:
    text = Checkpoint(ORIGIN, size, root_hash(leaves)).format()
    return sign_note(text, LOG_VKEY, LOG_KEY.sign)


def tree_members(entries: list[bytes]) -> dict[str, bytes]:
    """Checkpoint, tiles and entry bundles of a log, computed the plain way."""
    leaves = [leaf_hash(entry) for entry in entries]
    members = {"checkpoint": signed_note(leaves, len(leaves))}
    for level in range(levels(len(leaves))):
        span = TILE_WIDTH**level
        nodes = [root_hash(leaves[at : at + span]) for at in range(0, len(leaves) - span + 1, span)]
        for index, width in level_tiles(len(leaves), level):
            start = index * TILE_WIDTH
            members[tile_path(level, index, width)] = b"".join(nodes[start : start + width])
    for index, width in level_tiles(len(leaves), 0):
        start = index * TILE_WIDTH
        members[entries_path(index, width)] = frame(entries[start : start + width])
    return members


def tar_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    ordered = sorted(members.items(), key=lambda item: item[0].encode())
    write_tar(out, ((name, len(data), [data]) for name, data in ordered))
    return out.getvalue()


def private(text: str) -> dict[str, str]:
    return {"private": sha256(text.encode()).hexdigest()}


def opened() -> LogDraft:
    """A log with entry 0 alone."""
    log = LogDraft()
    fact = {"format": "gpuaas-log/1", "origin": ORIGIN, "vkey": LOG_VKEY.format()}
    log.add(uid("log", 0), "log.opened", fact)
    return log


def priced(log: LogDraft) -> None:
    """Account, period and price: what a charge needs."""
    zone = {"zone": "Etc/UTC", "tzdata": "2025b"}
    account: dict[str, Any] = {"organization": ORG, "currency": "USD", "minor_digits": 2, **zone}
    log.add(ACCOUNT, "account.opened", {**account, "opened_us": START_US}, org=ORG)
    period: dict[str, Any] = {"account": ACCOUNT, "sequence": 1, "start_us": START_US - HOUR_US}
    period |= {"end_us": START_US + 700 * HOUR_US, **zone, "opened_us": START_US}
    log.add(PERIOD, "period.opened", period, org=ORG)
    price: dict[str, Any] = {
        "account": "default",
        "meter": "gpu.time",
        "model": "T4",
        "region": "-",
    }
    price |= {"state": "usable", "currency": "USD", "effective_from_us": START_US}
    price |= {"published_us": START_US, "price_pico": 3 * PICO, "divisor": 3_600_000_000_000}
    log.add(uid("pricebook", 6), "price.entry_published", price)


def enrolled(log: LogDraft, name: str = NODE) -> None:
    """A node of one T4 whose boot is anchored at START_US."""
    node: dict[str, Any] = {"key": public_key(NODE_KEY).hex(), "model": "T4", "simulated": True}
    node |= {"gpus": [{"index": 0, "uuid": "GPU-0"}], "serial": "s-1", "enrolled_us": START_US}
    log.add(name, "node.enrolled", node)
    anchor = {"boot": BOOT, "boottime_us": 1_000, "anchor_us": START_US}
    log.spoken(name, "node.anchored", anchor, node=name)


def launched(log: LogDraft, runtime: str = RUNTIME) -> None:
    """A runtime requested, allocated and usable ten minutes after START_US."""
    request: dict[str, Any] = {"project": uid("project", 7), "department": uid("department", 8)}
    request |= {"account": ACCOUNT, "name": private("training"), "devices": 1, "gpu_milli": 500}
    request |= {"models": ["T4"], "requested_us": START_US + 10}
    log.add(runtime, "runtime.requested", request, org=ORG)
    place: dict[str, Any] = {"allocation": uid("allocation", 9), "node": NODE, "model": "T4"}
    place |= {"devices": [{"index": 0, "milli": 500}], "epoch": 1, "allocated_us": START_US + 20}
    log.add(runtime, "runtime.allocated", place, org=ORG)
    usable_us = START_US + 600_000_000
    usable = {"boottime_us": 600_001_000, "usable_us": usable_us, "decided_us": usable_us + 50}
    log.spoken(runtime, "runtime.usable", usable)


def stopped(log: LogDraft, runtime: str = RUNTIME) -> None:
    """The runtime stopped one hour and ten minutes after START_US."""
    stopped_us = START_US + 4_200_000_000
    fact = {"boottime_us": 4_200_001_000, "stopped_us": stopped_us, "decided_us": stopped_us + 50}
    log.spoken(runtime, "runtime.stopped", fact)


def small_log(edit: Callable[[LogDraft], object] | None = None) -> LogDraft:
    """Thirteen entries with every kind of member: tiles, both tables, a file. `edit` is applied
    last.
    """
    log = _small().copy()
    if edit is not None:
        edit(log)
    return log


@cache
def _small() -> LogDraft:
    """Made once: hundreds of cases each change a copy."""
    log = opened()
    priced(log)
    enrolled(log)
    launched(log)
    stopped(log)
    log.seal_books()
    log.seal_file("export.csv", b"runtime,hours\n3,1\n")
    return log


def beating_log(size: int) -> LogDraft:
    """An opened log of that size, the rest heartbeats."""
    log = opened()
    for version in range(2, size + 1):
        log.add(uid("log", 0), "log.heartbeat", {}, version=version)
    return log
