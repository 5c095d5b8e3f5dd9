"""A batch decided, numbered and chained against one head, and the bytes that store it.

Pure: `commit` calls it on the locked head, or on the head it predicts while an earlier batch is
still committing; the database then checks the prediction under the lock.
"""

from binascii import hexlify
from collections.abc import Callable, Iterable, Sequence
from struct import Struct as Layout
from struct import pack
from typing import Final

from domain.errors import DomainError
from evidence.append import Appended
from evidence.encoding import Encoded
from gpuaas_verify.merkle import leaf_hash

type Answer = Appended | DomainError
type Required = tuple[str, int, str, bool]

_ARRAY: Final = Layout(">iiiii").pack
_INT4, _TEXT, _BYTEA, _BOOL, _INT8 = 23, 25, 17, 16, 20
_NULL: Final = b"\xff\xff\xff\xff"
_COMMAND_LENGTH: Final = b"\x00\x00\x00\x20"
_FORGET_ABOVE: Final = 20_000


class Pending:
    """An append waiting for its answer: the first one that `deliver` is given."""

    __slots__ = ("deliver", "encoded")

    def __init__(self, encoded: Encoded, deliver: Callable[[Answer], None]) -> None:
        self.encoded = encoded
        self.deliver = deliver


class Place:
    """Where the next entry goes, and what this writer knows to be true there.

    `versions`, `rows` (the next row of each table) and `outcomes` hold only while nobody else
    appends: `move` forgets them.
    """

    __slots__ = ("at_us", "leaf", "next", "outcomes", "rows", "versions")

    def __init__(self) -> None:
        self.next = -1
        self.leaf = b""
        self.at_us = 0
        self.versions: dict[str, tuple[int, str]] = {}
        self.rows: dict[str, int] = {}
        self.outcomes: dict[bytes, Appended] = {}

    def move(self, position: int, leaf: bytes, at_us: int) -> None:
        """The head as the database has it; a head not predicted makes the rest unknown."""
        if (position, leaf) != (self.next, self.leaf) or len(self.versions) > _FORGET_ABOVE:
            self.versions.clear()
            self.rows.clear()
        if len(self.outcomes) > _FORGET_ABOVE:
            self.outcomes.clear()
        self.next, self.leaf, self.at_us = position, leaf, at_us

    def forget(self) -> None:
        self.next = -1
        self.versions.clear()
        self.rows.clear()
        self.outcomes.clear()


class Batch:
    """What one transaction stores (`winners`, in order) and what it answers once committed."""

    __slots__ = (
        "answers",
        "at_us",
        "entries",
        "first",
        "leaf",
        "pending",
        "prev",
        "required",
        "winners",
    )

    def __init__(self, pending: list[Pending], place: Place, at_us: int) -> None:
        self.pending = pending
        self.first = place.next
        self.prev = place.leaf
        self.leaf = place.leaf
        self.at_us = at_us
        self.winners: list[Pending] = []
        self.entries: list[bytes] = []
        self.answers: list[tuple[Pending, Answer]] = []
        self.required: list[Required] = []


def decide(pending: list[Pending], place: Place, clock_us: int, *, assume: bool) -> Batch:
    """The batch on this place, which then stands after it.

    Appends win or lose one by one, in order: a loser changes nothing for the others. A stream
    that `place` does not know does not exist, or, with `assume`, is where the append expects it
    and the database has to say so (`required`; a version 1 is left to the unique index). The
    next row of every table must be known.
    """
    batch = Batch(pending, place, max(clock_us, place.at_us))
    for each in pending:
        encoded = each.encoded
        if encoded.command is not None:
            before = place.outcomes.get(encoded.command)
            if before is not None:
                batch.answers.append(
                    (each, Appended(before.first, before.last, before.leaf, repeated=True))
                )
                continue
        refusal = _refusal(encoded, place, batch.required, assume=assume)
        if refusal is not None:
            batch.answers.append((each, refusal))
            continue
        _win(batch, each, place)
    place.leaf = batch.leaf
    place.at_us = batch.at_us
    return batch


def _refusal(
    encoded: Encoded, place: Place, required: list[Required], *, assume: bool
) -> DomainError | None:
    if encoded.cause_position >= place.next:
        return DomainError("entry.refused", "a cause is a smaller position", {"field": "cause"})
    if encoded.opens and place.next:
        return DomainError("entry.refused", "the log is open already", {"field": "tag"})
    versions = place.versions
    asked: list[Required] = []
    for stream, expected, _count, org in encoded.writes:
        known = versions.get(stream)
        if known is None:
            if not assume:
                known = (0, org)
            else:
                if expected:
                    asked.append((stream, expected, org, False))
                continue
        if known[0] != expected:
            return stale(stream, expected, known[0])
        if known[1] != org and expected:
            return DomainError("entry.refused", f"{stream} belongs to {known[1]}", {"field": "org"})
    for stream, expected in encoded.reads:
        known = versions.get(stream)
        if known is None:
            if not assume:
                known = (0, "")
            else:
                asked.append((stream, expected, "", True))
                continue
        if known[0] != expected:
            return stale(stream, expected, known[0])
    for bulk in encoded.bulk:
        following = place.rows[bulk.table]
        if bulk.first_row != following:
            return stale(bulk.table, bulk.first_row, following)
    if asked:
        required.extend(asked)
    return None


