"""Images that launches may name: register, list. A reference means its newest registration."""

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said
from api.body import FrontRequest
from api.changing import create, said_of
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import Services, services_of
from api.viewing import page, tagged, viewed
from contracts.http import Page, RuntimeNew
from contracts.http_fleet import Image, ImageNew
from domain import image
from domain.errors import DomainError
from domain.runtime import Configure
from evidence.ids import new_id
from projections import runtimes_read

_CPU_MILLI: Final = 1_000
_MEMORY_BYTES: Final = 2**30
_PIDS: Final = 1_024


@post("/v1/images")
async def register_image(request: FrontRequest, data: JSONBody[ImageNew]) -> Response[Image]:
    """What launches that name the reference run from now on; running ones keep their digest."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        command = image.Register(data.reference, data.digest, now_us())
        new = (new_id("image"), "-")
        return await create(services, request.user, cause, new, image.DECIDER, command)

    def answer(said: tuple[Said, ...], _: bool) -> Image:
        fact = said[0].fact
        assert isinstance(fact, image.Registered), "the outcome of this route"
        return _given(said[0].stream, fact)

    return await services.acting.perform(request, do, answer)


@get("/v1/images")
async def list_images(
    request: FrontRequest,
    reference: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Image]:
    """In order of registration; a reference registered again has moved to its new place."""
    size, start = page_size(limit), after(cursor)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        runtimes_read.images, reference=reference, after=start, limit=size + 1, as_of=position
    )
    return page(rows, size, lambda row: _given(row.image, row), lambda row: row.from_position)


@get("/v1/images/{image_id:str}")
async def show_image(
    request: FrontRequest, image_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Image]:
    """One registration, that of a reference which was registered again since, too."""
    services, position = await viewed(request, as_of)
    [made] = await said_of(services, image_id, "image", position)
    assert isinstance(made.fact, image.Registered), "all that is said of an image"
    return tagged(_given(image_id, made.fact), made.version)


async def configured(services: Services, data: RuntimeNew) -> Configure | None:
    """What a launch asks to run, its image by the digest that the reference means now.

    None for a plain start. Raises: DomainError image.unknown, request.invalid for limits of none.
    """
    limits = (data.cpu_milli, data.memory_bytes, data.pids, data.restarts)
    if data.image is None:
        if limits != (None, None, None, None) or data.volumes:
            at: dict[str, int | str] = {"pointer": "/image"}
            raise DomainError("request.invalid", "limits and volumes are an image's: name one", at)
        return None
    found = await services.reads.ask(runtimes_read.images, reference=data.image)
    if not found:
        raise DomainError("image.unknown", "no image is registered under this reference")
    return Configure(
        image=data.image,
        digest=found[0].digest,
        cpu_milli=_CPU_MILLI if data.cpu_milli is None else data.cpu_milli,
        memory_bytes=_MEMORY_BYTES if data.memory_bytes is None else data.memory_bytes,
        pids=_PIDS if data.pids is None else data.pids,
        restarts=data.restarts or 0,
        now_us=now_us(),
    )


def _given(stream: str, row: image.Registered | runtimes_read.Image) -> Image:
    return Image(
        id=stream,
        reference=row.reference,
        digest=row.digest,
        registered_at=instant(row.registered_us),
        version=1,
    )
