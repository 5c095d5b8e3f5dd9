"""Changes of a large bundle as it lies on disk: every kind, at random places, each to be refused.

A change names where the verifier must find it: a position, a row of a table, or nothing where the
change has no such place (a header, padding, a tile's own bytes).
"""

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gpuaas_verify.bundle import Scope, Trust, verify_path
from gpuaas_verify.errors import Invalid
from gpuaas_verify.note import Vkey
from gpuaas_verify.source import Place, frame, framed
from gpuaas_verify.tarball import BLOCK, TarSource, header
from tests.bundles import small_log

type Items = list[bytes]
type Where = dict[str, Any]
type Change = Callable[["Large", random.Random], tuple[bytes, Where]]

ENTRIES = "tile/entries/"


class Large:
    """The tar and where its members lie; nothing of it is changed in place."""

    def __init__(self, tar: bytes) -> None:
        self.tar = tar
        source = TarSource(io.BytesIO(tar))
        self.places = {name: self._place(source, name) for name in source.names()}
        source.close()
        self.entries = sorted(name for name in self.places if name.startswith(ENTRIES))
        self.rows = sorted(
            name for name in self.places if name.startswith("bulk/") and len(self.items(name)) > 1
        )
        self.files = sorted(name for name in self.places if name.startswith("file/"))
        self.tiles = sorted(
            name
            for name in self.places
            if name.startswith("tile/") and not name.startswith(ENTRIES)
        )

    @staticmethod
    def _place(source: TarSource, name: str) -> Place:
        found = source.find(name)
        assert found is not None
        return found

    def read(self, name: str) -> bytes:
        place = self.places[name]
        return self.tar[place.offset : place.offset + place.size]

    def items(self, name: str) -> Items:
        return list(framed(iter((self.read(name),)), "", name))

    def whole(self, name: str) -> slice:
        """Header, data and padding."""
        place = self.places[name]
        return slice(place.offset - BLOCK, place.offset + place.size + -place.size % BLOCK)

    def put(self, name: str, data: bytes | None) -> bytes:
        """The tar with other contents of a member, or without it."""
        at = self.whole(name)
        member = b"" if data is None else header(name, len(data)) + _padded(data)
        return b"".join((self.tar[: at.start], member, self.tar[at.stop :]))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def first_position(name: str) -> int:
    """Of an entry bundle: `tile/entries/x001/234.p/5` begins at 1234 x 256."""
    digits = name.removeprefix(ENTRIES).split(".")[0].replace("x", "").replace("/", "")
    return 256 * int(digits)


# ---------------------------------------------------------------- one item of a framed member
def drop(items: Items, at: int, _: bytes) -> int:
    del items[at]
    return at


def double(items: Items, at: int, _: bytes) -> int:
    items.insert(at, items[at])
    return at + 1


def swap(items: Items, at: int, _: bytes) -> int:
    at = min(at, len(items) - 2)
    items[at], items[at + 1] = items[at + 1], items[at]
    return at


def cut(items: Items, at: int, _: bytes) -> int:
    items[at] = items[at][:-1]
    return at


def foreign(items: Items, at: int, other: bytes) -> int:
    items[at] = other
    return at


ITEM = (drop, double, swap, cut, foreign)


def of_entries(act: Callable[[Items, int, bytes], int]) -> Change:
    """The first bad position is named. The foreign one is whole, of another log."""

    def change(large: Large, chance: random.Random) -> tuple[bytes, Where]:
        name = chance.choice(large.entries)
        items = large.items(name)
        bad = act(items, chance.randrange(len(items)), chance.choice(small_log().entries()))
        return large.put(name, frame(items)), {"position": first_position(name) + bad}

    return change


def of_rows(act: Callable[[Items, int, bytes], int]) -> Change:
    """Table and row are named. The foreign row is one of another log's."""

    def change(large: Large, chance: random.Random) -> tuple[bytes, Where]:
        name = chance.choice(large.rows)
        items = large.items(name)
        _, table, first = name.split("/")
        [other] = framed(iter((small_log().members()[f"bulk/{table}/0"],)), "", name)
        at = chance.randrange(len(items))
        if first == "0" and act is foreign:
            at = max(at, 1)  # a row 0 has the right number: only the root could tell
        bad = act(items, at, other)
        return large.put(name, frame(items)), {"table": table, "row": int(first) + bad}

    return change


