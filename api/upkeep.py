"""Operators' verbs on nodes: drain, quarantine, sanitize, return, retire; what happened there."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import psycopg
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said
from api.auth import unknown
from api.body import FrontRequest
from api.changing import change
from api.edge import instant, now_us
from api.paging import after, page_size
from api.plain import plain
from api.services import services_of
from api.viewing import page, tagged, viewed
from contracts.http import Page
from contracts.http_fleet import (
    CanaryLook,
    DeviceUpkeep,
    Discrepancy,
    Drain,
    Happened,
    NodeDevices,
    NodeDrain,
    NodeRegion,
    NodeReturn,
    NodeTopology,
    NodeUndrain,
    NodeUpkeep,
    NodeUpkept,
    SanitizationReceipt,
)
from domain import claim, node, upkeep
from domain.errors import DomainError
from domain.facts import tag_of
from evidence.reader import decode_entry
from projections import attestations_read, inventory_read, upkeep_read

OWNER: Final = "operator"
# A volume on the node that is neither wiped nor lost; asked of the log, as views may be behind.
_LYING: Final = """
SELECT c.stream FROM log.entry c
WHERE c.stream > 'volume-' AND c.stream < 'volume.' AND c.version = 1
  AND position(%(node)s::bytea IN c.entry) > 0
  AND NOT EXISTS (
    SELECT FROM log.entry d WHERE d.stream = c.stream AND d.version > 1
      AND (position('"tag":"gpuaas.volume.deleted.v1"'::bytea IN d.entry) > 0
        OR position('"tag":"gpuaas.volume.lost.v1"'::bytea IN d.entry) > 0))
LIMIT 1
"""


async def _upkept(
    request: FrontRequest,
    stream: str,
    command: node.Command,
    check: Callable[[], Awaitable[None]] | None = None,
) -> Response[Any]:
    """`check`: what else may refuse it."""
    services = services_of(request)
    nothing = NodeUpkept(id=stream, did=[], version=None)

    async def do(cause: str) -> Done:
        if check is not None:
            await check()
        of = ("node", stream)
        return await change(services, request, cause, of, node.DECIDER, command, nothing)

    def answer(said: tuple[Said, ...], _: bool) -> NodeUpkept:
        did = [tag_of(one.fact).split(".")[2] for one in said]
        return NodeUpkept(id=stream, did=did, version=said[-1].version)

    return await services.acting.perform(request, do, answer, status=200)


@post("/v1/nodes/{node_id:str}/drain", status_code=200)
async def drain_node(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeDrain]
) -> Response[NodeUpkept]:
    """No new work; what runs goes on, and when nothing does the node is drained."""
    return await _upkept(request, node_id, upkeep.Drain(OWNER, data.reason, now_us()))


@post("/v1/nodes/{node_id:str}/undrain", status_code=200)
async def undrain_node(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeUndrain]
) -> Response[NodeUpkept]:
    """Ends the drain of that owner for that reason; another's stands, and is named."""
    return await _upkept(request, node_id, upkeep.Undrain(data.owner, data.reason, now_us()))


@post("/v1/nodes/{node_id:str}/quarantine", status_code=200)
async def quarantine_node(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeDevices]
) -> Response[NodeUpkept]:
    """No new work on these devices, or on any; what runs there stays until it is told."""
    command = upkeep.Quarantine(data.devices, data.reason, now_us())
    return await _upkept(request, node_id, command)


@post("/v1/nodes/{node_id:str}/sanitize", status_code=200)
async def sanitize_node(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeDevices]
) -> Response[NodeUpkept]:
    """The node is told to sanitize empty devices; its receipt follows, or does not."""
    command = upkeep.RequestSanitizing(data.devices, data.reason, now_us())
    return await _upkept(request, node_id, command)


@post("/v1/nodes/{node_id:str}/require-sanitization", status_code=200)
async def require_sanitization(
    request: FrontRequest, node_id: FromPath[str]
) -> Response[NodeUpkept]:
    """For good: a SIMULATED node owes receipts from now on, as real ones always do."""
    return await _upkept(request, node_id, upkeep.RequireSanitizing(now_us()))


@post("/v1/nodes/{node_id:str}/return", status_code=200)
async def return_node(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeReturn]
) -> Response[NodeUpkept]:
    """Out of quarantine; where receipts are owed, only with a clean one of after it."""
    return await _upkept(request, node_id, upkeep.Return(data.devices, now_us()))


@post("/v1/nodes/{node_id:str}/retire", status_code=200)
async def retire_node(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeDrain]
) -> Response[NodeUpkept]:
    """For good, and only when nothing runs there and no volume lies there.

    A volume may still be put on a node that is neither cordoned nor drained: close it first.
    """

    async def check() -> None:
        lying = await services_of(request).reads.ask(_lying, node_id)
        if lying:
            raise DomainError("node.holds_volumes", "volumes lie on it", {"volume": lying[0]})

    return await _upkept(request, node_id, upkeep.Retire(data.reason, now_us()), check)


def _lying(conn: psycopg.Connection[Any], node_id: str) -> list[str]:
    asked = {"node": f'"node":"{node_id}"'.encode()}
    return [str(row[0]) for row in conn.execute(_LYING, asked)]


