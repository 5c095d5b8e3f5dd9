"""An invoice, or one line of it, derived again offline from the entries it rests on.

`gpuaas-invoice-proof/2`: evidence/invoice-proof.md says which bytes, and what they show.
"""

import io
import re
import stat
from array import array
from contextlib import closing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, NamedTuple

from gpuaas_verify import attest, strict
from gpuaas_verify.bundle import Report, Trust, check_signed
from gpuaas_verify.checkpoint import Checkpoint, parse_decimal
from gpuaas_verify.claims import ABSENT, CHECKED
from gpuaas_verify.entry import Entry, parse_entry
from gpuaas_verify.errors import Invalid, Unreadable
from gpuaas_verify.facts import check_fact, check_opened_key, check_origin
from gpuaas_verify.merkle import HASH_BYTES, leaf_hash, sparse_root
from gpuaas_verify.note import MAX_NOTE_BYTES
from gpuaas_verify.pool import Pool
from gpuaas_verify.proof_books import Derivation, Line
from gpuaas_verify.proof_chunk import ENTRIES, Chunk, check_chunk
from gpuaas_verify.proof_claims import tell
from gpuaas_verify.proof_file import MEMBER as FILE
from gpuaas_verify.proof_file import InvoiceFile, parse_file
from gpuaas_verify.proof_notes import MEMBER as NOTE
from gpuaas_verify.proof_notes import Notes
from gpuaas_verify.proof_numbers import Numbers
from gpuaas_verify.proof_readings import MEMBERS as READ
from gpuaas_verify.proof_readings import Readings
from gpuaas_verify.proof_streams import Streams
from gpuaas_verify.source import Place, framed
from gpuaas_verify.tarball import TarSource

FORMAT: Final = "gpuaas-invoice-proof/2"
NOTE_FORMAT: Final = "gpuaas-credit-note-proof/2"
# As earlier releases wrote them: nothing in them numbers the invoice.
EARLIER: Final = frozenset({"gpuaas-invoice-proof/1", "gpuaas-credit-note-proof/1"})
OF_NOTES: Final = frozenset({NOTE_FORMAT, "gpuaas-credit-note-proof/1"})
CHECKPOINT, HASHES, LEAVES, HEAD = "checkpoint", "hashes", "leaves", "proof.json"
MEMBERS: Final = (CHECKPOINT, ENTRIES, HASHES, FILE, LEAVES, HEAD)
# What is read whole is bounded; entries are read in pieces.
LIMITS: Final = {
    CHECKPOINT: MAX_NOTE_BYTES,
    HASHES: 1 << 28,
    FILE: 1 << 28,
    LEAVES: 1 << 28,
    HEAD: 1 << 10,
    NOTE: 1 << 28,
    **dict.fromkeys(READ, 1 << 28),
}
STAGES: Final = (
    "container", "note", "witnesses", "members", "leaves", "root", "file", "entries",
    "attestations", "streams", "readings", "lines", "ends", "losses", "holds", "silent", "others",
    "numbering", "credit note",
)  # fmt: skip
NOT_SHOWN: Final = (
    "that no other price applied, that nothing was charged elsewhere or withheld, and what only the"
    " whole bundle shows (other tenants, quota, devices, ledger)"
)
PER_TASK: Final = 1_024
_POSITION: Final = re.compile(rb'\{"position":(0|[1-9][0-9]{0,18}),')
_INVOICE: Final = re.compile(rb'"tag":"gpuaas\.invoice\.finalized\.v[12]","org"')


