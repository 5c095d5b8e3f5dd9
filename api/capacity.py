"""Capacity now: what admission would say, from its own state."""

from litestar import get
from litestar.params import FromQuery

from api.auth import allow
from api.authorization.cedar import PLATFORM
from api.body import FrontRequest
from api.edge import now_us
from api.soon import fit, fits_soon, observed
from api.viewing import viewed
from contracts.http_fleet import Capacity


@get("/v1/capacity")
async def capacity_now(request: FrontRequest, as_of: FromQuery[str | None] = None) -> Capacity:
    """Parts of shared devices count for the caller's own organization only. `as_of`: what the same
    arithmetic said then, but for what was to come: a forecast of then is not kept. It is the
    platform's to ask: what was free, position by position, is what everybody else did.
    """
    services, at = await viewed(request, as_of)
    organization = "" if request.user.reads_all else request.user.org
    if at is None:
        rooms, position = await services.admission.capacity(organization)
    else:
        allow(request.user, "capacity.read_past", PLATFORM)
        rooms, position = await services.reads.past(services.rooms.at, organization, at), at + 1
    seen, now = await services.reads.ask(observed), now_us()
    models = [fit(room, fits_soon(room, seen, now) if at is None else ()) for room in rooms]
    return Capacity(position=position, models=models)
