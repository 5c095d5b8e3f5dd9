"""Changes of an invoice's proof by somebody who holds the whole log: every kind, at random places, each to be refused.

A change names where the verifier must find it: a position, a line, a member, a code, or nothing where it has no such
place. `Kept` is a proof with the log that it is of; nothing of it is changed in place.
"""

import io
import json
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from gpuaas_verify import strict
from gpuaas_verify.bookkeeping import raw_entries
from gpuaas_verify.bundle import Trust
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import NodeReader, leaf_hash, range_root, sparse_proof
from gpuaas_verify.note import Vkey, parse_note
from gpuaas_verify.proof import verify_proof_bytes
from gpuaas_verify.source import frame, framed
from gpuaas_verify.tarball import TarSource
from tests.bundles import tar_of

type Members = dict[str, bytes]
type Where = dict[str, Any]
type Change = Callable[["Kept", random.Random], tuple[bytes, Where]]

FINALIZED = ("gpuaas.invoice.finalized.v1", "gpuaas.invoice.finalized.v2")
RATE = 10_000
PRICED = "gpuaas.price.entry_published.v1"
AGREED = "gpuaas.price."
NUMBERS = ("free", "divisor", "quantity", "price_pico", "entries", "from_us", "until_us")


class Log:
    """The entries of a bundle up to the size of a proof's tree, and the hashes above them."""

    def __init__(self, bundle: Path, size: int) -> None:
        source = TarSource(bundle.open("rb"))
        place = source.find("checkpoint")
        assert place is not None
        whole = parse_checkpoint(parse_note(source.read(place)).text)
        assert whole.size == size, "the proof is of the bundle's tree"
        self.entries = list(raw_entries(source, size))
        self.leaves = [leaf_hash(entry) for entry in self.entries]
        self.node = _cached(self.leaves)
        source.close()


def _cached(leaves: list[bytes]) -> NodeReader:
    """Each hash of a complete subtree made once."""
    known: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        if (level, index) not in known:
            left, right = node(level - 1, 2 * index), node(level - 1, 2 * index + 1)
            known[level, index] = sha256(b"\x01" + left + right).digest()
        return known[level, index]

    return node


class Kept:
    """A proof taken apart. `spare`: positions of entries at which nothing is charged, which it has all the same."""

    def __init__(
        self, tar: bytes, log: Log, other: "Kept | None" = None, spare: frozenset[int] = frozenset()
    ) -> None:
        self.spare = spare
        self.tar, self.log, self.other = tar, log, other
        self.members = members_of(tar)
        self.items = list(framed(iter((self.members["entries"],)), "", "entries"))
        self.entries = [strict.decode(item) for item in self.items]
        self.positions = [entry["position"] for entry in self.entries]
        [self.invoice] = [entry for entry in self.entries if entry["tag"] in FINALIZED]
        self.file = json.loads(self.members["invoice.json"])

    def put(self, **changed: bytes) -> bytes:
        """The proof with other contents of members; `_` stands for the dot in a name."""
        return self.putting({name.replace("_", "."): data for name, data in changed.items()})

    def putting(self, named: Members) -> bytes:
        return tar_of({**self.members, **named})

    def told(self, items: list[bytes], **more: bytes) -> bytes:
        """Other entries, and the leaf hashes that they have."""
        leaves = b"".join(map(leaf_hash, items))
        return self.put(entries=frame(items), leaves=leaves, **more)

    def proved(self, positions: list[int]) -> bytes:
        """Other entries of the same log, with hashes that lead to its root."""
        log = self.log
        hashes = b"".join(sparse_proof(positions, len(log.leaves), log.node))
        return self.told([log.entries[at] for at in positions], hashes=hashes)

    def at(self, entry: dict[str, Any]) -> int:
        return self.positions.index(entry["position"])

    def counting(self) -> list[int]:
        """Places of entries without which the invoice does not follow: none by which a stream is
        shown to go on, no renewal.
        """
        last = self.invoice["fact"]["closed"]
        return [
            at for at, entry in enumerate(self.entries)
            if "lease_renewed" not in entry["tag"] and entry["position"] not in self.spare
            and (entry["position"] <= last or not entry["stream"].startswith(("runtime-", "volume-")))
        ]  # fmt: skip


