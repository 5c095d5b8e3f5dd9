"""Capacity now: what admission would say, from its own state."""

from litestar import get
from litestar.params import FromQuery

from api.admission.then import rooms_at
from api.body import FrontRequest
from api.viewing import viewed
from contracts.http_fleet import Capacity, Fit
from domain.stock import Room


@get("/v1/capacity")
async def capacity_now(request: FrontRequest, as_of: FromQuery[str | None] = None) -> Capacity:
    """Parts of shared devices count for the caller's own organization only. `as_of`: what the same
    arithmetic said then.
    """
    services, at = await viewed(request, as_of)
    organization = "" if request.user.reads_all else request.user.org
    if at is None:
        rooms, position = await services.admission.capacity(organization)
    else:
        rooms, position = await services.reads.ask(rooms_at, organization, at), at + 1
    return Capacity(position=position, models=[_fit(room) for room in rooms])


def _fit(room: Room) -> Fit:
    return Fit(
        model=room.model,
        devices=room.devices,
        free_devices=room.free_devices,
        most_devices=room.most_devices,
        most_milli=room.most_milli,
    )
