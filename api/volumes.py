"""Volumes: create, list, show, grow, snapshot, restore, delete. A launch names those it has."""

from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.acting import Done, Said, held, if_match
from api.admission.wire import GrowAsk, VolumeAsk
from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import admitted, change, settled, target
from api.edge import instant, now_us
from api.paging import before, page_size
from api.runtimes import organization_of
from api.services import Services, services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Page
from contracts.http_volumes import (
    Snapshot,
    Volume,
    VolumeChanged,
    VolumeGrow,
    VolumeNew,
    VolumeRestore,
    VolumeShown,
    VolumeUse,
    WipeReceipt,
)
from domain import node, volume
from domain.decider import fold
from domain.errors import DomainError
from domain.facts import tag_of
from domain.storage import GrowVolume, NewVolume, lost_with
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.private import private_value
from projections import volumes_read
from projections.volumes import NEXT

_SIMULATED = "SIMULATED"
type _State = Literal[
    "creating", "ready", "growing", "snapshotting", "restoring", "locked", "wiping", "deleted",
    "lost", "failed",
]  # fmt: skip


@post("/v1/volumes")
async def create_volume(request: FrontRequest, data: JSONBody[VolumeNew]) -> Response[Volume]:
    """On one node, where it stays: runtimes that have it are placed there."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        org = await organization_of(services, request, data.project)
        name, words = private_value(org, data.name)
        wanted = NewVolume(
            volume=new_id("volume"),
            organization=org,
            project=data.project,
            name=name,
            size_mib=data.size_mib,
            now_us=now_us(),
            node=data.node or "",
            models=data.models,
            region=data.region,
        )
        ask = VolumeAsk(wanted, request.user.actor, cause, (words,))
        admitted = await services.admission.ask(ask)
        return Done(admitted.appended, admitted.writes)

    return await services.acting.perform(request, do, lambda said, _: _made(said, data.name))


def _own(said: tuple[Said, ...]) -> tuple[Said, ...]:
    """What was said of the volume, less what it takes of a quota."""
    return tuple(one for one in said if one.stream.startswith("volume-"))


def _made(said: tuple[Said, ...], name: str) -> Volume:
    [one] = _own(said)
    fact = one.fact
    assert isinstance(fact, volume.Created), "the outcome of this route"
    return Volume(
        id=one.stream,
        organization=one.org,
        project=fact.project,
        node=fact.node,
        name=name,
        size_mib=fact.size_mib,
        state="creating",
        since=instant(fact.created_us),
        why="",
        next=NEXT["creating"],
        simulated=None,
        used_by=None,
        created_at=instant(fact.created_us),
        version=one.version,
    )


@post("/v1/volumes/{volume_id:str}/grow", status_code=200)
async def grow_volume(
    request: FrontRequest, volume_id: FromPath[str], data: JSONBody[VolumeGrow]
) -> Response[VolumeChanged]:
    """It has the new size when its node says so: at once, or, while a runtime has it on a node that
    may not resize what is mounted, when that has ended; no other order about it is taken till then.
    """
    services = services_of(request)
    nothing = VolumeChanged(id=volume_id, did=[], snapshot=None, version=None)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            # Looked at here for whose it is; decided by the admission, for its quota.
            found = await target(services, request.user, volume_id, "volume")
            rests = held(request, volume_id, found.version)
            facts: tuple[volume.Event, ...] = found.facts  # type: ignore[assignment]
            grow = volume.Grow(data.size_mib, now_us())
            if not volume.decide(grow, fold(volume.DECIDER, facts)):
                return Done(nothing=nothing)
            wanted = GrowVolume(volume_id, found.org, data.size_mib, grow.now_us)
            ask = GrowAsk(wanted, request.user.actor, cause, held=rests)
            return await _grown(services, ask, nothing)

        return await settled(services, volume_id, attempt)

    return await services.acting.perform(request, do, _changed, status=200)


async def _grown(services: Services, ask: GrowAsk, nothing: VolumeChanged) -> Done:
    try:
        done = await admitted(services, ask)
    except DomainError as error:
        if error.code == "admission.nothing":
            return Done(nothing=nothing)
        raise
    return Done(done.appended, done.writes)


@post("/v1/volumes/{volume_id:str}/snapshot", status_code=200)
async def snapshot_volume(
    request: FrontRequest, volume_id: FromPath[str]
) -> Response[VolumeChanged]:
    """Attached or not: writers are held while it is copied."""
    return await _told(request, volume_id, volume.Snapshot(new_id("snapshot"), now_us()))


@post("/v1/volumes/{volume_id:str}/restore", status_code=200)
async def restore_volume(
    request: FrontRequest, volume_id: FromPath[str], data: JSONBody[VolumeRestore]
) -> Response[VolumeChanged]:
    """Only while no runtime has it. What was written since the snapshot is lost."""
    return await _told(request, volume_id, volume.Restore(data.snapshot, now_us()))


@post("/v1/volumes/{volume_id:str}/delete", status_code=200)
async def delete_volume(request: FrontRequest, volume_id: FromPath[str]) -> Response[VolumeChanged]:
    """Only while no runtime has it: its node wipes it and its snapshots, and gives a receipt."""
    return await _told(request, volume_id, volume.Wipe(now_us()))


@post("/v1/volumes/{volume_id:str}/lost", status_code=200)
async def lose_volume(request: FrontRequest, volume_id: FromPath[str]) -> Response[VolumeChanged]:
    """Given up: its node is unreachable, barred or retired, or says that it has it no more.

    It costs nothing from the last that its node said, and is wiped should its disk ever come back.
    """
    services = services_of(request)
    nothing = VolumeChanged(id=volume_id, did=[], snapshot=None, version=None)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            found = await target(services, request.user, volume_id, "volume")
            if_match(request, found.version)
            facts: tuple[volume.Event, ...] = found.facts  # type: ignore[assignment]
            first = facts[0]
            assert isinstance(first, volume.Created), "the first fact of a volume creates it"
            lies = await target(services, request.user, first.node, "node")
            told: tuple[node.Event, ...] = lies.facts  # type: ignore[assignment]
            command = lost_with(fold(node.DECIDER, told), now_us())
            did = tuple(volume.decide(command, fold(volume.DECIDER, facts)))
            if not did:
                return Done(nothing=nothing)
            write = Write(volume_id, found.org, found.version, did)
            # It loses to a node that comes back meanwhile.
            append = Append((write,), request.user.actor, cause, ((first.node, lies.version),))
            return Done(await services.log.append(append), (write,))

        return await settled(services, volume_id, attempt)

    return await services.acting.perform(request, do, _changed, status=200)


async def _told(
    request: FrontRequest,
    stream: str,
    command: volume.Snapshot | volume.Restore | volume.Wipe,
) -> Response[VolumeChanged]:
    services = services_of(request)
    nothing = VolumeChanged(id=stream, did=[], snapshot=None, version=None)

    async def do(cause: str) -> Done:
        of = ("volume", stream)
        return await change(services, request, cause, of, volume.DECIDER, command, nothing)

    return await services.acting.perform(request, do, _changed, status=200)


def _changed(all_said: tuple[Said, ...], _: bool) -> VolumeChanged:
    said = _own(all_said)
    fact = said[0].fact
    taken = (volume.SnapshotRequested, volume.RestoreRequested)
    return VolumeChanged(
        id=said[0].stream,
        did=[tag_of(one.fact).split(".")[2] for one in said],
        snapshot=fact.snapshot if isinstance(fact, taken) else None,
        version=said[-1].version,
    )


@get("/v1/volumes")
async def list_volumes(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Volume]:
    """Newest first."""
    size, start = page_size(limit), before(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        volumes_read.volumes,
        organization=scope,
        project=project,
        state=in_state,
        before=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get("/v1/volumes/{volume_id:str}")
async def show_volume(
    request: FrontRequest, volume_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[VolumeShown]:
    """With its snapshots, and the receipt of its wipe."""
    services, position = await viewed(request, as_of)
    ask = services.reads.ask
    found = await ask(volumes_read.volume, volume_id, position)
    if found is None:
        raise unknown("volume")
    within(request.user, found.organization, "volume", found.project, found.volume)
    snapshots = await ask(volumes_read.snapshots, volume_id, position)
    receipts = await ask(volumes_read.receipts, volume_id, position)
    body = VolumeShown(
        volume=_given(found),
        snapshots=[
            Snapshot(
                id=one.snapshot,
                bytes=one.bytes,
                frozen_us=one.frozen_us,
                at=instant(one.decided_us),
            )
            for one in snapshots
        ],
        receipts=[
            WipeReceipt(
                position=one.from_position,
                method=one.method,
                bytes_covered=one.bytes_covered,
                duration_us=one.duration_us,
                at=instant(one.wiped_us),
                attested=True,
            )
            for one in receipts
        ],
    )
    return tagged(body, found.version)


def _given(row: volumes_read.Volume) -> Volume:
    used_by = None
    if row.runtime is not None:
        used_by = VolumeUse(runtime=row.runtime, epoch=row.epoch or 0, path=row.path or "")
    return Volume(
        id=row.volume,
        organization=row.organization,
        project=row.project,
        node=row.node,
        name=row.name,
        size_mib=row.size_mib,
        state=row.state,
        since=instant(row.since_us),
        why=row.why,
        next=NEXT[row.state],
        simulated=None if row.method is None else row.method == _SIMULATED,
        used_by=used_by,
        created_at=instant(row.created_us),
        version=row.version,
    )