def members_of(tar: bytes) -> Members:

    source = TarSource(io.BytesIO(tar))
    found: Members = {}
    for name in source.names():
        place = source.find(name)
        assert place is not None
        found[name] = source.read(place)
    source.close()
    return found


# ---------------------------------------------------------------- bytes
def flipped(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """One bit, wherever it is."""
    at = chance.randrange(len(kept.tar))
    byte = bytes((kept.tar[at] ^ 1 << chance.randrange(8),))
    return b"".join((kept.tar[:at], byte, kept.tar[at + 1 :])), {}


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flipped_entry(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """One bit of one entry, behind its position: that is named."""
    at = chance.randrange(len(kept.items))
    item = kept.items[at]
    skip = item.index(b",") + 1
    items = [*kept.items]
    items[at] = item[:skip] + _flip(item[skip:], chance)
    return kept.put(entries=frame(items)), {"position": kept.positions[at]}


def flipped_rehashed(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """Likewise, and its leaf hash with it."""
    at = chance.randrange(len(kept.items))
    items = [*kept.items]
    skip = items[at].index(b",") + 1
    items[at] = items[at][:skip] + _flip(items[at][skip:], chance)
    return kept.told(items), {}


def _flipped_member(name: str, where: Where) -> Change:
    def change(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
        return kept.put(**{name.replace(".", "_"): _flip(kept.members[name], chance)}), where

    change.__qualname__ = f"flipped {name}"
    return change


def truncated(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    return kept.tar[: chance.randrange(len(kept.tar))], {}


def without(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    name = chance.choice(sorted(kept.members))
    rest = {other: data for other, data in kept.members.items() if other != name}
    return tar_of(rest), {"member": name}


# ---------------------------------------------------------------- entries
def dropped(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """The next one stands where its leaf hash should."""
    at = chance.randrange(len(kept.items) - 1)
    items = kept.items[:at] + kept.items[at + 1 :]
    return kept.put(entries=frame(items)), {
        "code": "leaf.mismatch",
        "position": kept.positions[at + 1],
    }


def dropped_rehashed(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    at = chance.randrange(len(kept.items))
    return kept.told(kept.items[:at] + kept.items[at + 1 :]), {}


def dropped_proved(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """With hashes that lead to the root: what was left out is needed all the same."""
    at = chance.choice(kept.counting())
    return kept.proved(kept.positions[:at] + kept.positions[at + 1 :]), {}


def added_proved(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """Any other entry of the log, rightly proved."""
    others = [at for at in range(len(kept.log.entries)) if at not in set(kept.positions)]
    at = chance.choice(others)
    positions = [*kept.positions]
    positions.insert(bisect_left(positions, at), at)
    return kept.proved(positions), {}


def repeated(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    at = chance.randrange(len(kept.items))
    items = [*kept.items]
    items.insert(at, items[at])
    code = "proof.order"
    return kept.told(items), {"code": code, "position": kept.positions[at]}


def swapped(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    at = chance.randrange(len(kept.items) - 1)
    items = [*kept.items]
    items[at], items[at + 1] = items[at + 1], items[at]
    return kept.told(items), {"code": "proof.order", "position": kept.positions[at]}


def shuffled(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    items = [*kept.items]
    while items == kept.items:
        chance.shuffle(items)
    return kept.told(items), {"code": "proof.order"}


# ---------------------------------------------------------------- what they say
def priced_otherwise(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """A price entry says another price, and is hashed again."""
    entry = chance.choice([one for one in kept.entries if one["tag"] == PRICED])
    fact = {
        **entry["fact"],
        "price_pico": entry["fact"]["price_pico"] + 1 - 2 * chance.randrange(2),
    }
    return _said(kept, {entry["position"]: {**entry, "fact": fact}}), {"code": "checkpoint.root"}


def agreed_otherwise(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """A number of tiers, a commitment, an edition or a re-rating is another, and is hashed again; of a
    proof without any: of a price.
    """
    entry = chance.choice([one for one in kept.entries if one["tag"].startswith(AGREED)])
    fact = {**entry["fact"]}
    name = chance.choice([name for name in NUMBERS if name in fact])
    fact[name] += 1
    return _said(kept, {entry["position"]: {**entry, "fact": fact}}), {"code": "checkpoint.root"}


def _said(kept: Kept, changed: dict[int, dict[str, Any]], **more: bytes) -> bytes:
    items = [*kept.items]
    for position, entry in changed.items():
        items[kept.positions.index(position)] = strict.encode(entry)
    return kept.told(items, **more)


def _refiled(kept: Kept, file: dict[str, Any]) -> tuple[dict[int, dict[str, Any]], bytes]:
    """The invoice's fact of another file, its totals those of the lines."""
    unit = 10 ** (12 - file["minor_digits"])
    total = sum(line["amount_pico"] for line in file["lines"])
    minor = round(total / unit)
    file = {
        **file,
        "total_pico": total,
        "rounding_pico": minor * unit - total,
        "total_minor": minor,
    }
    data = strict.encode(file)
    fact = {**kept.invoice["fact"], "total_pico": total, "total_minor": minor}
    fact["sha256"] = sha256(data).hexdigest()
    return {kept.invoice["position"]: {**kept.invoice, "fact": fact}}, data


def used_otherwise(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """An instant of use moved, a line's quantity and amount with it, the totals, the file and every hash but those above."""
    moved = chance.choice([one for one in kept.entries if "usable_us" in one["fact"]])
    by_us = chance.randrange(1, 1_000_000)
    fact = {**moved["fact"], "usable_us": moved["fact"]["usable_us"] - by_us}
    lines = [{**line} for line in kept.file["lines"]]
    line = chance.choice(lines)
    line["quantity"] += 1000 * by_us
    line["amount_pico"] += line["amount_pico"] * 1000 * by_us // max(1, line["quantity"])
    changed, data = _refiled(kept, {**kept.file, "lines": lines})
    changed[moved["position"]] = {**moved, "fact": fact}
    return _said(kept, changed, invoice_json=data), {"code": "checkpoint.root"}


def _moved(kept: Kept, chance: random.Random) -> dict[str, Any]:
    lines = [*kept.file["lines"]]
    at = chance.randrange(len(lines) - 1)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return {**kept.file, "lines": lines}


def lines_moved(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    data = strict.encode(_moved(kept, chance))
    return kept.put(invoice_json=data), {"code": "proof.file", "member": "invoice.json"}


def lines_moved_sealed(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """And the fact that seals the file says so."""
    changed, data = _refiled(kept, _moved(kept, chance))
    return _said(kept, changed, invoice_json=data), {"code": "checkpoint.root"}


def line_asked_otherwise(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """The whole invoice's entries, said to be those of one line of several."""
    head = strict.decode(kept.members["proof.json"])
    head["line"] = chance.randrange(len(kept.file["lines"]))
    return kept.put(proof_json=strict.encode(head)), {}


# ---------------------------------------------------------------- another invoice
def of_another(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """Some members, not all, are those of another invoice's proof."""
    assert kept.other is not None
    other = kept.other.members
    names = [
        one
        for one in sorted(kept.members)
        if kept.members[one] != other.get(one, kept.members[one])
    ]
    taken = chance.sample(names, chance.randrange(1, len(names)))
    return tar_of({**kept.members, **{name: kept.other.members[name] for name in taken}}), {}


def with_an_entry_of_another(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    assert kept.other is not None
    foreign = sorted(set(kept.other.positions) - set(kept.positions))
    at = chance.choice(foreign)
    positions = sorted([*kept.positions, at])
    return kept.proved(positions), {}


CHANGES: tuple[Change, ...] = (
    flipped, flipped_entry, flipped_rehashed, truncated, without,
    _flipped_member("leaves", {"code": "leaf.mismatch"}),
    _flipped_member("hashes", {"code": "checkpoint.root"}),
    _flipped_member("invoice.json", {"code": "proof.file"}),
    _flipped_member("proof.json", {}), _flipped_member("checkpoint", {}),
    dropped, dropped_rehashed, dropped_proved, added_proved, repeated, swapped, shuffled,
    priced_otherwise, agreed_otherwise, used_otherwise, lines_moved, lines_moved_sealed, line_asked_otherwise,
    of_another, with_an_entry_of_another,
)  # fmt: skip


# ---------------------------------------------------------------- credit notes
def parts_otherwise(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """A credit note takes another part, was ordered for another reason, or has another number or place."""
    of = ("credit_note.ordered", "credit_note.issued", "seller.credited", "seller.rate_set")
    entry = chance.choice([one for one in kept.entries if one["tag"].partition(".")[2][:-3] in of])
    fact = {**entry["fact"]}
    name = chance.choice([name for name, value in fact.items() if type(value) is int])
    fact[name] += chance.choice((-1, 1)) * chance.randrange(1, 1_000)
    return _said(kept, {entry["position"]: {**entry, "fact": fact}}), {"code": "checkpoint.root"}


NOTED: tuple[Change, ...] = (
    _flipped_member("creditnote.json", {"code": "proof.file"}), parts_otherwise,
)  # fmt: skip


# ---------------------------------------------------------------- readings
def _row_changed(
    kept: Kept, chance: random.Random, change: Callable[[Any], bytes | None]
) -> Members:
    rows = list(framed(iter((kept.members["readings"],)), "", ""))
    at = chance.randrange(len(rows))
    changed = change(strict.decode(rows[at]))
    rows[at : at + 1] = [] if changed is None else [changed]
    return {"readings": frame(rows)}


def read_otherwise(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """A reading of more, of another time, number or resource."""

    def change(row: Any) -> bytes:
        name = chance.choice(("quantity", "from_us", "to_us", "sequence", "epoch", "resource"))
        others = [one["stream"] for one in kept.entries if one["stream"] != row["resource"]]
        row[name] = chance.choice(others) if name == "resource" else row[name] + 1
        return strict.encode(row)

    return kept.putting(_row_changed(kept, chance, change)), {}


def read_resealed(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """Likewise, and a seal says another root."""
    seal = chance.choice([one for one in kept.entries if ".batch_sealed." in one["tag"]])
    fact = {**seal["fact"], "root": sha256(b"%d" % chance.randrange(RATE)).hexdigest()}
    said = members_of(_said(kept, {seal["position"]: {**seal, "fact": fact}}))
    more = members_of(read_otherwise(kept, chance)[0])["readings"]
    return tar_of({**said, "readings": more}), {"code": "checkpoint.root"}


def reading_withheld(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    return kept.putting(_row_changed(kept, chance, lambda _row: None)), {}


READ: tuple[Change, ...] = (
    read_otherwise, read_resealed, reading_withheld,
    *(_flipped_member(f"readings{more}", {}) for more in ("", ".hashes", ".links", ".digests")),
)  # fmt: skip


# ---------------------------------------------------------------- holds
def held_otherwise(kept: Kept, chance: random.Random) -> tuple[bytes, Where]:
    """A hold covers less or more, or is of another, or the account of other terms."""
    tags = ("gpuaas.wallet.", "gpuaas.account.terms_set")
    entry = chance.choice([one for one in kept.entries if one["tag"].startswith(tags)])
    fact = {**entry["fact"]}
    name = chance.choice([name for name, value in fact.items() if type(value) is int])
    fact[name] += chance.choice((-1, 1)) * chance.randrange(1, RATE)
    return _said(kept, {entry["position"]: {**entry, "fact": fact}}), {"code": "checkpoint.root"}


HELD: tuple[Change, ...] = (held_otherwise,)


def judged(tar: bytes, vkey: Vkey) -> Invalid | None:
    """The first failure, none when the proof is valid."""
    return verify_proof_bytes(tar, Trust((vkey,))).error


def require_refused(
    kept: Kept, vkey: Vkey, count: int, seed: int, more: tuple[Change, ...] = ()
) -> Iterator[str]:
    """As many changes, one kind after the other, at random places, each refused where it is; a line each.
    `more`: kinds of change that only this proof has.
    """
    kinds = CHANGES + more
    assert judged(kept.tar, vkey) is None, "else every refusal below would prove nothing"
    root = range_root(0, len(kept.log.leaves), kept.log.node)
    assert root == parse_checkpoint(parse_note(kept.members["checkpoint"]).text).root
    assert kept.proved(kept.positions) == kept.tar
    chance = random.Random(seed)
    for number in range(count):
        change = kinds[number % len(kinds)]
        tar, where = change(kept, chance)
        what = f"change {number} ({change.__qualname__}) from seed {seed}"
        error = judged(tar, vkey)
        assert error is not None, f"accepted: {what}"
        said = error.as_json()
        assert {name: said[name] for name in where} == where, f"{error}: {what}"
        yield f"{what}: {error}"
