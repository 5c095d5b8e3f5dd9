"""Every act of the document: however often, by whomever and in whatever order asked, done once."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import httpx
import pytest

from api.admission.wire import Admitted, Ask
from api.embedded.nats import Nats
from evidence.append import Append, Appended
from tests.acting_asker import Asker, differs, in_flight
from tests.acting_bodies import another
from tests.acting_calls import BESIDE, CALLS, OTHERS, PROVED, VERSIONLESS
from tests.acting_proofs import Proof
from tests.acting_recipes import Call
from tests.acting_stage import (
    Playing,
    Two,
    appends,
    asked_for,
    became,
    causes_of,
    on_whose_authority,
    playing,
    reversible,
    viewing,
)
from tests.acting_world import MEMBER, Act, usd
from tests.conftest import Database

# What is over has no version any more that somebody could have decided on.
_TOLD_SO: Final = {
    "/v1/break-glass/{grant_id}/refuse": 409,
    "/v1/invitations/{invitation_id}/accept": 403,
    "/v1/periods/{period_id}/close": 200,
    "/v1/runtimes/{runtime_id}/app-passes": 409,
    "/v1/runtimes/{runtime_id}/ssh-certificates": 409,
}
# A busy machine takes its time over every act of the document.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def play_on(
    module_database: Database, nats_server: Nats, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Playing]:
    with playing(module_database, nats_server.url(), tmp_path_factory.mktemp("acts")) as found:
        yield found


def test_each_act_is_done_once(play_on: Playing) -> None:
    """Without a key, with an If-Match that is none or of another version: refused, and nothing is
    appended. Four at once at two processes, and again: one append, one answer. Another body by the
    same key, white space included: refused. Each entry says which policies decided. What led to it, told again after it: as answered, and
    nothing is undone. Long after, in the opposite order, when everything has changed: the old
    answers, and the log is as it was.
    """

    async def scene(two: Two) -> None:
        done: dict[str, tuple[Asker, httpx.Response]] = {}
        for route in CALLS:
            done[route] = await _once(two, route)
        size = await two.first.size()
        for route, (asker, first) in reversed(done.items()):
            again = await asker.ask(two.second, _key(route))
            found = differs(first, again)
            two.hold(route, "late duplicate", not found, found)
        two.hold("all", "late duplicates append", await two.first.size() == size)

    play_on(scene)


def _key(route: str) -> str:
    return route[-100:].replace(" ", "")


async def _refused(two: Two, route: str, asker: Asker) -> None:
    size, ask = await two.first.size(), asker.ask
    for law, wanted, answer in (
        ("no key", (400, "idempotency_key.required"), await ask(two.first, "")),
        ("no ETag", (400, "if_match.malformed"), await ask(two.first, "a", if_match="3")),
        ("stale", (412, "if_match.stale"), await ask(two.first, "b", if_match='W/"1", "999999"')),
    ):
        got = (answer.status_code, answer.json().get("code"))
        two.hold(route, law, got == wanted, got, answer.text)
    if asker.call.version:
        answer = await ask(two.first, "d", if_match="")
        two.hold(route, "no version", answer.status_code == 428, answer.text)
    two.hold(route, "refused, and appended", await two.first.size() == size)


async def _once(two: Two, route: str) -> tuple[Asker, httpx.Response]:
    asker, led = await two.before(route)
    await _refused(two, route, asker)
    key, size = _key(route), await two.first.size()
    every = await asyncio.gather(
        *(asker.ask(stage, key) for stage in (two.first, two.second, two.first, two.second))
    )
    good = [one for one in every if not in_flight(one)]
    two.hold(route, "nobody was answered", good)
    first = min(good, key=lambda one: sum(v is None for v in one.json().values()))
    two.hold(route, "acts", first.status_code in (200, 201), first.text)
    if led is not None and led.answer is not None:
        found = differs(led.answer, await led.ask(two.second))
        two.hold(route, "what led to it, late", not found, led.path, found)
    good.append(await asker.ask(two.second, key))
    good.append(await asker.ask(two.first, key))
    for one in good:
        found = differs(first, one)
        two.hold(route, "another answer", not found, found)
    other = another(route, asker.call.body)
    changed = {"other white space, or some": {"more": asker.more}}
    if other is not None:
        changed["another body"] = {"body": other}
    for law, how in changed.items():
        answer = await asker.ask(two.second, key, **how)
        got = (answer.status_code, answer.json().get("code"))
        two.hold(route, law, got == (422, "idempotency_key.reused"), how, answer.text)
    entries = await asked_for(two.first, size)
    causes = {one.cause for one in entries}
    two.hold(route, "one append", len(causes) == 1, causes)
    by = on_whose_authority(entries)
    two.hold(route, "on whose authority", all(by.values()), by)
    position = first.headers.get("log-position")
    two.hold(route, "position", entries and position == str(entries[-1].position), position)
    return asker, first


def test_what_is_proved_acts_once(play_on: Playing) -> None:
    """What takes no key but a proof: four at once at two processes, again, and long after: one
    append, and the answer or refusal that stands beside the route. The proof of something else:
    refused, and nothing is appended.
    """

    async def scene(two: Two) -> None:
        with viewing(two.first.services.settings):
            await _proved(two)

    play_on(scene)


async def _proved(two: Two) -> None:
    done: list[tuple[Proof, httpx.Response]] = []
    for recipe in PROVED.values():
        proof = await recipe(two.world)
        size, clients = await two.first.size(), (two.first.client, two.second.client)
        forged = await proof.send(two.first.client, proof.forged())
        two.hold(proof.path, "forged", 400 <= forged.status_code < 500, forged.text)
        two.hold(proof.path, "forged, and appended", await two.first.size() == size)
        every = await asyncio.gather(*(proof.send(one) for one in 2 * clients))
        first = next((one for one in every if proof.acted(one)), every[0])
        done.append((proof, first))
        every.append(await proof.send(two.second.client))
        wrong = [proof.differs(first, one) for one in every if one is not first]
        two.hold(proof.path, "acts", proof.acted(first), first.text)
        two.hold(proof.path, "another answer", not any(wrong), wrong)
        found = await appends(two.first, size)
        two.hold(proof.path, "one append", len(found) == 1, found)
    size = await two.first.size()
    for proof, first in reversed(done):
        again = await proof.send(two.second.client)
        two.hold(proof.path, "late", not proof.differs(first, again), again.text)
    two.hold("all", "late duplicates append", await two.first.size() == size)


def test_who_decided_on_the_same_version_acts_once(play_on: Playing) -> None:
    """Two different requests of the version that stands, at two processes at once, and a third one:
    where the act changes what its path names, one acts and no more; where it makes something
    beside that, each of them. And who was overtaken after the comparison and before the append is
    told so, and nothing of it is appended.
    """

    async def scene(two: Two) -> None:
        for route in CALLS:
            if "{" in route and route not in VERSIONLESS:
                await _raced(two, route)
                await _overtaken(two, route)

    play_on(scene)


async def _version(two: Two, route: str, asker: Asker) -> str:
    stale = await asker.ask(two.first, "stale", if_match='"999999"')
    version = stale.json()["facts"].get("version")
    two.hold(route, "no version to decide on", version is not None, stale.text)
    return f'"{version}"'


async def _raced(two: Two, route: str) -> None:
    asker = await two.asked(route)
    at, size = await _version(two, route, asker), await two.first.size()
    answers = list(
        await asyncio.gather(
            asker.ask(two.first, "one", if_match=at), asker.ask(two.second, "two", if_match=at)
        )
    )
    answers.append(await asker.ask(two.first, "later", if_match=at))
    acted = [one for one in answers if "log-position" in one.headers]
    causes = set(await causes_of(two.first, size))
    told = [one.text for one in answers]
    two.hold(route, "appended what was answered", len(causes) == len(acted), causes, told)
    two.hold(route, "acts", len(acted) == (3 if BESIDE.get(route) else 1), told)


async def _overtaken(two: Two, route: str) -> None:
    """By the same act, of somebody else at the other process; by another on the same thing where
    this one leaves it as it is. A decider may be the one who says no, or that it was done.
    """
    asker = await two.asked(route)
    faster = _faster(two, route, asker)
    at, size = await _version(two, route, asker), await two.first.size()
    between: list[httpx.Response] = []

    async def overtake() -> None:
        between.append(await faster.ask(two.second, f"faster-{two.world.number()}"))

    with _late(two, overtake):
        late = await asker.ask(two.first, "late", if_match=at)
    told = (*(one.text for one in between), late.text)
    two.hold(route, "somebody was faster", between and between[0].is_success, told)
    two.hold(route, "told so", late.status_code == _TOLD_SO.get(route, 412), told)
    causes = await causes_of(two.first, size)
    two.hold(route, "overtaken, and appended", len(set(causes)) == 1, causes)


def _faster(two: Two, route: str, asker: Asker) -> Asker:
    if route not in BESIDE:
        return asker
    thing, _, _ = asker.call.path.rpartition("/")
    if "/runtimes/" in route:
        return Asker(Call(f"{thing}/stop"))
    return Asker(Call(f"{thing}/credit", {"due_days": two.world.number()}))


@contextlib.contextmanager
def _late(two: Two, overtake: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """What the first process decides next comes to the log, or the admission, after `overtake`."""
    log, admission = two.first.services.log, two.first.services.admission
    at_once, asked_at_once = log.append, admission.ask
    waiting = [overtake]

    async def late(append: Append) -> Appended:
        if waiting and append.cause.startswith("cmd:"):
            await waiting.pop()()
        return await at_once(append)

    async def asked_late(ask: Ask) -> Admitted:
        if waiting:
            await waiting.pop()()
        return await asked_at_once(ask)

    log.append, admission.ask = late, asked_late  # type: ignore[method-assign]
    try:
        yield
    finally:
        log.append, admission.ask = at_once, asked_at_once  # type: ignore[method-assign]


def test_two_acts_on_one_thing_in_either_order_and_at_once(play_on: Playing) -> None:
    """Each act and the one before it on the same thing, wherever neither needs the other's answer:
    in either order, and both at once at two processes. At once, it comes to what one of the orders
    comes to. The late duplicates of both: answered as ever, nothing is appended.
    """
    pairs: set[str] = set()

    async def scene(two: Two) -> None:
        for route in CALLS:
            since = len(two.world.acts)
            asker, before = await two.before(route)
            if before is None or not reversible(asker, before):
                continue
            after = await asker.ask(two.second, "forth")
            forth = (await became(two.first, before.answer), await became(two.first, after))
            await _repeated(two, route, before, asker, "forth", after)
            at = len(two.world.acts) - since - 1
            try:
                back = await _back(two, route, at)
                at_once = await _at_once(two, route, at)
            except KeyError:
                continue  # what makes the request reads that answer
            pairs.add(f"{before.path} {asker.call.path}")
            two.hold(route, "at once", at_once in (forth, back), at_once, forth, back)

    play_on(scene)
    assert len(pairs) >= 19, pairs


async def _repeated(
    two: Two, route: str, before: Act, asker: Asker, key: str, after: httpx.Response
) -> None:
    """Of what was refused there is no duplicate: asked again, it may act."""
    if before.answer is not None and before.answer.is_success:
        await two.repeats(route, before.answer, before.ask(two.second))
    if after.is_success:
        await two.repeats(route, after, asker.ask(two.first, key))


async def _back(two: Two, route: str, at: int) -> tuple[object, object]:
    asker, before = await two.before(route, withheld=at)
    assert before is not None
    after = await asker.ask(two.second, "back")
    before.answer = await before.ask(two.first)
    await _repeated(two, route, before, asker, "back", after)
    return await became(two.first, before.answer), await became(two.first, after)


async def _at_once(two: Two, route: str, at: int) -> tuple[object, object]:
    asker, before = await two.before(route, withheld=at)
    assert before is not None
    before.answer, after = await asyncio.gather(
        before.ask(two.first), asker.ask(two.second, "at-once")
    )
    await _repeated(two, route, before, asker, "at-once", after)
    return await became(two.first, before.answer), await became(two.first, after)


def test_what_takes_no_key_keeps_nothing(play_on: Playing) -> None:
    """Questions, a payment asked for, a terminal's ticket: asked twice, the log is as it was."""

    async def scene(two: Two) -> None:
        world = two.world
        member = world.token(MEMBER)
        terminal = await world.new(
            f"/v1/runtimes/{await world.make_usable()}/terminals", None, member
        )
        account, period = world.taxed.accounts[0], world.taxed.next_period
        size = await two.first.size()
        asked: dict[str, tuple[str, Any, str]] = {
            "/v1/accounts/{account_id}/preview": (
                account,
                {"period": period, "book": "spring"},
                "",
            ),
            "/v1/accounts/{account_id}/top-ups": (world.account, {"amount": usd(25)}, ""),
            "/v1/authorization/explain": ("", {"action": "runtime.stop", "scope": world.org}, ""),
            "/v1/terminals/{session_id}/tickets": (terminal, None, member),
        }
        assert asked.keys() == OTHERS.keys()
        for route, (name, body, token) in asked.items():
            path = re.sub(r"\{\w+\}", name, route)
            for _ in range(2):
                answer = await two.second.post(path, body, token=token or None, key="same")
                two.hold(path, "answers", answer.status_code < 300, answer.text)
        top_up = Asker(Call(f"/v1/accounts/{world.account}/top-ups", {"amount": usd(25)}))
        for key, etag, status in (("", "", 400), ("k" * 201, "", 400), ("k", "3", 400), ("k", '"9"', 412)):  # fmt: skip
            answer = await top_up.ask(two.first, key, if_match=etag)
            two.hold("top-ups", "refused", answer.status_code == status, answer.text)
        two.hold("these", "append", await two.first.size() == size)

    play_on(scene)
