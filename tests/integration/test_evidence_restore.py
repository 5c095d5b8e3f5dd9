from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from domain.errors import DomainError
from evidence import fsck
from evidence.bundle import StorageSource
from evidence.ids import new_id
from evidence.restore import continued, open_continuing, refill
from evidence.storage import Storage
from gpuaas_verify.bundle import Scope, Trust, verify_source
from gpuaas_verify.entry import parse_entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import leaf_hash
from gpuaas_verify.note import Vkey
from tests import rows
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack, one_stream

pytestmark = pytest.mark.slow
BACKUP = 100  # the database's backup is from when the log had this many entries


@pytest.fixture
def stack(database: Database, tmp_path: Path) -> Iterator[EvidenceStack]:
    stack = EvidenceStack(database, tmp_path)
    with stack.signing():
        yield stack


def restore_backup(stack: EvidenceStack) -> None:
    """The database as a backup of 100 entries left it."""
    with psycopg.connect(stack.database.owner_url) as conn:
        last = conn.execute(
            f"SELECT entry FROM log.entry WHERE position = {BACKUP - 1}", binary=True
        ).fetchone()
        assert last is not None
        conn.execute(f"DELETE FROM log.entry WHERE position >= {BACKUP}")
        conn.execute("DELETE FROM log.bulk_row")
        conn.execute(
            "UPDATE log.head SET next_position = %(size)s, leaf = %(leaf)s, at_us = %(at_us)s",
            {
                "size": BACKUP,
                "leaf": leaf_hash(last[0]),
                "at_us": parse_entry(last[0]).at_us,
            },
        )


def findings(stack: EvidenceStack) -> list[fsck.Finding]:
    with psycopg.connect(stack.database.app_url, autocommit=True) as conn:
        return fsck.check(conn, stack.storage, stack.vkey).findings


def test_after_a_plain_restore_nothing_is_signed(stack: EvidenceStack, tmp_path: Path) -> None:
    """A database from a backup, appended to, is refused: by the integrator, and by the signer
    alone.
    """
    stack.fill(300)
    stack.integrate()
    restore_backup(stack)
    with pytest.raises(Invalid, match=r"head\.rewound"):
        stack.integrate()
    stack.fill(10)
    with pytest.raises(Invalid, match=r"head\.rewound"):
        stack.integrate()
    # Somebody rolls the storage back as well: only the signer's own state is left to object.
    stack.storage = Storage(tmp_path / "rolled-back")
    with pytest.raises(DomainError, match=r"signer\.smaller_tree"):
        stack.integrate()
    stack.fill(300)
    with pytest.raises(DomainError, match=r"signer\.inconsistent"):
        stack.integrate()
    assert stack.refused() == 2


def test_missing_positions_come_back_verbatim(stack: EvidenceStack) -> None:
    """The documented restore: refill, fsck, go on; commands of the lost range are known again."""
    stack.fill(300)
    stack.integrate()
    with psycopg.connect(stack.database.app_url) as conn:
        before = conn.execute("SELECT * FROM log.entry ORDER BY position").fetchall()
    restore_backup(stack)
    assert findings(stack) != []
    assert refill(stack.database.owner_url, stack.storage, stack.vkey) == 301 - BACKUP
    with psycopg.connect(stack.database.app_url) as conn:
        assert conn.execute("SELECT * FROM log.entry ORDER BY position").fetchall() == before
    assert findings(stack) == []
    assert refill(stack.database.owner_url, stack.storage, stack.vkey) == 0
    stack.fill(5)
    assert stack.integrate() == 306
    assert verify_source(StorageSource(stack.storage), Trust((stack.vkey,)), Scope()).valid


def test_sealed_rows_come_back(stack: EvidenceStack) -> None:
    """Bulk rows lost with their seal come back with it; a row changed in the database is found."""
    stack.fill(BACKUP)
    bulk = rows.transfers(0, 1)
    [row] = bulk.rows
    stack.append([one_stream(new_id("ledger"), 0, rows.seal(bulk), bulk=(bulk,))])
    assert stack.integrate() == BACKUP + 2
    assert stack.storage.need("bulk/transfer/0")[2:] == row
    restore_backup(stack)
    assert refill(stack.database.owner_url, stack.storage, stack.vkey) == 2
    with psycopg.connect(stack.database.owner_url) as conn:
        assert conn.execute("SELECT row_bytes FROM log.bulk_row").fetchall() == [(row,)]
        conn.execute("UPDATE log.bulk_row SET row_bytes = row_bytes || ' '::bytea")
    found = [each for each in findings(stack) if each.part in {"database", "storage"}]
    assert {(each.table, each.row) for each in found} == {("transfer", 0)}


def test_another_past_is_not_refilled(stack: EvidenceStack) -> None:
    """A database that differs from what was signed misses nothing: refill refuses and changes
    nothing.
    """
    stack.fill(300)
    stack.integrate()
    restore_backup(stack)
    stack.fill(1)
    with pytest.raises(DomainError, match=r"restore\.differs"):
        refill(stack.database.owner_url, stack.storage, stack.vkey)


def test_a_note_is_believed_by_its_signature_alone(stack: EvidenceStack) -> None:
    """Another key, another log's key, a changed root and a range it does not cover are refused."""
    stack.fill(10)
    stack.integrate()
    note = (stack.signer_state / "note").read_bytes()
    foreign = Vkey(stack.vkey.name, bytes(32), stack.vkey.algorithm)
    with pytest.raises(Invalid, match=r"note\.unsigned"):
        continued(note, foreign, 0)
    with pytest.raises(Invalid, match=r"note\."):
        continued(note.replace(b"\n11\n", b"\n12\n"), stack.vkey, 0)
    for first in (-1, 12, 10**30):
        with pytest.raises(DomainError, match=r"restore\.range_invalid"):
            continued(note, stack.vkey, first)
    assert continued(note, stack.vkey, 11).lost_count == 0


def test_a_new_log_names_the_old_one(stack: EvidenceStack, tmp_path: Path) -> None:
    """With the bundles gone too, a new log with a new key says what it continues and
    what was lost.
    """
    stack.fill(300)
    stack.integrate()
    note = (stack.signer_state / "note").read_bytes()
    with psycopg.connect(stack.database.owner_url) as conn:
        conn.execute("TRUNCATE log.entry")
        conn.execute(
            "UPDATE log.head SET next_position = 0, at_us = 0,"
            " leaf = decode(repeat('00', 32), 'hex')"
        )
    with pytest.raises(DomainError, match=r"log\.lost"):
        stack.open()
    folder = tmp_path / "new"
    continues = continued(note, stack.vkey, 0)
    at = (stack.database.app_url, folder / "evidence", folder / "signer", "test.example")
    vkey = open_continuing(*at, continues)
    assert open_continuing(*at, continues) == vkey, "a repeat finds what it wanted"
    with pytest.raises(DomainError, match=r"log\.already_open"):
        open_continuing(*at, continued(note, stack.vkey, 50))
    assert vkey != stack.vkey_text
    with psycopg.connect(stack.database.app_url) as conn:
        found = conn.execute("SELECT entry FROM log.entry", binary=True).fetchall()
    fact = parse_entry(found[0][0]).fact
    assert fact["continues"] == {
        "origin": stack.vkey.name, "note": b64encode(note).decode(), "first_lost": 0, "lost_count": 301
    }  # fmt: skip
