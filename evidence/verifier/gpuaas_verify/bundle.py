"""A bundle verified in the order of EVIDENCE.md section 6, each claim with what became of it."""

import stat
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gpuaas_verify import bulk, files, layout
from gpuaas_verify.block import BlockTask, check_block
from gpuaas_verify.bookkeeping import check_books
from gpuaas_verify.bulk import check_rows
from gpuaas_verify.checkpoint import Checkpoint, parse_checkpoint
from gpuaas_verify.claims import ABSENT, CHECKED, FAILED, UNCHECKED, Claim
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid, Unreadable
from gpuaas_verify.facts import check_opened_key, check_origin
from gpuaas_verify.history import ATTESTATIONS, ENTRIES, FILES, SEALS, History
from gpuaas_verify.merkle import range_root
from gpuaas_verify.note import MAX_NOTE_BYTES, Vkey, parse_note, verify_note
from gpuaas_verify.pool import Pool
from gpuaas_verify.source import DirectorySource, Place, Reader, Source, framed
from gpuaas_verify.tarball import TarSource
from gpuaas_verify.tiles import entries_path, level_tiles, tile_nodes, tile_path
from gpuaas_verify.tree import TreeCheck

BUNDLES_PER_TASK = 4
SMALL = 8_192
MAX_BUNDLE = 256 * 65_537
STAGES = (
    "container", "note", "witnesses", "members", "leaves", "tiles", "root", "known", "entries",
    "origin", "freshness", "attestations", "seals", "rows", "files", "books", "invoices",
)  # fmt: skip


@dataclass(frozen=True)
class Trust:
    """What the auditor brings: nothing of it comes from the bundle. `now_us` is only for
    `max_age_s`.
    """

    keys: tuple[Vkey, ...]
    known: tuple[bytes, ...] = ()
    witnesses: tuple[Vkey, ...] = ()
    quorum: int = 0
    max_age_s: int | None = None
    now_us: int = 0


@dataclass(frozen=True)
class Scope:
    """What to look at and how; anything left out is told as `unchecked`."""

    jobs: int = 1
    attestations: bool = True
    books: bool = True


@dataclass
class Report:
    """Every claim of a bundle in the order it was looked at; `error` is the first that failed."""

    stages: tuple[str, ...] = STAGES
    claims: list[Claim] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    unknown_tags: dict[str, int] = field(default_factory=dict)
    error: Invalid | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        return self.error is None

    def add(self, name: str, state: str, count: int = 0, detail: str = "") -> None:
        self.claims.append(Claim(name, state, count, detail))

    def fail(self, error: Invalid) -> None:
        """The claim that was being looked at failed, those after it were not looked at."""
        self.error = error
        told = {claim.name for claim in self.claims}
        state = FAILED
        for name in self.stages:
            if name not in told:
                self.add(
                    name, state, 0, str(error) if state == FAILED else "an earlier claim failed"
                )
                state = UNCHECKED

    def as_json(self) -> dict[str, Any]:
        """The report for `--json`: stable keys."""
        return {
            "format": "gpuaas-verify/1",
            "valid": self.valid,
            "origin": self.checkpoint.origin if self.checkpoint else None,
            "size": self.checkpoint.size if self.checkpoint else None,
            "root": b64encode(self.checkpoint.root).decode() if self.checkpoint else None,
            "claims": [
                {"claim": c.name, "state": c.state, "count": c.count, "detail": c.detail}
                for c in self.claims
            ],
            "unknown_tags": dict(sorted(self.unknown_tags.items())),
            "error": None if self.error is None else self.error.as_json(),
            "notes": self.notes,
        }


def verify_path(path: Path, trust: Trust, scope: Scope) -> Report:
    """The report on a tar or a directory. Raises: Unreadable."""
    report = Report()
    try:
        if path.is_dir():
            source: Source = DirectorySource(path)
        elif not stat.S_ISREG(path.stat().st_mode):
            # Opening a pipe waits for whoever writes it, maybe for ever.
            raise Unreadable(f"{path} is neither a file nor a directory")
        else:
            source = TarSource(path.open("rb"), path)
    except Invalid as error:
        report.fail(error)
        return report
    with closing(source):
        return verify_source(source, trust, scope, report)


