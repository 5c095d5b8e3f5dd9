"""JSON Schemas of facts, for anybody: what `dataschema` of an event names."""

import hashlib
from functools import cache
from typing import Final

import msgspec
from litestar import Response, get
from litestar.params import FromPath, FromQuery

from api.body import FrontRequest
from api.describing.schemas import fact_schema
from api.paging import after, page_size
from api.viewing import page, sealed
from contracts.cloudevents import SCHEMA
from contracts.http import Page
from contracts.http_schemas import KnownSchema
from domain.errors import DomainError
from domain.facts import TAGS

MEDIA: Final = "application/schema+json"
_SHOWN_S: Final = 3600
_PATH: Final = "/v1/schemas/"


@get("/v1/schemas", opt={"public": True})
async def list_schemas(
    request: FrontRequest,  # noqa: ARG001
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
) -> Page[KnownSchema]:
    """Every tag that an event of this release may have as its `type`, in order."""
    size, start = page_size(limit), after(cursor)
    rows = [one for one in enumerate(sorted(TAGS)) if one[0] > start][: size + 1]
    return page(rows, size, lambda row: _known(row[1]), lambda row: row[0])


def _known(tag: str) -> KnownSchema:
    return KnownSchema(tag=tag, id=SCHEMA + tag, path=_PATH + tag)


@get("/v1/schemas/{tag:str}", media_type=MEDIA, opt={"public": True})
async def show_schema(request: FrontRequest, tag: FromPath[str]) -> Response[bytes]:
    """JSON Schema 2020-12 of the fact: `data` of its event. Raises: resource.unknown."""
    if tag not in TAGS:
        raise DomainError("resource.unknown", "no fact of this release has this tag")
    headers = {"Cache-Control": f"max-age={_SHOWN_S}"}
    return sealed(request, *_written(tag), headers)


@cache
def _written(tag: str) -> tuple[bytes, str, str]:
    data = msgspec.json.encode(fact_schema(tag))
    return data, MEDIA, hashlib.sha256(data).hexdigest()
