"""Capacity now: what admission would say, from its own state."""

from litestar import get

from api.body import FrontRequest
from api.services import services_of
from contracts.http_fleet import Capacity, Fit
from domain.stock import Room


@get("/v1/capacity")
async def capacity_now(request: FrontRequest) -> Capacity:
    """Parts of shared devices count for the caller's own organization only."""
    services = services_of(request)
    organization = "" if request.user.reads_all else request.user.org
    rooms, position = await services.admission.capacity(organization)
    return Capacity(position=position, models=[_fit(room) for room in rooms])


def _fit(room: Room) -> Fit:
    return Fit(
        model=room.model,
        devices=room.devices,
        free_devices=room.free_devices,
        most_devices=room.most_devices,
        most_milli=room.most_milli,
    )
