"""Health, and readiness with the reasons why not."""

from litestar import Response, get

from api.body import FrontRequest
from api.edge import instant, now_us
from api.services import services_of
from contracts.http import Component, Health, Readiness
from projections.readiness import readiness


@get("/v1/health", opt={"public": True})
async def health() -> Health:
    return Health(alive=True)


@get("/v1/readiness", opt={"public": True})
async def ready(request: FrontRequest) -> Response[Readiness]:
    """200 when ready, 503 with the same body when not. Names no tenant: probes need no token."""
    found = await services_of(request).reads.ask(readiness, now_us())
    body = Readiness(
        ready=found.ready,
        reasons=list(found.reasons),
        log_size=found.log_size,
        applied=found.applied,
        components=[
            Component(name=one.name, ok=one.ok, since=instant(one.changed_us), detail=one.detail)
            for one in found.components
        ],
        refused={one.name: one.count for one in found.refused},
        silent_nodes=len(found.silent_nodes),
        warnings=list(found.warnings),
        closed_nodes={one.node: one.state for one in found.closed_nodes},
    )
    return Response(body, status_code=200 if found.ready else 503)
