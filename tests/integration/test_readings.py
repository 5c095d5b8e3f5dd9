"""Readings from an app's signature to an invoice line, an export and a bundle that verifies."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
from msgspec.structs import replace
from nats.aio.msg import Msg

from api.edge import instant, now_us
from api.erase import erase
from api.metering.desk import Desk
from api.metering.hearing import Ear, ensure_stream, hear
from contracts import fleet, usage
from contracts.signing import public_hex
from contracts.usage import Batch, Reporter
from domain.errors import DomainError
from evidence.ids import new_id
from evidence.reader import read_entries, read_rows
from evidence.storage import Storage
from gpuaas_verify.books import Books
from projections import billing_read, sources_read
from projections.exporting.lines import lines
from projections.invoicing import finalize_due
from projections.periods import keep_periods
from projections.rater import Rater
from projections.sources import Silent
from projections.views import step
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack
from tests.integration.served import Served, served
from tests.token_meter import METER, TokenMeter, complete, send

pytestmark = pytest.mark.slow

HOUR = 3_600_000_000


@asynccontextmanager
async def viewing(database: Database) -> AsyncIterator[None]:
    """The views follow the log meanwhile, as a worker makes them."""

    async def follow(conn: psycopg.Connection[Any]) -> None:
        while True:
            if not await asyncio.to_thread(step, conn, 1000):
                await asyncio.sleep(0.01)

    conn = psycopg.connect(database.app_url, autocommit=True)
    task = asyncio.create_task(follow(conn))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        conn.close()


async def tenant(stage: Stage, lives_us: int) -> dict[str, str]:
    """An organization with an account, whose first period ends soon, and a project."""
    org = (await stage.post("/v1/organizations", {"name": "Org"})).json()["id"]
    department = (await stage.post("/v1/departments", {"organization": org, "name": "D"})).json()
    body = {
        "organization": org, "currency": "USD", "zone": "Europe/Berlin",
        "first_period_end": instant(time.time_ns() // 1000 + lives_us),
    }  # fmt: skip
    account = (await stage.post("/v1/accounts", body)).json()["id"]
    project = await stage.post(
        "/v1/projects", {"department": department["id"], "account": account, "name": "Chat"}
    )
    return {"org": org, "account": account, "project": project.json()["id"]}


async def until(instant_us: int) -> None:
    await asyncio.sleep(max(0, instant_us - time.time_ns() // 1000) / 1_000_000)


async def settled(stage: Stage, storage: Storage, database: Database, grace_us: int = HOUR) -> None:
    """Everything is rated; what is over and whole, or out of grace, is closed and invoiced."""
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        rater = Rater(conn, stage.services.log)
        for _ in range(4):
            await rater.catch_up()
            now = time.time_ns() // 1000
            await keep_periods(stage.services.log, rater.duties, now, grace_us, rater.sources)
            await finalize_due(stage.services.log, rater, storage, now)


def test_an_app_brings_its_own_meter_and_its_tokens_are_billed(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Meter, price and key over HTTP; readings signed by the app; the same again changes nothing;
    the tokens stand on the invoice, in the export, and in a bundle that verifies offline.
    """
    stack = EvidenceStack(database, tmp_path)

    async def run() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage, viewing(database):
            began = time.time_ns() // 1000
            lives = 6_000_000
            own = await tenant(stage, lives)
            app = TokenMeter(stage.client, stage.operator)
            source = await app.open(own["project"])
            sent = [app.batch(*(app.tokens(n) for n in range(k, k + 40))) for k in (0, 40)]
            taken = [await app.send(batch) for batch in (*sent, *sent)]
            assert [one.status_code for one in taken] == [200] * 4, [one.text for one in taken]
            assert [one.json()["new"] for one in taken] == [40, 40, 0, 0]
            sealed = taken[1].headers["log-position"]
            shown = await stage.get(f"/v1/sources/{source}", Min_Log_Position=sealed)
            assert shown.json()["reached"]["sequence"] == 80
            await until(began + lives + 500_000)
            await settled(stage, stack.storage, database)
            await stage.views()
            assert [one.name for one in waited_for(database, own["account"])] == [source]
            await told_all(stage, app)
            assert waited_for(database, own["account"]) == ()
            await settled(stage, stack.storage, database)
            await stage.views()
            [first, _, _] = (await stage.get("/v1/periods")).json()["items"]
            assert (first["state"], first["missing"]) == ("closed", [])
            [invoice] = (await stage.get("/v1/invoices")).json()["items"]
            tokens = sum(range(80))
            filed = (await stage.get(f"/v1/invoices/{invoice['id']}/file")).json()
            [line] = filed["lines"]
            assert (line["project"], line["sku"]) == (own["project"], f"{METER}:llama-3")
            assert (line["quantity"], line["amount_pico"]) == (tokens, tokens * 2_500_000)
            page = await stage.get(f"/v1/invoices/{invoice['id']}/page")
            assert page.status_code == 200, page.text
            used = (await stage.get("/v1/usage")).json()["items"]
            assert [(one["project"], one["quantity"]) for one in used] == [
                (own["project"], str(tokens))
            ]
            await repriced(stage, own["account"])
            await settled(stage, stack.storage, database)
            await stage.views()
            now = (await stage.get("/v1/usage")).json()["items"]
            cost = [int(one["amount"]["amount"].replace(".", "")) for one in now]
            assert sum(int(one["quantity"]) for one in now) == tokens
            assert sum(cost) == tokens * 1_000_000
            await asyncio.to_thread(stack.integrate)
            path = f"/v1/accounts/{own['account']}/exports/focus.csv"
            book = await stage.get(path)
            assert book.status_code == 200, book.text
            assert f"{METER}:llama-3" in book.text
            await resumed(stage, path, book, own["project"])
            await asyncio.to_thread(stack.integrate)
            bundle = await stage.get("/v1/bundle")
            (tmp_path / "bundle.tar").write_bytes(bundle.content)

    with stack.signing():
        asyncio.run(run())
    claims = verified(tmp_path / "bundle.tar", stack.vkey_text)
    assert claims["books"]["state"] == claims["invoices"]["state"] == "checked"
    assert claims["rows"]["count"] >= 82