def stale(stream: str, expected: int, actual: int) -> DomainError:
    return DomainError(
        "log.version_stale",
        f"{stream} is at version {actual}, not {expected}",
        {"stream": stream, "expected": expected, "actual": actual},
    )


def _win(batch: Batch, each: Pending, place: Place) -> None:
    encoded = each.encoded
    for stream, expected, count, org in encoded.writes:
        place.versions[stream] = (expected + count, org)
    for bulk in encoded.bulk:
        place.rows[bulk.table] += len(bulk.rows)
    position = first = place.next
    leaf = batch.leaf
    entries = batch.entries
    at_us = batch.at_us
    for suffix in encoded.suffixes:
        entry = b'{"position":%d,"prev":"%b","at_us":%d%b' % (
            position, hexlify(leaf), at_us, suffix,
        )  # fmt: skip
        leaf = leaf_hash(entry)
        entries.append(entry)
        position += 1
    place.next = position
    batch.leaf = leaf
    appended = Appended(first, position - 1, leaf)
    if encoded.command is not None:
        place.outcomes[encoded.command] = appended
    batch.winners.append(each)
    batch.answers.append((each, appended))


def entry_columns(batch: Batch) -> list[bytes]:
    """The parameters of `INSERT_ENTRIES`: first position and five parallel arrays, binary."""
    versions: list[int] = []
    streams: list[bytes] = []
    spans: list[int] = []
    commands: list[bytes] = []
    for each in batch.winners:
        encoded = each.encoded
        count = len(encoded.suffixes)
        versions += encoded.versions
        streams += encoded.stream_cells
        if count > 1:
            spans += [0] * (count - 1)
            commands += [_NULL] * (count - 1)
        spans.append(count)
        commands.append(_NULL if encoded.command is None else _COMMAND_LENGTH + encoded.command)
    total = len(versions)
    return [
        pack(">q", batch.first),
        int4_array(versions),
        int4_array(spans),
        _ARRAY(1, 0, _TEXT, total, 1) + b"".join(streams),
        _ARRAY(1, 1, _BYTEA, total, 1) + b"".join(commands),
        bytea_array(batch.entries),
    ]


def row_columns(batch: Batch) -> list[bytes] | None:
    """The parameters of `INSERT_ROWS`: tables, numbers, rows; None when there are none."""
    tables: list[str] = []
    numbers: list[int] = []
    rows: list[bytes] = []
    for each in batch.winners:
        for bulk in each.encoded.bulk:
            tables += [bulk.table] * len(bulk.rows)
            numbers += range(bulk.first_row, bulk.first_row + len(bulk.rows))
            rows += bulk.rows
    return [text_array(tables), int8_array(numbers), bytea_array(rows)] if rows else None


def private_columns(batch: Batch) -> list[bytes] | None:
    """The parameters of `INSERT_PRIVATE`: digests, organizations, salts, words; None for none."""
    values = [value for each in batch.winners for value in each.encoded.private]
    if not values:
        return None
    return [
        bytea_array([bytes.fromhex(value.digest) for value in values]),
        text_array([value.org for value in values]),
        bytea_array([value.salt for value in values]),
        text_array([value.text for value in values]),
    ]


def required_columns(required: Sequence[Required]) -> list[bytes]:
    return [
        text_array([stream for stream, _, _, _ in required]),
        int4_array([version for _, version, _, _ in required]),
        text_array([org for _, _, org, _ in required]),
        _ARRAY(1, 0, _BOOL, len(required), 1)
        + b"".join(b"\x00\x00\x00\x01" + bytes([exact]) for _, _, _, exact in required),
    ]


def int4_array(numbers: list[int]) -> bytes:
    cells = [4] * (2 * len(numbers))
    cells[1::2] = numbers
    return _ARRAY(1, 0, _INT4, len(numbers), 1) + pack(f">{len(cells)}i", *cells)


def int8_array(numbers: list[int]) -> bytes:
    return _ARRAY(1, 0, _INT8, len(numbers), 1) + b"".join(pack(">iq", 8, n) for n in numbers)


def text_array(texts: Iterable[str]) -> bytes:
    return _array(_TEXT, [text.encode() for text in texts])


def bytea_array(values: list[bytes]) -> bytes:
    return _array(_BYTEA, values)


def _array(kind: int, values: list[bytes]) -> bytes:
    cells: list[bytes] = [b""] * (2 * len(values))
    cells[0::2] = [pack(">i", len(value)) for value in values]
    cells[1::2] = values
    return _ARRAY(1, 0, kind, len(values), 1) + b"".join(cells)
