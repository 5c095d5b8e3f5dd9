"""What an auditor takes through the front door verifies offline, and that it was taken
is logged.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from domain.sealing import Downloaded
from tests.api_stage import staged
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack

pytestmark = pytest.mark.slow


def test_receipt_and_bundle(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Unsigned: 409 with Retry-After. Signed: the receipt and the bundle verify with the vkey
    alone, each download is a fact, and another organization's entry has no receipt.
    """
    stack = EvidenceStack(database, tmp_path)

    async def run() -> None:
        async with staged(database, nats_url, tmp_path) as stage:
            made = await stage.post("/v1/organizations", {"name": "Acme"})
            org, position = made.json()["id"], made.headers["log-position"]
            early = await stage.get(f"/v1/receipts/{position}")
            assert (early.status_code, early.headers["retry-after"]) == (409, "1")
            await asyncio.to_thread(stack.integrate)
            member = stage.token("member", org)
            receipt = await stage.get(f"/v1/receipts/{position}", token=member)
            assert receipt.status_code == 200, receipt.text
            hidden = await stage.get("/v1/receipts/0", token=member)
            assert hidden.status_code == 404
            note = await stage.client.get("/v1/checkpoint")
            assert note.text.encode() == stack.storage.need("checkpoint")
            await asyncio.to_thread(stack.integrate)
            bundle = await stage.get("/v1/bundle")
            assert bundle.status_code == 200
            assert int(bundle.headers["content-length"]) == len(bundle.content)
            (tmp_path / "bundle.tar").write_bytes(bundle.content)
            (tmp_path / "entry").write_text(receipt.json()["entry"])
            (tmp_path / "proof").write_text(receipt.json()["proof"])
            rows = await stage.services.reads.rows(
                "SELECT stream FROM log.entry WHERE stream LIKE 'files-%%' ORDER BY position"
            )
            logged = await stage.services.log.read_stream(rows[0]["stream"])
            facts = [one.fact for one in logged if isinstance(one.fact, Downloaded)]
            assert [fact.what for fact in facts] == ["receipt", "bundle"]
            assert facts[0].index == int(position)

    with stack.signing():
        asyncio.run(run())
    program = str(Path(sys.executable).with_name("gpuaas-verify"))
    for arguments in (["bundle.tar"], ["receipt", "entry", "proof"]):
        done = subprocess.run(
            [program, *arguments, "--key", stack.vkey_text],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
