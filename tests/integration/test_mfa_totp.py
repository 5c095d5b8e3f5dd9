"""TOTP at the embedded issuer: enrolled, confirmed, used, guessed at, recovered, removed."""

import asyncio
import base64
import time
from pathlib import Path

import jwt
import psycopg
import pytest
from msgspec.structs import replace

from api.factors import routes, store
from api.factors.codes import STEP_US, code_at
from api.services import opened
from api.tokens import developer_token, issue
from domain.errors import DomainError
from tests.api_stage import Stage, play, settings_for
from tests.conftest import Database
from tests.integration.test_authority import code, ok, owned
from tests.integration.test_break_glass import staff

pytestmark = pytest.mark.slow

WRONG = (403, "mfa.code_wrong")


class Clock:
    """The API's for this (SIMULATED): it moves on with each code, as of somebody who waits."""

    def __init__(self) -> None:
        self.us = time.time_ns() // 1000 - 300_000_000  # ahead of it tokens would not count yet

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(routes, "now_us", made)
    return made


class App:
    """An authenticator with the secret that it was shown."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self.secret = base64.b32decode(secret)
        self.clock = clock

    def code(self) -> str:
        """The next one."""
        self.clock.us += STEP_US
        return code_at(self.secret, self.clock.us // STEP_US)

    def wrong(self) -> str:
        now = self.clock.us // STEP_US
        near = {code_at(self.secret, step) for step in range(now - 3, now + 60)}
        return next(one for one in map("{:06}".format, range(100)) if one not in near)


async def enrolled(stage: Stage, token: str, clock: Clock) -> App:
    made = ok(await stage.post("/v1/mfa/totp", {"label": "me"}, token=token))
    return App(made["secret"], clock)


def test_from_enrolment_to_a_token_with_a_second_factor(
    database: Database, nats_url: str, tmp_path: Path, clock: Clock
) -> None:
    """Shown once, pending until confirmed; a code gives a token that says so and no longer; each
    code counts once, of many at once too; recovery codes as well; the log and the database hold
    neither secret nor code.
    """

    async def scene(stage: Stage) -> None:
        of = await owned(stage)
        rail = {"scope": of.org, "actions": ["administrative"], "unless_mfa": True}
        ok(await stage.post("/v1/guardrails", rail, token=of.boss))
        group = {"name": "g"}
        needed = await stage.post("/v1/groups", group, token=of.boss)
        assert code(needed) == (403, "auth.mfa_required")
        first = await stage.post("/v1/mfa/totp", {}, token=of.boss, key="once")
        again = ok(await stage.post("/v1/mfa/totp", {}, token=of.boss, key="once"))
        app = App(ok(first)["secret"], clock)
        assert (again["secret"], again["secret_already_shown"]) == (None, True)
        early = await stage.post("/v1/mfa/verify", {"code": app.wrong()}, token=of.boss)
        assert code(early) == (409, "mfa.not_enrolled")
        confirm = {"code": app.code()}
        path = "/v1/mfa/totp/confirm"
        stale = await stage.post(path, confirm, token=of.boss, If_Match='"7"')
        assert code(stale) == (412, "if_match.stale"), "and the code is not used up"
        codes = ok(await stage.post(path, confirm, token=of.boss, key="twice"))
        repeat = ok(await stage.post(path, confirm, token=of.boss, key="twice"))
        assert (repeat["recovery_codes"], repeat["secret_already_shown"]) == (None, True)
        kept = codes["recovery_codes"]
        assert len(set(kept)) == 10
        twice = await stage.post("/v1/mfa/verify", confirm, token=of.boss)
        assert code(twice) == (403, "mfa.code_used")
        assert code(await stage.post("/v1/mfa/totp", {}, token=of.boss)) == (409, "mfa.enrolled")
        body = {"code": app.code()}
        many = [stage.post("/v1/mfa/verify", body, token=of.boss) for _ in range(4)]
        answers = await asyncio.gather(*many)
        [taken] = [one.json() for one in answers if one.status_code == 200]
        refused = {code(one) for one in answers if one.status_code != 200}
        assert refused == {(403, "mfa.code_used")}
        strong = taken["token"]
        said = jwt.decode(strong, options={"verify_signature": False})
        before = jwt.decode(of.boss, options={"verify_signature": False})
        assert (said["amr"], said["acr"]) == (["pwd", "otp", "mfa"], "aal2")
        assert (before["amr"], before["acr"]) == (["pwd"], "aal1")
        assert (said["sub"], said["org"], said["exp"] <= before["exp"]) == (
            "user-boss", of.org, True,
        )  # fmt: skip
        ok(await stage.post("/v1/groups", group, token=strong))
        recovery = {"code": kept[0].lower()}
        by_hand = ok(await stage.post("/v1/mfa/verify", recovery, token=of.boss))
        assert by_hand["means"] == "recovery_code"
        assert ok(await stage.get("/v1/mfa", token=of.boss))["recovery_codes_left"] == 9
        assert code(await stage.post("/v1/mfa/verify", recovery, token=of.boss)) == WRONG
        fresh = ok(await stage.post("/v1/mfa/recovery-codes", {"code": app.code()}, token=of.boss))
        old = await stage.post("/v1/mfa/verify", {"code": kept[1]}, token=of.boss)
        assert code(old) == WRONG
        assert len(fresh["recovery_codes"]) == 10
        shown = ok(await stage.get("/v1/mfa", token=of.boss))
        assert (shown["state"], shown["recovery_codes_left"]) == ("confirmed", 10)
        foreign = await stage.get("/v1/mfa", token=(await owned(stage)).boss)
        assert ok(foreign)["state"] == "none", "of the same name, elsewhere"
        secrets = [base64.b32encode(app.secret).decode(), *kept, *fresh["recovery_codes"]]
        nowhere(stage, app.secret, [*secrets, *(one.replace("-", "") for one in secrets), strong])
        await told(stage, of.boss)

    play(database, nats_url, tmp_path, scene)


def nowhere(stage: Stage, secret: bytes, words: list[str]) -> None:
    """No row of any table that the API writes for this has them."""
    with psycopg.connect(stage.services.settings.database_url) as conn:
        rows = conn.execute("SELECT entry FROM log.entry").fetchall()
        rows += conn.execute("SELECT sealed FROM api.factor").fetchall()
        rows += conn.execute("SELECT unnest(recovery) FROM api.factor").fetchall()
        rows += conn.execute("SELECT convert_to(claim::text, 'UTF8') FROM api.claim").fetchall()
    assert len(rows) > 20
    for (row,) in rows:
        assert secret not in bytes(row)
        assert not any(word.encode() in bytes(row) for word in words)


async def told(stage: Stage, boss: str) -> None:
    """In the audit: that, by whom, of whom."""
    await stage.views()
    acts = ok(await stage.get("/v1/audit?limit=200", token=boss))["items"]
    of_factors = [one["action"].split(".")[2] for one in acts if ".factor_" in one["action"]]
    assert sorted(of_factors) == [
        "factor_confirmed", "factor_enrolled", "factor_used", "factor_used",
    ]  # fmt: skip


def test_staff_steps_up_as_staff(
    database: Database, nats_url: str, tmp_path: Path, clock: Clock
) -> None:
    """What a code gives somebody of the platform's own staff is let in, with the same bindings."""

    async def scene(stage: Stage) -> None:
        token = await staff(stage, "first", "support")
        app = await enrolled(stage, token, clock)
        ok(await stage.post("/v1/mfa/totp/confirm", {"code": app.code()}, token=token))
        better = ok(await stage.post("/v1/mfa/verify", {"code": app.code()}, token=token))["token"]
        me = ok(await stage.get("/v1/me", token=token))
        stepped = ok(await stage.get("/v1/me", token=better))
        assert (stepped["mfa"], {**stepped, "mfa": False}) == (True, me)

    play(database, nats_url, tmp_path, scene)