async def resumed(stage: Stage, path: str, book: httpx.Response, project: str) -> None:
    """A download goes on until a name in it is erased: then it is another file, to be begun anew."""
    asked = f"{path}?as_of={book.headers['log-position']}"
    tag, half = book.headers["etag"], len(book.content) // 2
    rest = await stage.get(f"{asked}&offset={half}", If_Match=tag)
    assert (rest.status_code, rest.content) == (200, book.content[half:])
    assert await asyncio.to_thread(erase, stage.services.settings.database_url, project) == 1
    await expect(await stage.get(f"{asked}&offset={half}", If_Match=tag), 412, "if_match.stale")
    anew = await stage.get(asked)
    assert anew.headers["etag"] != tag
    assert "Chat" in book.text
    assert "Chat" not in anew.text
    again = await stage.get(asked, If_Match=anew.headers["etag"])
    assert again.content == anew.content


def waited_for(database: Database, account: str) -> tuple[Silent, ...]:
    """Of the account's first period, by the views."""
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        [first, *_] = billing_read.periods(conn, account)
        return sources_read.silent(conn, account, first.start_us, first.end_us)


async def told_all(stage: Stage, app: TokenMeter) -> None:
    """The period is over and waits for the source; once that has told all, it need not. What it
    cannot say is refused; said again, or less, it is one fact.
    """
    await stage.views()
    periods = (await stage.get("/v1/periods")).json()["items"]
    assert {one["state"] for one in periods} == {"open"}
    of, now = app.reporter, now_us()
    assert of is not None
    ahead = Reporter(app.key, of.source, 1, of.sequence + 1, of.head)
    other = Reporter(app.key, of.source, 1, of.sequence, b"c" * 32)
    nobody = of.source[:-1] + ("1" if of.source.endswith("0") else "0")
    for said, status, code in (
        (of.complete(now + HOUR), 409, "reading.in_future"),
        (ahead.complete(now), 409, "reading.incomplete"),
        (other.complete(now), 409, "reading.incomplete"),
        (replace(of.complete(now), until_us=now - 1), 401, "reading.unsigned"),
        (replace(of.complete(now), source=nobody), 404, "source.unknown"),
        (replace(of.complete(now), sequence=-1), 400, "request.invalid"),
    ):
        await expect(await complete(stage.client, said), status, code)
    both = await asyncio.gather(*(app.tell_all(now) for _ in range(2)))
    again = [*both, await app.tell_all(now - 1), await app.end(now)]
    found = [one.json() for one in again]
    assert {one["until_us"] for one in found} == {now}
    assert [one["position"] is None for one in found].count(False) == 1
    assert app.reporter is not None
    assert app.reporter.epoch == of.epoch + 1


