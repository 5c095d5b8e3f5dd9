"""The living stack that is asked: two tenants, callers of every kind, and things that there are."""

import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from api.config import Settings
from api.edge import instant, now_us
from api.openapi import FILE
from api.supervisor import Stack, running
from contracts import enrolment
from contracts.enrolment import EnrolRequest
from contracts.signing import public_hex
from tests.soak.known import Known
from tests.terminal_stage import Office

_PARTS: Final = ("signer", "worker", "serve", "agent")
_DAY_S: Final = 86_400
_PERIOD_US, _INVOICED = 10_000_000, 2
_PRICE: Final = {"amount": "3600.000000000000", "currency": "USD"}


class Caller(Struct, frozen=True):
    """`token` None: nobody. `role`: what it is bound to, empty where nobody knows it. `share`: of
    all cases.
    """

    name: str
    token: str | None
    role: str
    share: int


class World(Struct):
    """`url`: where the API answers; `log`: what it says itself; `receiver`: who takes what it sends."""

    url: str
    log: Path
    receiver: str
    document: dict[str, Any]
    known: Known
    callers: tuple[Caller, ...]
    settings: Settings
    invoices: tuple[str, str]  # of everything that is due


@contextmanager
def world() -> Iterator[World]:
    """Gone with the block, with everything that was started for it."""
    place = Path(tempfile.mkdtemp(prefix="gpuaas-soak-"))
    place.chmod(0o711)
    given = {
        "GPUAAS_DATA": str(place / "data"), "GPUAAS_SIGNER_STATE": str(place / "signer"),
        "GPUAAS_EMBEDDED_NATS_TLS": "0", "GPUAAS_WEBHOOK_NETWORKS": "127.0.0.0/8",
        "GPUAAS_UNSIGNED_BOUND_S": "3600", "GPUAAS_RATE_PER_S": "1000000",
        "GPUAAS_RATE_BURST": "1000000", "GPUAAS_STRIPE_SECRETS": "whsec_soak",
        "GPUAAS_BREAK_GLASS_AGE_S": "0",
    }  # fmt: skip
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        with running(lambda _: None, processes=_PARTS) as stack, _receiver() as receiver:
            office = Office(stack)
            try:
                yield _furnished(office, stack, receiver)
            finally:
                office.close()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        _end_terminals(place)
        shutil.rmtree(place, ignore_errors=True)


def _end_terminals(place: Path) -> None:
    """Those that walks opened: a terminal outlives its agent, for one that comes back."""
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = one.read_bytes().split(b"\0")
            if b"agent.terminal" in words and any(str(place).encode() in word for word in words):
                os.kill(int(one.parent.name), signal.SIGKILL)


