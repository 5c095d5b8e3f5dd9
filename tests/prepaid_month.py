"""A prepaid account's period over HTTP, from its bank transfer to proofs that an auditor verifies.

Topped up, two runtimes held for (one stopped, one across the end), a reservation that is held for
while nothing runs on it, an app's readings, a re-rating; closed, invoiced with tax, credited in part; each proof as it was mailed, and with a byte of it
turned.
"""

import asyncio
import random
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx

from api.bank import imported
from api.calling import Api
from api.edge import instant, now_us
from gpuaas_verify.bundle import Trust
from gpuaas_verify.note import Vkey
from gpuaas_verify.proof import ProofReport, verify_proof_bytes
from tests.containers import until
from tests.crowd_stage import Hall
from tests.prepaid_account import PICO, Prepaid, pico, usd
from tests.token_meter import METER, TokenMeter

IDLE: Final = 3 * PICO // 10  # an hour of a device that is reserved
LIVES_US: Final = 30_000_000
TOKENS: Final = (70_000, 110_000, 130_001)
TURNED: Final = 60
_PROGRAM: Final = Path(sys.executable).with_name("gpuaas-verify")


def proved(here: Hall, folder: Path) -> None:
    """Raises: AssertionError where anything of it is not as it should be."""
    us = Prepaid(here, LIVES_US)
    period = next(one for one in _items(us, "periods") if one["sequence"] == 1)
    _sold(us)
    _topped_up(us)
    _used(us)
    _repriced(us)
    time.sleep(max(0, _us(period["end"]) + 200_000 - now_us()) / 1_000_000)
    early = next(one for one in _items(us, "periods") if one["sequence"] == 1)
    assert early["state"] == "open", "an app has not told all: the platform waits for it"
    _closed(us, early)
    us.until(lambda: _items(us, "invoices"), "the invoice")
    [invoice] = _items(us, "invoices")
    [app] = [one for one in invoice["missing"] if one.startswith("source-")]
    assert file_of(us, invoice)["missing"] == invoice["missing"], app
    path = f"/v1/invoices/{invoice['id']}"
    file = file_of(us, invoice)
    part = [{"line": at, "minor": 9} for at, one in enumerate(file["lines"]) if one["shown_minor"]]
    us.done(f"{path}/credit-notes", {"why": "outage", "lines": part})
    us.until(lambda: _items(us, "credit-notes"), "the credit note")
    [note] = _items(us, "credit-notes")
    vkey = (here.stack.settings.storage / "vkey").read_text().strip()
    for url, name in (
        (f"{path}/proof", "invoice"),
        (f"{path}/lines/0/proof", "line"),
        (f"/v1/credit-notes/{note['number']}/proof", "note"),
    ):
        (folder / name).write_bytes(_taken(us, url))
        _judged(folder / name, vkey)
    whole = _report((folder / "invoice").read_bytes(), vkey)
    assert whole.invoice["total_minor"] == file["total_minor"]
    stated = [(line["quantity"], line["amount_pico"]) for line in file["lines"]]
    assert [(line.quantity, line.amount_pico) for _, line in whole.told] == stated
    _says_what_was_used(us, file, whole)
    states = {claim.name: claim.state for claim in whole.claims}
    assert (states["holds"], states["readings"]) == ("unchecked", "checked")
    # What its seller counts are other customers', too.
    assert states["numbering"] == "unchecked"


def file_of(us: Prepaid, invoice: dict[str, Any]) -> dict[str, Any]:
    """As it is sealed."""
    found: dict[str, Any] = us.office.get(f"/v1/invoices/{invoice['id']}/file").json()
    return found


def _items(us: Prepaid, what: str) -> list[dict[str, Any]]:
    """Once the views know the account, and what the story beside this one does meanwhile."""
    found: list[dict[str, Any]] = []

    def told() -> bool:
        answer = us.office.get(f"/v1/{what}?account={us.account}")
        if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.SERVICE_UNAVAILABLE}:
            return False
        assert answer.status_code == httpx.codes.OK, answer.text
        found[:] = answer.json()["items"]
        return True

    until(told, f"{what} are told")
    return found