def test_guesses_are_bounded(
    database: Database, nats_url: str, tmp_path: Path, clock: Clock
) -> None:
    """The fifth wrong code in a row is looked at, and then none for a while, not even a right one,
    however many come at once; afterwards the next wrong one waits longer; it is a fact.
    """

    async def scene(stage: Stage) -> None:
        of = await owned(stage)
        app = await enrolled(stage, of.boss, clock)
        ok(await stage.post("/v1/mfa/totp/confirm", {"code": app.code()}, token=of.boss))
        wrong, size = {"code": app.wrong()}, await stage.size()
        many = [stage.post("/v1/mfa/verify", wrong, token=of.boss) for _ in range(12)]
        answers = await asyncio.gather(*many)
        told = sorted(code(one)[1] for one in answers)
        assert told == ["mfa.code_wrong"] * 4 + ["mfa.locked"] * 8
        assert await stage.size() == size + 1, "one fact, of the lock"
        ahead = {"code": code_at(app.secret, clock.us // STEP_US + 1)}
        right = await stage.post("/v1/mfa/verify", ahead, token=of.boss)
        assert code(right) == (403, "mfa.locked")
        assert 1 <= int(right.headers["retry-after"]) <= store.FIRST_S
        assert ok(await stage.get("/v1/mfa", token=of.boss))["locked_until"] is not None
        clock.us += store.FIRST_S * 1_000_000
        second = await stage.post("/v1/mfa/verify", wrong, token=of.boss)
        assert code(second) == (403, "mfa.locked")
        assert int(second.headers["retry-after"]) > store.FIRST_S
        clock.us += store.LONGEST_S * 1_000_000
        ok(await stage.post("/v1/mfa/verify", {"code": app.code()}, token=of.boss))
        assert code(await stage.post("/v1/mfa/verify", wrong, token=of.boss)) == WRONG

    play(database, nats_url, tmp_path, scene)


def test_who_removes_a_factor(
    database: Database, nats_url: str, tmp_path: Path, clock: Clock
) -> None:
    """Its person by a code, an owner without one, nobody else; a key and another issuer's session
    have none of ours; the platform's developer has one too. Tokens of one that is gone say nothing.
    """

    async def second(stage: Stage, token: str, **where: str) -> bool:
        return bool(ok(await stage.get("/v1/me", token=token, **where))["mfa"])

    async def scene(stage: Stage) -> None:
        of, foreign = await owned(stage), await owned(stage)
        ok(await stage.post("/v1/members", {"principal": "user-2"}, token=of.boss))
        body = {"principal": "user-2", "role": "admin", "scope": of.org}
        ok(await stage.post("/v1/role-bindings", body, token=of.boss))
        mine = stage.token("user", of.org, "user-2")
        app = await enrolled(stage, mine, clock)
        ok(await stage.post("/v1/mfa/totp/confirm", {"code": app.code()}, token=mine))
        path = "/v1/mfa/totp/remove"
        old = ok(await stage.post("/v1/mfa/verify", {"code": app.code()}, token=mine))["token"]
        assert await second(stage, old)
        assert code(await stage.post(path, {}, token=mine)) == (400, "request.invalid")
        assert code(await stage.post(path, {"code": app.wrong()}, token=mine)) == WRONG
        itself = {"principal": "user-2", "organization": of.org}
        assert code(await stage.post(path, itself, token=mine)) == (400, "request.invalid")
        other = await stage.post(path, {"principal": "user-boss"}, token=mine)
        assert code(other) == (403, "auth.forbidden")
        theirs = {"principal": "user-2", "organization": of.org}
        strange = await stage.post(path, theirs, token=foreign.boss)
        assert code(strange) == (404, "resource.unknown")
        ok(await stage.post(path, {"code": app.code()}, token=mine))
        assert ok(await stage.get("/v1/mfa", token=mine))["state"] == "none"
        assert not await second(stage, old)
        app = await enrolled(stage, mine, clock)
        ok(await stage.post("/v1/mfa/totp/confirm", {"code": app.code()}, token=mine))
        new = ok(await stage.post("/v1/mfa/verify", {"code": app.code()}, token=mine))["token"]
        assert (await second(stage, new), await second(stage, old)) == (True, False)
        ok(await stage.post(path, {"principal": "user-2"}, token=of.boss))
        gone = await stage.post(path, {"principal": "user-2"}, token=of.boss)
        assert code(gone) == (409, "mfa.not_enrolled")
        key = ok(await stage.post("/v1/api-keys", {"name": "k"}, token=mine))["key"]
        assert code(await stage.post("/v1/mfa/totp", {}, token=key)) == (403, "mfa.not_here")
        both = {"principal": "user-2", "organization": foreign.org}
        ok(await stage.post("/v1/members", both, token=foreign.boss))
        for asking in (
            stage.post("/v1/mfa/totp", {}, token=mine, Organization=foreign.org),
            stage.get("/v1/mfa", token=mine, Organization=foreign.org),
        ):
            assert code(await asking) == (403, "mfa.not_here"), "a thief's of the token alone"
        app = await enrolled(stage, stage.operator, clock)
        ok(await stage.post("/v1/mfa/totp/confirm", {"code": app.code()}))
        stage.services.door.mfa_demanded = True
        wanted = {"subject": "x", "role": "auditor", "seconds": 60}
        assert code(await stage.post("/v1/tokens", wanted)) == (403, "auth.mfa_required")
        group = {"name": "g"}
        for token in (old, new):
            assert not await second(stage, token, Organization=foreign.org)
            asked = await stage.post("/v1/groups", group, token=token)
            assert code(asked) == (403, "auth.mfa_required"), "the factor was removed"
        strong = ok(await stage.post("/v1/mfa/verify", {"code": app.code()}))["token"]
        ok(await stage.post("/v1/tokens", wanted, token=strong))

    play(database, nats_url, tmp_path, scene)


def test_the_embedded_issuer_is_of_the_embedded_deployment_alone(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Elsewhere it issues nothing, makes no key, and none of its tokens is taken, not even one that
    its key signed before.
    """

    async def run() -> None:
        embedded = settings_for(database, nats_url, tmp_path)
        token = developer_token(embedded)
        async with opened(embedded) as services:
            assert services.tokens.principal(token).actor == "user-developer"
        elsewhere = replace(embedded, embedded=False)
        async with opened(elsewhere) as services:
            with pytest.raises(DomainError, match=r"auth\.invalid"):
                services.tokens.principal(token)
        bare = replace(elsewhere, data=tmp_path / "other")
        async with opened(bare):
            assert not bare.issuer_key.exists()
        for call in (developer_token, lambda of: issue(of, "user-1", "admin", None, 0, 1)):
            with pytest.raises(AssertionError, match="embedded deployment only"):
                call(elsewhere)

    asyncio.run(run())
