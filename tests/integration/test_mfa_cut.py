"""A step of a second factor that is cut off between its fact and its row, either way round."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.factors import routes, store
from api.factors.codes import STEP_US, code_at
from domain.factor import Confirmed, Enrolled, Removed, Replaced, Used
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.test_authority import code, ok, owned
from tests.integration.test_mfa_totp import App, Clock, enrolled

pytestmark = pytest.mark.slow

WAYS = ("before the fact", "after the fact")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(routes, "now_us", made)
    return made


@contextmanager
def cut(stage: Stage, way: str) -> Iterator[None]:
    """The process ends at its first append, or just behind it."""
    append = stage.services.log.append

    async def ends(*given: Any) -> Any:
        if way == "after the fact":
            await append(*given)
        raise RuntimeError("cut off")

    with pytest.MonkeyPatch.context() as monkey:
        monkey.setattr(stage.services.log, "append", ends)
        yield


async def repeated(stage: Stage, way: str, path: str, body: Any, token: str) -> httpx.Response:
    """Cut off, and then the same request with the same key."""
    key = f"{way} {path} {body}".replace(" ", "")
    with cut(stage, way):
        assert (await stage.post(path, body, token=token, key=key)).status_code == 500
    return await stage.post(path, body, token=token, key=key)


async def facts(stage: Stage, kind: type) -> int:
    reads = stage.services.reads
    rows = await reads.rows("SELECT convert_from(entry, 'UTF8') AS said FROM log.entry")
    tag = kind.__struct_config__.tag  # type: ignore[attr-defined]
    return sum(f'"tag":"{tag}"' in row["said"] for row in rows)


async def state(stage: Stage, token: str) -> tuple[str, int]:
    shown = ok(await stage.get("/v1/mfa", token=token))
    return shown["state"], shown["recovery_codes_left"]


async def lived(stage: Stage, way: str, token: str, boss: str, clock: Clock) -> None:
    """From the enrolment to an owner's removal, every step cut off once."""
    shown = way == "before the fact"
    before = [await facts(stage, one) for one in (Enrolled, Confirmed, Used, Replaced, Removed)]
    secret = ok(await repeated(stage, way, "/v1/mfa/totp", {}, token))["secret"]
    assert (secret is not None) is shown
    app = App(secret, clock) if secret else await enrolled(stage, token, clock)
    confirm = {"code": app.code()}
    said = ok(await repeated(stage, way, "/v1/mfa/totp/confirm", confirm, token))
    assert (said["recovery_codes"] is not None, said["secret_already_shown"]) == (shown, not shown)
    assert await state(stage, token) == ("confirmed", 10 if shown else 0), "none that nobody saw"
    used = {"code": app.code()}
    said = ok(await repeated(stage, way, "/v1/mfa/verify", used, token))
    assert (said["token"] is not None, said["means"]) == (shown, "totp")
    other = await stage.post("/v1/mfa/verify", used, token=token)
    assert code(other) == (403, "mfa.code_used"), "by another command"
    renewed = {"code": app.code()}
    said = ok(await repeated(stage, way, "/v1/mfa/recovery-codes", renewed, token))
    assert (said["recovery_codes"] is not None) is shown
    if not shown:
        fresh = {"code": app.code()}
        said = ok(await stage.post("/v1/mfa/recovery-codes", fresh, token=token))
    kept = said["recovery_codes"]
    said = ok(await repeated(stage, way, "/v1/mfa/verify", {"code": kept[0]}, token))
    assert said["means"] == "recovery_code"
    again = await stage.post("/v1/mfa/verify", {"code": kept[0]}, token=token)
    assert code(again) == (403, "mfa.code_wrong")
    assert await state(stage, token) == ("confirmed", 9)
    theirs = {"principal": "user-2", "reason": "lost"}
    ok(await repeated(stage, way, "/v1/mfa/totp/remove", theirs, boss))
    assert await state(stage, token) == ("none", 0)
    gone = await stage.post("/v1/mfa/totp/remove", theirs, token=boss)
    assert code(gone) == (409, "mfa.not_enrolled")
    after = [await facts(stage, one) for one in (Enrolled, Confirmed, Used, Replaced, Removed)]
    more = 0 if shown else 1
    assert [a - b for a, b in zip(after, before, strict=True)] == [1 + more, 1, 2, 1 + more, 1]


def test_every_step_is_cut_off_once(
    database: Database, nats_url: str, tmp_path: Path, clock: Clock
) -> None:
    """Before its fact or after it: the repeat with the same key gives one effect. Where nothing was
    recorded it answers as the first would have, its code still its own; where it was, the row is as
    the log says, and what is shown once counts as shown.
    """

    async def scene(stage: Stage) -> None:
        of = await owned(stage)
        ok(await stage.post("/v1/members", {"principal": "user-2"}, token=of.boss))
        mine = stage.token("user", of.org, "user-2")
        for way in WAYS:
            await lived(stage, way, mine, of.boss, clock)
        app = await enrolled(stage, mine, clock)
        ok(await stage.post("/v1/mfa/totp/confirm", {"code": app.code()}, token=mine))
        for way in WAYS:
            path = "/v1/mfa/totp/remove"
            ok(await repeated(stage, way, path, {"code": app.code()}, mine))
            assert await state(stage, mine) == ("none", 0)
            app = await enrolled(stage, mine, clock)
            ok(await stage.post("/v1/mfa/totp/confirm", {"code": app.code()}, token=mine))

    play(database, nats_url, tmp_path, scene)


def test_a_cut_gives_no_more_guesses(
    database: Database, nats_url: str, tmp_path: Path, clock: Clock
) -> None:
    """A code reserved by a command that was cut off lets through its repeat alone, many at once
    too, whatever was guessed in between; and a removal that nobody repeated is made good by
    whoever comes next.
    """

    async def scene(stage: Stage) -> None:
        of = await owned(stage)
        app = await enrolled(stage, of.boss, clock)
        ok(await stage.post("/v1/mfa/totp/confirm", {"code": app.code()}, token=of.boss))
        body, path = {"code": app.code()}, "/v1/mfa/verify"
        with cut(stage, "before the fact"):
            first = await stage.post(path, body, token=of.boss, key="mine")
            assert first.status_code == 500
        many = [stage.post(path, body, token=of.boss) for _ in range(3)]
        assert {code(one) for one in await asyncio.gather(*many)} == {(403, "mfa.code_used")}
        wrong = {"code": app.wrong()}
        guesses = [stage.post(path, wrong, token=of.boss) for _ in range(6)]
        told = {code(one)[1] for one in await asyncio.gather(*guesses)}
        assert told == {"mfa.code_wrong", "mfa.locked"}
        other = await stage.post(path, wrong, token=of.boss, key="mine")
        assert code(other) == (422, "idempotency_key.reused")
        many = [stage.post(path, body, token=of.boss, key="mine") for _ in range(3)]
        answers = [ok(one) for one in await asyncio.gather(*many)]
        assert len({one["token"] for one in answers if one["token"]}) == 1
        assert await facts(stage, Used) == 1
        clock.us += 4 * store.LONGEST_S * 1_000_000
        ahead = {"code": code_at(app.secret, clock.us // STEP_US)}
        with cut(stage, "after the fact"):
            await stage.post("/v1/mfa/totp/remove", ahead, token=of.boss)
        late = await stage.post(path, {"code": app.code()}, token=of.boss)
        assert code(late) == (409, "mfa.not_enrolled")

    play(database, nats_url, tmp_path, scene)