def _closed(us: Prepaid, period: dict[str, Any]) -> None:
    """By whoever looked at it, for good."""
    url, office = f"/v1/periods/{period['id']}/close", us.office
    assert office.post(url).json()["code"] == "if_match.required"
    headers = {
        "Authorization": f"Bearer {office.operator}", "Idempotency-Key": period["id"],
        "If-Match": f'"{period["version"]}"',
    }  # fmt: skip
    answer = office.http.post(url, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["closed_at"] is not None


def _us(text: str) -> int:
    when = datetime.fromisoformat(text)
    return int(when.timestamp()) * 1_000_000 + when.microsecond


def _sold(us: Prepaid) -> None:
    """The account has a seller, whose rate is 19 %."""
    new = {"name": "Monat AG", "vat_id": "DE123456789", "country": "DE", "prefix": "MON"}
    seller = us.done("/v1/sellers", new)["id"]
    rate = {"treatment": "standard", "country": "DE", "category": "S", "rate_bp": 1900}
    us.done(f"/v1/sellers/{seller}/rates", {**rate, "effective_from": None})
    buyer = {"seller": seller, "name": "Kunde", "country": "DE", "treatment": "standard"}
    us.done(f"{us.path}/tax", buyer)


def _topped_up(us: Prepaid) -> None:
    """5 USD by a bank's statement."""
    reference = us.wallet()["payment_reference"]
    text = f"line,amount,currency,text\nopening,0,USD,\nm-1,5,USD,{reference}\nclosing,5,USD,\n"
    imported(Api(us.office.stack.url, us.office.operator), text.encode())
    assert pico(us.wallet()["balance"]) == 5 * PICO


def _used(us: Prepaid) -> None:
    """One runtime is stopped and settled, one goes on; an app has sold tokens."""
    price = {
        "meter": "gpu.time", "model": "T4", "state": "reserved", "divisor": 3_600_000_000_000,
        "price": usd(IDLE), "effective_from": instant(now_us() + 500_000),
    }  # fmt: skip
    us.done("/v1/prices", price)
    ends = instant(now_us() + 3_600_000_000)
    wanted = {"project": us.project, "model": "T4", "devices": 2, "until": ends}
    reserved = us.done("/v1/reservations", wanted)["id"]
    first, second = us.launch(reservation=reserved), us.launch()
    assert (first.status_code, second.status_code) == (201, 201), first.text + second.text
    names = [one.json()["id"] for one in (first, second)]
    asyncio.run(_read(us))
    us.until(lambda: {us.state(name) for name in names} == {"usable"}, "two runtimes")
    time.sleep(2.5)  # leases, and with them holds, are renewed each second
    us.done(f"/v1/runtimes/{names[0]}/stop", None)
    us.until(lambda: us.state(names[0]) == "stopped", "the stop")
    us.until(lambda: us.wallet()["runtimes"] == 1, "the release")
    us.done(f"/v1/reservations/{reserved}/end", {"reason": "done"})


async def _read(us: Prepaid) -> None:
    async with httpx.AsyncClient(base_url=us.office.stack.url, timeout=30) as client:
        app = TokenMeter(client, us.office.operator)
        await app.open(us.project)
        for many in (TOKENS[:2], TOKENS[2:]):
            answer = await app.send(app.batch(*map(app.tokens, many)))
            assert answer.status_code == 200, answer.text


def _repriced(us: Prepaid) -> None:
    """GPU time costs half, from the beginning on: a correction of what was charged."""
    entry = {
        "account": "default", "meter": "gpu.time", "model": "T4", "state": "usable",
        "currency": "USD", "effective_from": instant(0), "divisor": 3_600_000_000_000,
        "tiers": [{"price": "0.500000000000"}],
    }  # fmt: skip
    us.done("/v1/price-books/half", {"entries": [entry]})
    always = {"start": instant(0), "end": instant(now_us() + 3_600_000_000)}
    us.done(f"{us.path}/reratings", {**always, "book": "half"})


def _taken(us: Prepaid, url: str) -> bytes:
    """Once it is signed."""
    answers = list[httpx.Response]()

    def given() -> bool:
        answers.append(us.office.get(url))
        return answers[-1].status_code == 200

    us.until(lambda: given() or answers[-1].status_code != 409, url)
    assert answers[-1].status_code == 200, answers[-1].text
    return answers[-1].content


def _judged(path: Path, vkey: str) -> None:
    """By the program that auditors install; a turned byte, wherever it is, is refused."""
    data = path.read_bytes()
    chance = random.Random(len(data))
    turned = path.with_name("turned")
    for at in sorted(chance.sample(range(len(data)), TURNED)):
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        trust = Trust((Vkey.parse(vkey),))
        assert verify_proof_bytes(bytes(changed), trust).error is not None, (path.name, at)
        turned.write_bytes(changed)
    for file, status in ((path, 0), (turned, 1)):
        done = subprocess.run(
            [_PROGRAM, "invoice", file, "--key", vkey], capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr


def _report(data: bytes, vkey: str) -> ProofReport:
    found = verify_proof_bytes(data, Trust((Vkey.parse(vkey),)))
    assert found.error is None, found.error
    return found


def _says_what_was_used(us: Prepaid, file: dict[str, Any], whole: ProofReport) -> None:
    """Tokens and GPU time at the book's price; nothing is left at the list's."""
    skus = [line["sku"] for line in file["lines"]]
    assert sorted(skus) == ["gpu.time:T4", "gpu.time:T4", f"{METER}:llama-3"]
    gpus = [line for line in file["lines"] if line["sku"] == "gpu.time:T4"]
    idle, gpu = sorted(gpus, key=lambda one: int(one["amount_pico"] / one["quantity"] * 10**9))
    for line, price in ((gpu, PICO // 2), (idle, IDLE)):
        assert line["quantity"] > 1000 * 2_000_000
        exact = line["quantity"] * price // 3_600_000_000_000
        assert line["amount_pico"] - exact in {0, 1, 2}
    [tokens] = [line for line in file["lines"] if line["sku"] != "gpu.time:T4"]
    assert (tokens["quantity"], tokens["project"]) == (sum(TOKENS), us.project)
    rests = [set(line.resources) for _, line in whole.told]
    assert {us.project} in rests
    assert max(map(len, rests)) == 2
