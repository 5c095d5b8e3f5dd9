"""One acting request, once: claim the key, do it, answer from what the log holds.

A crash before the append leaves a claim without an outcome: the repeat does it. A crash after it
leaves an outcome: the repeat's answer is made again from the entries. Refusals free the key; what
may have been done, by the log or by the admission writer, leaves it as a crash does.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from litestar import Response
from msgspec import Struct

from api.auth import again
from api.authorization.decided import Acts
from api.body import FrontRequest
from api.claims import Claim, Claims
from api.reads import Reads
from api.ready import Ready
from contracts.http import Given
from domain.access import Decided
from domain.errors import DomainError
from domain.operation import begins
from evidence.append import Appended, Write
from evidence.reader import decode_entry, outcome, read_entries

_KEY: Final = re.compile(r"[!-~]{1,200}")
_POLL_S: Final = 0.05
_LONGEST: Final = 1000
# Whether anything came of it is not known.
_UNKNOWN: Final = frozenset({"log.unavailable", "admission.unavailable"})
# RFC 9110 section 8.8.3; a weak one is well formed and matches nothing (13.1.1).
_ETAG: Final = r'(?:W/)?"[!#-~\x80-\xff]*"'
_ETAGS: Final = re.compile(rf"\*|{_ETAG}(?:[ \t]*,[ \t]*{_ETAG})*")


class Said(Struct, frozen=True):
    """One fact as the log holds it; what decided is beside the facts, not among them."""

    position: int
    stream: str
    version: int
    org: str
    fact: Struct


class Done(Struct, frozen=True):
    """What an act appended, or `nothing`: the answer when there was nothing left to do."""

    appended: Appended | None = None
    writes: tuple[Write, ...] = ()
    nothing: Given | None = None


type Do = Callable[[str], Awaitable[Done]]
type Answer = Callable[[tuple[Said, ...], bool], Given]


class Acting:
    """`answer(said, again)` must be a pure function: it also answers repeats, from the log."""

    def __init__(self, claims: Claims, reads: Reads, acts: Acts, wait_us: int) -> None:
        self._claims = claims
        self._reads = reads
        self._acts = acts
        self._wait_s = wait_us / 1_000_000
        self._running: dict[bytes, tuple[bytes, asyncio.Future[Response[Any]]]] = {}

    async def perform(
        self,
        request: FrontRequest,
        do: Do,
        answer: Answer,
        status: int = 201,
        *,
        versioned: bool | None = None,
    ) -> Response[Any]:
        """The response of the first such request, whoever sends it and however often.

        `versioned`: whether `do` holds If-Match against a version; by default where the path names
        a thing. Elsewhere there is none that it could match.

        Raises: DomainError idempotency_key.required | reused | in_flight, if_match.malformed |
        stale, and what `do` raises.
        """
        command = _command_id(request)
        if etags(request) and not (bool(request.path_params) if versioned is None else versioned):
            raise DomainError("if_match.stale", "what this makes has no version yet")
        fingerprint = hashlib.sha256(await request.body()).digest()
        running = self._running.get(command)
        if running is not None:
            return await self._beside(running, fingerprint)
        future: asyncio.Future[Response[Any]] = asyncio.get_running_loop().create_future()
        self._running[command] = (fingerprint, future)
        try:
            with self._acts.of(request.user, _cause(command)):
                response = await self._first(request, command, do, answer, status)
        except BaseException as error:
            if isinstance(error, DomainError):
                future.set_exception(error)
                future.exception()  # nobody may be waiting; that is no lost error
            else:
                future.cancel()
            raise
        else:
            future.set_result(response)
            return response
        finally:
            del self._running[command]

    async def _beside(
        self, running: tuple[bytes, asyncio.Future[Response[Any]]], fingerprint: bytes
    ) -> Response[Any]:
        if running[0] != fingerprint:
            raise _reused()
        try:
            async with asyncio.timeout(self._wait_s):
                return await asyncio.shield(running[1])
        except (TimeoutError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not running[1].cancelled():
                raise
            raise _in_flight() from error

    async def _first(
        self, request: FrontRequest, command: bytes, do: Do, answer: Answer, status: int
    ) -> Response[Any]:
        fingerprint = hashlib.sha256(await request.body()).digest()
        claim = await self._claims.take(command, fingerprint)
        if not claim.mine:
            before = await self._before(command, fingerprint, claim, answer, status)
            if before is not None:
                return before
        try:
            if claim.mine:
                return await self._told(command, await do(_cause(command)), answer, status)
            await again(request)  # it waited for another process, and may no more
            return await self._taken_over(command, do, answer, status)
        except BaseException as error:
            if isinstance(error, DomainError) and error.code not in _UNKNOWN:
                self._claims.drop(command)
            else:
                self._claims.leave(command)
            if isinstance(error, DomainError) and error.code == "log.version_stale":
                await again(request)  # it may have lost to the end of what the caller came with
            raise

    async def _taken_over(
        self, command: bytes, do: Do, answer: Answer, status: int
    ) -> Response[Any]:
        """Done by whoever had the key before, after all, is no refusal, nor nothing."""
        try:
            done = await do(_cause(command))
        except DomainError:
            found = await self._reads.ask(outcome, _cause(command))
            if found is None:
                raise
            done = Done(found)
        if done.appended is None:
            done = Done(await self._reads.ask(outcome, _cause(command)), nothing=done.nothing)
        return await self._told(command, done, answer, status)

    async def _told(self, command: bytes, done: Done, answer: Answer, status: int) -> Response[Any]:
        if done.appended is None:
            assert done.nothing is not None, "an act appends something or answers at once"
            body = msgspec.json.encode(done.nothing)
            await self._claims.keep_answer(command, body)
            return Ready(body, status)
        if done.appended.repeated:
            return await self._again(done.appended, answer, status)
        said = _said(done.writes, done.appended)
        return _answered(answer(said, False), done.appended, said, status)

    async def _before(
        self,
        command: bytes,
        fingerprint: bytes,
        claim: Claim,
        answer: Answer,
        status: int,
    ) -> Response[Any] | None:
        """The earlier request's answer; None when it came to nothing and the key is now ours."""
        deadline = asyncio.get_running_loop().time() + self._wait_s
        while True:
            # In this order: what the dead appended is seen, and whose body an outcome is of.
            dead = await self._claims.dead(claim)
            found = await self._reads.ask(outcome, _cause(command))
            if found is not None:
                claim = await self._claims.take(command, fingerprint)
                if claim.mine:
                    return None
            same = claim.fingerprint == fingerprint
            if not same and (found is not None or claim.answer is not None or not claim.old):
                raise _reused()
            if found is not None:
                return await self._again(found, answer, status)
            if claim.answer is not None:
                return Ready(claim.answer, status)
            if dead and await self._claims.take_over(command, fingerprint, claim):
                return None
            if asyncio.get_running_loop().time() >= deadline:
                raise _in_flight()
            await asyncio.sleep(_POLL_S)
            claim = await self._claims.take(command, fingerprint)
            if claim.mine:
                return None

    async def _again(self, appended: Appended, answer: Answer, status: int) -> Response[Any]:
        count = appended.last - appended.first + 1
        rows = await self._reads.ask(read_entries, appended.first, count)
        recorded = [decode_entry(entry) for _, entry, _ in rows]
        said = tuple(
            Said(r.position, r.stream, r.version, r.org, r.fact)
            for r in recorded
            if not isinstance(r.fact, Decided)
        )
        return _answered(answer(said, True), appended, said, status)


