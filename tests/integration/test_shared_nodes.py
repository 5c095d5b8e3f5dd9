"""Two organizations on one node: each one's invoice is proved, and says nothing of the other."""

import asyncio
import base64
import re
from pathlib import Path

import pytest

from agent.engine import Counted
from agent.runtimes import Observed
from agent.store import Store
from agent.usage import Usage
from api.edge import instant, now_us
from api.metering.hearing import Ear, hear
from contracts import fleet, usage
from contracts.usage import Reporter
from gpuaas_verify.bundle import Trust
from gpuaas_verify.proof import ProofReport, verify_proof_bytes
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack
from tests.integration.test_readings import Line, audited, settled, tenant, until, viewing
from tests.proof_changes import members_of

pytestmark = pytest.mark.slow

LIVES = 2_000_000
SECOND, MINUTE, BOOT = 1_000_000, 60_000_000, "b" * 32
ID = re.compile(rb"[a-z]+-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def test_readings_of_two_tenants_of_a_node_are_proved_to_each_alone(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """What the node's agent counted of both, turn by turn, in one signed chain. Each proof gives its
    lines; no id of the other is in its bytes, nor in what they encode. What an agent of an earlier
    release signed for both at once is sealed at once, and taken as well.
    """
    stack = EvidenceStack(database, tmp_path)

    async def run() -> None:
        async with staged(database, nats_url, tmp_path) as stage, viewing(database):
            desk = (stage.services.nats, stage.services.desk, stage.services.command_key)
            hearing = asyncio.create_task(hear(Ear(*desk)))
            try:
                await told(stage, stack)
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)

    with stack.signing():
        asyncio.run(run())


async def told(stage: Stage, stack: EvidenceStack) -> None:
    node, since = await stage.node(), await metered(stage)
    both = [await hosted(stage, node) for _ in range(2)]
    over = now_us() + LIVES
    line = Line(stage, node, Reporter(stage.keys[node], node, 1))
    await line.open()
    kept = Usage(Store.in_memory(), stage.keys[node], node, BOOT, 1, slice_us=SECOND // 100)
    kept.anchor(fleet.Anchor("gpuaas-anchor/1", node, BOOT, 0, since))
    for turn in range(4):
        seen = [counted(one, turn * (10 + number)) for number, one in enumerate(both)]
        kept.read(seen, turn * SECOND // 50)
    while (batch := kept.batch()) is not None:
        assert len({one.resource for one in batch.readings}) == 1
        await line.say(batch)
        assert kept.obey(await answered(line), 0)
    await until(over)
    for one in both:
        await closed(stage, one)
    for _ in range(2):
        await settled(stage, stack.storage, stack.database, grace_us=0)
    await asyncio.to_thread(stack.integrate)
    await stage.views()
    reports = [await proved(stage, stack, one, both[1 - at]) for at, one in enumerate(both)]
    for number, report in enumerate(reports):
        [egress] = [one for _, one in report.told if one.key[1] == "network.egress:internet"]
        assert egress.quantity == 3 * (10 + number)
        claims = {claim.name: claim for claim in report.claims}
        assert (claims["readings"].state, claims["readings"].count) == ("checked", 3)
    late = [usage.Reading(usage.EGRESS, one["runtime"], {"model": usage.INTERNET}, since, since, 1)
            for one in both]  # fmt: skip
    await line.say(Reporter(stage.keys[node], node, 1 << 40).batch(tuple(late)))
    assert (await answered(line)).sequence == 2
    sealed = audited(stack.database)
    assert sealed[:-1] == [{one["runtime"]} for one in both]
    assert sealed[-1] == {one["runtime"] for one in both}


async def hosted(stage: Stage, node: str) -> dict[str, str]:
    """A tenant whose period ends soon, with a runtime on the node."""
    own = await tenant(stage, LIVES)
    await stage.price("T4", own["account"])
    launch = {"project": own["project"], "name": "r", "devices": 1}
    made = await stage.post("/v1/runtimes", launch)
    assert made.status_code == 201, made.text
    assert made.json()["node"] == node
    return {**own, "runtime": made.json()["id"], "node": node}


async def metered(stage: Stage) -> int:
    """From when on bytes that leave have a price."""
    new = {"meter": usage.EGRESS, "unit": "byte", "source": "readings", "divisor": 1_000_000,
           "aggregation": "sum", "dimensions": ["model"]}  # fmt: skip
    assert (await stage.post("/v1/meters", new)).status_code == 201
    since = now_us() + 500_000
    price = {"meter": usage.EGRESS, "model": usage.INTERNET, "state": "read", "divisor": 1_000_000,
             "price": {"amount": "9.000000000000", "currency": "USD"},
             "effective_from": instant(since)}  # fmt: skip
    answer = await stage.post("/v1/prices", price)
    assert answer.status_code == 201, answer.text
    await until(since + 200_000)
    return since


def counted(own: dict[str, str], total: int) -> Observed:
    name = f"allocation-of-{own['runtime']}"
    return Observed(name, own["runtime"], "usable", 0, counted=Counted(total, 0))


async def answered(line: Line) -> usage.Answer:
    async with asyncio.timeout(30):
        said = await line.heard.get()
    assert said.code == "", said
    return said


async def closed(stage: Stage, own: dict[str, str]) -> None:
    """By several at once: all are told of the one close, which names the node that is silent."""
    asked = f"/v1/periods?account={own['account']}"
    first = next(one for one in (await stage.get(asked)).json()["items"] if one["sequence"] == 1)
    path = f"/v1/periods/{first['id']}/close"
    answers = await asyncio.gather(*(stage.post(path, If_Match='"1"') for _ in range(4)))
    assert {one.status_code for one in answers} == {200}, [one.text for one in answers]
    assert len({one.json()["closed_at"] for one in answers}) == 1
    assert {one.json()["version"] for one in answers} == {3}


async def proved(
    stage: Stage, stack: EvidenceStack, own: dict[str, str], other: dict[str, str]
) -> ProofReport:
    """Of its one invoice: valid, of its own ids alone."""
    asked = f"/v1/invoices?account={own['account']}"
    [invoice] = (await stage.get(asked)).json()["items"]
    answer = await stage.get(f"/v1/invoices/{invoice['id']}/proof")
    assert answer.status_code == 200, answer.text
    report = verify_proof_bytes(answer.content, Trust((stack.vkey,)))
    assert report.error is None, report.error
    file = (await stage.get(f"/v1/invoices/{invoice['id']}/file")).json()
    assert file["format"] == "gpuaas-invoice/3"
    assert file["missing"] == invoice["missing"] == [own["node"]]
    claims = {claim.name: (claim.state, claim.count) for claim in report.claims}
    assert (claims["numbering"], claims["silent"]) == (("checked", 1), ("unchecked", 1))
    said = {one.decode() for one in ID.findall(decoded(answer.content))}
    assert own["runtime"] in said
    theirs = {uuid_of(one) for one in other.values()} - {uuid_of(own["node"])}
    foreign = theirs & {uuid_of(one) for one in said}
    assert not foreign
    kinds = ("organization-", "account-", "project-", "runtime-", "period-", "invoice-")
    assert {kind: count(said, kind) for kind in kinds} == dict.fromkeys(kinds, 1)
    return report


def decoded(proof: bytes) -> bytes:
    """All of its members' bytes, and what nodes signed in them."""
    members = b"\n".join(members_of(proof).values())
    bodies = re.findall(rb'"body":"([A-Za-z0-9+/=]+)"', members)
    return members + b"\n".join(map(base64.b64decode, bodies))


def uuid_of(name: str) -> str:
    return name.split("-", 1)[1]


def count(said: set[str], kind: str) -> int:
    return len([one for one in said if one.startswith(kind)])
