"""The checkpoint, receipts and the bundle; every download is a fact before a byte is sent."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Annotated, Any, Final

import psycopg
from litestar import Response, get
from litestar.params import PathParameter
from litestar.response import Stream

from api.auth import unknown, while_let, within
from api.authorization.principal import Principal
from api.body import FrontRequest
from api.changing import settled
from api.edge import whole
from api.services import Services, services_of
from contracts.http import Receipt
from domain.errors import DomainError
from domain.sealing import CallsSealed, Downloaded
from evidence.bundle import StorageSource, stream_tar, tar_size
from evidence.reader import Recorded, decode_entry, head, read_entries
from evidence.receipts import downloaded, receipt
from evidence.storage import CHECKPOINT
from projections.calls_read import has_row
from projections.reach import places

# Downloads are facts of one stream that shares the log stream's UUID.
_DOWNLOADS: Final = "SELECT replace(stream, 'log-', 'files-') FROM log.entry WHERE position = 0"
_VERSION: Final = "SELECT max(version) FROM log.entry WHERE stream = %(stream)s"


# The text of the path: conversion would take `+1`, ` 1` and other scripts' digits for one.
_Position = Annotated[str, PathParameter(pattern="^(0|[1-9][0-9]{0,17})$")]


@get("/v1/checkpoint", opt={"public": True}, media_type="text/plain")
async def checkpoint(request: FrontRequest) -> Response[str]:
    """The newest signed note, as auditors and witnesses keep it. Public by design."""
    note = services_of(request).storage.read(CHECKPOINT)
    if note is None:
        raise DomainError("checkpoint.none", "nothing is signed yet")
    return Response(note.decode(), media_type="text/plain")


@get("/v1/receipts/{position:str}")
async def show_receipt(request: FrontRequest, position: _Position) -> Response[Receipt]:
    """The entry's bytes and its proof; 409 with Retry-After while it is not signed yet. That it was
    taken is a fact, but for one that says so itself: whoever takes them all comes to an end.
    """
    services = services_of(request)
    index = whole(position)
    if index is None or index >= (await services.log.head()).size:
        raise unknown("receipt")
    await _may_see(services, request.user, index)
    found = receipt(services.storage, index)
    if not isinstance(decode_entry(found.entry).fact, Downloaded):
        await record(services, request, "receipt", found.size, index)
    body = Receipt(
        position=found.position,
        size=found.size,
        entry=found.entry.decode(),
        proof=found.proof.decode(),
    )
    return Response(body)


@get("/v1/bundle", media_type="application/x-tar")
async def bundle(request: FrontRequest) -> Stream:
    """The whole log as a tar that `gpuaas-verify` checks offline; platform scope only."""
    services = services_of(request)
    source = await asyncio.to_thread(StorageSource, services.storage)
    length = await asyncio.to_thread(tar_size, source)
    await record(services, request, "bundle", source.checkpoint.size, None)
    headers = {
        "Content-Length": str(length),
        "Content-Disposition": 'attachment; filename="bundle.tar"',
    }
    pieces = while_let(request, _pieces(stream_tar(source)))
    return Stream(pieces, media_type="application/x-tar", headers=headers)


async def _pieces(source: Iterator[bytes]) -> AsyncGenerator[bytes]:
    while (piece := await asyncio.to_thread(next, source, None)) is not None:
        yield piece


async def _may_see(services: Services, principal: Principal, position: int) -> None:
    """Raises: DomainError resource.unknown for an entry of another organization, or of a part of it
    that the caller has no authority in; auth.forbidden.
    """
    if principal.reads_all:
        return
    rows = await services.reads.ask(read_entries, position, 1)
    entry = decode_entry(rows[0][1]) if rows else None
    if entry is not None and await _sealed(services, entry, principal):
        within(principal, principal.org, "receipt")
        return
    if entry is None or entry.org != principal.org:
        raise unknown("receipt")
    place = (await services.reads.ask(places, [position]))[position]
    within(principal, principal.org, "receipt", place.scope, place.resource)


async def _sealed(services: Services, entry: Recorded, principal: Principal) -> bool:
    """Whether it seals counted calls, some of them of the caller's organization."""
    counted = isinstance(entry.fact, CallsSealed)
    return counted and await services.reads.ask(has_row, entry.position, principal.org)


async def record(
    services: Services, request: FrontRequest, what: str, size: int, index: int | None
) -> None:
    """That somebody took it is a fact, before a byte is sent."""

    async def attempt() -> None:
        stream, version, last = await services.reads.ask(_downloads)
        append = downloaded(stream, version, request.user.actor, f"pos:{last}", what, size, index)
        await services.log.append(append)

    # All downloads are facts of one stream, whose id is known once the log is open.
    await settled(services, "files", attempt)


def _downloads(conn: psycopg.Connection[Any]) -> tuple[str, int, int]:
    row = conn.execute(_DOWNLOADS).fetchone()
    if row is None:
        raise DomainError("log.unavailable", "the log is not open yet")
    version = conn.execute(_VERSION, {"stream": row[0]}).fetchone()
    last = head(conn).size - 1
    return str(row[0]), 0 if version is None or version[0] is None else int(version[0]), last
