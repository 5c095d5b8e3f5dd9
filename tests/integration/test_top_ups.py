"""Stripe's events over HTTP, as RECORDED: each payment is credit once, and nothing else is."""

import asyncio
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.wallet_facts import CreditGranted
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.contract.test_stripe import server

pytestmark = pytest.mark.slow

PAGES = Path(__file__).parents[1] / "contract" / "stripe"
SECRET = "whsec_test"


def paid(account: str, event: str, **more: Any) -> dict[str, Any]:
    """The recorded event with this id, for this account."""
    said: dict[str, Any] = json.loads((PAGES / "payment_intent_succeeded.json").read_text())
    intent = said["data"]["object"]
    intent["metadata"] = {"gpuaas_account": account}
    intent.update(more)
    return {**said, "id": event}


def signature(body: bytes, now: int, secret: str = SECRET) -> str:
    """The header by which Stripe signs an event at that second."""
    sign = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={sign}"


async def tell(stage: Stage, event: dict[str, Any], secret: str = SECRET) -> httpx.Response:
    body = json.dumps(event).encode()
    signed = signature(body, int(time.time()), secret)
    headers = {"Stripe-Signature": signed, "Content-Type": "application/json"}
    return await stage.client.post("/v1/payments/stripe", content=body, headers=headers)


async def became(stage: Stage, event: dict[str, Any]) -> str:
    answer = await tell(stage, event)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["became"])


def test_each_payment_is_credit_once_however_it_is_told(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten at once, again, and by another event: one grant. Unsigned, of real money, of another
    amount: refused by name. Of nobody, or nothing to us: acknowledged and counted.
    """
    monkeypatch.setenv("GPUAAS_STRIPE_SECRETS", f"whsec_next {SECRET}")

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        account = tenant["account"]
        event = paid(account, "evt_1")
        many = await asyncio.gather(*(became(stage, event) for _ in range(10)))
        assert sorted(many) == ["granted"] + ["repeated"] * 9
        assert await became(stage, paid(account, "evt_2")) == "repeated"
        wallet = (await stage.get(f"/v1/accounts/{account}/wallet")).json()
        [credit] = wallet["credits"]
        assert (credit["amount"]["amount"], credit["bucket"]) == ("25.000000000000", "paid")
        assert credit["reference"] == "stripe:pi_3MtwBwLkdIwHu7ix28a3tqPa"
        other = await tell(stage, paid(account, "evt_3", amount_received=9))
        assert other.json()["code"] == "wallet.reference_reused"
        forged = await tell(stage, paid(account, "evt_4", id="pi_forged"), "whsec_guess")
        assert (forged.status_code, forged.json()["code"]) == (401, "payment.unsigned")
        live = await tell(stage, {**paid(account, "evt_5", id="pi_live"), "livemode": True})
        assert live.json()["code"] == "payment.wrong_mode"
        for foreign in ("", "account-1", account[:-1] + "x", tenant["project"]):
            assert await became(stage, paid(foreign, "evt_6", id="pi_6")) == "unmatched"
        assert await became(stage, paid(account, "evt_7", id="pi_7", currency="jpy")) == "unmatched"
        dispute = json.loads((PAGES / "charge_dispute_created.json").read_text())
        assert await became(stage, dispute) == "to_resolve"
        assert await became(stage, {**dispute, "type": "customer.created"}) == "ignored"
        facts = await stage.services.log.read_stream("wallet" + account.removeprefix("account"))
        assert [type(one.fact) for one in facts] == [CreditGranted]
        told = (await stage.get("/v1/metrics")).text
        counted = 'gpuaas_payment_events_total{became="ignored",type="other"} 1.0'
        assert counted in told
        asked = await stage.post(
            f"/v1/accounts/{account}/top-ups",
            {"amount": {"amount": "25.000000000000", "currency": "USD"}},
        )
        assert asked.status_code == 201, asked.text
        assert (asked.json()["provider"], asked.json()["url"]) == ("bank", None)
        assert asked.json()["payment_reference"] == wallet["payment_reference"]

    play(database, nats_url, tmp_path, scene)


def test_a_payment_that_its_bank_takes_back_is_charged_back_once(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the account in the payment's metadata, as Stripe says it; told before the payment was, it is
    refused, and told again. A top-up is Stripe's page then.
    """
    accounts: list[str] = []

    def answer(path: str, _: dict[str, list[str]]) -> tuple[int, str | bytes]:
        if path == "/v1/checkout/sessions":
            return 200, "checkout_session"
        assert path == "/v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa"
        return 200, json.dumps(paid(accounts[0], "evt_0")["data"]["object"]).encode()

    async def scene(stage: Stage) -> None:
        account = (await stage.tenant())["account"]
        accounts.append(account)
        dispute = json.loads((PAGES / "charge_dispute_created.json").read_text())
        taken = {**dispute, "id": "evt_taken", "type": "charge.dispute.funds_withdrawn"}
        early = await tell(stage, taken)
        assert early.json()["code"] == "wallet.payment_unknown"
        assert await became(stage, paid(account, "evt_1")) == "granted"
        assert await became(stage, taken) == "charged_back"
        assert await became(stage, taken) == "repeated"
        assert await became(stage, {**taken, "id": "evt_again"}) == "repeated"
        wallet = (await stage.get(f"/v1/accounts/{account}/wallet")).json()
        assert wallet["balance"]["amount"] == "0.000000000000"
        assert wallet["credits"][0]["returned"] == wallet["credits"][0]["amount"]
        asked = await stage.post(
            f"/v1/accounts/{account}/top-ups",
            {"amount": {"amount": "25.000000000000", "currency": "USD"}},
        )
        assert asked.json()["provider"] == "stripe"
        assert asked.json()["url"].startswith("https://checkout.stripe.com/")

    with server(answer) as (port, _):
        for name, value in (
            ("KEY", "sk_test_1"), ("URL", port.url), ("RETURNS", "https://x"), ("SECRETS", SECRET),
        ):  # fmt: skip
            monkeypatch.setenv(f"GPUAAS_STRIPE_{name}", value)
        play(database, nats_url, tmp_path, scene)
