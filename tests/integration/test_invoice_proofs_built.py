"""What the platform builds out of its views is, to the byte, the proof that was put together by hand."""

import io
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from domain.errors import DomainError
from evidence.files import content_name
from evidence.proofs import signed
from evidence.storage import Storage
from gpuaas_verify.merkle import leaf_hash
from projections import billing_read, taxes_read
from projections.proving import prove
from projections.views import step
from tests import proof_idle as pi
from tests import proof_notes as pn
from tests import proof_pools as pp
from tests import proof_world as pw
from tests.bundles import tree_members
from tests.conftest import Database
from tests.proof_world import OTHER_PROJECT, PROJECT

pytestmark = pytest.mark.slow
ENTRY = "INSERT INTO log.entry VALUES (%s, %s, 1, %s, NULL, %s)"
ROW = "INSERT INTO log.bulk_row VALUES (%s, %s, %s)"
HEAD = "UPDATE log.head SET next_position = %s, at_us = %s, leaf = %s"


@pytest.mark.parametrize("taxed", [False, True])
def test_what_is_built_is_what_was_chosen_by_hand(
    database: Database, tmp_path: Path, taxed: bool
) -> None:
    """A neighbour on the node, its renewal, its prices, other meters, other nodes and what came later stay out;
    losses, a volume and streams that go on are in. Of the whole invoice and of a line, with a seller and without.
    """
    made = pw.world(taxed=taxed)
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        storage, note, invoice = built(database, conn, tmp_path, made)
        for line in (None, 3, 4):
            out = io.BytesIO()
            prove(conn, storage, note, invoice, line, out)
            assert out.getvalue() == pw.proof(made, line=line)
        for line in (-1, 5):
            with pytest.raises(DomainError, match="has 5 lines") as refused:
                prove(conn, storage, note, invoice, line, io.BytesIO())
            assert refused.value.code == "resource.unknown"


def test_pools_commitments_and_reratings_are_chosen_as_by_hand(
    database: Database, tmp_path: Path
) -> None:
    """Whoever shares a pool is in, the pool of a period before included; others' commitments,
    re-ratings and entries of the same edition are not. A commitment's line rests on it alone.
    """
    made = pp.pooled()
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        storage, note, invoice = built(database, conn, tmp_path, made)
        for line in (None, *pp.lines_of(made).values()):
            out = io.BytesIO()
            prove(conn, storage, note, invoice, line, out)
            assert out.getvalue() == pp.proof(made, line=line), line


def test_reservations_are_chosen_as_by_hand(database: Database, tmp_path: Path) -> None:
    """With the quota while they stand, and no more of it: of one that goes on up to what shows it."""
    made = pi.world()
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        storage, note, invoice = built(database, conn, tmp_path, made)
        for line in (None, *(pi.line_of(made, name) for name in (PROJECT, OTHER_PROJECT))):
            out = io.BytesIO()
            prove(conn, storage, note, invoice, line, out)
            assert out.getvalue() == pi.proof(made, line=line), line


def test_a_credit_note_is_chosen_as_by_hand(database: Database, tmp_path: Path) -> None:
    """With those before it; not what was ordered and is not carried out, nor what came later."""
    made = pn.noted()
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        storage, note, invoice = built(database, conn, tmp_path, made)
        for number, name in enumerate(pn.NUMBERS):
            credit = taxes_read.credit_note(conn, name)
            out = io.BytesIO()
            prove(conn, storage, note, invoice, None, out, credit)
            assert out.getvalue() == pn.proof(made, number)


def built(
    database: Database, conn: psycopg.Connection[Any], folder: Path, made: pw.World
) -> tuple[Storage, bytes, billing_read.Invoice]:
    """The platform's views of the log as it was drafted, its note, the one invoice."""
    made.log.seal_books()
    storage = Storage(folder)
    loaded(database, storage, made)
    while step(conn, 1000):
        pass
    [invoice] = billing_read.invoices(conn)
    return storage, signed(storage, invoice.from_position)[0], invoice


def loaded(database: Database, storage: Storage, made: pw.World) -> None:
    """The log as it was drafted is the platform's: entries and rows verbatim, tiles, note and file."""
    entries = made.log.entries()
    storage.write(tree_members(entries))
    for data in made.log.files.values():
        storage.write({content_name(sha256(data).hexdigest()): data})
    with psycopg.connect(database.owner_url) as conn:
        for draft, entry in zip(made.log.drafts, entries, strict=True):
            told = (draft["position"], draft["version"], draft["stream"], entry)
            conn.execute(ENTRY, told)
        for name, rows in made.log.rows.items():
            _, table, first = name.split("/")
            for number, row in enumerate(rows, int(first)):
                conn.execute(ROW, (table, number, row))
        last = made.log.drafts[-1]
        conn.execute(HEAD, (len(entries), last["at_us"], leaf_hash(entries[-1])))
