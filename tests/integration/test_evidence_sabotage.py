"""A database superuser against integrator, scrubber, fsck and the bundle."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from domain.errors import DomainError
from domain.node_facts import Unreachable
from domain.organization import Created
from evidence import fsck
from evidence.bundle import StorageSource
from evidence.ids import new_id
from evidence.private import private_value
from evidence.scrubber import Scrubber
from evidence.storage import Storage
from gpuaas_verify.bundle import Scope, Trust, verify_source
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import leaf_hash
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack, one_stream
from tests.integration.forgery import (
    entry_members,
    judged,
    published_members,
    signed_members,
    stored_entries,
)

pytestmark = pytest.mark.slow

type Superuser = psycopg.Connection[Any]
BAD = 137
SIZE = 301  # entry 0 and 300 more


@pytest.fixture
def stack(database: Database, tmp_path: Path) -> Iterator[EvidenceStack]:
    """300 entries, nothing signed yet."""
    stack = EvidenceStack(database, tmp_path)
    stack.fill(300)
    with stack.signing():
        yield stack


def edit(conn: Superuser) -> None:
    """One character of one fact."""
    conn.execute(
        "UPDATE log.entry SET entry = overlay(entry placing '9'::bytea from octet_length(entry) - 2)"
        f" WHERE position = {BAD}"
    )


def delete(conn: Superuser) -> None:
    conn.execute(f"DELETE FROM log.entry WHERE position = {BAD}")


def renumber(conn: Superuser) -> None:
    """One entry is cut out and everything after it moves up."""
    conn.execute(f"DELETE FROM log.entry WHERE position = {BAD}")
    conn.execute("ALTER TABLE log.entry DROP CONSTRAINT entry_pkey")
    conn.execute(f"UPDATE log.entry SET position = position - 1 WHERE position > {BAD}")
    conn.execute("ALTER TABLE log.entry ADD PRIMARY KEY (position)")


def rewrite_tail(conn: Superuser) -> None:
    """History from one entry on rewritten with a chain, columns and head that agree."""
    rows = conn.execute(
        f"SELECT position, entry FROM log.entry WHERE position >= {BAD} ORDER BY 1", binary=True
    ).fetchall()
    leaf = json.loads(rows[0][1])["prev"]
    for position, raw in rows:
        value = json.loads(raw)
        value["prev"] = leaf
        if position == BAD:
            value["fact"] = {"since_us": 999}
        entry = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        leaf = leaf_hash(entry).hex()
        conn.execute(
            "UPDATE log.entry SET entry = %(entry)s WHERE position = %(position)s",
            {"entry": entry, "position": position},
        )
    conn.execute("UPDATE log.head SET leaf = decode(%(leaf)s, 'hex')", {"leaf": leaf})


ATTACKS = pytest.mark.parametrize("attack", [edit, delete, renumber, rewrite_tail])


def sabotage(stack: EvidenceStack, attack: Callable[[Superuser], None]) -> None:
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as conn:
        attack(conn)


def scrub(stack: EvidenceStack) -> Scrubber:
    """A scrubber after one whole pass."""
    with psycopg.connect(stack.database.app_url, autocommit=True) as conn:
        scrubber = Scrubber(conn, stack.storage)
        while not scrubber.step():
            continue
        return scrubber


def checked(stack: EvidenceStack) -> fsck.Checked:
    with psycopg.connect(stack.database.app_url, autocommit=True) as conn:
        return fsck.check(conn, stack.storage, stack.vkey)


@ATTACKS
def test_before_it_is_signed(stack: EvidenceStack, attack: Callable[[Superuser], None]) -> None:
    """What breaks the chain before integration is never signed, and the position is named.

    A consistent rewrite of a tail that nobody has signed or acknowledged elsewhere cannot be told
    from history: EVIDENCE.md section 8.
    """
    sabotage(stack, attack)
    if attack is rewrite_tail:
        assert stack.integrate() == SIZE
        return
    with pytest.raises(Invalid) as caught:
        stack.integrate()
    assert caught.value.position == (BAD + 1 if attack is edit else BAD)
    assert stack.storage.read("checkpoint") is None


@ATTACKS
def test_after_it_is_signed(stack: EvidenceStack, attack: Callable[[Superuser], None]) -> None:
    """Scrubber and fsck name the first bad position; the bundle, kept outside, still verifies."""
    stack.integrate()
    assert checked(stack).findings == []
    assert scrub(stack).condition.fault is None
    sabotage(stack, attack)
    fault = scrub(stack).condition.fault
    assert fault is not None
    assert fault.position == BAD
    findings = checked(stack).findings
    assert ("storage", BAD) in [(each.part, each.position) for each in findings]
    report = verify_source(StorageSource(stack.storage), Trust((stack.vkey,)), Scope())
    assert report.valid, report.error


@ATTACKS
def test_storage_laid_out_anew_from_it_is_not_signed(
    stack: EvidenceStack, tmp_path: Path, attack: Callable[[Superuser], None]
) -> None:
    """The integrator refuses broken rows at their position; a consistent rewrite the signer refuses
    as a fork, and with the old note on top the verifier refuses the root.
    """
    stack.integrate()
    note = stack.storage.need("checkpoint")
    sabotage(stack, attack)
    stack.storage = Storage(tmp_path / "again")
    with pytest.raises((Invalid, DomainError)) as caught:
        stack.integrate()
    if attack is not rewrite_tail:
        assert isinstance(caught.value, Invalid)
        assert caught.value.position == (BAD + 1 if attack is edit else BAD)
        return
    assert isinstance(caught.value, DomainError)
    assert caught.value.code == "signer.fork"
    assert stack.refused() == 1
    stack.storage.write({"checkpoint": note})
    report = verify_source(StorageSource(stack.storage), Trust((stack.vkey,)), Scope())
    assert report.error is not None
    assert report.error.code == "checkpoint.root"


@ATTACKS
def test_the_bundle_of_a_sabotaged_database_is_refused(
    stack: EvidenceStack, attack: Callable[[Superuser], None]
) -> None:
    """Laid out past integrator and signer, under the note that was signed: the first bad position
    is named, whatever was done to the rows.
    """
    stack.integrate()
    kept = published_members(stack)
    assert judged(kept, stack.vkey) is None
    sabotage(stack, attack)
    error = judged(kept | entry_members(stored_entries(stack), SIZE), stack.vkey)
    assert error is not None
    assert (error.code, error.position) == ("leaf.mismatch", BAD)


@ATTACKS
def test_the_bundle_of_a_sabotaged_database_signed_by_the_key_holder(
    stack: EvidenceStack, attack: Callable[[Superuser], None]
) -> None:
    """With tiles, root and a real signature that agree with the sabotaged rows: the chain still
    names the position, and a consistent rewrite is a fork of any note kept from before.
    """
    stack.integrate()
    note = stack.storage.need("checkpoint")
    sabotage(stack, attack)
    forged = signed_members(stack, stored_entries(stack))
    error = judged(forged, stack.vkey)
    if attack is rewrite_tail:
        assert error is None, "from one bundle alone it cannot be told: EVIDENCE.md section 8"
        error = judged(forged, stack.vkey, known=(note,))
        assert error is not None
        assert error.code == "checkpoint.fork"
        return
    assert error is not None
    assert error.position == (BAD + 1 if attack is edit else BAD)


@ATTACKS
def test_the_log_goes_on_after_sabotage(
    stack: EvidenceStack, attack: Callable[[Superuser], None]
) -> None:
    """Below the signed size the tree keeps what was signed, whatever the database says now.

    Where the last entry is moved or rewritten, new entries name another past: nothing more is
    signed. Where only the past is damaged the whole new range is signed on the old tree; the
    scrubber is the alarm and names the position, and the bundle extends the old note.
    """
    stack.integrate()
    note = stack.storage.need("checkpoint")
    sabotage(stack, attack)
    stack.fill(3)
    if attack in {renumber, rewrite_tail}:
        with pytest.raises(Invalid, match=r"entry\.changed") as caught:
            stack.integrate()
        assert caught.value.position == 300
        assert stack.storage.need("checkpoint") == note
        return
    assert stack.integrate() == 304
    fault = scrub(stack).condition.fault
    assert fault is not None
    assert fault.position == BAD
    trust = Trust((stack.vkey,), known=(note,))
    report = verify_source(StorageSource(stack.storage), trust, Scope())
    assert report.valid, report.error


def test_damaged_storage_is_named(stack: EvidenceStack) -> None:
    """One bit of a tile or an entry bundle outside the database is found, at its position."""
    stack.integrate()
    for name in ("tile/entries/000", "tile/0/000"):
        raw = stack.storage.need(name)
        at = 32 * BAD if name == "tile/0/000" else sum(
            2 + len(entry) for entry in stack.storage.entries(0, BAD)
        ) + 40  # fmt: skip
        stack.storage.write({name: raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]})
        fault = scrub(stack).condition.fault
        assert fault is not None
        assert fault.position == BAD
        assert BAD in [each.position for each in checked(stack).findings]
        stack.storage.write({name: raw})
    assert scrub(stack).condition.fault is None


def test_a_version_that_was_there_is_not_signed_again(stack: EvidenceStack) -> None:
    """A superuser moves a signed entry's columns away, and the writer gives its version again: it is
    not signed, after a restart of the integrator neither; without the unique index likewise.
    """
    stream = new_id("node")
    stack.append([one_stream(stream, 0, Unreachable(1), Unreachable(2))])
    assert stack.integrate() == SIZE + 2
    with psycopg.connect(stack.database.superuser_url) as conn:
        conn.execute("DROP INDEX log.entry_stream_version")
        moved = f"UPDATE log.entry SET stream = '{new_id('node')}' WHERE position = {SIZE + 1}"
        conn.execute(moved)
    stack.append([one_stream(stream, 1, Unreachable(3))])
    for _ in range(2):
        with pytest.raises(Invalid) as caught:
            stack.integrate()
        assert (caught.value.code, caught.value.position) == ("entry.version", SIZE + 2)


@pytest.mark.parametrize(
    ("column", "value"),
    [("version", "9"), ("command", "'\\x00'"), ("span", "7"), ("stream", "'node-x'")],
)
def test_columns_changed_after_the_signature(stack: EvidenceStack, column: str, value: str) -> None:
    """The scrubber finds a column that contradicts its signed entry, and where."""
    stack.integrate()
    with psycopg.connect(stack.database.superuser_url) as conn:
        conn.execute(f"UPDATE log.entry SET {column} = {value} WHERE position = {BAD}")
    fault = scrub(stack).condition.fault
    assert fault is not None
    assert (fault.code, fault.position) == ("entry.column", BAD)


def test_an_entry_beyond_the_head_stops_signing(stack: EvidenceStack) -> None:
    """A row put where the next entry belongs is found, with its position, by the integrator."""
    stack.integrate()
    with psycopg.connect(stack.database.superuser_url) as conn:
        conn.execute(
            "INSERT INTO log.entry SELECT (jsonb_populate_record(e, jsonb_build_object("
            f"'position', {SIZE}, 'stream', '{new_id('node')}', 'command', null))).*"
            f" FROM log.entry e WHERE position = {BAD}"
        )
    with pytest.raises(Invalid) as caught:
        stack.integrate()
    assert (caught.value.code, caught.value.position) == ("head.differs", SIZE)


def test_words_changed_behind_their_digest(stack: EvidenceStack) -> None:
    """Scrubber and fsck find a person's words replaced; erased ones are no fault."""
    org = new_id("organization")
    name, words = private_value(org, "Ada")
    append = one_stream(org, 0, Created(name, 1), org=org)
    stack.append([msgspec.structs.replace(append, private=(words,))])
    stack.integrate()
    assert scrub(stack).condition.fault is None
    assert checked(stack).findings == []
    with psycopg.connect(stack.database.superuser_url) as conn:
        conn.execute("UPDATE log.private_value SET words = 'Eve'")
    fault = scrub(stack).condition.fault
    assert fault is not None
    assert fault.code == "private.differs"
    assert [each.code for each in checked(stack).findings] == ["private.differs"]
    with psycopg.connect(stack.database.superuser_url) as conn:
        conn.execute("DELETE FROM log.private_value")
    assert scrub(stack).condition.fault is None


@pytest.mark.parametrize(
    ("column", "value"),
    [("version", "9"), ("command", "'\\x00'"), ("span", "7"), ("stream", "'node-x'")],
)
def test_columns_that_contradict_their_entry(stack: EvidenceStack, column: str, value: str) -> None:
    """A column beside the entry is only an index: where it lies, nothing is signed."""
    with psycopg.connect(stack.database.superuser_url) as conn:
        conn.execute(f"UPDATE log.entry SET {column} = {value} WHERE position = {BAD}")
    with pytest.raises(Invalid) as caught:
        stack.integrate()
    assert caught.value.position == BAD
    assert [f.position for f in checked(stack).findings if f.part == "database"] == [BAD]
