"""`make demo`: from an empty directory to a verified invoice, then one flipped byte."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from api.demo_http import Http
from api.supervisor import Stack, running
from api.tokens import developer_token
from domain.errors import DomainError

_OUT = Path("build/demo")
_MODEL = "T4"
_PRICE = "90.000000000000"  # dear on purpose: a few seconds must show on the invoice
_STORAGE_PRICE = "1.000000000000"  # likewise
_GIB_HOUR = 1024 * 3_600_000_000  # MiB-us
_VOLUME_MIB = 64 * 1024
_PERIODS_S = (12, 40, 160)  # the first in which it all fits: a busy machine is slow, not broken
_RUN_S = 4
_STATE_S = 120  # patience, not speed: a machine may be busy with other things


def run() -> int:
    """0 when every step did what it says; a failure is one sentence from `gpuaas`."""
    started = time.monotonic()
    shutil.rmtree(_OUT, ignore_errors=True)
    _OUT.mkdir(parents=True)
    with _own_directory():
        _head("1. the embedded stack")
        with running(_step, processes=("signer", "worker", "serve")) as stack:
            shutil.copyfile(stack.settings.storage / "vkey", _OUT / "log.vkey")
            _step(f"vkey copied aside to {_OUT}/log.vkey")
            http = Http(stack.url, developer_token(stack.settings), stack.require_running)
            _node(stack, http)
            tenant = _tenancy(http)
            _invoice(http, _billed(http, tenant))
            _bundle(http)
            _step("stopping the stack")
    _verify()
    _flip()
    _head(f"done in {time.monotonic() - started:.0f} s; bundle, vkey and invoice are in {_OUT}/")
    return 0


def _head(text: str) -> None:
    print(f"\n{text}", flush=True)


def _step(text: str) -> None:
    print(f"   {text}", flush=True)


@contextmanager
def _own_directory() -> Iterator[None]:
    """Servers' data in a fresh directory that goes with the demo; nothing of the user's is used."""
    home = Path(tempfile.mkdtemp(prefix="gpuaas-demo-"))
    home.chmod(0o711)
    os.environ["GPUAAS_DATA"] = str(home / "data")
    os.environ["GPUAAS_SIGNER_STATE"] = str(home / "signer")
    try:
        yield
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _node(stack: Stack, http: Http) -> None:
    _head(f"2. a node with 8 SIMULATED {_MODEL} GPUs enrols with a single-use token")
    invited = http.post("/v1/nodes", name="simulated-0", model=_MODEL)
    os.environ["GPUAAS_ENROL_TOKEN"] = invited["token"]
    stack.start("agent")
    del os.environ["GPUAAS_ENROL_TOKEN"]
    node = _until(
        http, f"/v1/nodes/{invited['id']}", lambda body: len(body["devices"]) == 8, "the node"
    )
    _step(
        f"{node['id']}: {len(node['devices'])} x {node['model']}, simulated = {node['simulated']}"
    )
    _until(
        http,
        "/v1/capacity",
        lambda body: any(m["most_devices"] >= 2 for m in body["models"]),
        "capacity",
    )


def _tenancy(http: Http) -> dict[str, str]:
    _head("3. an organization with a department, and prices")
    organization = http.post("/v1/organizations", name="Acme Research")["id"]
    department = http.post("/v1/departments", organization=organization, name="Vision")["id"]
    http.post(
        "/v1/meters", meter="gpu.time", unit="milli-GPU-us", source="lifecycle", aggregation="sum"
    )
    http.post("/v1/meters", meter="storage.capacity", unit="MiB-us", source="lifecycle")
    effective = _instant(datetime.now(UTC) + timedelta(seconds=1))
    price = http.post(
        "/v1/prices",
        model=_MODEL,
        price={"amount": _PRICE, "currency": "USD"},
        effective_from=effective,
    )
    http.post(
        "/v1/prices",
        meter="storage.capacity",
        model="local",
        state="existing",
        price={"amount": _STORAGE_PRICE, "currency": "USD"},
        divisor=_GIB_HOUR,
        effective_from=effective,
    )
    _step(f"{organization}: {_MODEL} at 90 USD per GPU-hour")
    _step("volumes at 1 USD per GiB-hour, metered from now on")
    _step(f"the price is the event at log position {price['position']}")
    time.sleep(1.2)
    return {"organization": organization, "department": department}


def _billed(http: Http, tenant: dict[str, str]) -> str:
    """An account in whose first period a runtime ran from its beginning to its end."""
    for period_s in _PERIODS_S:
        account, project, ends = _account(http, tenant, period_s)
        if _runtime(http, project) < ends:
            return account
        _step(f"this machine is busy: that took more than the period's {period_s} s")
    raise DomainError("demo.failed", f"no runtime began and ended within {_PERIODS_S[-1]} s")


def _account(http: Http, tenant: dict[str, str], period_s: int) -> tuple[str, str, datetime]:
    _head("4. a billing account, a project and a quota")
    ends = datetime.now(UTC) + timedelta(seconds=period_s)
    account = http.post(
        "/v1/accounts",
        organization=tenant["organization"],
        currency="USD",
        zone="Europe/Berlin",
        first_period_end=_instant(ends),
    )["id"]
    project = http.post(
        "/v1/projects", department=tenant["department"], account=account, name="Segmentation"
    )["id"]
    http.post("/v1/quotas", scope=project, model="*", limit_milli=4000)
    _step(f"{project}: quota 4 GPUs")
    _step(f"the first billing period is cut short for the demo: it ends at {ends:%H:%M:%S} UTC")
    return account, project, ends


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _runtime(http: Http, project: str) -> datetime:
    """When the node attests that it stopped."""
    _head("5. a volume, and a runtime with 2 GPUs, launched and stopped through the HTTP API")
    volume = http.post("/v1/volumes", project=project, name="data", size_mib=_VOLUME_MIB)
    ready = _until(
        http,
        f"/v1/volumes/{volume['id']}",
        lambda body: body["volume"]["state"] == "ready",
        "the volume",
    )["volume"]
    simulated = " (SIMULATED)" if ready["simulated"] else ""
    _step(f"{volume['id']}{simulated}: 64 GiB since {ready['since']} (attested by the node)")
    runtime = http.post("/v1/runtimes", project=project, name="train", devices=2, models=[_MODEL])
    _step(f"{runtime['id']} admitted at log position {http.position}")
    path = f"/v1/runtimes/{runtime['id']}"
    usable = _until(http, path, lambda body: body["state"] == "usable", "the runtime")
    _step(f"usable since {usable['since']} (attested by the node): billing runs")
    time.sleep(_RUN_S)
    http.post(f"{path}/stop", reason="done")
    stopped = _until(http, path, lambda body: body["state"] == "stopped", "the stop")
    _step(f"stopped at {stopped['since']} (attested)")
    return datetime.fromisoformat(stopped["since"])


def _invoice(http: Http, account: str) -> None:
    _head("6. the period closes and the invoice is written")
    periods = http.get(f"/v1/periods?account={account}")["items"]
    first = min(periods, key=lambda one: one["sequence"])
    ends = datetime.fromisoformat(first["end"])
    while datetime.now(UTC) < ends:
        time.sleep(0.1)
    time.sleep(0.05)
    http.post(f"/v1/periods/{first['id']}/close", if_match=first["version"])
    path = f"/v1/invoices?account={account}"
    found = _until(http, path, lambda body: body["items"], "the invoice")["items"][0]
    raw = http.raw(f"/v1/invoices/{found['id']}/file")
    (_OUT / found["file"]).write_bytes(raw)
    lines = _print_invoice(found, raw)
    if not lines:
        raise DomainError("demo.failed", "the invoice has no line")


def _print_invoice(found: dict[str, Any], raw: bytes) -> int:
    import json

    body = json.loads(raw)
    _step(f"INVOICE {found['number']}{'   (SIMULATED GPUs)' if body['simulated'] else ''}")
    for line in body["lines"]:
        gpu = line["sku"].startswith("gpu.time:")
        count, unit = line["quantity"] / (1e9 if gpu else 1024e6), "GPU-s" if gpu else "GiB-s"
        amount = line["amount_pico"] / 1e12
        priced = f"price event {line['price']:<5} {amount:.12f}"
        _step(f"  {line['sku']:<22} {count:>12.6f} {unit}   {priced}")
    _step(f"  exact {found['exact']['amount']} {found['exact']['currency']}")
    total = body["total_minor"] / 10 ** body["minor_digits"]
    _step(f"  total {total:.{body['minor_digits']}f} {found['total']['currency']}")
    return len(body["lines"])


def _bundle(http: Http) -> None:
    _head("7. an evidence bundle of the whole log")
    position = http.position
    deadline = time.monotonic() + _STATE_S
    while int(http.raw("/v1/checkpoint").split(b"\n")[1]) <= position:
        if time.monotonic() > deadline:
            raise DomainError("demo.failed", "no signed checkpoint covers the invoice")
        time.sleep(0.1)
    (_OUT / "bundle.tar").write_bytes(http.raw("/v1/bundle"))
    _step(f"{_OUT}/bundle.tar, {(_OUT / 'bundle.tar').stat().st_size} bytes")


def _verifier(bundle: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "gpuaas-verify"
    vkey = (_OUT / "log.vkey").read_text().strip()
    return subprocess.run(
        [str(program), str(bundle), "--key", vkey], capture_output=True, text=True, check=False
    )


def _verify() -> None:
    _head("8. gpuaas-verify, offline: no server runs any more")
    done = _verifier(_OUT / "bundle.tar")
    for line in (done.stdout + done.stderr).splitlines():
        _step(line)
    if done.returncode:
        raise DomainError("demo.failed", f"the bundle does not verify (exit {done.returncode})")


def _flip() -> None:
    _head("9. one bit of one event flipped")
    raw = bytearray((_OUT / "bundle.tar").read_bytes())
    at = raw.index(b'"tag":"gpuaas.runtime.usable.v1"')
    digit = raw.index(b'"usable_us":', at) + len(b'"usable_us":') + 10
    raw[digit] ^= 1
    (_OUT / "flipped.tar").write_bytes(raw)
    done = _verifier(_OUT / "flipped.tar")
    for line in (done.stdout + done.stderr).splitlines():
        _step(line)
    if done.returncode != 1:
        raise DomainError("demo.failed", "the verifier accepted a flipped bit")
    _step("refused, as it must be")


def _until(http: Http, path: str, ready: Any, what: str) -> dict[str, Any]:
    """The body of GET `path` once `ready(body)`; waits two minutes at most."""
    deadline = time.monotonic() + _STATE_S
    while True:
        body = http.get(path)
        if ready(body):
            return body
        if time.monotonic() > deadline:
            raise DomainError("demo.failed", f"{what} was not ready within {_STATE_S} s: {body}")
        time.sleep(0.1)