# ---------------------------------------------------------------- members, and bytes
def flipped(large: Large, chance: random.Random) -> tuple[bytes, Where]:
    """One bit, wherever it is."""
    at = chance.randrange(len(large.tar))
    byte = bytes((large.tar[at] ^ 1 << chance.randrange(8),))
    return b"".join((large.tar[:at], byte, large.tar[at + 1 :])), {}


def flipped_entry(large: Large, chance: random.Random) -> tuple[bytes, Where]:
    """One bit of one entry: its position is named."""
    name = chance.choice(large.entries)
    items = large.items(name)
    at = chance.randrange(len(items))
    byte = chance.randrange(len(items[at]))
    changed = bytearray(items[at])
    changed[byte] ^= 1 << chance.randrange(8)
    items[at] = bytes(changed)
    return large.put(name, frame(items)), {"position": first_position(name) + at}


def truncated(large: Large, chance: random.Random) -> tuple[bytes, Where]:
    return large.tar[: chance.randrange(len(large.tar))], {}


def without(large: Large, chance: random.Random) -> tuple[bytes, Where]:
    """A member of any kind is gone."""
    name = chance.choice(sorted(large.places))
    return large.put(name, None), {}


def twice(large: Large, chance: random.Random) -> tuple[bytes, Where]:
    """A member stands there twice."""
    at = large.whole(chance.choice(sorted(large.places)))
    return b"".join((large.tar[: at.stop], large.tar[at.start :])), {"code": "tar.order"}


def exchanged(kind: str) -> Change:
    """Two members of a kind have each other's contents."""

    def change(large: Large, chance: random.Random) -> tuple[bytes, Where]:
        names = getattr(large, kind)
        one, other = sorted(chance.sample(names, 2))
        if large.read(one) == large.read(other):  # of two tiles of one hash, say
            return change(large, chance)
        put = Large.__new__(Large)
        put.tar, put.places = large.put(other, large.read(one)), large.places
        return put.put(one, large.read(other)), {}

    return change


def shorter_file(large: Large, chance: random.Random) -> tuple[bytes, Where]:
    name = chance.choice(large.files)
    return large.put(name, large.read(name)[:-1]), {}


def foreign_checkpoint(large: Large, _: random.Random) -> tuple[bytes, Where]:
    return large.put("checkpoint", small_log().members()["checkpoint"]), {}


CHANGES: tuple[Change, ...] = (
    *map(of_entries, ITEM), *map(of_rows, ITEM), flipped, flipped_entry, truncated, without, twice,
    *map(exchanged, ("entries", "rows", "files", "tiles")), shorter_file, foreign_checkpoint,
)  # fmt: skip


def judged(path: Path, vkey: Vkey, jobs: int) -> Invalid | None:
    """The auditor's first failure on the bundle at this path, in so many processes."""
    return verify_path(path, Trust((vkey,)), Scope(jobs=jobs)).error


def require_refused(bundle: Path, vkey: Vkey, turns: int, seed: int) -> Iterator[str]:
    """As many changes of every kind at random places, each refused where it is; a line each.

    The changed bundle lies beside the right one, which is judged valid first.
    """
    assert judged(bundle, vkey, 2) is None, "else every refusal below would prove nothing"
    large = Large(bundle.read_bytes())
    assert min(len(each) for each in (large.entries, large.rows, large.files, large.tiles)) > 1
    chance = random.Random(seed)
    changed = bundle.with_name("changed.tar")
    for turn in range(turns):
        for number, change in enumerate(CHANGES):
            tar, where = change(large, chance)
            what = f"turn {turn}, change {number} ({change.__qualname__}) from seed {seed}"
            changed.write_bytes(tar)
            error = judged(changed, vkey, 1 + number % 2)
            assert error is not None, f"accepted: {what}"
            said = error.as_json()
            assert {name: said[name] for name in where} == where, f"{error}: {what}"
            yield f"{what}: {error}"
    changed.unlink()