def verify_source(
    source: Source, trust: Trust, scope: Scope, report: Report | None = None
) -> Report:
    """The report on an opened bundle. Raises: Unreadable."""
    report = Report() if report is None else report
    report.add("container", CHECKED)
    history = History()
    try:
        _verify(source, trust, scope, report, history)
    except Invalid as error:
        report.fail(error)
    finally:
        history.close()
    report.unknown_tags = history.unknown
    return report


def _verify(source: Source, trust: Trust, scope: Scope, report: Report, history: History) -> None:
    checkpoint = _check_note(source, trust, report)
    report.checkpoint = checkpoint
    tiles = layout.check_tiles(source, checkpoint.size)
    layout.check_names(source, checkpoint.size)
    report.add("members", CHECKED, tiles)
    jobs = scope.jobs if checkpoint.size > SMALL else 1
    with Pool(source, jobs) as pool:
        _check_tree(source, checkpoint, pool, scope, history, report)
        _check_known(source, checkpoint, trust, report)
        _check_history(history, checkpoint, trust, scope, report)
        _check_seals(source, history, pool, report)
    _check_files(source, history, report)
    check_books(source, checkpoint.size, report.claims, wanted=scope.books)


def _check_note(source: Source, trust: Trust, report: Report) -> Checkpoint:
    place = source.find(layout.CHECKPOINT)
    if place is None:
        raise Invalid("note.missing", "the bundle has no checkpoint", member=layout.CHECKPOINT)
    if place.size > MAX_NOTE_BYTES:
        detail = f"longer than {MAX_NOTE_BYTES} bytes"
        raise Invalid("note.oversized", detail, member=layout.CHECKPOINT)
    return check_signed(source.read(place), trust, report)


def check_signed(raw: bytes, trust: Trust, report: Report) -> Checkpoint:
    """The checkpoint of a note signed by a trusted key and enough witnesses, every line accounted
    for.

    Raises: Invalid `note.*`, `checkpoint.malformed`, `checkpoint.empty`, `witness.quorum`.
    """
    note = parse_note(raw)
    signed = verify_note(note, trust.keys, trust.witnesses, exact=True)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.size == 0:
        raise Invalid("checkpoint.empty", "a log begins with entry 0")
    report.add("note", CHECKED, sum(key in signed for key in trust.keys))
    # A cosignature does not name its witness: one key under two names is one witness.
    seen = len({witness.public for witness in trust.witnesses if witness in signed})
    if seen < trust.quorum:
        raise Invalid("witness.quorum", f"{seen} of {trust.quorum} witnesses have signed")
    report.add("witnesses", CHECKED if seen else ABSENT, seen)
    return checkpoint


def _blocks(source: Source, size: int, *, attestations: bool) -> Iterator[BlockTask]:
    first, entries, tiles = 0, list[Place](), list[Place]()
    for index, width in level_tiles(size, 0):
        entries.append(_found(source, entries_path(index, width)))
        tiles.append(_found(source, tile_path(0, index, width)))
        if entries[-1].size > MAX_BUNDLE:
            raise Invalid("entries.malformed", "too long", member=entries[-1].name)
        if len(entries) == BUNDLES_PER_TASK:
            yield BlockTask(first, tuple(entries), tuple(tiles), attestations)
            first, entries, tiles = index + 1, [], []
    if entries:
        yield BlockTask(first, tuple(entries), tuple(tiles), attestations)


def _found(source: Source, name: str) -> Place:
    place = source.find(name)
    if place is None:
        raise Unreadable(f"{name} vanished while the bundle was read")
    return place


def _check_tree(
    source: Source,
    checkpoint: Checkpoint,
    pool: Pool,
    scope: Scope,
    history: History,
    report: Report,
) -> None:
    """Leaves, tiles and root are checked; entries are fed to the history, to be judged after."""
    tree = TreeCheck(source)
    tasks = _blocks(source, checkpoint.size, attestations=scope.attestations)
    for block in pool.map(check_block, tasks):
        if block.leaf_failure is not None:
            raise block.leaf_failure
        for root in block.roots:
            tree.full(root)
        tree.partial(block.partial)
        history.apply(block)
    report.add("leaves", CHECKED, checkpoint.size)
    root = tree.root()
    report.add("tiles", CHECKED)
    if root != checkpoint.root:
        raise Invalid("checkpoint.root", "the entries have another root", field="root")
    report.add("root", CHECKED, checkpoint.size)


