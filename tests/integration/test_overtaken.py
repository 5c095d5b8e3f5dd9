"""What was right when a request began and is so no more where it acts."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import psycopg
import pytest
from litestar.connection import ASGIConnection

from api import auth, exports, services
from api.authorization.calls import READ
from api.claims import NOBODY, Claim, Claims
from api.reads import Reads, reached, until
from domain.errors import DomainError
from projections import audit_read
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.test_authority import code, member, ok, owned

pytestmark = pytest.mark.slow

MINUTE = 60_000_000

type Meanwhile = Callable[[], Awaitable[object]]


async def slowly(
    stage: Stage, path: str, body: object, token: str, meanwhile: Meanwhile
) -> httpx.Response:
    """The answer to a POST whose last bytes come when something else has happened."""
    raw = json.dumps(body).encode()

    async def parts() -> AsyncIterator[bytes]:
        yield raw[:-1]
        await meanwhile()
        await asyncio.sleep(0.3)
        yield raw[-1:]

    headers = {
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": "slow",
        "Content-Type": "application/json",
    }
    return await stage.client.post(path, content=parts(), headers=headers)


async def key_of(stage: Stage, token: str) -> tuple[str, str]:
    """An API key, and the path to revoke it."""
    made = ok(await stage.post("/v1/api-keys", {"name": "k"}, token=token))
    return made["key"], f"/v1/api-keys/{made['id']}/revoke"


def test_whoever_has_us_wait_is_asked_again(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody came with was taken back while their body came, while another process had their
    Idempotency-Key, or until the views were where they wanted them: nothing is done, nor shown.
    """

    async def scene(stage: Stage) -> None:
        of = await owned(stage)
        token, _ = await member(stage, of, "user-a", "admin", of.org)
        wanted = {"organization": of.org, "name": "D"}
        (key, revoke), (other, end) = await key_of(stage, token), await key_of(stage, token)
        size = 0

        async def taken() -> None:
            nonlocal size
            ok(await stage.post(revoke, {}, token=of.boss))
            size = await stage.size()

        late = await slowly(stage, "/v1/departments", wanted, key, taken)
        assert code(late) == (401, "auth.invalid")
        assert await stage.size() == size
        monkeypatch.setattr(services, "reached", partial(reached, wait_us=MINUTE))
        await stage.views()
        (third, over), path = await key_of(stage, token), "/v1/departments"
        await stage.post(path, wanted, token=of.boss)
        at = str(await stage.size() - 1)
        behind = asyncio.create_task(stage.get(path, token=third, Min_Log_Position=at))
        await asyncio.sleep(0.3)
        ok(await stage.post(over, {}, token=of.boss))
        await stage.views()
        assert code(await behind) == (401, "auth.invalid")
        with psycopg.connect(database.app_url, autocommit=True) as holder:
            holder.execute("SELECT pg_advisory_lock(4712)")
            claimed(holder, f"{of.org}\nuser-a\nPOST /v1/departments\nheld", wanted)
            waiting = asyncio.create_task(
                stage.post("/v1/departments", wanted, token=other, key="held")
            )
            await asyncio.sleep(0.1)
            ok(await stage.post(end, {}, token=of.boss))
            size = await stage.size()
        assert code(await waiting) == (401, "auth.invalid")
        assert await stage.size() == size

    play(database, nats_url, tmp_path, scene)


def test_an_answer_of_many_pieces_breaks_off(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download goes on while its right stands, and no piece follows once that was taken."""

    async def scene(stage: Stage) -> None:
        of = await owned(stage)
        token, _ = await member(stage, of, "user-a", "auditor", of.org)
        key, revoke = await key_of(stage, token)
        app = cast("Any", stage.client._transport).app
        asking = {
            "type": "http", "method": "GET", "app": app, "litestar_app": app, "state": {},
            "headers": [(b"authorization", f"Bearer {key}".encode())], "client": ("10.0.0.1", 1),
            "route_handler": exports.export_books,
        }  # fmt: skip
        closed = []

        async def pieces() -> AsyncGenerator[bytes]:
            try:
                for number in range(1000):
                    yield b"%d" % number
            finally:
                closed.append(True)

        monkeypatch.setattr(auth, "_ASK_S", 0.0)
        answer = auth.while_let(ASGIConnection(cast("Any", asking)), pieces())
        assert [await anext(answer) for _ in range(3)] == [b"0", b"1", b"2"]
        ok(await stage.post(revoke, {}, token=of.boss))
        with pytest.raises(DomainError, match=r"^auth\.invalid"):
            await anext(answer)
        assert closed == [True]

    play(database, nats_url, tmp_path, scene)


def test_evidence_that_is_read_as_its_right_is_taken(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was let when it was asked for, so it is answered, and counted: by nothing that stands."""

    async def scene(stage: Stage) -> None:
        of = await owned(stage)
        await stage.views()
        token, binding = await member(stage, of, "user-a", "auditor", of.org)
        real = Reads.ask

        async def late(reads: Reads, question: Any, *of_it: Any, **named: Any) -> Any:
            found = await real(reads, question, *of_it, **named)
            if question is audit_read.acts:
                monkeypatch.undo()
                ok(await stage.post(f"/v1/role-bindings/{binding}/revoke", {}, token=of.boss))
            return found

        monkeypatch.setattr(Reads, "ask", late)
        assert (await stage.get("/v1/audit", token=token)).status_code == 200
        counted = stage.services.calls._counts[of.org]
        [one] = [kind for kind in counted if kind.principal == "user-a"]
        assert (one.action, one.outcome, one.policies) == ("audit.list", READ, "")
        assert code(await stage.get("/v1/audit", token=token))[0] == 403

    play(database, nats_url, tmp_path, scene)


def claimed(conn: psycopg.Connection, of: str, body: object) -> None:
    """By a process that lives as long as the lock 4712 is held."""
    command = hashlib.sha256(f"gpuaas-command/1\n{of}".encode()).digest()
    raw = httpx.Request("POST", "http://api", json=body).content
    conn.execute(
        "INSERT INTO api.claim (command, fingerprint, holder) VALUES (%s, %s, 4712)",
        [command, hashlib.sha256(raw).digest()],
    )


def test_a_key_is_asked_for_again_after_a_loss(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A database that ends our session is away, which is no fault of ours; whose act was unheard of
    then is let go as soon as it answers again.
    """

    async def scene(stage: Stage) -> None:
        claims, command, body = Claims(database.app_url), b"c" * 32, b"b" * 32
        claims.start()
        assert (await claims.take(command, body)).mine
        assert claims._conn is not None
        with psycopg.connect(database.superuser_url, autocommit=True) as conn:
            conn.execute("SELECT pg_terminate_backend(%s)", [claims._conn.info.backend_pid])
        with pytest.raises(DomainError, match=r"^log\.unavailable"):
            await claims.dead(Claim(mine=False, fingerprint=body, holder=4711))
        claims.leave(command)
        other = stage.services.acting._claims
        await until(
            lambda: other.take_over(command, body, Claim(False, body, NOBODY)), bool, MINUTE
        )
        await claims.close()

    play(database, nats_url, tmp_path, scene)
