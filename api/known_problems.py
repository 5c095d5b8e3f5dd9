"""The registry of refusals, for anybody: `type` of every problem leads here."""

import hashlib
from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from api.body import FrontRequest
from api.describing.pages import POLICY, html
from api.refusals import DOCS
from api.viewing import sealed
from contracts.http import KnownProblem, Page
from contracts.problems import PROBLEMS
from domain.errors import DomainError

_SHOWN_S: Final = 3600


@get("/v1/problems", opt={"public": True})
async def list_problems(request: FrontRequest) -> Page[KnownProblem]:  # noqa: ARG001
    """Every refusal code, in order, all on one page."""
    items = [
        KnownProblem(
            code=code,
            type=DOCS + code,
            status=one.status,
            title=one.title,
            remedy=one.remedy,
        )
        for code, one in sorted(PROBLEMS.items())
    ]
    return Page(items=items, next=None)


@get("/v1/problems/{code:str}", media_type="text/html", opt={"public": True})
async def show_problem(request: FrontRequest, code: FromPath[str]) -> Response[bytes]:
    """What a code means and what to do about it, as a page. Raises: problem.unknown."""
    if code not in PROBLEMS:
        raise DomainError("problem.unknown", "no refusal has this code")
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": f"max-age={_SHOWN_S}"}
    data = html(code).encode()
    tag = hashlib.sha256(data).hexdigest()
    return sealed(request, data, "text/html", tag, headers)
