"""Whoever answers is broken, newer or hostile: the client stays in bounds, and its token at home."""

import asyncio
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.calling import Api
from domain.errors import DomainError
from gpuaas_client import (
    AsyncClient,
    Client,
    Forbidden,
    GpuaasError,
    Patience,
    Unreachable,
    events,
    exits,
    models,
    operations,
    profiles,
    telling,
    trial,
)
from gpuaas_client.call import Call, quoted
from gpuaas_client.errors import Misconfigured, Refused, refusal
from gpuaas_client.place import place
from gpuaas_client.reading import Reading
from tests.commands import gpuaas
from tests.runtime_answers import runtime
from tests.serving import Answer, problem, serving

QUICK = Patience(whole_s=5.0, chance=lambda: 0.0)
STREAM = (("Content-Type", "text/event-stream"),)
HOSTILE = "\x1b]0;owned\x07\u202egnp.exe\u2066\x9b2J\u2028n"


def env_of(url: str) -> dict[str, str]:
    return {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t", "HOME": "/nonexistent"}


def test_a_token_goes_to_its_own_api_only(tmp_path: Path) -> None:
    """Not to a whole address that is given as a path, not where an answer sends one, not as another
    profile's to be linked: by the client, waited for and awaited, and by the server's own verbs.
    """
    with serving() as (other, heard):
        assert gpuaas("api", "GET", f"{other}/v1/me", env=env_of(other)).status == exits.USAGE
        with Client(other, "t") as client, pytest.raises(GpuaasError, match=r"path\.malformed"):
            client.do(Call("GET", f"{other}/v1/me", bytes))
        away = Answer(307, b"", (("Location", f"{other}/v1/me"),))

        async def awaited(url: str) -> None:
            async with AsyncClient(url, "t", patience=QUICK) as client:
                await client.show_me()

        with serving(away, away, away) as (url, _):
            with pytest.raises(Unreachable, match="status 307"), Client(url, "t") as client:
                client.show_me()
            with pytest.raises(Unreachable, match="status 307"):
                asyncio.run(awaited(url))
            with pytest.raises(DomainError, match="status 307"):
                Api(url, "t").get("/v1/me")
        env = {"HOME": str(tmp_path)}
        profiles.keep(env, "theirs", profiles.Profile("https://their.example", "x", session="s"))
        profiles.keep(env, "mine", profiles.Profile(other, "t"))
        done = gpuaas("identity", "link", "theirs", env=env)
        assert (done.status, "profile.elsewhere" in done.err) == (exits.FAILED, True)
        assert heard == []


@pytest.mark.parametrize(
    "url",
    ["https://gpu.example@evil.example", "https://u:p@a.example", "https://a.example/?x",
     "https://a.example#x", "https://a.example:99999", "https://[::bad", "https://a b.example",
     "https://a.example\\@b", "https://xn--a"],
)  # fmt: skip
def test_an_address_is_what_it_looks_like(url: str) -> None:
    """No user in it, that looks like the host; nothing that ends the host early; no traceback, and
    no password in what is said.
    """
    with pytest.raises(Misconfigured) as told:
        place(url, "t")
    assert "u:p" not in str(told.value)


def test_what_is_shown_where_something_fails_has_no_token() -> None:
    """A place and a profile in a traceback's values."""
    assert "secret" not in repr(place("https://a.example", "secret"))
    assert "secret" not in repr(profiles.Profile("https://a.example", "secret"))


def test_a_name_is_one_segment_of_a_path() -> None:
    """Empty or of dots it would be another path: refused before anything is sent."""
    assert quoted("a/../b?c") == "a%2F..%2Fb%3Fc"
    for name in ("", ".", ".."):
        with serving() as (url, asked):
            assert gpuaas("volume", "delete", name, "--yes", env=env_of(url)).status == exits.FAILED
        assert asked == []


def test_what_no_header_carries_is_said_at_once() -> None:
    """Not sent, not repeated, no traceback."""
    env = env_of("http://127.0.0.1:9")
    for words, more in (
        (("whoami",), {"GPUAAS_ORGANIZATION": "o\r\nX: y"}),
        (("whoami",), {"GPUAAS_ORGANIZATION": "ü"}),
        (("api", "POST", "/v1/x", "--key", "ü"), {}),
        (("api", "POST", "/v1/x", "--if-match", "1\n"), {}),
        (("api", "GET", "/v1/\n"), {}),
        (("list", "--state", "x" * 70_000), {}),
    ):
        done = gpuaas(*words, env={**env, **more})
        assert done.status == exits.FAILED, done
        assert re.search("(header|path).malformed", done.err), done


def test_what_is_no_text_is_wrong_usage() -> None:
    """Bytes of an argument that are not UTF-8."""
    done = gpuaas(
        "group",
        "create",
        "\udcff",
        "--organization",
        "organization-1",
        env=env_of("http://[::1]:9"),
    )
    assert (done.status, done.err) == (exits.USAGE, "gpuaas: what was typed is not UTF-8\n")


def unsafe(text: str) -> set[str]:
    return {one for one in text if not one.isprintable() and one != "\n"}


def test_no_name_is_obeyed_by_a_terminal() -> None:
    """In tables, facts, sentences, progress, refusals, events and JSON: neither escape sequences,
    C1 ones included, nor what turns words round; JSON means what it meant.
    """
    mine = runtime(name=HOSTILE, state=HOSTILE, why=HOSTILE, model=HOSTILE)
    page, one = Answer(200, {"items": [mine], "next": None}), Answer(200, mine)
    refused = Answer(403, problem("auth.forbidden", x=HOSTILE) | {"detail": HOSTILE})
    sse = Answer(
        200, b"data: " + json.dumps(_event(1), ensure_ascii=False).encode() + b"\n\n", STREAM
    )
    for words, answer in (
        (("list",), page), (("show", "runtime-1"), one), (("stop", "runtime-1"), one),
        (("list",), refused), (("events",), sse),
    ):  # fmt: skip
        for more in ((), ("--json",)):
            with serving(answer) as (url, _):
                done = gpuaas(*words, *more, env=env_of(url))
            assert unsafe(done.out + done.err) == set(), words
            if more and done.out:
                said = json.loads(done.out)
                assert HOSTILE in json.dumps(said, ensure_ascii=False).replace("\\u001b", "\x1b").replace("\\u0007", "\x07")  # fmt: skip


def test_what_is_no_number_is_told_as_it_came() -> None:
    """An amount or a quantity of another form is neither a traceback nor another amount."""
    for amount, said in (("1.500000000000", "1.5000 USD"), ("1.5", "1.5 USD"), ("a", "a USD")):
        assert telling.rounded(models.Money(amount=amount, currency="USD")) == said
    assert telling.quantity("a b", "MiB-us") == "a b GiB-hours"
    assert telling.facts([("a\x1b", "b\n")]) == "a?         b?\n"


def _event(position: int, **more: Any) -> dict[str, Any]:
    return {
        "id": str(position), "type": "t", "subject": HOSTILE, "time": "now", "org": "o",
        "actor": "a", "cause": "c", "version": 1, "data": {"name": HOSTILE}, **more,
    }  # fmt: skip


def test_a_stream_is_cut_into_lines_where_the_format_says() -> None:
    """Not at a line separator within a name; pieces end anywhere; CR, LF or both end a line."""
    said = json.dumps(_event(4), ensure_ascii=False).encode()
    for end in (b"\n", b"\r\n", b"\r"):
        stream = b": hello" + end + end + b"data: " + said + end + end + b":" + end
        for size in (1, 7, len(stream)):
            lines = events.Lines()
            pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
            found = [one for piece in pieces for one in lines.take(piece)]
            assert [(one.position, one.subject) for one in found] == [(4, HOSTILE)]
    for broken in ("{", json.dumps(_event(4, id="x")), "[" * 100_000):
        with pytest.raises(Unreachable, match=r"answer\.malformed"):
            list(events.Lines().take(f"data: {broken}\n\n".encode()))


def test_a_stream_that_ends_is_taken_up_again() -> None:
    """Where it is followed: after the last that was seen, with a pause; none twice. A page of a
    portal is no stream.
    """
    first, second = (f"data: {json.dumps(_event(n))}\n\n".encode() for n in (4, 5))
    answers = [Answer(200, first, STREAM), Answer(200, b"", STREAM), Answer(200, second, STREAM)]
    last = Answer(401, problem("auth.expired"))
    with (
        serving(*answers, last) as (url, asked),
        Client(url, "t", patience=QUICK) as client,
    ):
        following = client.events(3)
        assert [next(following).position, next(following).position] == [4, 5]
        with pytest.raises(Refused):
            next(following)
    assert [one.headers["last-event-id"] for one in asked] == ["3", "4", "4", "5"]
    with (
        serving(Answer(200, b"<html>", (("Content-Type", "text/html"),))) as (url, _),
        Client(url, "t") as client,
        pytest.raises(Unreachable, match="no API answered there: status 200, text/html"),
    ):
        list(client.events(follow=False))


def test_who_was_listened_to_for_long_is_waited_for_anew() -> None:
    """A quiet stream that breaks after an hour is taken up with all of one's patience; one that
    breaks at once, again and again, is given up.
    """
    now = [0.0]
    patience = Patience(whole_s=30.0, chance=lambda: 0.0, clock=lambda: now[0])
    cut = httpx.ReadError("cut")
    with httpx.Client(base_url="http://127.0.0.1:9", verify=False) as http:  # noqa: S501
        following = events.Following(operations.events(), "u", 3, patience)
        following.request(http)
        now[0] = 3600.0
        assert following.broke(cut, patience) < 1.0
        following.request(http)
        now[0] += 31.0
        following.request(http)
        with pytest.raises(Unreachable):
            following.broke(cut, patience)


def test_an_answer_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """No body without an end is kept, unpacked ones included, and none that drips is waited for;
    what cannot be unpacked or read is said in a sentence.
    """
    packed = (("Content-Encoding", "gzip"),)
    bomb = gzip.compress(b" " * (2 << 20), 1)
    monkeypatch.setattr(trial, "MOST_BYTES", 1 << 20)
    quick = Patience(whole_s=0.0)
    for body, headers, code in (
        (bomb, packed, "answer.endless"),
        (b"no gzip", packed, "api.unreachable"),
        (b"[" * 100_000, (), "answer.malformed"),
        (b'{"principal": "\xff"}', (), "answer.malformed"),
        (b"<html>", (("Content-Type", "text/html"),), "api.unreachable"),
    ):
        with (
            serving(Answer(200, body, headers)) as (url, _),
            Client(url, "t", patience=quick) as client,
            pytest.raises(Unreachable) as told,
        ):
            client.show_me()
        assert told.value.code == code
    now = [0.0]
    slow = Reading(
        httpx.Response(200, request=httpx.Request("GET", "/")), None, 60.0, lambda: now[0]
    )
    slow.take(b"a")
    now[0] = 61.0
    with pytest.raises(httpx.ReadTimeout):
        slow.take(b"b")


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said | {"facts": {"nested": {"a": [1.5, None]}}, "new": 1},
        lambda said: said | {"errors": [{"path": "/a"}, {"pointer": "/b", "detail": "no"}]},
        lambda said: said | {"errors": None, "remedy": None, "title": 3, "facts": []},
    ],
)
def test_a_newer_apis_refusal_is_understood(change: Callable[[Any], dict[str, Any]]) -> None:
    """Its code and what happened, whatever became of the rest."""
    found = refusal(403, json.dumps(change(problem("auth.forbidden"))).encode())
    assert isinstance(found, Forbidden)
    assert found.code == "auth.forbidden"
    for body in (b"[" * 100_000, b'{"code":"\xff"}', b"[]", b'{"code": 1, "detail": ""}'):
        assert isinstance(refusal(502, body), Unreachable)