@contextmanager
def _receiver() -> Iterator[str]:
    """Takes whatever it is sent, on loopback, and is an issuer of identities with one key."""

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(204)
            self.end_headers()

        def do_GET(self) -> None:
            here = f"http://{self.headers['Host']}"
            keys = {"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "A" * 43}
            pages: dict[str, Any] = {
                "/.well-known/openid-configuration": {"issuer": here, "jwks_uri": f"{here}/keys"},
                "/keys": {"keys": [keys]},
            }
            raw = json.dumps(pages.get(self.path, {})).encode()
            self.send_response(200 if self.path in pages else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _furnished(office: Office, stack: Stack, receiver: str) -> World:
    document = json.loads(FILE.read_text())
    known = Known(document)

    def made(path: str, **body: Any) -> Any:
        answer = office.post(path, body)
        assert answer.status_code in {200, 201}, (path, answer.text)
        heard = {name: [value] for name, value in answer.headers.items()}
        known.learn(path, heard, answer.json())
        return answer.json()

    homes = []
    for who in ("owner", "foreign"):
        org = made("/v1/organizations", name="O")["id"]
        department = made("/v1/departments", organization=org, name="D")["id"]
        account = made("/v1/accounts", organization=org, currency="USD", zone="UTC")["id"]
        project = made("/v1/projects", department=department, account=account, name="P")["id"]
        made("/v1/members", principal=f"user-{who}", organization=org)
        binding = made("/v1/role-bindings", principal=f"user-{who}", role="owner", scope=org)["id"]
        homes.append(org)
        for one in (org, department, account, project, binding):
            known.keep(one)
    made("/v1/members", principal="user-viewer", organization=homes[0])
    known.keep(
        made("/v1/role-bindings", principal="user-viewer", role="viewer", scope=homes[0])["id"]
    )
    ends_us = now_us() + _PERIOD_US
    billed = [
        made("/v1/accounts", organization=homes[0], currency="USD", zone="UTC",
             first_period_end=instant(ends_us))["id"]
        for _ in range(_INVOICED)
    ]  # fmt: skip
    seller = made("/v1/sellers", name="S", vat_id="DE123456789", country="DE", prefix="MON")["id"]
    rate = {"treatment": "standard", "country": "DE", "category": "S", "rate_bp": 1900}
    made(f"/v1/sellers/{seller}/rates", **rate, effective_from=None)
    buyer = {"name": "B", "country": "DE", "treatment": "standard"}
    for one in billed:
        made(f"/v1/accounts/{one}/tax", seller=seller, **buyer)
    made("/v1/meters", meter="app.tokens", unit="token", source="readings", aggregation="sum", dimensions=["model"])  # fmt: skip
    share = {"model": "T4", "guaranteed_milli": 4000, "lendable_milli": 0, "limit_milli": 8000}
    for kind in ("organization", "department", "project"):
        made("/v1/quotas/shares", scope=known.kept[kind][0], **share)
    for _ in range(2):
        _enrolled(office, made("/v1/nodes", name="n", model="A10"))
    department = known.kept["department"][0]
    projects = [
        made("/v1/projects", department=department, account=one, name="Q")["id"] for one in billed
    ]
    _priced(office, known)
    for one in projects:
        made("/v1/runtimes", project=one, name="r", gpu_milli=100)
    time.sleep(max(0, ends_us - now_us()) / 1_000_000)
    first, second = [_invoiced(office, known, one) for one in billed]
    return World(
        stack.url,
        stack.settings.data / "serve.log",
        receiver,
        document,
        known,
        _callers(office, homes),
        stack.settings,
        (first, second),
    )


def _priced(office: Office, known: Known) -> None:
    """Devices that launches may have, at a price that is in effect, and a book of prices."""
    soon = now_us() + 3_000_000
    body = {"model": "T4", "price": _PRICE, "effective_from": instant(soon)}
    answer = office.post("/v1/prices", body)
    assert answer.status_code == 201, answer.text
    tiers = [{"up_to": None, "price": _PRICE["amount"]}]
    entry = {"model": "T4", "currency": "USD", "tiers": tiers, "effective_from": instant(soon)}
    answer = office.post("/v1/price-books/a", {"entries": [entry]})
    assert answer.status_code == 201, answer.text
    deadline = time.monotonic() + 60
    while True:
        nodes = office.get("/v1/nodes").json().get("items")
        living = [one["id"] for one in nodes or () if one["state"] == "reachable"]
        if living and now_us() > soon:
            known.keep(living[0])
            break
        assert time.monotonic() < deadline, nodes
        time.sleep(0.1)
    for path in ("/v1/nodes", "/v1/periods", "/v1/price-books", "/v1/problems"):
        found: httpx.Response = office.get(path)
        assert found.status_code == 200, found.text
        known.learn(path, {}, found.json())


def _enrolled(office: Office, invited: dict[str, Any]) -> None:
    """A node that has enrolled and then says nothing: operators may do with it what they like."""
    key = Ed25519PrivateKey.generate()
    asked = EnrolRequest(
        token=invited["token"], key=public_hex(key), model="A10", simulated=True,
        gpus=(enrolment.Gpu(0, f"GPU-{invited['id']}"),), serial="s", proof="",
    )  # fmt: skip
    signed = enrolment.signed_request(key, asked)
    headers = {"Content-Type": "application/json"}
    body = msgspec.json.encode(signed)
    answer = office.http.post("/v1/enrol", content=body, headers=headers)
    assert answer.status_code == 200, answer.text


def _invoiced(office: Office, known: Known, account: str) -> str:
    """The invoice of a period that is over."""
    periods = office.get(f"/v1/periods?account={account}").json()["items"]
    [period] = [one for one in periods if one["sequence"] == 1]
    headers = {
        "Authorization": f"Bearer {office.operator}", "Idempotency-Key": period["id"],
        "If-Match": f'"{period["version"]}"',
    }  # fmt: skip
    closed = office.http.post(f"/v1/periods/{period['id']}/close", headers=headers)
    assert closed.status_code == 200, closed.text
    deadline = time.monotonic() + 60
    while not (found := office.get(f"/v1/invoices?account={account}").json())["items"]:
        assert time.monotonic() < deadline, "no invoice"
        time.sleep(0.1)
    known.learn("/v1/invoices", {}, found)
    return str(found["items"][0]["id"])


def _callers(office: Office, homes: list[str]) -> tuple[Caller, ...]:
    def token(role: str, user: str, org: str) -> str:
        office.org = org
        return office.token(role, user, _DAY_S)

    return (
        Caller("operator", office.operator, "operator", 44),
        Caller("owner", token("user", "user-owner", homes[0]), "owner", 28),
        Caller("foreign owner", token("user", "user-foreign", homes[1]), "owner", 8),
        Caller("viewer", token("user", "user-viewer", homes[0]), "viewer", 7),
        Caller("auditor", token("auditor", "user-auditor", homes[0]), "auditor", 5),
        Caller("nobody", None, "", 4),
        Caller("rubbish", "rubbish.of.nobody", "", 4),
    )