def _check_known(source: Source, checkpoint: Checkpoint, trust: Trust, report: Report) -> None:
    node = tile_nodes(checkpoint.size, lambda name: source.read(_found(source, name)))
    for raw in trust.known:
        known = parse_known(raw, trust, checkpoint.origin)
        if known.size > checkpoint.size:
            report.notes = _both(raw, source)
            raise Invalid("checkpoint.rollback", f"size {known.size} was signed before")
        if known.size and range_root(0, known.size, node) != known.root:
            report.notes = _both(raw, source)
            raise Invalid("checkpoint.fork", f"another root was signed at size {known.size}")
    report.add("known", CHECKED if trust.known else ABSENT, len(trust.known))


def _both(known: bytes, source: Source) -> list[str]:
    """The two notes as signed: whoever holds them can show that one key said both."""
    return [note.decode() for note in (known, source.read(_found(source, layout.CHECKPOINT)))]


def parse_known(raw: bytes, trust: Trust, origin: str) -> Checkpoint:
    """A note kept from earlier. Raises: Unreadable when it is no note of this log: it accuses
    nobody.
    """
    try:
        note = parse_note(raw)
        verify_note(note, trust.keys, trust.witnesses)
        known = parse_checkpoint(note.text)
    except Invalid as error:
        raise Unreadable(f"a known note is not usable: {error}") from error
    if known.origin != origin:
        raise Unreadable(f"a known note is of another log: {known.origin}")
    return known


def _check_history(
    history: History, checkpoint: Checkpoint, trust: Trust, scope: Scope, report: Report
) -> None:
    _raise(history, ENTRIES)
    history.check_commands()
    report.add("entries", CHECKED, checkpoint.size)
    assert history.opened is not None
    check_origin(history.opened, checkpoint.origin)
    check_opened_key(history.opened, trust.keys)
    report.add("origin", CHECKED)
    if trust.max_age_s is not None:
        age_s = (trust.now_us - history.last_at_us) // 1_000_000
        if age_s > trust.max_age_s:
            last = checkpoint.size - 1
            raise Invalid("checkpoint.stale", f"{age_s} s old", position=last, field="at_us")
    report.add("freshness", UNCHECKED if trust.max_age_s is None else CHECKED)
    _raise(history, ATTESTATIONS)
    spoken = history.attestations.checked
    if scope.attestations:
        report.add("attestations", CHECKED if spoken else ABSENT, spoken)
    else:
        report.add("attestations", UNCHECKED, detail="left out on request")


def _raise(history: History, kind: str) -> None:
    if kind in history.failures:
        raise history.failures[kind]


class RowsTask(NamedTuple):
    place: Place
    seal: Entry


def check_sealed(source: Reader, task: RowsTask) -> int:
    """How many rows of the seal are right: all. Runs in worker processes."""
    items = framed(source.pieces(task.place), "row.malformed", task.place.name)
    return check_rows(items, task.seal)


def _check_seals(source: Source, history: History, pool: Pool, report: Report) -> None:
    _raise(history, SEALS)
    rows = sum(pool.map(check_sealed, _row_tasks(source, history)))
    layout.check_bulk_names(source, history)
    report.add("seals", CHECKED if history.seal_count else ABSENT, history.seal_count)
    report.add("rows", CHECKED if rows else ABSENT, rows)


def _row_tasks(source: Source, history: History) -> Iterator[RowsTask]:
    for seal in history.seals():
        name = bulk.member_name(seal.fact["table"], seal.fact["first_row"])
        place = source.find(name)
        if place is None:
            detail = "its rows are missing"
            raise Invalid("seal.missing", detail, position=seal.position, member=name)
        yield RowsTask(place, seal)


def _check_files(source: Source, history: History, report: Report) -> None:
    _raise(history, FILES)
    count = 0
    for name, sealed in history.files.items():
        files.check_file(source, name, sealed)
        count += 1
    layout.check_file_names(source, history)
    report.add("files", CHECKED if count else ABSENT, count)
