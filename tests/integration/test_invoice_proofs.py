"""Proofs of invoices of a replayed trace, taken over HTTP and by command, verified by the auditor's program alone."""

import asyncio
import base64
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.tokens import issue
from evidence.storage import Storage
from gpuaas_client import exits
from gpuaas_verify.bundle import Trust
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.note import Vkey, parse_note
from gpuaas_verify.proof import ProofReport, verify_proof_bytes
from tests.api_stage import Stage, staged
from tests.commands import gpuaas
from tests.conftest import Database
from tests.integration.replay_runs import ROOT, charged, run, sliced
from tests.integration.served import served
from tests.proof_changes import Kept, Log, members_of, require_refused

pytestmark = [pytest.mark.slow, pytest.mark.shared, pytest.mark.timeout(600)]

TASKS, CHANGES = 60, 120
STREAM = re.compile(rb"[a-z]+-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
def out() -> Iterator[Path]:
    """A folder of its own, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    yield path / "out"
    shutil.rmtree(path, ignore_errors=True)


def test_an_invoice_and_its_lines_are_recomputed_offline(
    shared: Path, database: Database, nats_url: str, out: Path, tmp_path: Path
) -> None:
    """Each invoice's proof gives its lines and total, a line's proof its line; asked again it is the same bytes; no
    runtime is named but those it charges. Somebody else's, unsigned and absent ones are refused. Single changes, the
    hashes made right again included, are refused where they are.
    """
    run(sliced(shared, out.parent, TASKS), out, database.app_url)
    vkey = Vkey.parse((out / "log.vkey").read_text().strip())
    proofs: dict[str, bytes] = {}

    async def main() -> None:
        async with staged(database, nats_url, out, elect=False) as stage:
            await stage.views()
            items = (await stage.get("/v1/invoices")).json()["items"]
            for item in items:
                proofs[item["number"]] = await invoiced(stage, item, vkey)
            await refusals(stage, items[0], Storage(out / "evidence"))

    asyncio.run(main())
    by_command(database, nats_url, out, proofs, tmp_path)
    whole = [report(data, vkey) for data in proofs.values()]
    quantities = sum(line.quantity for one in whole for _, line in one.told)
    assert quantities == sum(charged(out).values())
    numbers = sorted(proofs, key=lambda number: len(proofs[number]))
    size = parse_checkpoint(parse_note(members_of(proofs[numbers[1]])["checkpoint"]).text).size
    log = Log(out / "bundle.tar", size)
    kept = Kept(proofs[numbers[1]], log, Kept(proofs[numbers[0]], log))
    assert len(list(require_refused(kept, vkey, CHANGES, seed=4))) == CHANGES


def report(data: bytes, vkey: Vkey) -> ProofReport:
    found = verify_proof_bytes(data, Trust((vkey,)))
    assert found.error is None, found.error
    return found


async def invoiced(stage: Stage, item: dict[str, Any], vkey: Vkey) -> bytes:
    """The whole invoice's proof, verified, and some lines' proofs beside it."""
    path = f"/v1/invoices/{item['id']}"
    file = (await stage.get(f"{path}/file")).json()
    answer = await stage.get(f"{path}/proof")
    assert answer.status_code == 200, answer.text
    data = answer.content
    assert int(answer.headers["content-length"]) == len(data)
    assert data == (await stage.get(f"/v1/invoices/{item['number']}/proof")).content
    whole = report(data, vkey)
    assert whole.invoice["total_minor"] == file["total_minor"]
    stated = [(line["quantity"], line["amount_pico"]) for line in file["lines"]]
    assert [(line.quantity, line.amount_pico) for _, line in whole.told] == stated
    require_own(data, {one for _, line in whole.told for one in line.resources})
    chance = random.Random(len(stated))
    for number in {0, len(stated) - 1, chance.randrange(len(stated))}:
        part = (await stage.get(f"{path}/lines/{number}/proof")).content
        [(shown, line)] = report(part, vkey).told
        assert (shown, line) == whole.told[number]
        require_own(part, set(line.resources))
    return data


def require_own(data: bytes, resources: set[str]) -> None:
    """Of runtimes and volumes the entries, what nodes signed included, name these; of organizations one."""
    entries = members_of(data)["entries"]
    bodies = re.findall(rb'"body":"([A-Za-z0-9+/=]+)"', entries)
    named = {
        one.decode() for one in STREAM.findall(entries + b" ".join(map(base64.b64decode, bodies)))
    }
    assert {one for one in named if one.startswith(("runtime-", "volume-"))} == resources
    assert len({one for one in named if one.startswith("organization-")}) == 1


async def refusals(stage: Stage, item: dict[str, Any], storage: Storage) -> None:
    """Each with its own code, before a byte of a proof."""
    path = f"/v1/invoices/{item['id']}"
    other = stage.token("member", "organization-0190c0de-0000-7000-8000-000000000000")
    lines = item["line_count"]
    for url, token, status, code in (
        (f"{path}/proof", other, 404, "resource.unknown"),
        (f"{path}/lines/0/proof", other, 404, "resource.unknown"),
        ("/v1/invoices/INV-0/proof", None, 404, "resource.unknown"),
        (f"{path}/lines/{lines}/proof", None, 404, "resource.unknown"),
        (f"{path}/lines/-1/proof", None, 400, "request.invalid"),
        (f"{path}/lines/+1/proof", None, 400, "request.invalid"),
    ):
        answer = await stage.get(url, token=token)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (url, answer.text)
    before = await stage.size()
    note = storage.need("checkpoint")
    (storage.root / "checkpoint").unlink()
    early = await stage.get(f"{path}/proof")
    assert (early.status_code, early.json()["code"]) == (409, "receipt.not_signed")
    assert early.headers["retry-after"] == "1"
    storage.write({"checkpoint": note})
    assert await stage.size() == before, "what is refused is no download"
    assert (await stage.get(f"{path}/proof")).status_code == 200
    assert await stage.size() == before + 1, "a download is a fact"


def by_command(
    database: Database, nats_url: str, out: Path, proofs: dict[str, bytes], folder: Path
) -> None:
    """`gpuaas bill proof` and `gpuaas-verify invoice`, whose exit status is the verdict."""
    number, data = next(iter(proofs.items()))
    with served(database, nats_url, out) as api:
        now = time.time_ns() // 1000
        token = issue(api.settings, "user-1", "platform-operator", None, now, 600)
        env = {"GPUAAS_URL": api.url, "GPUAAS_TOKEN": token}
        done = subprocess.run(
            [sys.executable, "-m", "api.cli", "bill", "proof", number, "--line", "0", folder / "line"],
            env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        taken = ("bill", "proof", number)
        assert gpuaas(*taken, str(folder / "whole"), env=env).status == exits.DONE
        assert (folder / "whole").read_bytes() == data
        assert gpuaas(*taken, str(folder / "whole"), env=env).status == exits.FAILED, (
            "it is there already"
        )
        other = (*taken, "--line", str(10**6), str(folder / "other"))
        assert gpuaas(*other, env=env).status == exits.NOT_FOUND
    assert sorted(one.name for one in folder.iterdir()) == ["line", "whole"]
    program = Path(sys.executable).with_name("gpuaas-verify")
    (folder / "cut").write_bytes(data[:-1])
    for name, more, status, told in (
        ("whole", [], 0, f"invoice {number}: "),
        ("line", ["--json"], 0, '"rests_on"'),
        ("cut", [], 1, "INVALID tar.end"),
    ):
        done = subprocess.run(
            [program, "invoice", folder / name, "--key", out / "log.vkey", *more],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, told in done.stdout) == (status, True), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        if more:
            assert json.loads(done.stdout)["lines"][0]["line"] == 0
