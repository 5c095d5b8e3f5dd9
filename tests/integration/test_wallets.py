"""A prepaid account on a living stack: held, renewed, exhausted, stopped, settled, verified."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent.simulator.crowd import until
from agent.simulator.member import Habits
from api.bank import imported
from api.calling import Api
from domain import runtime
from domain.errors import DomainError
from domain.node_facts import LeaseRenewed
from domain.wallet_facts import HoldPlaced, HoldReleased, HoldsRenewed, LevelReached
from evidence.reader import Recorded
from projections.readiness import readiness
from tests.crowd_stage import Hall, gathered, hall
from tests.prepaid_account import PICO, Prepaid, pico, usd
from tests.prepaid_month import proved

pytestmark = pytest.mark.slow

HABITS = Habits(gpus=4, usable_after_us=100_000, heartbeat_us=500_000, renew_us=1_000_000)
_INSERT = """
INSERT INTO views.wallet (wallet, from_position, organization, account, balance_pico, held_pico,
  frozen, decided_us) VALUES (%s, %s, %s, %s, %s, %s, %s, 0)
"""
# Other leases than are the default: what is held follows the deployment's.
GIVEN = {"GPUAAS_LEASE_S": "300", "GPUAAS_DRIFT_PPM": "500", "GPUAAS_STOP_S": "20"}
HELD_US = 300_000_000 + 150_000 + 1_000_000 + 20_000_000
FIRST = -(-HELD_US * PICO // 3_600_000_000)  # of one GPU at 1 USD an hour
SECOND = PICO // 3_600


def test_credit_runs_out_and_the_runtime_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No launch without the credit for its first lease. One that is admitted is held for, renewed
    with its node's lease, and told to stop by the renewal that its wallet cannot pay; it is charged
    for what the node attests, from the hold, and the rest is there again. At no position is the
    wallet below zero, and an auditor derives every transfer. Beside it another account's period is
    closed, invoiced, credited and proved over HTTP.
    """
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    with hall() as here:
        asyncio.run(_story(here, tmp_path))


async def _story(here: Hall, tmp: Path) -> None:
    crowd = gathered(here, 1, 7, HABITS)
    crowd.start()
    try:
        us = await asyncio.to_thread(Prepaid, here)
        assert await until(lambda: crowd.entered() == 1, 60)
        month = asyncio.to_thread(proved, here, tmp)
        await asyncio.gather(asyncio.to_thread(_spend, us), month)
    finally:
        crowd.stop()
    entries = here.entries()
    _judge(entries, us)
    await asyncio.to_thread(_trip, here)
    await asyncio.to_thread(_verified, here, tmp)


def _spend(us: Prepaid) -> None:
    refused = us.launch()
    assert (refused.status_code, refused.json()["code"]) == (402, "wallet.insufficient")
    given = us.grant(FIRST - 1, "bank-1")
    assert us.grant(FIRST - 1, "bank-1")["id"] == given["id"], "once per reference"
    again = us.office.post(f"{us.path}/grants", {"amount": usd(5), "reference": "bank-1"})
    assert again.json()["code"] == "wallet.reference_reused"
    refused = us.launch()
    facts = refused.json()["facts"]
    assert (facts["available_pico"], facts["needed_pico"]) == (FIRST - 1, FIRST)
    us.grant(4 * SECOND, "spring", bucket="promo", expires_at="2999-01-01T00:00:00Z")
    made = us.launch()
    assert made.status_code == 201, made.text
    name = made.json()["id"]
    found = us.wallet()
    assert (found["terms"], found["runtimes"], len(found["credits"])) == ("prepaid", 1, 2)
    assert pico(found["balance"]) == FIRST - 1 + 4 * SECOND
    assert pico(found["held"]) >= FIRST
    assert pico(found["available"]) == pico(found["balance"]) - pico(found["held"])
    second = us.launch()
    assert second.json()["code"] == "wallet.insufficient", "what is held is not there twice"
    us.until(lambda: us.state(name) == "stopped", "the stop")
    us.until(lambda: pico(us.wallet()["held"]) == 0, "the release")
    found = us.wallet()
    assert pico(found["available"]) == pico(found["balance"]) > 0
    assert (found["exhausted_at"], found["level"]) == (None, 100)
    assert us.launch().json()["code"] == "wallet.insufficient"
    us.until(lambda: "capture" in us.journal(), "the journal")
    wallet, hold = {"wallet": -pico(found["balance"])}, {"hold": 0}
    assert us.balances() | wallet | hold == us.balances()
    _transfer(us, pico(found["balance"]))


