"""Appending to a real PostgreSQL: place, chain, expectations, commands, atomicity."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

import psycopg
import pytest

from domain.department import Created as Department
from domain.errors import DomainError
from domain.log import Heartbeat
from evidence import reader
from evidence.ids import new_id
from evidence.log import Append, Appended, EventLog, Write, private_value
from gpuaas_verify.entry import parse_entry
from gpuaas_verify.merkle import leaf_hash
from tests.conftest import Database

pytestmark = pytest.mark.slow

SYSTEM = "system-test"


def command(text: str) -> str:
    return "cmd:" + hashlib.sha256(text.encode()).hexdigest()


def beat(stream: str, expected: int = 0, *, cause: str = "", count: int = 1) -> Append:
    write = Write(stream, "-", expected, tuple(Heartbeat() for _ in range(count)))
    return Append((write,), SYSTEM, cause or command(new_id("command")))


def in_log(database: Database, body: Callable[[EventLog], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        log = await EventLog.open(database.app_url)
        try:
            await body(log)
        finally:
            await log.close()
        verify_stored(database)

    asyncio.run(run())


def verify_stored(database: Database) -> list[bytes]:
    """Every stored entry, after all checks of section 1 and the head."""
    with psycopg.connect(database.app_url) as conn:
        entries = reader.read_entries(conn, 0, 1_000_000)
        head = reader.head(conn)
    prev, at_us = bytes(32), 0
    versions: dict[str, int] = {}
    for number, (position, raw, leaf) in enumerate(entries):
        entry = parse_entry(raw)
        assert (position, entry.position, entry.prev) == (number, number, prev.hex())
        assert entry.at_us >= at_us
        assert entry.version == versions.get(entry.stream, 0) + 1
        assert leaf == leaf_hash(raw)
        versions[entry.stream], at_us, prev = entry.version, entry.at_us, leaf
    assert (head.size, head.leaf, head.at_us) == (len(entries), prev, at_us)
    return [raw for _, raw, _ in entries]


def test_appended_facts_are_read_back(database: Database) -> None:
    """An append answers with its positions and the last leaf, and the stream reads as written."""

    async def body(log: EventLog) -> None:
        stream = new_id("log")
        first = await log.append(beat(stream, count=3))
        assert (first.first, first.last, first.repeated) == (0, 2, False)
        second = await log.append(beat(stream, 3))
        assert (second.first, second.last) == (3, 3)
        read = await log.read_stream(stream)
        assert [(r.position, r.version) for r in read] == [(0, 1), (1, 2), (2, 3), (3, 4)]
        assert await log.read_stream(stream, after=3) == read[3:]
        head = await log.head()
        assert (head.size, head.leaf) == (4, second.leaf)

    in_log(database, body)


def test_many_callers_share_one_chain(database: Database) -> None:
    """Concurrent appends are numbered without gap or double, ahead and directly."""

    async def body(log: EventLog) -> None:
        async def caller() -> list[Appended]:
            stream = new_id("log")
            return [await log.append(beat(stream, version)) for version in range(20)]

        answers = await asyncio.gather(*(caller() for _ in range(100)))
        places = sorted(a.first for each in answers for a in each)
        assert places == list(range(2000))

    in_log(database, body)


def test_losers_are_dropped_singly(database: Database) -> None:
    """Of appends that expect the same version one wins; the others learn the actual version."""

    async def body(log: EventLog) -> None:
        stream = new_id("log")
        for version in range(5):
            answers = await log.append_many(
                [beat(stream, version), beat(stream, version), beat(new_id("log"))]
            )
            assert isinstance(answers[0], Appended)
            assert isinstance(answers[2], Appended)
            loser = answers[1]
            assert isinstance(loser, DomainError)
            assert loser.code == "log.version_stale"
            assert loser.facts == {"stream": stream, "expected": version, "actual": version + 1}

    in_log(database, body)


def test_a_repeated_command_returns_its_first_outcome(database: Database) -> None:
    """A command id is appended once: in one batch, later, and in another process's life."""
    cause = command("once")
    kept: list[Appended] = []

    async def body(log: EventLog) -> None:
        same = [beat(new_id("log"), cause=cause, count=2) for _ in range(3)]
        first, *repeats = await log.append_many(same)
        assert isinstance(first, Appended)
        assert not first.repeated
        later = await log.append(beat(new_id("log"), cause=cause))
        for repeat in [*repeats, later, await log.outcome(cause)]:
            assert repeat == Appended(first.first, first.last, first.leaf, repeated=True)
        kept.append(first)

    async def again(log: EventLog) -> None:
        repeat = await log.append(beat(new_id("log"), cause=cause))
        assert repeat == Appended(kept[0].first, kept[0].last, kept[0].leaf, repeated=True)
        assert await log.outcome(command("never")) is None

    in_log(database, body)
    in_log(database, again)


