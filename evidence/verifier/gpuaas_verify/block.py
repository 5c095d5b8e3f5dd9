"""A run of entry bundles checked on its own: what needs no entry before it. Runs in worker
processes.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from gpuaas_verify import attest, bulk, files
from gpuaas_verify.commands import record
from gpuaas_verify.entry import Entry, parse_entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.facts import OPENED, check_fact
from gpuaas_verify.merkle import HASH_BYTES, complete_root
from gpuaas_verify.quick import Seen, scan
from gpuaas_verify.source import Place, Reader, framed
from gpuaas_verify.tiles import TILE_WIDTH
from gpuaas_verify.tree import first_difference

SEALING: Final = bulk.SEALS | {files.SEALED, OPENED}


class BlockTask(NamedTuple):
    """Consecutive entry bundles and their hash tiles; `first` is the first bundle's index."""

    first: int
    entries: tuple[Place, ...]
    tiles: tuple[Place, ...]
    attestations: bool


# What a block says of one stream: first position, first version, last version, org. A plain tuple:
# there are many,
# and they cross from worker processes.
type Run = tuple[int, int, int, str]


@dataclass(slots=True)
class BlockResult:
    """What the next block, the tree and the later checks need of a block."""

    first: int
    prev: str = ""
    at_us: int = 0
    last_leaf: str = ""
    last_at_us: int = 0
    last_cause: str = ""
    commands: bytearray = field(default_factory=bytearray)
    count: int = 0
    roots: list[bytes] = field(default_factory=list)
    partial: bytes = b""
    runs: dict[str, Run] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    watched: list[Entry] = field(default_factory=list)
    leaf_failure: Invalid | None = None
    entry_failure: Invalid | None = None
    words_failure: Invalid | None = None


def check_block(source: Reader, task: BlockTask) -> BlockResult:
    """The block's result; failures are in it, the first of each kind."""
    result = BlockResult(task.first * TILE_WIDTH)
    watched = SEALING | attest.WATCHED if task.attestations else SEALING
    try:
        for place, tile in zip(task.entries, task.tiles, strict=True):
            entries, leaves = _check_leaves(source, place, tile, result)
            if result.entry_failure is None:
                _check_entries(entries, leaves, result, watched)
            result.count += len(entries)
    except Invalid as error:
        result.leaf_failure = error
    return result


def _check_leaves(
    source: Reader, place: Place, tile: Place, result: BlockResult
) -> tuple[list[bytes], list[bytes]]:
    start = result.first + result.count
    stored = source.read(tile)
    width = len(stored) // HASH_BYTES
    entries, failure = _split(source, place, width)
    leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
    hashes = b"".join(leaves)
    # The first entry that is not the tile's is told before a wrong count, which may only follow
    # from it.
    common = min(len(hashes), len(stored))
    if hashes[:common] != stored[:common]:
        bad = start + first_difference(stored[:common], hashes[:common])
        raise Invalid("leaf.mismatch", "not the tile's hash", position=bad, member=place.name)
    if failure is not None:
        raise failure.at(position=start + len(entries))
    if width == TILE_WIDTH:
        result.roots.append(complete_root(hashes))
    else:
        result.partial = hashes
    return entries, leaves


def _split(source: Reader, place: Place, width: int) -> tuple[list[bytes], Invalid | None]:
    """The bundle's entries, at most `width`, and what is wrong after them."""
    entries: list[bytes] = []
    try:
        for entry in framed(iter((source.read(place),)), "entries.malformed", place.name):
            if len(entries) == width:
                return entries, Invalid("entries.count", "too many entries", member=place.name)
            entries.append(entry)
    except Invalid as error:
        return entries, error
    if len(entries) < width:
        detail = f"{len(entries)} entries, {width} are implied"
        return entries, Invalid("entries.count", detail, member=place.name)
    return entries, None


def _check_entries(
    entries: list[bytes], leaves: list[bytes], result: BlockResult, watched: frozenset[str]
) -> None:
    position = result.first + result.count
    try:
        for raw, leaf in zip(entries, leaves, strict=True):
            seen = scan(raw)
            if seen is None or seen.tag in watched or not _follows(seen, position, result):
                cause = _check_fully(raw, position, result, watched)
            else:
                cause = seen.cause
            if cause != result.last_cause:
                result.last_cause = cause
                if cause[0] == "c":
                    result.commands += record(cause, position)
            result.last_leaf = leaf.hex()
            position += 1
    except Invalid as error:
        result.entry_failure = error.at(position=position)


def _follows(seen: Seen, position: int, result: BlockResult) -> bool:
    """True, and noted, when the entry stands rightly where it stands; else the full check says what
    is wrong.
    """
    at_us = int(seen.at_us)
    if (
        int(seen.position) != position
        or seen.prev != result.last_leaf
        or at_us < result.last_at_us
        or (seen.after is not None and int(seen.after) >= position)
    ):
        return False
    version = int(seen.version)
    run = result.runs.get(seen.stream)
    if run is None:
        result.runs[seen.stream] = (position, version, version, seen.org)
    elif run[2] + 1 == version and run[3] == seen.org:
        result.runs[seen.stream] = (run[0], run[1], version, seen.org)
    else:
        return False
    result.last_at_us = at_us
    return True


def _check_fully(raw: bytes, position: int, result: BlockResult, watched: frozenset[str]) -> str:
    """The entry's cause."""
    entry = parse_entry(raw)
    _check_place(entry, position, result)
    _check_stream(entry, result.runs)
    _check_tag(entry, result, watched)
    result.last_at_us = entry.at_us
    return entry.cause


def _check_place(entry: Entry, position: int, result: BlockResult) -> None:
    if position == result.first:
        result.prev, result.at_us = entry.prev, entry.at_us
    elif entry.prev != result.last_leaf:
        raise Invalid("entry.prev", "not the leaf hash before it", field="prev")
    if entry.position != position:
        raise Invalid("entry.position", f"says {entry.position}", field="position")
    if entry.at_us < result.last_at_us:
        raise Invalid("entry.at_us", "earlier than the entry before", field="at_us")


def _check_stream(entry: Entry, runs: dict[str, Run]) -> None:
    run = runs.get(entry.stream)
    if run is None:
        runs[entry.stream] = (entry.position, entry.version, entry.version, entry.org)
        return
    if entry.org != run[3]:
        raise Invalid("entry.org", f"the stream is of {run[3]}", field="org")
    if entry.version != run[2] + 1:
        raise Invalid("entry.version", f"version {run[2] + 1} is next", field="version")
    runs[entry.stream] = (run[0], run[1], entry.version, run[3])


def _check_tag(entry: Entry, result: BlockResult, watched: frozenset[str]) -> None:
    tag = entry.tag
    if not check_fact(entry):
        result.unknown[tag] = result.unknown.get(tag, 0) + 1
    elif tag in watched:
        result.watched.append(entry)
        if tag in attest.SAID and result.words_failure is None:
            try:
                attest.check_words(entry)
            except Invalid as error:
                result.words_failure = error
