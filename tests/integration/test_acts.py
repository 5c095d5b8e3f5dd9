"""Every act of the document: however often, by whomever and in whatever order asked, done once."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, Final

import httpx
import msgspec
import pytest

from api.config import Settings
from api.embedded.children import free_port
from domain.access import Decided
from evidence.reader import Recorded, decode_entry, read_entries
from tests.acting_asker import Asker, differs, in_flight
from tests.acting_calls import CALLS
from tests.acting_recipes import Call
from tests.acting_world import MEMBER, World, prepared, usd
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.held_api import TOLD
from tests.issuer_stage import issuer

ROOT: Final = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


class Two:
    """Two API processes of one deployment, and what did not hold."""

    def __init__(self, first: Stage, second: Stage, world: World) -> None:
        self.first, self.second, self.world = first, second, world
        self.broken: list[str] = []
        self.done: dict[str, tuple[Asker, httpx.Response]] = {}

    def hold(self, route: str, law: str, held: object, *told: object) -> None:
        if not held:
            self.broken.append(f"{route}: {law}: {' '.join(map(str, told))}"[:600])

    async def asked(self, route: str) -> Asker:
        return Asker(await CALLS[route](self.world))


async def entries_of(stage: Stage, since: int) -> list[Recorded]:
    """From there on."""
    size = await stage.size()
    rows = await stage.services.reads.ask(read_entries, since, max(1, size - since))
    return [decode_entry(entry) for _, entry, _ in rows]


async def causes_of(stage: Stage, since: int) -> list[str]:
    """Of each entry from there on."""
    return [one.cause for one in await entries_of(stage, since)]


def on_whose_authority(entries: list[Recorded]) -> dict[int, tuple[str, ...]]:
    """Of one append, by position: the ids of the policies that decided, in the fact or in the one
    beside it.
    """
    found = {one.position: tuple(getattr(one.fact, "policies", ())) for one in entries}
    for one in entries:
        if isinstance(one.fact, Decided):
            assert [one.fact.about, one.fact.entries] == [entries[0].stream, len(entries) - 1]
            found |= {at: found[at] or one.fact.policies for at in found}
    return found


@contextlib.asynccontextmanager
async def both(database: Database, nats_url: str, data: Path) -> AsyncIterator[Two]:
    with issuer() as trusted:
        world = World(trusted.url)
        await prepared(database, world.taxed)
        async with (
            staged(database, nats_url, data) as first,
            staged(database, nats_url, data, elect=False) as second,
        ):
            await world.furnish(first, database)
            two = Two(first, second, world)
            yield two
        assert not two.broken, "\n".join(two.broken)


def test_each_act_is_done_once(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Without a key, with an If-Match that is none or of another version: refused, and nothing is
    appended. Four at once at two processes, and again: one append, one answer. Another body by the
    same key: refused. Each entry says which policies decided. Long after, in the opposite order,
    when everything has changed: the old answers, and the log is as it was.
    """

    async def run() -> None:
        async with both(database, nats_url, tmp_path) as two:
            for route in CALLS:
                await _refused(two, route)
                await _once(two, route)
            await _long_after(two)

    asyncio.run(run())


async def _refused(two: Two, route: str) -> None:
    asker = await two.asked(route)
    size, ask = await two.first.size(), asker.ask
    for law, wanted, answer in (
        ("no key", (400, "idempotency_key.required"), await ask(two.first, "")),
        ("a long key", (400, "idempotency_key.required"), await ask(two.first, "k" * 201)),
        ("no ETag", (400, "if_match.malformed"), await ask(two.first, "a", if_match="3")),
        ("stale", (412, "if_match.stale"), await ask(two.first, "b", if_match='"999999"')),
        ("weak", (412, "if_match.stale"), await ask(two.first, "c", if_match='W/"1"')),
    ):
        got = (answer.status_code, answer.json().get("code"))
        two.hold(route, law, got == wanted, got, answer.text)
    if asker.call.version:
        answer = await ask(two.first, "d", if_match="")
        two.hold(route, "no version", answer.status_code == 428, answer.text)
    two.hold(route, "refused, and appended", await two.first.size() == size)


async def _once(two: Two, route: str) -> None:
    asker, key = await two.asked(route), route[-100:].replace(" ", "")
    size = await two.first.size()
    every = await asyncio.gather(
        *(asker.ask(stage, key) for stage in (two.first, two.second, two.first, two.second))
    )
    good = [one for one in every if not in_flight(one)]
    two.hold(route, "nobody was answered", good)
    first = min(good, key=lambda one: sum(v is None for v in one.json().values()))
    two.hold(route, "acts", first.status_code in (200, 201), first.text)
    two.done[route] = asker, first
    good.append(await asker.ask(two.second, key))
    good.append(await asker.ask(two.first, key))
    for one in good:
        found = differs(first, one)
        two.hold(route, "another answer", not found, found)
    other = await asker.ask(two.second, key, more=asker.more)
    two.hold(route, "another body", other.status_code == 422, other.text)
    entries = await entries_of(two.first, size)
    causes = [one.cause for one in entries]
    two.hold(route, "one append", causes and len(set(causes)) == 1, causes)
    by = on_whose_authority(entries)
    two.hold(route, "on whose authority", all(by.values()), by)
    position = first.headers.get("log-position")
    two.hold(route, "position", position == str(size + len(causes) - 1), position)


async def _long_after(two: Two) -> None:
    size = await two.first.size()
    for route, (asker, first) in reversed(two.done.items()):
        again = await asker.ask(two.second, route[-100:].replace(" ", ""))
        found = differs(first, again)
        two.hold(route, "late duplicate", not found, found)
    two.hold("all", "late duplicates append", await two.first.size() == size)


