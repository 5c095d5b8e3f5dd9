"""Each stored row judged by those before it: every entry check of EVIDENCE.md section 6.

Attestations and books are judged by fsck and the verifier; everything else an entry can get wrong
is refused here, before anything is signed.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gpuaas_verify.block import SEALING
from gpuaas_verify.bulk import SEALS, SealChain
from gpuaas_verify.entry import NO_PREV, Entry, parse_entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.facts import OPENED, check_fact, check_origin
from gpuaas_verify.files import SEALED, LiveFiles
from gpuaas_verify.quick import scan
from gpuaas_verify.strict import MAX_BYTES

_NO_APPEND: Final[tuple[int, str]] = (0, "")


class Row(NamedTuple):
    """One row of log.entry as the database gives it; the columns repeat what the entry says."""

    position: int
    stream: str
    version: int
    command: bytes | None
    span: int
    entry: bytes


type Streams = dict[str, tuple[int, str]]
"""The last version and the organization of each stream; about 300 bytes each."""


class Order:
    """What the entries so far mean for the next one. `position` is the next one's.

    Every stream is remembered: whoever can change the database's columns, or its unique index, must
    not be asked whether a version is there already.
    """

    def __init__(self, origin: str) -> None:
        self.position = 0
        self.at_us = 0
        self.leaf = NO_PREV
        self.seals = SealChain()
        self.files = LiveFiles()
        self._origin = origin
        self._streams: Streams = {}
        self._open_append = _NO_APPEND

    def resume(
        self, position: int, last: bytes, leaf: bytes, watched: Iterable[Entry], streams: Streams
    ) -> None:
        """Goes on after entries that were checked before; `watched` are their seals, in order."""
        for entry in watched:
            self.watch(entry)
        self._streams = streams
        self.position, self.leaf = position, leaf.hex()
        self.at_us = parse_entry(last).at_us

    def watch(self, entry: Entry) -> None:
        if entry.tag in SEALS:
            self.seals.apply(entry)
        elif entry.tag == SEALED:
            self.files.apply(entry)

    def check(self, rows: Sequence[Row], leaves: Sequence[bytes]) -> list[Entry]:
        """The seals among the rows, all of which were found good; they now belong to the past.

        Raises: Invalid, with the position and field of a bad row; what is remembered is then wrong,
        so the caller starts again from what was signed.
        """
        watched: list[Entry] = []
        expected, prev, last_us = self.position, self.leaf, self.at_us
        try:
            for row, leaf in zip(rows, leaves, strict=True):
                at_us = self._follow(row, expected, prev, last_us)
                if at_us < 0:
                    entry = self._check_fully(row, expected, prev, last_us)
                    at_us = entry.at_us
                    if entry.tag in SEALING or not expected:
                        self._check_sealing(entry)
                        watched.append(entry)
                prev, last_us = leaf.hex(), at_us
                expected += 1
        except Invalid as error:
            raise error.at(position=expected) from error
        self.position, self.leaf, self.at_us = expected, prev, last_us
        return watched

    def _follow(self, row: Row, expected: int, prev: str, last_us: int) -> int:
        """The entry's time, and it is remembered, when its bytes show that all is right; else -1.

        Everything `_check_fully` would refuse, and whatever only decoding can tell, is -1 and
        leaves nothing remembered.
        """
        seen = scan(row.entry) if len(row.entry) <= MAX_BYTES else None
        if seen is None or seen.tag in SEALING or not expected:
            return -1
        at_us, version = int(seen.at_us), int(seen.version)
        number = str(expected)
        if seen.position != number or seen.prev != prev or at_us < last_us:
            return -1
        if seen.after is not None and int(seen.after) >= expected:
            return -1
        if row.position != expected or row.stream != seen.stream or row.version != version:
            return -1
        known = self._streams.get(seen.stream)
        if (known[0] + 1 != version or known[1] != seen.org) if known else version != 1:
            return -1
        cause = seen.cause
        count, open_cause = self._open_append
        if row.span not in {0, count + 1} or (count and open_cause != cause):
            return -1
        last_of_command = row.span and seen.after is None
        said = None if row.command is None else f"cmd:{row.command.hex()}"
        if said != (cause if last_of_command else None):
            return -1
        self._open_append = _NO_APPEND if row.span else (count + 1, cause)
        self._streams[seen.stream] = (version, seen.org)
        return at_us

    def _check_fully(self, row: Row, expected: int, prev: str, last_us: int) -> Entry:
        entry = parse_entry(row.entry)
        if row.position != expected or entry.position != expected:
            raise _wrong("position", f"position {expected} is next")
        if entry.prev != prev:
            raise _wrong("prev", "not the leaf hash before it")
        if entry.at_us < last_us:
            raise _wrong("at_us", "earlier than the entry before")
        check_fact(entry)
        self._check_columns(row, entry)
        self._check_stream(entry)
        return entry

    def require_whole(self) -> None:
        """Nothing when the last append is complete: at the head, one always is."""
        if self._open_append[0]:
            detail = "the log ends inside an append"
            raise Invalid("entry.span", detail, position=self.position - 1, field="span")

    def _check_sealing(self, entry: Entry) -> None:
        if (entry.tag == OPENED) != (entry.position == 0):
            raise Invalid("entry.opened", f"{OPENED} is entry 0 and no other", field="tag")
        if entry.tag == OPENED:
            check_origin(entry, self._origin)
        self.watch(entry)

    def _check_columns(self, row: Row, entry: Entry) -> None:
        if row.stream != entry.stream or row.version != entry.version:
            raise Invalid("entry.column", "a column contradicts the entry", field="stream")
        count, cause = self._open_append
        if count and cause != entry.cause:
            raise Invalid("entry.span", "the append before it is not complete", field="cause")
        command = None
        if row.span and entry.cause[0] == "c":
            command = bytes.fromhex(entry.cause[4:])
        if row.command != command:
            raise Invalid("entry.column", "a column contradicts the entry", field="command")
        if row.span not in {0, count + 1}:
            raise Invalid("entry.span", f"not {count + 1} entries", field="span")
        self._open_append = _NO_APPEND if row.span else (count + 1, entry.cause)

    def _check_stream(self, entry: Entry) -> None:
        version, org = self._streams.get(entry.stream, (0, entry.org))
        if version + 1 != entry.version:
            raise Invalid("entry.version", f"version {version + 1} is next", field="version")
        if org != entry.org:
            raise Invalid("entry.org", f"the stream is of {org}", field="org")
        self._streams[entry.stream] = (entry.version, org)


def _wrong(field: str, detail: str) -> Invalid:
    return Invalid(f"entry.{field}", detail, field=field)
