"""Small requests that must be answered truly: stops without a body, currencies, odd positions."""

import asyncio
from pathlib import Path

import pytest

from api.currencies import minor_digits
from api.edge import instant, now_us
from api.erase import erase
from domain.errors import DomainError
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow


def test_a_stop_needs_no_body_and_a_repeat_is_told_the_truth(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The second stop appends nothing and answers organization, version, reason as they are."""

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node()
        made = await stage.post("/v1/runtimes", {"project": tenant["project"], "name": "r"})
        assert made.status_code == 201, made.text
        path = f"/v1/runtimes/{made.json()['id']}/stop"
        first = await stage.post(path, b"")
        assert first.status_code == 200, first.text
        assert (first.json()["why"], first.json()["version"]) == ("requested", 3)
        size = await stage.size()
        second = await stage.post(path, {"reason": "again"})
        assert second.status_code == 200, second.text
        assert second.json() == first.json()
        assert (second.json()["organization"], await stage.size()) == (tenant["org"], size)
        for wrong in (b"[]", b'"x"', b'{"reason":7}', b'{"why":"x"}'):
            refused = await stage.post(path, wrong)
            assert (refused.status_code, refused.json()["code"]) == (400, "request.invalid")
        broken = await stage.post(path, b"{")
        assert broken.json()["code"] == "request.malformed"

    play(database, nats_url, tmp_path, scene)


def test_a_launch_without_a_body_says_so(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A missing body is named as one."""

    async def scene(stage: Stage) -> None:
        refused = await stage.post("/v1/runtimes", b"")
        assert refused.status_code == 400
        assert refused.json()["code"] == "request.malformed"
        assert "no body" in refused.json()["detail"]

    play(database, nats_url, tmp_path, scene)


def test_only_currencies_of_iso_4217_are_taken(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """ZZZ opens no account and prices nothing; yen have no minor unit, dinars three places."""
    assert [minor_digits(code) for code in ("JPY", "EUR", "KWD", "CLF")] == [0, 2, 3, 4]
    with pytest.raises(DomainError, match=r"currency\.unknown"):
        minor_digits("XAU")

    async def scene(stage: Stage) -> None:
        org = (await stage.post("/v1/organizations", {"name": "Org"})).json()["id"]
        body = {"organization": org, "currency": "ZZZ", "zone": "UTC"}
        refused = await stage.post("/v1/accounts", body)
        assert (refused.status_code, refused.json()["code"]) == (400, "currency.unknown")
        taken = await stage.post("/v1/accounts", body | {"currency": "KWD"})
        assert taken.status_code == 201, taken.text
        price = {
            "model": "T4",
            "price": {"amount": "1.000000000000", "currency": "ZZZ"},
            "effective_from": instant(now_us() + 10**9),
        }
        refused = await stage.post("/v1/prices", price)
        assert (refused.status_code, refused.json()["code"]) == (400, "currency.unknown")

    play(database, nats_url, tmp_path, scene)


def test_erased_words_are_gone_and_the_log_stays(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """`gpuaas erase` deletes the texts of one stream, of no other; entries do not change."""

    async def scene(stage: Stage) -> None:
        made = [await stage.post("/v1/organizations", {"name": name}) for name in ("A", "B")]
        mine, other = [answer.json()["id"] for answer in made]
        await stage.views()
        before = (await stage.services.log.head()).leaf
        assert await asyncio.to_thread(erase, database.app_url, mine) == 1
        assert await asyncio.to_thread(erase, database.app_url, mine) == 0
        listed = (await stage.get("/v1/organizations")).json()["items"]
        assert {one["id"]: one["name"] for one in listed} == {mine: None, other: "B"}
        assert (await stage.services.log.head()).leaf == before
        with pytest.raises(DomainError, match=r"resource\.unknown"):
            await asyncio.to_thread(erase, database.app_url, "organization-1")

    play(database, nats_url, tmp_path, scene)


@pytest.mark.parametrize("position", ["-1", "9" * 18, "9" * 30, "9" * 5000, "x", "1.5"])
def test_no_receipt_for_what_is_no_position(
    database: Database, nats_url: str, tmp_path: Path, position: str
) -> None:
    """400 or 404 for good, never a 409 that asks to come again."""

    async def scene(stage: Stage) -> None:
        for role, org in (("platform-operator", None), ("member", (await stage.tenant())["org"])):
            answer = await stage.get(f"/v1/receipts/{position}", token=stage.token(role, org))
            assert answer.status_code in {400, 404}, answer.text
            assert "retry-after" not in answer.headers

    play(database, nats_url, tmp_path, scene)
