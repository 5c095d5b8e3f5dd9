"""What the front door refuses of money, and the periods an account begins with."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api.edge import instant, now_us, parse_instant
from domain import period
from evidence.append import Append, Write
from evidence.ids import new_id
from projections.months import month_after, period_id
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow

ZONE = "Europe/Berlin"


async def account(stage: Stage, **more: Any) -> Any:
    org = (await stage.post("/v1/organizations", {"name": "Org"})).json()["id"]
    body = {"organization": org, "currency": "USD", "zone": ZONE, **more}
    return await stage.post("/v1/accounts", body)


async def opened(stage: Stage, account_id: str, sequence: int) -> period.Opened:
    [recorded] = await stage.services.log.read_stream(period_id(account_id, sequence))
    assert isinstance(recorded.fact, period.Opened)
    return recorded.fact


def test_a_price_that_could_overflow_is_refused(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """400 with what would be admitted; nothing is stored, so rating never meets it."""

    async def scene(stage: Stage) -> None:
        size = await stage.size()
        body: dict[str, Any] = {}
        for amount, divisor in (
            ("99999999999999999999999999.000000000000", 1),
            ("99999999999999999999.000000000000", 3_600_000_000_000),
            ("999999999999.000000000000", 1),
        ):
            body = {
                "model": "T4",
                "price": {"amount": amount, "currency": "USD"},
                "divisor": divisor,
                "effective_from": instant(now_us() + 10**9),
            }
            answer = await stage.post("/v1/prices", body)
            assert (answer.status_code, answer.json()["code"]) == (400, "price.too_large")
            assert answer.json()["facts"]["most_pico"] <= 10**21
        assert await stage.size() == size
        largest = body | {"price": {"amount": "1000000000.000000000000", "currency": "USD"}}
        answer = await stage.post("/v1/prices", largest | {"divisor": 3_600_000_000_000})
        assert answer.status_code == 201, answer.text

    play(database, nats_url, tmp_path, scene)


def test_an_account_begins_with_two_periods(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Contiguous, in one append with the account; the second ends with a month."""

    async def scene(stage: Stage) -> None:
        month_end = month_after(now_us(), ZONE)
        cut = instant(now_us() + (month_end - now_us()) // 2)
        for more, second_end in (
            ({}, month_after(month_end, ZONE)),
            ({"first_period_end": cut}, month_end),
        ):
            made = await account(stage, **more)
            assert made.status_code == 201, made.text
            first, second = [await opened(stage, made.json()["id"], number) for number in (1, 2)]
            assert first.end_us == second.start_us
            assert first.end_us == (parse_instant(cut) if more else month_end)
            assert (second.sequence, second.end_us) == (2, second_end)

    play(database, nats_url, tmp_path, scene)


def test_the_last_period_is_never_closed(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A period closes only when a later one is there: a late charge always has an open period.

    Who asks for what was done meanwhile, at the version of before, is told that it is done.
    """

    async def scene(stage: Stage) -> None:
        org = (await stage.post("/v1/organizations", {"name": "Org"})).json()["id"]
        owner = new_id("account")  # as an old log has it: with one period only
        first = period.Opened(owner, 1, 0, 100, ZONE, "2025b", 0)
        await say(stage, org, period_id(owner, 1), first)
        path = f"/v1/periods/{period_id(owner, 1)}/close"
        refused = await stage.post(path, If_Match='"1"')
        assert (refused.status_code, refused.json()["code"]) == (409, "period.next_missing")
        second = period.Opened(owner, 2, 100, 200, ZONE, "2025b", 0)
        await say(stage, org, period_id(owner, 2), second)
        done = await stage.post(path, If_Match='"1"')
        assert (done.status_code, done.json()["version"]) == (200, 2)
        again = await stage.post(path, If_Match='"1"')
        assert (again.status_code, again.json()) == (200, done.json())
        assert (await stage.post(path)).status_code == 428

    play(database, nats_url, tmp_path, scene)


async def say(stage: Stage, org: str, stream: str, fact: period.Opened) -> None:
    write = Write(stream, org, 0, (fact,))
    await stage.services.log.append(Append((write,), "system-test", f"cmd:{uuid4().hex * 2}"))