def _transfer(us: Prepaid, before: int) -> None:
    """A bank's statement, imported again and again: its lines are credit once."""
    api = Api(us.office.stack.url, us.office.operator)
    paid = f"b-1,2.5,USD,{us.wallet()['payment_reference']}\nb-2,1,USD,nobody\n"
    statement = f"line,amount,currency,text\nopening,1,USD,\n{paid}closing,4.5,USD,\n".encode()
    for _ in range(2):
        assert [one.account for one in imported(api, statement)] == [us.account, ""]
    assert pico(us.wallet()["balance"]) == before + 5 * PICO // 2
    changed = statement.replace(b"2.5", b"3.5").replace(b"4.5", b"5.5")
    with pytest.raises(DomainError, match=r"wallet\.reference_reused"):
        imported(api, changed)
    _aside(us)
    _charged_back(us)


def _aside(us: Prepaid) -> None:
    """What names nobody waits in the books, and becomes somebody's credit once."""

    def waiting() -> list[Any]:
        found: list[Any] = us.office.get("/v1/suspense?waiting=true").json()["items"]
        return found

    us.until(waiting, "the views")
    [waits] = waiting()
    assert (waits["line"], waits["text"], waits["how"]) == ("b-2", "nobody", None)
    before, path = pico(us.wallet()["balance"]), f"/v1/suspense/{waits['id']}/resolve"
    assert us.office.post(path, {}).json()["code"] == "request.invalid"
    done = us.done(path, {"account": us.account})
    assert done["how"] == "credit"
    assert us.office.post(path, {"returned": True}).json()["code"] == "suspense.resolved"
    assert pico(us.wallet()["balance"]) == before + PICO
    us.until(lambda: not waiting(), "the views")
    us.done("/v1/suspense", {"line": "b-3", "amount": usd(PICO), "text": "of a new account"})
    us.until(waiting, "the views")
    named = f"b-3,1,USD,{us.wallet()['payment_reference']}\n"
    statement = f"line,amount,currency,text\nopening,1,USD,\n{named}closing,2,USD,\n".encode()
    for _ in range(2):
        imported(Api(us.office.stack.url, us.office.operator), statement)
        us.until(lambda: not waiting(), "the views")
        assert pico(us.wallet()["balance"]) == before + 2 * PICO
    us.done(f"{us.path}/refunds", {"payment": "bank:b-3", "reference": "back-3"})
    other = {"line": "b-9", "amount": {**usd(PICO), "currency": "EUR"}}
    name = us.done("/v1/suspense", other)["id"]
    assert us.done("/v1/suspense", other)["id"] == name
    refused = us.office.post(f"/v1/suspense/{name}/resolve", {"account": us.account})
    assert refused.json()["code"] == "wallet.grant_invalid"
    assert us.done(f"/v1/suspense/{name}/resolve", {"returned": True})["how"] == "returned"