@dataclass
class ProofReport(Report):
    """`invoice`, `credit_note`: number, totals as derived; `told`: (its number, line)."""

    stages: tuple[str, ...] = STAGES
    invoice: dict[str, Any] = field(default_factory=dict)
    credit_note: dict[str, Any] = field(default_factory=dict)
    told: list[tuple[int, Line]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        lines = [
            {
                "line": number,
                **dict(zip(("project", "sku", "price", "service_period"), line.key, strict=True)),
                "quantity": line.quantity,
                "amount_pico": line.amount_pico,
                "rests_on": list(line.resources),
            }
            for number, line in self.told
        ]
        told = {"invoice": self.invoice, "credit_note": self.credit_note, "lines": lines}
        return {**super().as_json(), **told}


class Shown(NamedTuple):
    """What the entries' bytes alone say; `chunks` of many entries each."""

    positions: array[int]
    leaves: list[bytes]
    chunks: list[Chunk]
    invoice: Entry


class Before(NamedTuple):
    """The entry shown before."""

    position: int
    leaf: bytes
    at_us: int


def verify_proof(path: Path, trust: Trust, jobs: int = 1) -> ProofReport:
    """The report on a proof's file. Raises: Unreadable."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise Unreadable(f"{path} is not a file")
    report = ProofReport()
    try:
        source = TarSource(path.open("rb"), path)
    except Invalid as error:
        report.fail(error)
        return report
    return _verified(source, trust, report, jobs)


def verify_proof_bytes(data: bytes, trust: Trust) -> ProofReport:
    """As `verify_proof`, of a proof in memory."""
    report = ProofReport()
    try:
        source = TarSource(io.BytesIO(data))
    except Invalid as error:
        report.fail(error)
        return report
    return _verified(source, trust, report, 1)


def _verified(source: TarSource, trust: Trust, report: ProofReport, jobs: int) -> ProofReport:
    with closing(source):
        report.add("container", CHECKED)
        try:
            _verify(source, trust, report, jobs)
        except Invalid as error:
            report.fail(error)
    return report


def _verify(source: TarSource, trust: Trust, report: ProofReport, jobs: int) -> None:
    checkpoint = check_signed(_read(source, CHECKPOINT), trust, report)
    report.checkpoint = checkpoint
    head = _head(_read(source, HEAD))
    noted = head["format"] in OF_NOTES
    members = (*MEMBERS, NOTE) if noted else MEMBERS
    if any(source.find(name) is not None for name in READ):
        members = (*members, *READ)
    _check_names(source, members)
    readings = Readings({name: _read(source, name) for name in READ if name in members})
    report.add("members", CHECKED, len(members))
    shown = _leaves(source, checkpoint)
    report.add("leaves", CHECKED, len(shown.leaves))
    hashes = _hashes(source, HASHES)
    root = sparse_root(shown.positions, shown.leaves, checkpoint.size, hashes)
    if root != checkpoint.root:
        raise Invalid("checkpoint.root", "the entries have another root", field="root")
    report.add("root", CHECKED, len(hashes))
    invoice = shown.invoice
    check_fact(invoice)
    file = parse_file(_read(source, FILE), invoice)
    wanted = _wanted(head, invoice, file)
    report.add("file", CHECKED, len(file.lines))
    notes = Notes(invoice, head["number"] if noted else None)
    numbers = None if head["format"] in EARLIER else Numbers(invoice)
    streams = Streams(invoice, file.form, notes, readings, numbers)
    asked = file.lines if wanted is None else [file.lines[wanted]]
    with Derivation(invoice, readings, {(line[1], line[3]) for line in asked}) as books:
        _check_entries(source, shown, trust, checkpoint, streams, books, jobs, report)
        stated = books.head(invoice, file.form)
        key = None if wanted is None else file.lines[wanted][:4]
        streams.finish(books.charged(key), books.prices(key), books.periods)
        report.add("streams", CHECKED, streams.resources)
        report.add("readings", CHECKED if readings.count else ABSENT, readings.count)
        _check_lines(books, invoice, file, wanted, stated, report)
        names = ("number", "currency", "minor_digits", "total_pico", "total_minor", "line_count")
        report.invoice = {name: invoice.fact[name] for name in names}
        tell(report, books, streams, readings, numbers)
        if noted:
            note = notes.finish(_read(source, NOTE))
            books.credit(notes.entries)
            names = ("number", "net_minor", "tax_minor", "total_minor")
            report.credit_note = {name: note.fact[name] for name in names}
            report.add("credit note", CHECKED, 1, "recomputed, equal")
        else:
            report.add("credit note", ABSENT)


def _read(source: TarSource, name: str) -> bytes:
    place = source.find(name)
    if place is None:
        raise Invalid("proof.missing", "the proof lacks a member", member=name)
    if place.size > LIMITS[name]:
        raise Invalid("proof.oversized", f"longer than {LIMITS[name]} bytes", member=name)
    return source.read(place)


def _check_names(source: TarSource, members: tuple[str, ...]) -> None:
    for name in source.names():
        if name not in members:
            raise Invalid("member.unexpected", "no proof has it", member=name)


def _head(data: bytes) -> dict[str, Any]:
    head = strict.decode(data)
    form = head.get("format")
    said = type(form) is str and form in EARLIER | {FORMAT, NOTE_FORMAT}
    if not said or tuple(head) != ("format", "number", "invoice" if form in OF_NOTES else "line"):
        raise Invalid("proof.head", f"not {FORMAT}", member=HEAD, field="format")
    return head


def _hashes(source: TarSource, name: str) -> list[bytes]:
    data = _read(source, name)
    if len(data) % HASH_BYTES:
        raise Invalid("proof.hashes", "not hashes of 32 bytes", member=name)
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def _leaves(source: TarSource, checkpoint: Checkpoint) -> Shown:
    """Each entry is the one that `leaves` names, at an ascending position of the tree; the hashes
    are of the tree's leaves once the root is.
    """
    place = source.find(ENTRIES)
    if place is None:
        raise Invalid("proof.missing", "the proof lacks a member", member=ENTRIES)
    leaves = _hashes(source, LEAVES)
    positions, chunks, invoices = array("q"), list[Chunk](), list[bytes]()
    at, begun, last = 0, 0, -1
    for number, raw in enumerate(framed(source.pieces(place), "entries.malformed", ENTRIES)):
        matched = _POSITION.match(raw)
        position = None if matched is None else parse_decimal(matched[1].decode())
        if position is None or not last < position < checkpoint.size:
            detail = f"no position of the tree after {last}"
            raise Invalid("proof.order", detail, position=position, member=ENTRIES)
        if number >= len(leaves) or leaf_hash(raw) != leaves[number]:
            raise Invalid("leaf.mismatch", "not its hash", position=position, member=ENTRIES)
        positions.append(position)
        last, at = position, at + 2 + len(raw)
        if _INVOICE.search(raw, 0, 700):
            invoices.append(raw)
        if (number + 1) % PER_TASK == 0:
            _cut(chunks, Place(ENTRIES, at - begun, place.offset + begun), leaves, number + 1)
            begun = at
    if at > begun:
        _cut(chunks, Place(ENTRIES, at - begun, place.offset + begun), leaves, len(positions))
    if len(leaves) != len(positions):
        raise Invalid("proof.hashes", "more hashes than entries", member=LEAVES)
    if len(invoices) != 1:
        raise Invalid("proof.invoice", f"{len(invoices)} invoices, not one", member=ENTRIES)
    return Shown(positions, leaves, chunks, parse_entry(invoices[0]))


def _cut(chunks: list[Chunk], place: Place, leaves: list[bytes], end: int) -> None:
    """One more chunk, of the entries up to that number."""
    chunks.append(Chunk(place, leaves[sum(len(chunk.leaves) for chunk in chunks) : end]))


def _wanted(head: dict[str, Any], invoice: Entry, file: InvoiceFile) -> int | None:
    """The line that is shown, counted from 0; None: all of them."""
    field = "invoice" if "invoice" in head else "number"
    if head[field] != invoice.fact["number"]:
        raise Invalid("proof.head", "of another invoice", member=HEAD, field=field)
    line: int | None = head.get("line")
    if line is not None and (type(line) is not int or not 0 <= line < len(file.lines)):
        raise Invalid("proof.head", "the invoice has no such line", member=HEAD, field="line")
    return line


def _check_entries(
    source: TarSource,
    shown: Shown,
    trust: Trust,
    checkpoint: Checkpoint,
    streams: Streams,
    books: Derivation,
    jobs: int,
    report: ProofReport,
) -> None:
    """Every entry is right by itself, after those shown before it, and in its stream; the books are
    fed with those that count.
    """
    words, spoken, before = attest.Attestations(), 0, Before(-1, bytes(HASH_BYTES), 0)
    with Pool(source, jobs) as pool, closing(words):
        checked = pool.map(check_chunk, iter(shown.chunks))
        for chunk, done in zip(shown.chunks, checked, strict=True):
            spoken += done.spoken
            for leaf, fields in zip(chunk.leaves, done.entries, strict=True):
                entry = Entry._make(fields)
                before = _check_neighbour(entry, leaf, before)
                if entry.position == 0:
                    check_origin(entry, checkpoint.origin)
                    check_opened_key(entry, trust.keys)
                if not streams.admit(entry):
                    continue
                if entry.tag in attest.WATCHED and entry.tag != "gpuaas.runtime.lost.v1":
                    words.apply(entry)
                books.feed(entry)
    if shown.positions[0] != 0:
        raise Invalid("proof.missing", "entry 0 says which log it is", position=0)
    report.add("entries", CHECKED, len(shown.positions))
    report.add("attestations", CHECKED if spoken else ABSENT, spoken)


def _check_neighbour(entry: Entry, leaf: bytes, before: Before) -> Before:
    if entry.position == before.position + 1 and entry.prev != before.leaf.hex():
        detail = "not the leaf hash before it"
        raise Invalid("entry.prev", detail, position=entry.position, field="prev")
    if entry.at_us < before.at_us:
        detail = "earlier than an entry before"
        raise Invalid("entry.at_us", detail, position=entry.position, field="at_us")
    return Before(entry.position, leaf, entry.at_us)


def _check_lines(
    books: Derivation,
    invoice: Entry,
    file: InvoiceFile,
    wanted: int | None,
    head: dict[str, Any],
    report: ProofReport,
) -> None:
    if wanted is not None:
        key = file.lines[wanted][:4]
        found = [line for line in books.lines() if line.key == key]
        _same(wanted, found[0] if found else None, file.lines[wanted])
        report.told = [(wanted, found[0]._replace(resources=tuple(sorted(books.charged(key)))))]
    else:
        for number, (line, stated) in enumerate(zip_longest(books.lines(), file.lines)):
            _same(number, line, stated)
            assert line is not None, "told by _same"
            report.told.append((number, line))
    for number, rate in zip(
        (number for number, _ in report.told),
        books.rates(invoice, [file.lines[number] for number, _ in report.told]),
        strict=False,
    ):
        if rate != file.rates[number]:
            raise Invalid("proof.line", f"taxed at {rate}", table="lines", row=number, field="rate")
    books.check_whole(file, invoice, head)
    if wanted is None:
        books.finalize(invoice)
    report.add("lines", CHECKED, len(report.told), "recomputed, equal")


def _same(number: int, line: Line | None, stated: tuple[Any, ...] | None) -> None:
    derived = None if line is None else (*line.key, line.quantity, line.amount_pico)
    if derived == stated:
        return
    names = (*("project", "sku", "price", "service_period"), "quantity", "amount_pico")
    if derived is None or stated is None:
        detail = "stated, not derived" if derived is None else "derived, not stated"
        raise Invalid("proof.line", detail, table="lines", row=number)
    for name, mine, other in zip(names, derived, stated, strict=True):
        if mine != other:
            detail = f"{name} is {other}, derived {mine}"
            raise Invalid("proof.line", detail, table="lines", row=number, field=name)