def test_a_page_that_follows_itself_ends() -> None:
    """Said, not asked for without an end."""
    page = Answer(200, {"items": [], "next": "c"})
    with (
        serving(page, page) as (url, _),
        Client(url, "t") as client,
        pytest.raises(Unreachable, match="a page follows itself"),
    ):
        list(client.each(operations.list_runtimes()))


def test_positions_and_files_of_a_broken_server_are_no_traceback(tmp_path: Path) -> None:
    """A position that is no number is none; a download without one is said to be so."""
    me = {"principal": "p", "organization": "o", "mfa": False, "roles": [], "organizations": []}
    for told in ("9" * 5000, "²", "x"):
        with serving(Answer(200, me, (("Log-Position", told),))) as (url, _):
            assert gpuaas("whoami", env=env_of(url)).status == exits.DONE
    with serving(Answer(200, b"x", (("ETag", '"e"'),))) as (url, _):
        out = str(tmp_path / "a")
        done = gpuaas("bill", "export", "hledger", "--account", "a", "--out", out, env=env_of(url))
    assert (done.status, "has no Log-Position" in done.err) == (exits.NOT_NOW, True)
    html = Answer(200, b"<html>", (("Content-Type", "text/html"),))
    with serving(html, html) as (url, _):
        get = ("invoice", "get", "a", "--out", str(tmp_path / "a"), "--as")
        done = gpuaas(*get, "pdf", env=env_of(url))
        assert (done.status, "no API answered there" in done.err) == (exits.NOT_NOW, True)
        assert list(tmp_path.iterdir()) == []
        assert gpuaas(*get, "page", env=env_of(url)).status == exits.DONE
    (tmp_path / "a").unlink()
    assert list(tmp_path.iterdir()) == []
