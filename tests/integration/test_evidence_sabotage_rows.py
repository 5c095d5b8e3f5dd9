"""A database superuser who turns on the bulk rows: integrator, scrubber, fsck, bundle."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from api.authorization.calls import DENIED, Calls, Kind
from api.reads import Reads
from evidence import fsck
from evidence.log import EventLog
from evidence.scrubber import Scrubber
from gpuaas_verify import strict
from gpuaas_verify.bulk import TABLES
from gpuaas_verify.bundle import Scope
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import leaf_hash, root_hash
from projections.rater import Rater
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack
from tests.integration.forgery import (
    entry_members,
    judged,
    published_members,
    signed_members,
    stored_entries,
    stored_rows,
)
from tests.integration.projections_world import HOUR_US, T0, World
from tests.integration.readings_world import Speaker

pytestmark = pytest.mark.slow

type Superuser = psycopg.Connection[Any]
ROWS = 3  # each of two seals per table
BAD = 4  # in the middle of the second seal
NO_WORDS = Scope(attestations=False)  # the world's nodes do not sign


@pytest.fixture
def stack(database: Database, tmp_path: Path) -> Iterator[EvidenceStack]:
    """Six runtimes' lives, charged, six readings and six counts of calls, sealed in two batches of
    three; not signed.
    """
    stack = EvidenceStack(database, tmp_path)
    asyncio.run(_live(database))
    with stack.signing():
        yield stack


async def _live(database: Database) -> None:
    world = World()
    log, reads = await EventLog.open(database.app_url), Reads(database.app_url)
    try:
        opening = world.opening()
        # The log is open already: the world's own entry 0 is left out.
        await log.append(msgspec.structs.replace(opening, writes=opening.writes[1:]))
        opened = await log.entry(0)
        assert opened is not None
        speaker = Speaker(world, opened.stream)
        await log.append(speaker.opening())
        counted = Calls(log, reads, lambda: T0)
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            rater = Rater(conn, log)
            for number in range(2 * ROWS):
                start = T0 + number * HOUR_US
                for append in world.life(world.nodes[0], start, start + HOUR_US // 7):
                    await log.append(append)
                if number % ROWS == ROWS - 1:
                    speaker.last_seal = (await log.append(speaker.sealed(ROWS))).last
                    await rater.catch_up()
                    for who in range(ROWS):
                        of = (world.org, f"user-{who}", "", "member.add", DENIED)
                        counted.count(Kind(*of, "auth.forbidden", ""))
                    await counted.seal()
    finally:
        reads.close()
        await log.close()


def edit(conn: Superuser, table: str) -> None:
    """One digit of what the seal sums."""
    _put(conn, table, BAD, _dearer(_row(conn, table, BAD), table))


def delete(conn: Superuser, table: str) -> None:
    conn.execute("DELETE FROM log.bulk_row WHERE bulk_table = %s AND row_number = %s", (table, BAD))


def renumber(conn: Superuser, table: str) -> None:
    """One row is cut out and those after it move up, in their bytes too."""
    for number in range(BAD, 2 * ROWS - 1):
        _put(conn, table, number, _numbered(_row(conn, table, number + 1), number))
    conn.execute(
        "DELETE FROM log.bulk_row WHERE bulk_table = %s AND row_number = %s",
        (table, 2 * ROWS - 1),
    )


def swap(conn: Superuser, table: str) -> None:
    """Two rows of one seal change places: its count and sum stay."""
    one, other = _row(conn, table, BAD), _row(conn, table, BAD + 1)
    _put(conn, table, BAD, other)
    _put(conn, table, BAD + 1, one)


def take(conn: Superuser, table: str) -> None:
    """A row of the seal before, under the number of the one it replaces."""
    _put(conn, table, BAD, _numbered(_row(conn, table, 0), BAD))


@dataclass(frozen=True)
class Attack:
    """`row`: the first that its seal's check can name; a root alone names the seal's first."""

    act: Callable[[Superuser, str], None]
    code: str
    row: int


ATTACKS = pytest.mark.parametrize(
    "attack",
    [
        Attack(edit, "seal.root", ROWS),
        Attack(delete, "row.number", BAD),
        Attack(renumber, "seal.count", 2 * ROWS - 1),
        Attack(swap, "row.number", BAD),
        Attack(take, "seal.root", ROWS),
    ],
    ids=lambda attack: attack.act.__name__,
)
EACH_TABLE = pytest.mark.parametrize("table", sorted(TABLES))


def _row(conn: Superuser, table: str, number: int) -> bytes:
    asked = "SELECT row_bytes FROM log.bulk_row WHERE bulk_table = %s AND row_number = %s"
    found = conn.execute(asked, (table, number), binary=True).fetchone()
    assert found is not None
    return bytes(found[0])


def _put(conn: Superuser, table: str, number: int, raw: bytes) -> None:
    done = conn.execute(
        "UPDATE log.bulk_row SET row_bytes = %s WHERE bulk_table = %s AND row_number = %s",
        (raw, table, number),
    )
    assert done.rowcount == 1


def _numbered(raw: bytes, number: int) -> bytes:
    return strict.encode({**strict.decode(raw), "row": number})


def _dearer(raw: bytes, table: str) -> bytes:
    row = strict.decode(raw)
    name = TABLES[table].factors[-1]
    return strict.encode({**row, name: row[name] + 1})


def sabotage(stack: EvidenceStack, act: Callable[[Superuser, str], None], table: str) -> None:
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as conn:
        act(conn, table)


def scrubbed(stack: EvidenceStack) -> Scrubber:
    """A scrubber after one whole pass."""
    with psycopg.connect(stack.database.app_url, autocommit=True) as conn:
        scrubber = Scrubber(conn, stack.storage)
        while not scrubber.step():
            continue
        return scrubber


def checked(stack: EvidenceStack) -> list[fsck.Finding]:
    """What fsck finds in database and storage; the world's nodes sign nothing, which it tells."""
    with psycopg.connect(stack.database.app_url, autocommit=True) as conn:
        findings = fsck.check(conn, stack.storage, stack.vkey).findings
    return [each for each in findings if not each.code.startswith("attest.")]