def test_who_decided_on_the_same_version_acts_once(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Two different requests of the version that stands, at two processes at once: where the act
    changes what its path names, one of them acts and no more.
    """

    async def run() -> None:
        async with both(database, nats_url, tmp_path) as two:
            tried = [route for route in CALLS if "{" in route]
            for route in tried:
                await _raced(two, route)

    asyncio.run(run())


async def _raced(two: Two, route: str) -> None:
    asker = await two.asked(route)
    stale = await asker.ask(two.first, "stale", if_match='"999999"')
    version = stale.json()["facts"].get("version")
    if version is None:
        two.hold(route, "no version to decide on", route == "/v1/price-books/{name}", stale.text)
        return
    size, at = await two.first.size(), f'"{version}"'
    answers = await asyncio.gather(
        asker.ask(two.first, "one", if_match=at), asker.ask(two.second, "two", if_match=at)
    )
    good = [one for one in answers if one.status_code in (200, 201)]
    two.hold(route, "somebody acts", good, [one.text for one in answers])
    later = await asker.ask(two.first, "later", if_match=at)
    if later.status_code == 412:
        # What follows of earlier acts by itself may be appended meanwhile.
        acts = {one for one in await causes_of(two.first, size) if one.startswith("cmd:")}
        two.hold(route, "one of them acts", len(acts) == 1, acts)


def test_an_act_whose_process_was_killed_before_it_answered_is_answered_by_the_next(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """One process does every act of the document and is killed with -9 while it holds all their
    answers. The next one gives each of them to whoever asks again, and does nothing twice.
    """

    async def run() -> None:
        with issuer() as trusted:
            world = World(trusted.url)
            await prepared(database, world.taxed)
            async with staged(database, nats_url, tmp_path) as stage:
                await world.furnish(stage, database)
                askers = {route: Asker(await recipe(world)) for route, recipe in CALLS.items()}
                size = await stage.size()
                port = free_port()
                settings = msgspec.structs.replace(stage.services.settings, http_port=port)
                operator = stage.operator
            held = await _held(settings, askers, operator)
        async with staged(database, nats_url, tmp_path) as fresh:
            causes = await causes_of(fresh, size)
            assert len(set(causes)) == len(askers), "each act is one append"
            size += len(causes)
            broken = {}
            for route, asker in askers.items():
                again = await asker.ask(fresh, "killed")
                found = differs(held[route], again)
                if found or held[route].status_code not in (200, 201):
                    broken[route] = found, held[route].text, again.text
            assert not broken
            assert await fresh.size() == size

    asyncio.run(run())


@contextlib.contextmanager
def holding(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "tests.held_api"]
    env = settings.environment()
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, cwd=ROOT) as child:
        try:
            yield child
        finally:
            child.kill()


async def _held(
    settings: Settings, askers: dict[str, Asker], operator: str
) -> dict[str, httpx.Response]:
    """What each would have been answered; nobody was."""
    found, waiting = {}, []
    every = httpx.Limits(max_connections=None)
    with holding(settings) as child:
        assert child.stdout is not None
        async with httpx.AsyncClient(base_url=settings.api_url, timeout=60, limits=every) as client:
            await _up(client, child)
            for route, asker in askers.items():
                waiting.append(asyncio.create_task(asker.send(client, operator, "killed")))
                status, headers, body = await asyncio.to_thread(_told, child.stdout)
                found[route] = httpx.Response(status, headers=headers, json=body)
            child.kill()
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(one, httpx.TransportError) for one in answers), answers
    return found


def _told(output: IO[bytes]) -> Any:
    """Of the next answer."""
    for line in output:
        if line.startswith(TOLD.encode()):
            return json.loads(line.removeprefix(TOLD.encode()))
    raise AssertionError("it ended")


async def _up(client: httpx.AsyncClient, child: subprocess.Popen[bytes]) -> None:
    while child.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if (await client.get("/v1/health")).status_code == 200:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not begin")


def test_what_takes_no_key_keeps_nothing(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Questions, a payment asked for, a terminal's ticket: asked twice, the log is as it was."""

    async def run() -> None:
        async with both(database, nats_url, tmp_path) as two:
            world = two.world
            member = world.token(MEMBER)
            terminal = await world.new(
                f"/v1/runtimes/{await world.make_usable()}/terminals", None, member
            )
            account, period = world.taxed.accounts[0], world.taxed.next_period
            size = await two.first.size()
            for path, body, token in (
                (f"/v1/accounts/{account}/preview", {"period": period, "book": "spring"}, ""),
                (f"/v1/accounts/{world.account}/top-ups", {"amount": usd(25)}, ""),
                ("/v1/authorization/explain", {"action": "runtime.stop", "scope": world.org}, ""),
                (f"/v1/terminals/{terminal}/tickets", None, member),
            ):
                for _ in range(2):
                    answer = await two.second.post(path, body, token=token or None, key="same")
                    two.hold(path, "answers", answer.status_code < 300, answer.text)
            top_up = Asker(Call(f"/v1/accounts/{world.account}/top-ups", {"amount": usd(25)}))
            for key, asked, status in (("", "", 400), ("k" * 201, "", 400), ("k", "3", 400), ("k", '"9"', 412)):  # fmt: skip
                answer = await top_up.ask(two.first, key, if_match=asked)
                two.hold("top-ups", "refused", answer.status_code == status, answer.text)
            two.hold("these", "append", await two.first.size() == size)

    asyncio.run(run())