def test_an_append_is_all_or_nothing(database: Database) -> None:
    """When one of several streams is elsewhere, or one only read has moved, nothing is stored."""

    async def body(log: EventLog) -> None:
        known, other = new_id("log"), new_id("log")
        await log.append(beat(known))
        both = Append(
            (Write(other, "-", 0, (Heartbeat(),)), Write(known, "-", 0, (Heartbeat(),))),
            SYSTEM,
            command("both"),
        )
        seen = Append(beat(other).writes, SYSTEM, command("reads"), reads=((known, 0),))
        for append in (both, seen):
            with pytest.raises(DomainError, match=r"log\.version_stale"):
                await log.append(append)
        assert await log.read_stream(other) == []
        right = Append(beat(other).writes, SYSTEM, command("reads"), reads=((known, 1),))
        assert (await log.append(right)).first == 1

    in_log(database, body)


def test_an_organization_is_constant_for_a_stream(database: Database) -> None:
    """A stream never changes its organization, whichever way the batch is committed."""

    async def body(log: EventLog) -> None:
        stream, organization = new_id("department"), new_id("organization")
        words, value = private_value(organization, "Physik \N{GREEK SMALL LETTER ALPHA}")
        fact = Department(organization, words, 1)
        write = Write(stream, organization, 0, (fact,))
        await log.append(Append((write,), SYSTEM, command("a"), private=(value,)))
        for org in ("-", new_id("organization")):
            moved = Append((Write(stream, org, 1, (fact,)),), SYSTEM, command(org))
            with pytest.raises(DomainError, match=r"entry\.refused"):
                await log.append(moved)
        with psycopg.connect(database.app_url) as conn:
            assert reader.private_text(conn, words.private) == value.text
            assert reader.erase_private(conn, [words.private]) == 1
            assert reader.private_text(conn, words.private) is None

    in_log(database, body)


def test_predictions_are_checked_under_the_lock(database: Database) -> None:
    """Ahead of the head, what this process does not know is required of the database."""

    async def body(log: EventLog) -> None:
        other = await EventLog.open(database.app_url)
        stream, organization = new_id("department"), new_id("organization")
        fact = Department(organization, private_value(organization, "x")[0], 1)
        await other.append(Append((Write(stream, organization, 0, (fact,)),), SYSTEM, command("0")))
        await other.close()

        async def ahead(append: Append) -> Appended:
            # The first goes directly and tells where the head is; the next is sent ahead.
            await log.append(beat(new_id("log")))
            return await log.append(append)

        def later(org: str, expected: int, seen: int = 0) -> Append:
            reads = ((stream, seen),) if seen else ()
            writes = (Write(stream, org, expected, (fact,)),) if not seen else ()
            return Append(writes or beat(new_id("log")).writes, SYSTEM, command(new_id("c")), reads)

        for wrong, code in (
            (later("-", 1), "entry.refused"),
            (later(organization, 5), "log.version_stale"),
            (later(organization, 0), "log.version_stale"),
            (later(organization, 0, seen=2), "log.version_stale"),
        ):
            with pytest.raises(DomainError) as refused:
                await ahead(wrong)
            assert refused.value.code == code
        await ahead(later(organization, 0, seen=1))
        done = await ahead(later(organization, 1))
        assert [r.version for r in await log.read_stream(stream)] == [1, 2]
        assert (await log.head()).size == done.last + 1

    in_log(database, body)
