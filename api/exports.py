"""An account's books as files: journals for foreign bookkeepers, FOCUS, charge lines."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from litestar import get
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from api.accounts import account_of
from api.auth import unknown, while_let
from api.body import FrontRequest
from api.edge import parse_instant, whole
from api.services import Services
from api.viewing import viewed
from domain.errors import DomainError
from evidence.reader import erasures
from evidence.storage import CHECKPOINT, Storage
from evidence.tree import root_of
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.note import parse_note
from projections.exporting.forms import FORMS, Ask, Span, edition, written
from projections.exporting.proof import Proof

_RETRY_AFTER_S: Final = 1  # a checkpoint follows an append within 200 ms


@get("/v1/accounts/{account_id:str}/exports/{form:str}", media_type="application/octet-stream")
async def export_books(
    request: FrontRequest,
    account_id: FromPath[str],
    form: FromPath[str],
    start: FromQuery[str | None] = None,
    end: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
    offset: FromQuery[str | None] = None,
) -> Stream:
    """Everything sealed up to a signed position: `as_of`, or the newest one (`Log-Position`).

    Forms: `hledger`, `beancount` (whole journals); of booked periods that overlap `[start, end)`:
    `focus.csv`, `focus.parquet` (FOCUS 1.2), `focus-1.4.csv`, `focus-1.4.parquet` (1.4, per spec
    text), `charges.csv`, `charges.parquet`. The same question gives the same bytes as long as the
    ETag is the same, so a download that broke off goes on: its position as `as_of`, its ETag as
    If-Match, `offset` bytes are left out. 412 `if_match.stale`: names were erased meanwhile, or
    the platform was updated; it begins anew.
    """
    services, asked = await viewed(request, as_of)
    if form not in FORMS:
        raise unknown("form")
    row = await account_of(services, request, account_id, asked)
    span = Span(
        None if start is None else parse_instant(start), None if end is None else parse_instant(end)
    )
    chosen = FORMS[form]
    if chosen.syntax is not None and span != Span():
        raise DomainError("request.invalid", "a journal is exported whole: no start, no end")
    skip = 0 if offset is None else whole(offset)
    if skip is None:
        raise DomainError("request.invalid", "offset is a number of bytes")
    proof = _proof(services.storage, asked)
    await services.reached(proof.as_of)
    erased = await services.reads.ask(erasures, row.organization)
    tag = _etag(account_id, form, proof, span, erased)
    if request.headers.get("if-match", tag) != tag:
        raise DomainError("if_match.stale", "these bytes are not of that file: begin anew")
    headers = {
        "content-type": chosen.media,  # the handler's own goes before the answer's otherwise
        "ETag": tag,
        "Log-Position": str(proof.as_of),
        "Content-Disposition": f'attachment; filename="{account_id}.{form}"',
    }
    pieces = written(_asking(services, row.organization), chosen, row, proof, span)
    # What can be refused is refused before the status is sent.
    first = await anext(pieces)
    return Stream(while_let(request, _rest(first, pieces, skip)), headers=headers)


def _asking(services: Services, org: str) -> Ask:
    """As `Reads.ask`, for one download of the organization at a time."""

    async def ask[T](question: Callable[..., T], /, *of: Any, **named: Any) -> T:
        async with services.turns.of(f"exports of {org}"):
            return await services.reads.ask(question, *of, **named)

    return ask


def _proof(storage: Storage, asked: int | None) -> Proof:
    """Raises: DomainError checkpoint.none, export.not_signed."""
    note = storage.read(CHECKPOINT)
    if note is None:
        raise DomainError("checkpoint.none", "nothing is signed yet")
    signed = parse_checkpoint(parse_note(note).text)
    size = signed.size if asked is None else asked + 1
    if size > signed.size:
        facts: dict[str, int | str] = {"signed": signed.size, "retry_after_s": _RETRY_AFTER_S}
        raise DomainError("export.not_signed", f"position {asked} is not signed yet", facts)
    return Proof(signed.origin, size, root_of(storage, size).hex())


def _etag(account: str, form: str, proof: Proof, span: Span, erased: int) -> str:
    """Of whatever may change the bytes: erased names too; pyarrow's release decides Parquet's."""
    try:
        writer = version("pyarrow") if form.endswith(".parquet") else ""
    except PackageNotFoundError:
        writer = ""
    said = (account, form, proof.root, proof.size, span.from_us, span.to_us, edition(), erased)
    return f'"{hashlib.sha256(repr((said, writer)).encode()).hexdigest()[:32]}"'


async def _rest(first: bytes, pieces: AsyncIterator[bytes], skip: int) -> AsyncGenerator[bytes]:
    yield first[skip:]
    skip = max(0, skip - len(first))
    async for piece in pieces:
        yield piece[skip:]
        skip = max(0, skip - len(piece))