def key_of(request: FrontRequest) -> str:
    """Raises: DomainError idempotency_key.required."""
    key = request.headers.get("idempotency-key", "")
    if not _KEY.fullmatch(key):
        raise DomainError(
            "idempotency_key.required", "send Idempotency-Key: 1 to 200 visible ASCII characters"
        )
    return key


def _command_id(request: FrontRequest) -> bytes:
    key = key_of(request)
    who = request.user
    route = f"{request.method} {request.scope['path']}"
    text = f"gpuaas-command/1\n{who.org}\n{who.actor}\n{route}\n{key}"
    return hashlib.sha256(text.encode()).digest()


def _cause(command: bytes) -> str:
    return f"cmd:{command.hex()}"


def _said(writes: tuple[Write, ...], appended: Appended) -> tuple[Said, ...]:
    facts = [
        (write, write.expected + number, fact)
        for write in writes
        for number, fact in enumerate(write.facts, 1)
    ]
    return tuple(
        Said(appended.first + number, write.stream, version, write.org, fact)
        for number, (write, version, fact) in enumerate(facts)
        if not isinstance(fact, Decided)
    )


def _answered(
    body: Given, appended: Appended, said: tuple[Said, ...], status: int
) -> Response[Any]:
    version = max(one.version for one in said if one.stream == said[0].stream)
    begun = [
        f"/v1/operations/operation-{one.position}" for one in said if begins(one.stream, one.fact)
    ]
    headers = [
        (b"log-position", b"%d" % appended.last),
        (b"log-leaf", appended.leaf.hex().encode()),
        (b"etag", b'"%d"' % version),
    ]
    if begun:
        headers.append((b"operation-location", ", ".join(begun).encode()))
    return Ready(msgspec.json.encode(body), status, headers)


def etags(request: Any) -> tuple[str, ...]:
    """Those of If-Match, `*` as itself; none where it is not sent. Raises: if_match.malformed."""
    header = request.headers.get("if-match")
    if header is None:
        return ()
    if len(header) > _LONGEST or not _ETAGS.fullmatch(header):
        raise DomainError("if_match.malformed", "If-Match is an ETag in its quotes, or *")
    return tuple(one.strip() for one in header.split(","))


def if_match(request: Any, version: int, *, needed: bool = False) -> None:
    """Raises: DomainError if_match.required (428), if_match.stale (412), if_match.malformed."""
    asked = etags(request)
    if not asked:
        if needed:
            raise DomainError("if_match.required", "send If-Match: the ETag you decided on")
        return
    if not {"*", f'"{version}"'} & set(asked):
        raise DomainError("if_match.stale", "it has changed since you looked", {"version": version})


def held(request: Any, stream: str, version: int) -> tuple[tuple[str, int], ...]:
    """`if_match`, and what an append to other streams must still find for it: the stream at that
    version where a version was named, nothing where none was.
    """
    if_match(request, version)
    asked = etags(request)
    return ((stream, version),) if asked and "*" not in asked else ()


def _reused() -> DomainError:
    return DomainError("idempotency_key.reused", "this key was used with another body")


def _in_flight() -> DomainError:
    return DomainError("idempotency_key.in_flight", "the same request is still being worked on")