async def repriced(stage: Stage, account: str) -> None:
    """A book of 1 USD per million tokens for all time: its rows are read again from the database."""
    entry = {
        "account": "default", "meter": METER, "model": "llama-3", "state": "read", "currency": "USD",
        "effective_from": instant(0), "divisor": 1_000_000,
        "tiers": [{"price": "1.000000000000"}],
    }  # fmt: skip
    made = await stage.post("/v1/price-books/cheap", {"entries": [entry]})
    assert made.status_code == 201, made.text
    always = {"start": instant(0), "end": instant(time.time_ns() // 1000 + HOUR), "book": "cheap"}
    decided = await stage.post(f"/v1/accounts/{account}/reratings", always)
    assert decided.status_code == 201, decided.text


def test_a_preview_prices_readings_as_a_re_rating_then_does(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Sums, levels and largest values on both sides of a change of price in the book, in one batch
    each: what the preview says is charged once it is decided, and again once it is taken back.
    """
    stack = EvidenceStack(database, tmp_path)
    meters = {"sum.of": "sum", "level.of": "time-weighted", "most.of": "max"}

    async def run() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage, viewing(database):
            own = await tenant(stage, HOUR)
            apps = {name: TokenMeter(stage.client, stage.operator) for name in meters}
            for name, app in apps.items():
                await app.open(own["project"], aggregation=meters[name], meter=name)
            since = max(app.since for app in apps.values())
            await until(since + 150_000)
            for name, app in apps.items():
                said = [(n, since + 10_000 * n, since + 10_000 * (n + 2)) for n in range(1, 9)]
                batch = app.batch(*(app.tokens(n, at, to_us=to, meter=name) for n, at, to in said))
                assert (await app.send(batch)).status_code == 200
            account = f"/v1/accounts/{own['account']}"
            [period] = [
                one["id"] for one in (await stage.get("/v1/periods")).json()["items"]
                if one["sequence"] == 1
            ]  # fmt: skip
            entries = [
                {"account": "default", "meter": name, "model": "llama-3", "state": "read",
                 "currency": "USD", "effective_from": instant(at), "divisor": 1_000_000,
                 "tiers": [{"price": price}]}
                for name in meters
                for at, price in ((0, "1.000000000000"), (since + 45_000, "3.000000000000"))
            ]  # fmt: skip
            made = await stage.post("/v1/price-books/steps", {"entries": entries})
            assert made.status_code == 201, made.text
            always = {"start": instant(0), "end": instant(since + HOUR)}

            async def previewed(book: str) -> tuple[str, str]:
                await settled(stage, stack.storage, database)
                await stage.views()
                asked = {"period": period, "book": book}
                found = (await stage.post(f"{account}/preview", asked)).json()
                return found["exact"]["amount"], found["charged"]["amount"]

            listed, steps = await previewed("-"), await previewed("steps")
            # 1 to 4 at 1 and 5 to 8 at 3; 8 at 3; levels of 20 ms, in us, the fourth's half at each.
            weighted = sum(n * 20_000 * (1 if n < 3 else 3) for n in (1, 2, 5, 6, 7, 8))
            weighted += 3 * (15_000 + 5_000 * 3) + 4 * (5_000 + 15_000 * 3)
            assert Decimal(steps[0]) == Decimal(10 + 3 * 26 + 3 * 8 + weighted) / 10**6
            assert listed[0] == listed[1] == steps[1]
            for book in ("steps", "-"):
                expected = (await previewed(book))[0]
                decided = await stage.post(f"{account}/reratings", always | {"book": book})
                assert decided.status_code == 201, decided.text
                assert await previewed(book) == (expected, expected)

    with stack.signing():
        asyncio.run(run())


def test_a_preview_finds_where_a_reading_was_and_who_pays_it(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Two sources of one project, registered before and after it moved to another account, say sums,
    levels and largest values of regions whose prices change at instants of their own: each account's
    preview is what is charged, under a book with a price of another region what a re-rating then makes
    of it, and what is priced in a region is exported so.
    """
    stack = EvidenceStack(database, tmp_path)
    meters = {"sum.at": "sum", "level.at": "time-weighted", "most.at": "max", "last.of": "last"}

    async def run() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage, viewing(database):
            own = await tenant(stage, HOUR)
            apps = [TokenMeter(stage.client, stage.operator) for _ in meters]
            for app, name in zip(apps, meters, strict=True):
                of = {"aggregation": meters[name], "meter": name}
                await app.open(own["project"], **of, dimensions=tuple(said_of(name, "-")))
            accounts = [own["account"], await moved_away(stage, own)]
            since = now_us() + 2_000_000
            for name in meters:
                where = HERE if name.endswith(".at") else "-"
                for at, price in ((since, "3.000000000000"), (since + 45_000, "5.000000000000")):
                    new = listed(name, where, at, price)
                    assert (await stage.post("/v1/prices", new)).is_success
            later = TokenMeter(stage.client, stage.operator)
            source = {"project": own["project"], "key": public_hex(later.key), "meters": [*meters]}
            made = await stage.post("/v1/sources", source)
            later.reporter, later.project = (
                Reporter(later.key, made.json()["id"], 1),
                own["project"],
            )
            await until(since + 150_000)
            for number, name in enumerate(meters):
                for app, more in ((apps[number], 0), (later, 100)):
                    told = [
                        app.tokens(n + more, since + 10_000 * n, to_us=since + 10_000 * (n + 2),
                                   meter=name, dimensions=said_of(name, region))
                        for n, region in enumerate((HERE, "-", "us-1", HERE, HERE, "us-1", HERE), 1)
                    ]  # fmt: skip
                    answer = await app.send(app.batch(*told))
                    assert answer.status_code == 200, answer.text
            await stage.views()
            await as_previewed(stage, stack, database, accounts, (since, [*meters]))

    with stack.signing():
        asyncio.run(run())


HERE = "eu-de-1"


def said_of(meter: str, region: str) -> dict[str, str]:
    return {"model": "llama-3"} | ({"region": region} if meter.endswith(".at") else {})


def listed(meter: str, region: str, at: int, price: str) -> dict[str, Any]:
    return {
        "meter": meter, "model": "llama-3", "state": "read", "divisor": 1_000_000,
        "region": region, "price": {"amount": price, "currency": "USD"},
        "effective_from": instant(at),
    }  # fmt: skip


async def moved_away(stage: Stage, own: dict[str, str]) -> str:
    """The account to which the project has moved, of the same organization."""
    body = {
        "organization": own["org"], "currency": "USD", "zone": "UTC",
        "first_period_end": instant(now_us() + HOUR),
    }  # fmt: skip
    account = (await stage.post("/v1/accounts", body)).json()["id"]
    gone = await stage.post(f"/v1/projects/{own['project']}/move", {"account": account})
    assert gone.is_success, gone.text
    return str(account)


async def as_previewed(
    stage: Stage,
    stack: EvidenceStack,
    database: Database,
    accounts: list[str],
    of: tuple[int, list[str]],
) -> None:
    since, meters = of
    entries = [
        {"account": "default", "meter": name, "model": "llama-3", "state": "read", "region": where,
         "currency": "USD", "effective_from": instant(0), "divisor": 1_000_000,
         "tiers": [{"price": price}]}
        for name in meters for where, price in (("us-1", "7.000000000000"), ("-", "2.000000000000"))
    ]  # fmt: skip
    made = await stage.post("/v1/price-books/there", {"entries": entries})
    assert made.status_code == 201, made.text
    always = {"start": instant(0), "end": instant(since + HOUR)}
    periods = (await stage.get("/v1/periods")).json()["items"]
    first = {one["account"]: one["id"] for one in periods if one["sequence"] == 1}
    for account in accounts:

        async def previewed(book: str, account: str = account) -> tuple[str, str]:
            await settled(stage, stack.storage, database)
            await stage.views()
            asked = {"period": first[account], "book": book}
            found = (await stage.post(f"/v1/accounts/{account}/preview", asked)).json()
            return found["exact"]["amount"], found["charged"]["amount"]

        before = await previewed("-")
        assert before[0] == before[1]
        for book in ("there", "-"):
            expected = (await previewed(book))[0]
            assert (expected == before[0]) == (book == "-")
            decided = await stage.post(f"/v1/accounts/{account}/reratings", always | {"book": book})
            assert decided.status_code == 201, decided.text
            assert await previewed(book) == (expected, expected)
        with psycopg.connect(database.app_url) as conn:
            found = lines(conn, first[account], "", "~", 10**9)
        seen = {(one.meter, one.region, one.stood) for one in found if one.quantity}
        assert {one for one in seen if one[0] != "last.of"} == {
            (name, where, where) for name in meters[:3] for where in (HERE, "-")
        }


def test_what_is_refused_is_named_and_seals_nothing(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Each with its own code; the batch sent again as it should be is taken."""

    async def run() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage, viewing(database):
            own = await tenant(stage, HOUR)
            app = TokenMeter(stage.client, stage.operator)
            source = await app.open(own["project"])
            other = await stage.post(
                "/v1/projects",
                {**own_project(own, await stage.get("/v1/departments")), "name": "X"},
            )
            size = await stage.size()
            one, far = app.tokens(1), time.time_ns() // 1000 + HOUR
            wrong = replace(one, resource=other.json()["id"])
            for code, status, reading in (
                ("reading.no_meter", 409, replace(one, meter="other.tokens")),
                ("reading.invalid", 400, replace(one, dimensions={"model": "llama-3"})),
                (
                    "reading.no_price",
                    409,
                    replace(one, dimensions={**one.dimensions, "model": "m"}),
                ),
                ("reading.no_price", 409, replace(one, from_us=app.since - 1)),
                ("reading.malformed", 400, replace(one, meter="a b")),
                ("reading.malformed", 400, replace(one, resource="runtime-1")),
                ("reading.malformed", 400, replace(one, dimensions={"direction": "a=b"})),
                ("reading.malformed", 400, replace(one, dimensions={"direction": ""})),
                ("request.invalid", 400, replace(one, dimensions=dict.fromkeys("abcdefghi", "x"))),
                ("request.invalid", 400, replace(one, quantity=-1)),
                ("request.invalid", 400, replace(one, quantity=10**19)),
                ("reading.no_resource", 409, wrong),
                ("reading.no_resource", 409, replace(one, resource=new_id("project"))),
                ("reading.invalid", 400, replace(one, from_us=app.since + 1)),
                ("reading.in_future", 409, replace(one, from_us=far, to_us=far)),
            ):
                await expect(await app.send(app.once(one, reading)), status, code)
            batch = app.once(one)
            await rubbish(stage, msgspec.to_builtins(batch))
            forged = replace(batch, sig=app.once(replace(one, quantity=2)).sig)
            await expect(await app.send(forged), 401, "reading.unsigned")
            altered = replace(batch, readings=(replace(one, quantity=2),))
            await expect(await app.send(altered), 401, "reading.unsigned")
            stranger = replace(batch, source=source[:-1] + ("0" if source[-1] != "0" else "1"))
            await expect(await app.send(stranger), 404, "source.unknown")
            late = Reporter(app.key, source, 1, 5).batch((one,))
            answer = await app.send(late)
            await expect(answer, 409, "reading.gap")
            assert answer.json()["facts"] == {"expected": 1, "epoch": 1}
            assert await stage.size() == size
            assert (await app.send(app.batch(one))).json()["new"] == 1
            path = f"/v1/sources/{source}/revoke"
            assert (await stage.post(path, {})).json()["version"] == 2
            assert (await stage.post(path, {})).json()["version"] is None
            await expect(await app.send(app.once(one)), 404, "source.unknown")

    asyncio.run(run())


async def rubbish(stage: Stage, batch: dict[str, Any]) -> None:
    """Every field gone, of another type or size, in the batch and in its reading; no JSON at all."""
    odd: tuple[Any, ...] = (
        None,
        True,
        -1,
        0,
        1.5,
        2**53 + 1,
        10**40,
        "",
        "\u0000",
        "é" * 100,
        [],
        {},
        [[]],
        {"a": 1},
    )
    [reading] = batch["readings"]
    bodies: list[Any] = [*odd, b"", b"{", b"[" * 9000, b'{"format":"x","format":"y"}']
    for name in batch:
        bodies += [{key: value for key, value in batch.items() if key != name}]
        bodies += [{**batch, name: value} for value in odd]
    for name in reading:
        bodies += [{**batch, "readings": [{**reading, name: value}]} for value in odd]
    bodies += [{**batch, "more": 1}, {**batch, "readings": [reading] * 501}]
    for body in bodies:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        answer = await stage.client.post("/v1/readings", content=raw, headers=headers)
        assert 400 <= answer.status_code < 500, (answer.status_code, raw[:200], answer.text)


def own_project(own: dict[str, str], departments: httpx.Response) -> dict[str, str]:
    [one] = departments.json()["items"]
    return {"department": one["id"], "account": own["account"]}


async def expect(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text


def test_another_reading_under_a_sealed_key_is_put_away(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """409 every time, shown to operators, one fact; never rated. What is repeated in other batches
    is the same reading; an epoch that is over takes nothing new.
    """

    async def run() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage, viewing(database):
            own = await tenant(stage, HOUR)
            app = TokenMeter(stage.client, stage.operator)
            source = await app.open(own["project"])
            some = tuple(app.tokens(n) for n in range(10))
            sent = (Reporter(app.key, source, 1), Reporter(app.key, source, 1))
            for upto in (3, 7, 10):
                batch = sent[0].batch(some[sent[0].sequence : upto])
                assert (await app.send(batch)).json()["new"] == len(batch.readings)
            for upto in (2, 5, 8, 10):  # the same readings, cut otherwise
                batch = sent[1].batch(some[sent[1].sequence : upto])
                taken = (await app.send(batch)).json()
                assert (taken["new"], taken["repeated"]) == (0, len(batch.readings))
                assert taken["chain"] == sent[0].head.hex()
            desk = stage.services.desk
            desk._forget()  # as another process, which has the views alone
            liar = Reporter(app.key, source, 1)
            liar.batch(some[:4])
            batch = liar.batch((some[4], replace(some[5], quantity=99), some[6], app.tokens(1)))
            for _ in range(3):
                answer = await app.send(batch)
                await expect(answer, 409, "reading.conflict")
                assert answer.json()["facts"] == {"epoch": 1, "sequence": 6}
            forged = replace(batch, readings=(some[4], replace(some[5], quantity=98)))
            await expect(await app.send(forged), 401, "reading.unsigned")
            size = await stage.size()
            await stage.services.reached(size - 1)
            shown = (await stage.get("/v1/readings/quarantined")).json()["items"]
            assert [(one["source"], one["epoch"], one["sequence"]) for one in shown] == [
                (source, 1, 6)
            ]
            assert msgspec.json.decode(b64decode(shown[0]["reading"]))["quantity"] == 99
            hidden = await stage.get(
                "/v1/readings/quarantined", token=stage.token("member", own["org"])
            )
            assert hidden.status_code == 403
            assert (await app.send(Reporter(app.key, source, 3).batch(some[:2]))).status_code == 200
            again = await app.send(Reporter(app.key, source, 1).batch(some[:3]))
            assert (again.json()["new"], again.json()["epoch"]) == (0, 3)
            over = Reporter(app.key, source, 1)
            over.batch(some)
            await expect(await app.send(over.batch(some[:1])), 409, "reading.epoch_over")
            await expect(
                await app.send(Reporter(app.key, source, 2).batch(some[:1])),
                409,
                "reading.epoch_over",
            )
            audited(database)

    asyncio.run(run())


def test_many_processes_and_callers_seal_each_reading_once(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Two desks, three sources of two tenants, every batch sent four times at once and out of
    order. No seal has readings of both: it says what they come to.
    """

    async def run() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage, viewing(database):
            own, other = await tenant(stage, HOUR), await tenant(stage, HOUR)
            services = stage.services
            desks = [Desk(services.log, services.reads, now_us) for _ in range(2)]
            apps = [TokenMeter(stage.client, stage.operator) for _ in range(3)]
            for app, whose in zip(apps, (own, own, other), strict=True):
                await app.open(whose["project"])

            async def insist(desk: Desk, batch: Batch) -> None:
                """Until what is before it is there, as a source does."""
                for _ in range(2000):
                    code = await refusal(desk, batch)
                    if code not in ("reading.gap", "log.version_stale"):
                        assert not code
                        return
                    await asyncio.sleep(0.01)

            batches = [app.batch(*map(app.tokens, range(5))) for app in apps for _ in range(8)]
            sent = [(desk, batch) for batch in batches for desk in desks] * 2
            Random(7).shuffle(sent)
            await asyncio.gather(*(insist(desk, batch) for desk, batch in sent))
            await asyncio.gather(*(desk.close() for desk in desks))
            assert len(keys_of(database)) == 3 * 40
            assert {len(told) for told in audited(database)} == {1}

    asyncio.run(run())


async def refusal(desk: Desk, batch: Batch) -> str:
    """The code; empty once it is taken."""
    try:
        await desk.take(batch)
    except DomainError as error:
        return error.code
    return ""


def test_a_node_reports_what_runs_on_it_over_nats(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Its batches wait in JetStream, are sealed once and answered into its inbox, signed; noise, a
    gap, another node's batch, and a node that is revoked seal nothing.
    """

    async def run() -> None:
        async with staged(database, nats_url, tmp_path) as stage, viewing(database):
            tenant = await stage.tenant()
            node, other = await stage.node(), await stage.node()
            launched = await stage.post(
                "/v1/runtimes", {"project": tenant["project"], "name": "r", "devices": 1}
            )
            app = TokenMeter(stage.client, stage.operator)
            await app.open(tenant["project"])
            runtime = launched.json()
            mine = node if runtime["node"] == node else other
            foreign = other if mine == node else node
            line = Line(stage, mine, Reporter(stage.keys[mine], mine, 1))
            hearing = asyncio.create_task(
                hear(Ear(stage.services.nats, stage.services.desk, stage.services.command_key))
            )
            try:
                await line.open()
                one = app.tokens(7, resource=runtime["id"])
                first = line.reporter.batch((one, one))
                for _ in range(3):
                    await line.say(first)
                    assert await line.answer() == (2, "")
                await line.publish(b"noise")
                await line.say(replace(first, source=foreign))
                theirs = Reporter(stage.keys[foreign], foreign, 1).batch((one,))
                await Line(stage, foreign, line.reporter).say(theirs)
                early = Reporter(stage.keys[mine], mine, 1, 9, line.reporter.head).batch((one,))
                await line.say(early)
                assert await line.answer() == (2, "reading.gap")
                await stage.post(f"/v1/nodes/{mine}/cordon", {})  # its stream moves, it stands
                await line.say(line.reporter.batch((one,)))
                assert await line.answer() == (3, "")
                await stage.post(f"/v1/nodes/{mine}/revoke", {})
                await line.say(line.reporter.batch((one,)))
                assert await line.answer() == (None, "source.unknown")
                assert len(keys_of(database)) == 3
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)

    asyncio.run(run())
    audited(database)


class Line:
    """A node's end of NATS, as the platform's own client."""

    def __init__(self, stage: Stage, node: str, reporter: Reporter) -> None:
        self.stage = stage
        self.node = node
        self.reporter = reporter
        self.heard: asyncio.Queue[usage.Answer] = asyncio.Queue()

    async def open(self) -> None:
        key = public_hex(self.stage.services.command_key)

        async def take(message: Msg) -> None:
            self.heard.put_nowait(usage.open_answer(message.data, key))

        await self.stage.services.nats.subscribe(fleet.usage_subject(self.node), cb=take)
        await ensure_stream(self.stage.services.nats.jetstream())

    async def publish(self, raw: bytes) -> None:
        await self.stage.services.nats.jetstream().publish(fleet.subject(self.node, "use"), raw)

    async def say(self, batch: Batch) -> None:
        await self.publish(msgspec.json.encode(batch))

    async def answer(self) -> tuple[int | None, str]:
        """The last number sealed, and the code."""
        async with asyncio.timeout(30):
            said = await self.heard.get()
        assert said.source == self.node
        return said.sequence, said.code


def test_a_process_killed_at_any_moment_loses_and_doubles_nothing(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Kill -9 with batches in flight, twice: what was answered is sealed, what was not is sealed by
    the repeat, each reading once.
    """
    apps: list[TokenMeter] = []

    async def opened() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage, viewing(database):
            own = await tenant(stage, HOUR)
            for _ in range(4):
                apps.append(TokenMeter(stage.client, stage.operator))
                await apps[-1].open(own["project"])

    asyncio.run(opened())
    waiting = [[app.batch(*map(app.tokens, range(5))) for _ in range(30)] for app in apps]
    for last in (False, True):
        with served(database, nats_url, tmp_path) as api:
            asyncio.run(driven(database, api, waiting, kill=not last))
    assert not any(waiting)
    assert len(keys_of(database)) == 4 * 150
    audited(database)


async def driven(
    database: Database, api: Served, waiting: list[list[Batch]], *, kill: bool
) -> None:
    """Each source sends its batches in order until the process is killed, or none is left; what is
    answered is taken off.
    """
    async with viewing(database), httpx.AsyncClient(base_url=api.url, timeout=20) as client:

        async def report(batches: list[Batch]) -> None:
            while batches:
                try:
                    answer = await send(client, batches[0])
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                del batches[0]

        sending = [asyncio.create_task(report(batches)) for batches in waiting]
        most = sum(map(len, waiting)) - 30
        if kill:
            while sum(map(len, waiting)) > most:  # noqa: ASYNC110 - the answers are the clock
                await asyncio.sleep(0.002)
            api.child.kill()
        await asyncio.gather(*sending)


def keys_of(database: Database) -> list[tuple[str, int, int]]:
    """(source, epoch, sequence) of every row; no two are the same."""
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        rows = [json.loads(raw) for _, raw in read_rows(conn, "reading", 0, 10_000)]
    keys = [(row["source"], row["epoch"], row["sequence"]) for row in rows]
    assert len(keys) == len(set(keys))
    return keys


def audited(database: Database) -> list[set[str]]:
    """The auditor's books believe every row, and derive what is charged for it; the resources that
    each seal is of.
    """
    told = list[set[str]]()
    with psycopg.connect(database.app_url, autocommit=True) as conn, Books(None) as books:
        for position, raw, _ in read_entries(conn, 0, 100_000):
            entry = json.loads(raw)
            books.feed(position, entry)
            if entry["tag"] == "gpuaas.usage.batch_sealed.v1":
                fact = entry["fact"]
                found = read_rows(conn, "reading", fact["first_row"], fact["count"])
                rows = [json.loads(row) for _, row in found]
                books.read(rows)
                told.append({row["resource"] for row in rows})
    return told


def verified(bundle: Path, vkey: str) -> dict[str, Any]:
    """The claims of a bundle that must be valid, by name."""
    program = str(Path(sys.executable).with_name("gpuaas-verify"))
    done = subprocess.run(
        [program, str(bundle), "--key", vkey, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {claim["claim"]: claim for claim in json.loads(done.stdout)["claims"]}
