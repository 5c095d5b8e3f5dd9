"""The client repeats by itself, against a server of our own: one effect whatever gets lost."""

import asyncio
import itertools
import json
import ssl

import msgspec
import pytest

from contracts.problems import PROBLEMS
from gpuaas_client import (
    AsyncClient,
    Client,
    Conflict,
    GpuaasError,
    Impostor,
    Invalid,
    NotFound,
    Patience,
    Refused,
    Unavailable,
    Unreachable,
    exits,
    models,
    operations,
)
from gpuaas_client.errors import unheard
from tests.serving import Answer, answering, problem, serving

PROJECT = "project-00000000-0000-7000-8000-000000000001"
NEW = models.DepartmentNew(name="a", organization="o")
MADE = {"created_at": None, "id": "d", "name": "a", "organization": "o", "version": 1}
QUICK = Patience(whole_s=5.0, chance=lambda: 0.0)


SOON = (("Retry-After", "0"),)
LATER = [
    Answer(0),
    Answer(503, problem("view.behind"), SOON),
    Answer(429, problem("rate.exceeded"), SOON),
    Answer(502, b"<html>", ()),
    Answer(409, problem("idempotency_key.in_flight"), SOON),
]


def test_an_act_is_repeated_under_one_key_until_it_is_answered() -> None:
    """Lost lines, 503, 429, a proxy's 502 and a duplicate in flight; waited for and awaited."""

    async def awaited(url: str) -> models.Department:
        async with AsyncClient(url, "t", patience=QUICK) as client:
            made = await client.create_department(NEW)
            assert client.position == 7
            return made

    done = Answer(201, MADE, (("Log-Position", "7"),))
    for sync in (True, False):
        with serving(*LATER, done) as (url, asked):
            if sync:
                with Client(url, "t", patience=QUICK) as client:
                    made = client.create_department(NEW)
                    assert client.position == 7
            else:
                made = asyncio.run(awaited(url))
        assert msgspec.to_builtins(made) == MADE
        keys = {one.headers["idempotency-key"] for one in asked}
        assert len(asked) == len(LATER) + 1
        assert len(keys) == 1
        assert all(len(key) == 32 for key in keys)
        assert all(one.body == {"name": "a", "organization": "o"} for one in asked)
        assert asked[0].headers["authorization"] == "Bearer t"


def test_patience_ends_and_the_refusal_is_told() -> None:
    """What was refused last is raised, by its code; a wait that would last longer is not begun. What
    is repeated for longer than a second is told.
    """
    refused = Answer(503, problem("view.behind"), (("Retry-After", "9"),))
    with (
        serving(refused) as (url, _),
        Client(url, "t", patience=QUICK) as client,
        pytest.raises(Unavailable) as told,
    ):
        client.create_department(NEW)
    assert (told.value.code, told.value.remedy) == ("view.behind", "do")
    again = Answer(503, problem("issuer.unreachable"), SOON)
    ticks, heard = itertools.count(), list[tuple[str, float]]()
    slow = Patience(
        whole_s=5.0, chance=lambda: 0.0, clock=lambda: next(ticks) / 8,
        told=lambda why, most_s: heard.append((why.code, most_s)),
    )  # fmt: skip
    with (
        answering(lambda _: again) as url,
        Client(url, "t", patience=slow) as client,
        pytest.raises(Unavailable),
    ):
        client.create_department(NEW)
    assert heard == [("issuer.unreachable", 5.0)], "once, when it has taken a second"
    with (
        Client("http://127.0.0.1:9", "t", patience=Patience(whole_s=0.0)) as client,
        pytest.raises(Unreachable, match=r"api\.unreachable"),
    ):
        client.create_department(NEW)


@pytest.mark.parametrize(
    ("status", "code", "kind", "exit_status"),
    [
        (400, "request.invalid", Invalid, exits.FAILED),
        (404, "resource.unknown", NotFound, exits.NOT_FOUND),
        (409, "runtime.not_possible", Conflict, exits.CONFLICT),
        (409, "capacity.none_fits", Conflict, exits.LIMIT),
        (412, "if_match.stale", Conflict, exits.CONFLICT),
        (500, "server.fault", Unavailable, exits.NOT_NOW),
    ],
)
def test_a_refusal_is_not_repeated(
    status: int, code: str, kind: type[GpuaasError], exit_status: int
) -> None:
    """It is raised by its kind, with code, remedy and numbers; a command's status says whose turn."""
    with (
        serving(Answer(status, problem(code, left=3))) as (url, _),
        Client(url, "t", patience=QUICK) as client,
        pytest.raises(kind) as told,
    ):
        client.create_department(NEW, key="mine")
    assert (told.value.code, told.value.remedy) == (code, "do")
    assert isinstance(told.value, Refused)
    assert told.value.facts == {"left": 3}
    assert exits.status_of(told.value) == exit_status


def test_an_act_whose_answer_never_came_is_told_with_its_key() -> None:
    """By which it is done once, if at all; not where it was never sent, nor of what only reads."""
    quick = Patience(whole_s=0.1, chance=lambda: 1.0)
    with serving(Answer(0)) as (url, asked), Client(url, "t", patience=quick) as client:
        with pytest.raises(Unreachable) as told:
            client.create_department(NEW)
        key = asked[0].headers["idempotency-key"]
    assert f"It may have been done: look, or repeat it under the key {key}." in told.value.remedy
    with (
        serving(Answer(0)) as (url, _),
        Client(url, "t", patience=quick) as client,
        pytest.raises(Unreachable) as read,
    ):
        client.list_departments()
    with (
        Client("http://127.0.0.1:9", "t", patience=quick) as client,
        pytest.raises(Unreachable) as unsent,
    ):
        client.create_department(NEW)
    assert not any("may have been done" in str(one.value) for one in (read, unsent))