@post("/v1/nodes/{node_id:str}/topology", status_code=200)
async def set_topology(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeTopology]
) -> Response[NodeUpkept]:
    """Where it stands among others; of weight with the placement policy `topology`."""
    return await _upkept(request, node_id, claim.SetTopology(data.zone, data.group, now_us()))


@post("/v1/nodes/{node_id:str}/region", status_code=200)
async def set_region(
    request: FrontRequest, node_id: FromPath[str], data: JSONBody[NodeRegion]
) -> Response[NodeUpkept]:
    """In which region it stands: what is placed there from now on is priced so. What runs or lies
    there already stays in the region that it was placed in.
    """
    return await _upkept(request, node_id, claim.SetRegion(data.region, now_us()))


@get("/v1/nodes/{node_id:str}/upkeep")
async def show_upkeep(
    request: FrontRequest, node_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[NodeUpkeep]:
    """Who drains it, what is in quarantine or reserved, the latest receipts and canaries."""
    services, position = await viewed(request, as_of)
    ask = services.reads.ask
    found = await ask(upkeep_read.standing, node_id, position)
    shown = await ask(inventory_read.node, node_id, position)
    if found is None or shown is None:
        raise unknown("node")
    drains = await ask(upkeep_read.drains, node_id, position)
    devices = await ask(upkeep_read.devices, node_id, position)
    receipts = await ask(upkeep_read.receipts, node_id, 50, position)
    canaries = await ask(upkeep_read.canaries, node_id, 50, position)
    body = NodeUpkeep(
        id=node_id,
        state=found.state,
        owes_receipts=found.told_to_owe or found.simulated is False,
        zone=found.zone,
        region=found.region,
        group=found.group,
        drains=[
            Drain(owner=one.owner, reason=one.reason, since=instant(one.decided_us))
            for one in drains
        ],
        devices=[
            DeviceUpkeep(
                index=one.index,
                quarantined=one.reason,
                since=instant(one.since_us),
                reservation=one.reservation,
            )
            for one in devices
        ],
        receipts=[_receipt(one) for one in receipts],
        canaries=[_canary(one) for one in canaries],
    )
    return tagged(body, shown.version)


def _receipt(one: upkeep_read.Receipt) -> SanitizationReceipt:
    return SanitizationReceipt(
        position=one.from_position,
        devices=list(one.devices),
        method=one.method,
        bytes_covered=one.bytes_covered,
        duration_us=one.duration_us,
        driver=one.driver,
        ecc_uncorrected=one.ecc_uncorrected,
        residual_processes=one.residual_processes,
        at=instant(one.decided_us),
        attested=True,
    )


def _canary(one: upkeep_read.Canary) -> CanaryLook:
    return CanaryLook(
        position=one.from_position,
        devices=list(one.devices),
        method=one.method,
        planted=one.planted,
        looked=one.looked,
        found=one.found,
        duration_us=one.duration_us,
        at=instant(one.decided_us),
        attested=True,
    )


@get("/v1/nodes/{node_id:str}/timeline")
async def node_timeline(
    request: FrontRequest,
    node_id: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    leases: FromQuery[bool] = False,
    as_of: FromQuery[str | None] = None,
) -> Page[Happened]:
    """Facts of the node and of what ran on it, oldest first; lease renewals only when asked for."""
    size, start = page_size(limit), after(cursor)
    services, position = await viewed(request, as_of)
    if await services.reads.ask(upkeep_read.standing, node_id, position) is None:
        raise unknown("node")
    rows = await services.reads.ask(
        upkeep_read.timeline,
        node_id,
        after=start,
        limit=size + 1,
        leases=leases,
        as_of=position,
    )
    return page(rows, size, lambda row: happened(row[1]), lambda row: row[0])


@get("/v1/nodes/{node_id:str}/discrepancies")
async def node_discrepancies(
    request: FrontRequest,
    node_id: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Discrepancy]:
    """Times and hardware that the node said and nobody believed, oldest first."""
    size, start = page_size(limit), after(cursor)
    services, position = await viewed(request, as_of)
    if await services.reads.ask(upkeep_read.standing, node_id, position) is None:
        raise unknown("node")
    rows = await services.reads.ask(
        attestations_read.discrepancies, node_id, after=start, limit=size + 1, as_of=position
    )
    return page(rows, size, _discrepancy, lambda row: row.from_position)


def _discrepancy(row: attestations_read.Discrepancy) -> Discrepancy:
    shown = _moment if row.what.startswith("time.") else str
    said, held = shown(row.said), shown(row.held)
    return Discrepancy(
        position=row.from_position, at=instant(row.decided_us), what=row.what,
        subject=row.subject, said=said, held=held,
    )  # fmt: skip


def _moment(us: str) -> str:
    """Nodes may claim what no calendar has."""
    try:
        return instant(int(us))
    except DomainError:
        return f"{us} us"


def happened(entry: bytes) -> Happened:
    """An entry of the log for a person."""
    found = decode_entry(entry)
    return Happened(
        position=found.position,
        at=instant(found.at_us),
        actor=found.actor,
        stream=found.stream,
        tag=tag_of(found.fact),
        what=plain(found.fact),
    )
