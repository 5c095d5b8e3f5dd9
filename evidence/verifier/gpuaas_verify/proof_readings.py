"""Readings that an invoice's proof shows: rows of their seals' trees, links of their chains.

evidence/invoice-proof.md section 1.2. Of what a source said between two rows that are shown, the
digest of each other reading stands here: nothing is left out, and nothing of another tenant told.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from gpuaas_verify import strict
from gpuaas_verify.books_words import is_signed, reading_digest
from gpuaas_verify.bulk import parse_row
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import HASH_BYTES, leaf_hash, sparse_walk
from gpuaas_verify.source import framed

ROWS: Final = "readings"
HASHES: Final = "readings.hashes"
LINKS: Final = "readings.links"
DIGESTS: Final = "readings.digests"
MEMBERS: Final = (ROWS, HASHES, LINKS, DIGESTS)
TABLE: Final = "reading"
LINK: Final = {
    "source": str,
    "epoch": int,
    "sequence": int,
    "chain": str,
    "shown": int,
    "hidden": int,
    "sig": str,
}
_HEX64: Final = re.compile("[0-9a-f]{64}")
_ROW: Final = re.compile(rb'\{"row":(0|[1-9][0-9]{0,18}),')

type Row = dict[str, Any]


class Readings:
    """Fed the seals in order; `at_hand`: the rows of the last, each with its number."""

    def __init__(self, members: dict[str, bytes]) -> None:
        self.at_hand: list[tuple[int, Row]] = []
        self.hidden = 0
        self._raw = list(_items(members, ROWS))
        if members and not self._raw:
            raise Invalid("proof.needless", "no row is here", member=ROWS)
        self._numbers = [_number(raw) for raw in self._raw]
        for before, number in zip(self._numbers, self._numbers[1:], strict=False):
            if number <= before:
                raise Invalid("proof.order", "not after the one before", table=TABLE, row=number)
        self._next = 0
        self._hashes = _hashes(members, HASHES)
        self._links = [_Link(_decoded(raw)) for raw in _items(members, LINKS)]
        self._digests = _hashes(members, DIGESTS)
        self._begun: dict[tuple[str, int], _Link] = {}

    @property
    def count(self) -> int:
        """How many rows are shown."""
        return len(self._raw)

    def take(self, seal: Entry) -> None:
        """The rows of the seal that are shown are at hand; they are rows of its tree.

        Raises: Invalid `proof.needless`, `proof.missing`, `proof.foreign`, `proof.hashes`,
            `row.*`, `seal.root`.
        """
        fact, position = seal.fact, seal.position
        first, end = fact["first_row"], fact["first_row"] + fact["count"]
        begin = self._next
        while self._next < len(self._numbers) and self._numbers[self._next] < end:
            self._next += 1
        numbers, raw = self._numbers[begin : self._next], self._raw[begin : self._next]
        if not numbers:
            raise Invalid("proof.needless", "no row of it is here", position=position)
        if numbers[0] < first:
            raise Invalid("proof.missing", "no seal holds it", table=TABLE, row=numbers[0])
        places = [number - first for number in numbers]
        leaves = [leaf_hash(one) for one in raw]
        root = sparse_walk(places, leaves, fact["count"], self._hashes, HASHES)
        if root.hex() != fact["root"]:
            detail = "its rows have another root"
            raise Invalid("seal.root", detail, position=position, field="root")
        self.at_hand = [
            (number, parse_row(one, TABLE, number))
            for number, one in zip(numbers, raw, strict=True)
        ]

    def link(self, number: int, row: Row, dimensions: dict[str, str], key: str) -> None:
        """The row follows in its source's chain on the one shown before it, through what is hidden;
        what is signed there is signed by the key.

        Raises: Invalid `proof.links`, `books.signed`.
        """
        name = (row["source"], row["epoch"])
        link = self._begun.get(name)
        if link is None:
            link = self._links[len(self._begun)] if len(self._begun) < len(self._links) else None
            if link is None or link.name != name or link.sequence != row["sequence"]:
                raise _unlinked("its link does not begin there", number)
            self._begun[name] = link
        while link.sequence < row["sequence"]:
            self._hide(link, number)
        if link.sequence != row["sequence"] or not link.shown:
            raise _unlinked(f"{link.sequence} is next", number)
        link.follow(reading_digest(row, dimensions))
        link.shown -= 1
        if row["sig"] and not is_signed(row, link.chain, key):
            raise _unsigned("not signed by its source", number, "sig")
        if row["chain"] and not row["sig"]:
            raise _unsigned("a chain without its signature", number, "chain")
        if not link.shown:
            while link.hidden:
                self._hide(link, number)
            if not link.is_signed(key):
                raise _unsigned("its link does not end signed", number, "sig")

    def _hide(self, link: "_Link", number: int) -> None:
        digest = next(self._digests, None) if link.hidden else None
        if digest is None:
            raise _unlinked("what lies between is not here", number)
        link.follow(digest)
        link.hidden -= 1
        self.hidden += 1

    def finish(self) -> None:
        """Nothing of it is left over.

        Raises: Invalid `proof.missing`, `proof.hashes`, `proof.links`.
        """
        if self._next < len(self._raw):
            number = self._numbers[self._next]
            raise Invalid("proof.missing", "no seal holds it", table=TABLE, row=number)
        for rest, member in ((self._hashes, HASHES), (self._digests, DIGESTS)):
            if next(rest, None) is not None:
                raise Invalid("proof.hashes", "more hashes than are needed", member=member)
        if len(self._begun) < len(self._links) or any(one.shown for one in self._begun.values()):
            raise Invalid("proof.links", "more links than are needed", member=LINKS)


class _Link:
    """A source's chain from the reading `sequence` on: so many rows, and digests for others."""

    def __init__(self, said: Row) -> None:
        if {name: type(value) for name, value in said.items()} != LINK:
            raise Invalid("proof.links", "not a link", member=LINKS)
        self.name = (said["source"], said["epoch"])
        self.sequence: int = said["sequence"]
        self.chain: str = said["chain"]
        self.shown: int = said["shown"]
        self.hidden: int = said["hidden"]
        self._sig: str = said["sig"]
        if not _HEX64.fullmatch(self.chain):
            raise Invalid("proof.links", "not a chain", member=LINKS)

    def follow(self, digest: bytes) -> None:
        """The chain goes on with this reading."""
        self.chain = sha256(bytes.fromhex(self.chain) + digest).hexdigest()
        self.sequence += 1

    def is_signed(self, key: str) -> bool:
        """Whether this key has signed the chain behind the last of it."""
        source, epoch = self.name
        said = {"source": source, "epoch": epoch, "sequence": self.sequence - 1}
        return is_signed({**said, "chain": self.chain, "sig": self._sig}, self.chain, key)


def _items(members: dict[str, bytes], name: str) -> Iterator[bytes]:
    return framed(iter((members.get(name, b""),)), "entries.malformed", name)


def _number(raw: bytes) -> int:
    found = _ROW.match(raw)
    if found is None:
        raise Invalid("row.malformed", "not a row", table=TABLE)
    return int(found[1])


def _hashes(members: dict[str, bytes], name: str) -> Iterator[bytes]:
    data = members.get(name, b"")  # what is left of it at the end is one too many
    return iter([data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)])


def _decoded(raw: bytes) -> Row:
    try:
        return strict.decode(raw)
    except Invalid as error:
        raise Invalid("proof.links", error.detail, member=LINKS) from error


def _unlinked(detail: str, row: int) -> Invalid:
    return Invalid("proof.links", detail, table=TABLE, row=row)


def _unsigned(detail: str, row: int, field: str) -> Invalid:
    return Invalid("books.signed", detail, table=TABLE, row=row, field=field)