def test_what_has_no_key_is_not_sent_twice_once_it_may_have_been_heard() -> None:
    """A cut line may have carried it; a refusal for now, or a connection that never was, did not."""
    session = "access-1"
    with (
        serving(Answer(0)) as (url, asked),
        Client(url, "t", patience=QUICK) as client,
        pytest.raises(Unreachable),
    ):
        client.issue_ticket(session)
    assert "idempotency-key" not in asked[0].headers
    good = Answer(201, {"ticket": "x", "expires_at": "y"})
    refused = Answer(429, problem("rate.exceeded"), SOON)
    with serving(refused, good) as (url, _), Client(url, "t", patience=QUICK) as client:
        assert client.issue_ticket(session).ticket == "x"


def test_a_caller_reads_its_own_write() -> None:
    """Each GET after an act names the position that the act told; one may name its own."""
    done = Answer(201, MADE, (("Log-Position", "41"),))
    page = {"items": [MADE], "next": None}
    with (
        serving(done, Answer(200, page), Answer(200, page)) as (url, asked),
        Client(url, "t", patience=QUICK) as client,
    ):
        client.create_department(NEW)
        client.list_departments()
        client.list_departments(at_least=99)
    assert "min-log-position" not in asked[0].headers
    assert [one.headers["min-log-position"] for one in asked[1:]] == ["41", "99"]


def test_pages_follow_their_cursors_with_the_filters_kept() -> None:
    """Every item once, in order; nothing after the last page."""
    call = operations.list_departments(organization="o&o")
    pages = [
        Answer(200, {"items": [{**MADE, "id": "1"}, {**MADE, "id": "2"}], "next": "a b"}),
        Answer(200, {"items": [], "next": "c"}),
        Answer(200, {"items": [{**MADE, "id": "3"}], "next": None}),
    ]
    with serving(*pages) as (url, asked), Client(url, "t") as client:
        assert [one.id for one in client.each(call)] == ["1", "2", "3"]
    first, second, third = (one.what for one in asked)
    assert first == "GET /v1/departments?organization=o%26o"
    assert second.startswith(f"{first}&cursor=a")
    assert third == f"{first}&cursor=c"

    async def awaited(url: str) -> list[str]:
        async with AsyncClient(url, "t") as client:
            return [one.id async for one in client.each(call)]

    with serving(*pages) as (url, _):
        assert asyncio.run(awaited(url)) == ["1", "2", "3"]


def _event(position: int) -> bytes:
    said = {
        "specversion": "1.0", "id": str(position), "source": "/v1/events", "type": "t",
        "subject": "s", "time": "now", "datacontenttype": "application/json", "org": "o",
        "actor": "a", "cause": "c", "version": 1, "data": {"n": position},
    }  # fmt: skip
    return b"id: %d\nevent: t\ndata: %s\n\n" % (position, json.dumps(said).encode())


def test_events_go_on_after_the_last_that_was_seen() -> None:
    """A line that is cut within an event resumes after the one before it: none twice, none left out."""
    stream = (("Content-Type", "text/event-stream"),)
    cut = (*stream, ("Transfer-Encoding", "chunked"), ("Connection", "close"))
    half = b": hello\n\n" + _event(4) + _event(5)[:-9]
    whole = _event(5) + b": quiet\n\n" + _event(9)
    answers = [
        Answer(200, _chunk(half), cut),
        Answer(503, problem("log.unavailable"), SOON),
        Answer(200, whole, stream),
    ]
    with serving(*answers) as (url, asked), Client(url, "t", patience=QUICK) as client:
        found = [one.position for one in client.events(3, follow=False)]
    assert found == [4, 5, 9]
    assert [one.headers["last-event-id"] for one in asked] == ["3", "4", "4"]
    assert {one.what for one in asked} == {"GET /v1/events?follow=false"}

    async def awaited(url: str) -> list[int]:
        async with AsyncClient(url, "t", patience=QUICK) as client:
            return [one.position async for one in client.events(3, follow=False)]

    with serving(*answers) as (url, _):
        assert asyncio.run(awaited(url)) == [4, 5, 9]


def _chunk(data: bytes) -> bytes:
    """A chunked body that ends before its end."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_an_answer_of_something_else_is_named() -> None:
    """A page of a proxy, or a body that is not what the call answers; unknown fields are passed over."""
    for given, said in (
        (Answer(200, {"id": 1}), "answer.malformed"),
        (Answer(404, b"<html>"), "no API answered there: status 404"),
    ):
        with (
            serving(given) as (url, _),
            Client(url, "t") as client,
            pytest.raises(Unreachable) as told,
        ):
            client.show_runtime("r")
        assert said in str(told.value)
    with serving(Answer(200, {"alive": True, "more": 1})) as (url, _), Client(url, "") as client:
        assert client.health() == models.Health(alive=True)


def test_a_certificate_that_is_not_believed_is_an_impostor() -> None:
    """Told apart from silence, however deep the library wraps it."""
    inner = ssl.SSLCertVerificationError(1, "no")
    inner.verify_message = "self-signed"
    outer = OSError("wrapped")
    outer.__cause__ = inner
    assert isinstance(unheard("https://a", outer), Impostor)
    assert isinstance(unheard("https://a", OSError("gone")), Unreachable)


def test_codes_that_are_limits_are_registered() -> None:
    """By a code that nobody raises no status would ever be told."""
    assert set(PROBLEMS) >= exits.LIMITS
