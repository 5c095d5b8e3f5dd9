"""The proof of an invoice, or of one line or credit note of it, put together.

evidence/invoice-proof.md section 1; which entries it holds, `proving_chosen` says.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

import msgspec
import psycopg
from msgspec import Struct

from domain.errors import DomainError
from evidence.files import sealed_content
from evidence.proofs import write_proof
from evidence.storage import Storage
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.note import parse_note
from gpuaas_verify.proof import FORMAT, NOTE_FORMAT
from gpuaas_verify.proof_file import FORMATS as STATED
from gpuaas_verify.proof_file import MEMBER
from gpuaas_verify.proof_notes import MEMBER as NOTE
from projections.billing_read import Invoice
from projections.proving_chosen import ENTRIES, Chosen, Line
from projections.proving_notes import credited
from projections.proving_readings import Readings
from projections.taxes_read import CreditNote

FORMATS: Final = frozenset(name for names, _ in STATED.values() for name in names)


class _File(Struct, frozen=True):
    format: str
    lines: tuple[Line, ...]


def prove(
    conn: psycopg.Connection[Any],
    storage: Storage,
    note: bytes,
    invoice: Invoice,
    number: int | None,
    out: BinaryIO,
    credit: CreditNote | None = None,
) -> None:
    """The invoice's proof, or that of its line `number` counted from 0, or that of its credit note,
    written to `out`.

    Raises: DomainError resource.unknown (it has no such line), invoice.not_provable,
    storage.missing, file.changed.
    """
    data = sealed_content(storage, invoice.sha256)
    file = msgspec.json.decode(data, type=_File)
    line = None if number is None else _line(file, number)
    _check_provable(file)
    size = parse_checkpoint(parse_note(note).text).size

    def read(positions: Sequence[int]) -> Iterator[bytes]:
        asked = {"positions": list(positions)}
        for (entry,) in conn.execute(ENTRIES, asked, binary=True):
            yield entry

    lines = file.lines if line is None else (line,)
    kinds = sorted({(one.sku, one.service_period) for one in lines})
    readings = Readings(conn, invoice, kinds)
    positions = Chosen(conn, invoice, line, size, readings, kinds, file.format).positions()
    head = {"format": FORMAT, "number": invoice.number, "line": number}
    files = {MEMBER: data, **readings.files()}
    if credit is not None:
        head = {"format": NOTE_FORMAT, "number": credit.number, "invoice": invoice.number}
        files[NOTE] = sealed_content(storage, credit.sha256)
        positions = array("q", sorted({*positions, *credited(conn, credit)}))
    write_proof(out, storage, note, positions, read, head, files)


def _line(file: _File, number: int) -> Line:
    if not 0 <= number < len(file.lines):
        raise DomainError("resource.unknown", f"the invoice has {len(file.lines)} lines, from 0 on")
    return file.lines[number]


def _check_provable(file: _File) -> None:
    if file.format not in FORMATS:
        raise DomainError("invoice.not_provable", f"no proof of {file.format} yet")