def _charged_back(us: Prepaid) -> None:
    """What was spent of the first payment is in arrears; the next payment meets it; until then
    nothing begins.
    """
    body = {"payment": "bank-1", "reference": "dispute-1"}
    spent = us.done(f"{us.path}/refunds", {"payment": "bank:b-1", "reference": "back-1"})
    assert pico(spent["amount"]) == 5 * PICO // 2
    rest = us.done(f"{us.path}/refunds", {"payment": "bank:b-2", "reference": "back-2"})
    left = pico(rest["balance"])
    done = us.done(f"{us.path}/chargebacks", body)
    assert us.done(f"{us.path}/chargebacks", body)["balance"] is None
    assert (pico(done["amount"]), pico(done["balance"])) == (FIRST - 1, left - pico(done["taken"]))
    arrears = FIRST - 1 - pico(done["taken"])
    found = us.wallet()
    assert (pico(found["arrears"]), found["suspended"][0]["reason"]) == (arrears, "chargeback")
    assert arrears > 0
    refused = us.launch().json()
    assert (refused["code"], refused["facts"]["about"]) == ("account.suspended", done["grant"])
    us.grant(arrears, "bank-7")
    us.until(lambda: not us.wallet()["suspended"], "the arrears")
    found = us.wallet()
    assert (pico(found["arrears"]), pico(found["available"])) == (0, pico(done["balance"]))
    # What was used and not invoiced yet, and what the wallet has met of it.
    us.until(lambda: not us.balances()["receivable"] + us.balances()["unbilled"], "the journal")
    assert us.office.post(f"{us.path}/suspend", {"reason": "asked"}).json()["changed"] == [
        us.account
    ]
    assert us.launch().json()["code"] == "account.suspended"
    assert us.office.post(f"{us.path}/resume", {"reason": "looked"}).json()["changed"] == [
        us.account
    ]
    assert (
        us.office.post(f"{us.path}/resume", {"reason": "x"}).json()["code"]
        == "account.not_suspended"
    )


def _judge(entries: list[Recorded], us: Prepaid) -> None:
    wallet = "wallet" + us.account.removeprefix("account")
    said = [one for one in entries if one.stream == wallet]
    for one in said:
        assert 0 <= one.fact.held_pico <= one.fact.balance_pico  # type: ignore[attr-defined]
    [placed] = [one for one in said if isinstance(one.fact, HoldPlaced)]
    [released] = [one for one in said if isinstance(one.fact, HoldReleased)]
    renewed = [one for one in said if isinstance(one.fact, HoldsRenewed)]
    assert renewed, "its lease went on while it could be paid"
    assert isinstance(placed.fact, HoldPlaced)
    name = placed.fact.runtime
    own = [one for one in entries if one.stream == name]
    assert placed.cause == own[0].cause, "one append with its admission"
    assert placed.fact.until_us - placed.fact.from_us == HELD_US
    leases = [one.fact for one in entries if isinstance(one.fact, LeaseRenewed)]
    assert {lease.until_us - lease.renewed_us for lease in leases} == {300_000_000}
    [stop] = [one.fact for one in own if isinstance(one.fact, runtime.Stopping)]
    assert stop.reason == "wallet.exhausted"
    assert [one.fact.percent for one in said if isinstance(one.fact, LevelReached)] == [50, 80, 100]
    [end] = [one for one in own if isinstance(one.fact, runtime.Stopped)]
    assert isinstance(end.fact, runtime.Stopped)
    assert end.fact.stopped_us < stop.decided_us + 30_000_000
    assert released.position > end.position


def _trip(here: Hall) -> None:
    """The database takes no wallet below zero but a frozen one, and that is a reason not to be
    ready. Nothing of it is kept.
    """
    row = ("wallet-1", 10**9, "organization-1", "account-1")
    with psycopg.connect(here.stack.settings.database_url) as conn:
        for balance, held in ((-1, 0), (5, 6), (5, -1)):
            with pytest.raises(psycopg.errors.CheckViolation, match="wallet_not_below_zero"):
                conn.execute(_INSERT, (*row, balance, held, False))
            conn.rollback()
        conn.execute(_INSERT, (*row, 5, 5, False))
        assert not [one for one in readiness(conn, 0).reasons if "wallet" in one]
        conn.execute(_INSERT, ("wallet-1", 10**9 + 1, *row[2:], -1, 0, True))
        assert "wallet-1 is below zero: it is frozen" in readiness(conn, 0).reasons
        conn.rollback()


def _verified(here: Hall, tmp: Path) -> None:
    """The bundle, by the program that auditors install, on no server."""
    deadline = time.monotonic() + 60
    size = len(here.entries())
    while int(here.office.get("/v1/checkpoint").text.split("\n")[1]) < size:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (tmp / "bundle.tar").write_bytes(here.office.get("/v1/bundle").content)
    program = Path(sys.executable).parent / "gpuaas-verify"
    vkey = (here.stack.settings.storage / "vkey").read_text().strip()
    done = subprocess.run(
        [str(program), str(tmp / "bundle.tar"), "--key", vkey],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