def seals(entries: list[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and entry of every seal."""
    for position, raw in enumerate(entries):
        entry = json.loads(raw)
        if entry["tag"].endswith(".batch_sealed.v1"):
            yield position, entry


@EACH_TABLE
@ATTACKS
def test_before_it_is_signed(stack: EvidenceStack, attack: Attack, table: str) -> None:
    """Rows that are not what their seal says are never signed; table and row are named."""
    sabotage(stack, attack.act, table)
    with pytest.raises(Invalid) as caught:
        stack.integrate()
    assert (caught.value.code, caught.value.table, caught.value.row) == (
        *(attack.code, table, attack.row),
    )
    assert stack.storage.read("checkpoint") is None


@EACH_TABLE
@ATTACKS
def test_after_it_is_signed(stack: EvidenceStack, attack: Attack, table: str) -> None:
    """Scrubber and fsck name the first row that is not what was signed; the bundle, kept outside,
    still verifies, and one laid out from the sabotaged rows does not.
    """
    stack.integrate()
    assert checked(stack) == []
    assert scrubbed(stack).condition.fault is None
    sabotage(stack, attack.act, table)
    fault = scrubbed(stack).condition.fault
    assert fault is not None
    assert (fault.table, fault.row) == (table, BAD)
    findings = {(each.part, each.table, each.row) for each in checked(stack)}
    assert {("storage", table, BAD), ("database", table, attack.row)} <= findings
    kept = published_members(stack)
    assert judged(kept, stack.vkey, scope=NO_WORDS) is None
    error = judged(kept | stored_rows(stack, table, ROWS, ROWS), stack.vkey, scope=NO_WORDS)
    assert error is not None
    assert (error.code, error.table, error.row) == (attack.code, table, attack.row)


@EACH_TABLE
def test_rows_that_no_seal_binds(stack: EvidenceStack, table: str) -> None:
    """A row put behind the last is in no bundle and no view; scrubber and fsck name it."""
    stack.integrate()

    def grow(conn: Superuser, table: str) -> None:
        raw = _numbered(_row(conn, table, 0), 2 * ROWS)
        conn.execute("INSERT INTO log.bulk_row VALUES (%s, %s, %s)", (table, 2 * ROWS, raw))

    sabotage(stack, grow, table)
    assert [(each.code, each.table, each.row) for each in checked(stack)] == [
        ("row.unsealed", table, 2 * ROWS)
    ]
    fault = scrubbed(stack).condition.fault
    assert fault is not None
    assert (fault.code, fault.table, fault.row) == ("row.unsealed", table, 2 * ROWS)
    assert judged(published_members(stack), stack.vkey, scope=NO_WORDS) is None


def reseal(conn: Superuser, table: str) -> None:
    """A dearer row, its seal, the chain after it and the head: all made to agree."""
    edit(conn, table)
    rows = [_row(conn, table, number) for number in range(ROWS, 2 * ROWS)]
    entries = [
        bytes(raw)
        for (raw,) in conn.execute(
            "SELECT entry FROM log.entry ORDER BY position", binary=True
        ).fetchall()
    ]
    seal = _seal_of(entries, table)
    leaf = leaf_hash(entries[seal - 1]).hex()
    for position in range(seal, len(entries)):
        entry = json.loads(entries[position])
        if position == seal:
            spec = TABLES[table]
            entry["fact"]["root"] = root_hash(map(leaf_hash, rows)).hex()
            entry["fact"][spec.sum_field] = sum(spec.summand(strict.decode(row)) for row in rows)
        raw = strict.encode({**entry, "prev": leaf})
        leaf = leaf_hash(raw).hex()
        conn.execute("UPDATE log.entry SET entry = %s WHERE position = %s", (raw, position))
    conn.execute("UPDATE log.head SET leaf = decode(%s, 'hex')", (leaf,))


def _seal_of(entries: list[bytes], table: str) -> int:
    """The position of the seal that binds row BAD."""
    [position] = [
        at
        for at, entry in seals(entries)
        if (entry["fact"]["table"], entry["fact"]["first_row"]) == (table, ROWS)
    ]
    return position


@EACH_TABLE
def test_rows_and_seal_rewritten_before_they_are_signed(stack: EvidenceStack, table: str) -> None:
    """Every hash and sum agrees, so it is signed; the books are derived anew from the entries, so
    the auditor refuses the row all the same. Of readings it is the source's own signature, behind
    the last of the batch, that does not fit. Calls follow from nothing: what the platform counts is
    its word until it is signed, and cannot be changed afterwards.
    """
    sabotage(stack, reseal, table)
    stack.integrate()
    assert scrubbed(stack).condition.fault is None
    error = judged(published_members(stack), stack.vkey, scope=NO_WORDS)
    if table == "call":
        assert error is None
        return
    assert error is not None
    named = ("books.signed", 2 * ROWS - 1) if table == "reading" else ("books.row_differs", BAD)
    assert (error.table, error.code, error.row) == (table, *named)


@EACH_TABLE
def test_rows_and_seal_rewritten_after_they_were_signed(stack: EvidenceStack, table: str) -> None:
    """Scrubber, fsck and a bundle under the old note name the seal; signed anew it is a fork."""
    stack.integrate()
    kept, note = published_members(stack), stack.storage.need("checkpoint")
    entries = stored_entries(stack)
    seal = _seal_of(entries, table)
    sabotage(stack, reseal, table)
    fault = scrubbed(stack).condition.fault
    assert fault is not None
    assert fault.position == seal
    assert ("storage", seal) in [(each.part, each.position) for each in checked(stack)]
    rewritten = stored_entries(stack)
    rows = stored_rows(stack, table, ROWS, ROWS)
    error = judged(kept | rows | entry_members(rewritten, len(entries)), stack.vkey)
    assert error is not None
    assert (error.code, error.position) == ("leaf.mismatch", seal)
    forged = {name: data for name, data in kept.items() if not name.startswith("tile/")}
    forged |= rows | signed_members(stack, rewritten)
    error = judged(forged, stack.vkey, known=(note,), scope=NO_WORDS)
    assert error is not None
    assert error.code == "checkpoint.fork"
