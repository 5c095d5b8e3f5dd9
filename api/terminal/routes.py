"""Terminals over HTTP: opened, shown, closed, tickets, recordings; the WebSocket itself."""

import asyncio
from typing import Final

from litestar import Response, WebSocket, get, post, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said, if_match
from api.auth import allow
from api.authorization.holding import Entered, Holds, by_token, holding
from api.authorization.principal import Principal
from api.body import FrontRequest
from api.changing import settled, target
from api.edge import instant, now_us
from api.front import Front
from api.services import Services, services_of
from api.ssh.granting import enterable
from api.terminal import playback
from api.terminal.sessions import Session
from api.terminal.show import ClosedError, Show
from api.terminal.tickets import LIFETIME_US, Spent
from api.viewing import tagged, viewed
from contracts import recording, terminal_client
from contracts.http_terminal import Terminal, TerminalNew, TerminalOpened, TerminalTicket
from contracts.signing import FleetError
from domain import runtime, terminal
from domain.decider import fold
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.ids import new_id

_TRIES: Final = 8
_ENTERING: Final = "terminal.open"
_OFFSET_DIGITS: Final = 18


@post("/v1/runtimes/{runtime_id:str}/terminals")
async def open_terminal(
    request: FrontRequest, runtime_id: FromPath[str], data: JSONBody[TerminalNew | None] = None
) -> Response[TerminalOpened]:
    """A shell in the runtime, for its own organization only; the fact comes before the order."""
    services = services_of(request)
    asked = data or TerminalNew()
    tickets: list[str] = []

    async def do(cause: str) -> Done:
        for _ in range(_TRIES):
            append = await _opening(services, request, cause, runtime_id, asked)
            try:
                appended = await services.log.append(append)
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
                continue
            session = append.writes[0].stream
            tickets.append(await _ticket(services, request.user, session, now_us()))
            return Done(appended, append.writes)
        raise DomainError("log.version_stale", "the runtime keeps changing; repeat the request")

    def answer(said: tuple[Said, ...], again: bool) -> TerminalOpened:
        session = said[0].stream
        ticket = None if again or not tickets else tickets[-1]
        return TerminalOpened(id=session, path=f"/v1/terminals/{session}", ticket=ticket)

    return await services.acting.perform(request, do, answer)


async def _opening(
    services: Services, request: FrontRequest, cause: str, runtime_id: str, asked: TerminalNew
) -> Append:
    """The session's first fact, which loses to any change of the runtime."""
    found = await target(services, request.user, runtime_id, "runtime")
    enterable(services, found.org)
    if_match(request, found.version)
    facts = [fact for fact in found.facts if isinstance(fact, runtime.Event.__value__)]
    state = fold(runtime.DECIDER, facts)
    placed = next((one for one in reversed(facts) if isinstance(one, runtime.Allocated)), None)
    if placed is None:
        raise DomainError("terminal.not_running", "the runtime was never placed")
    command = terminal.Open(
        runtime=runtime_id,
        allocation=placed.allocation,
        node=placed.node,
        epoch=placed.epoch,
        columns=asked.columns,
        rows=asked.rows,
        recorded=asked.record,
        running=isinstance(state, runtime.Running | runtime.Impaired),
        now_us=now_us(),
    )
    new = tuple(terminal.decide(command, terminal.Missing()))
    write = Write(new_id("access"), found.org, 0, new)
    return Append((write,), request.user.actor, cause, ((runtime_id, found.version),))


@get("/v1/terminals/{session_id:str}")
async def show_terminal(
    request: FrontRequest, session_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Terminal]:
    services, at = await viewed(request, as_of)
    found, _ = await services.terminals.seen(session_id, request.user, at)
    return tagged(_given(found), found.version)


@post("/v1/terminals/{session_id:str}/tickets")
async def issue_ticket(
    request: FrontRequest, session_id: FromPath[str]
) -> Response[TerminalTicket]:
    """For whoever opened it: nobody types in another's name. No fact, no idempotency key."""
    services = services_of(request)
    found, _ = await services.terminals.seen(session_id, request.user)
    if found.user != request.user.actor:
        raise DomainError("auth.forbidden", "another user's terminal")
    if isinstance(found.state, terminal.Over):
        raise DomainError("terminal.over", found.state.closed.reason)
    now = now_us()
    ticket = await _ticket(services, request.user, session_id, now)
    return Response(TerminalTicket(ticket=ticket, expires_at=instant(now + LIFETIME_US)))


async def _ticket(services: Services, user: Principal, session: str, now: int) -> str:
    own = by_token(user, _ENTERING)
    issue = services.terminals.tickets.issue
    return await issue(session, user.actor, now, user.credential, implied=own)


@post("/v1/terminals/{session_id:str}/close", status_code=200)
async def close_terminal(request: FrontRequest, session_id: FromPath[str]) -> Response[Terminal]:
    """Its user ends it, or an admin or operator revokes it; whoever shows it stops at once."""
    services = services_of(request)
    found, place = await services.terminals.seen(session_id, request.user)
    own = found.user == request.user.actor
    if not own:
        allow(request.user, "terminal.close_any", found.org, place.scope, place.resource)
    reason = "closed" if own else "revoked"

    async def attempt(cause: str) -> Done:
        now_found = await services.terminals.session(session_id)
        if_match(request, now_found.version)
        facts = tuple(
            terminal.decide(terminal.Close(reason, None, None, now_us()), now_found.state)
        )
        if not facts:
            return Done(nothing=_given(now_found))
        write = Write(session_id, now_found.org, now_found.version, facts)
        return Done(
            await services.log.append(Append((write,), request.user.actor, cause)), (write,)
        )

    async def do(cause: str) -> Done:
        return await settled(services, session_id, lambda: attempt(cause))

    def answer(said: tuple[Said, ...], _: bool) -> Terminal:
        closed = said[0].fact
        assert isinstance(closed, terminal.Closed), "the outcome of this route"
        state = terminal.Over(found.opened, closed)
        return _given(
            Session(session_id, found.org, found.user, found.position, said[0].version, state)
        )

    return await services.acting.perform(request, do, answer, status=200)


@get("/v1/terminals/{session_id:str}/recording", media_type=playback.MEDIA)
async def show_recording(request: FrontRequest, session_id: FromPath[str]) -> Response[bytes]:
    """Asciicast v3, checked against the heads in the log; that it was played is a fact.

    For its own user, admins and auditors. One that a kill cut off ends in a marker that says so.
    """
    terminals = services_of(request).terminals
    found, place = await terminals.seen(session_id, request.user)
    if found.user != request.user.actor:
        allow(request.user, "recording.play_any", found.org, place.scope, place.resource)
    recorded = await terminals.log.read_stream(session_id)
    seals = [
        recording.Seal(fact.chunk, fact.head, fact.size_bytes, fact.final)
        for fact in (one.fact for one in recorded)
        if isinstance(fact, terminal.RecordingSealed)
    ]
    if not seals:
        raise DomainError("recording.none", "nothing of this session was sealed")
    cut = isinstance(found.state, terminal.Over) and not seals[-1].final
    path = terminals.recording(session_id)
    try:
        async with services_of(request).drawing(found.org):
            body = await asyncio.to_thread(playback.played, path, seals, cut=cut)
    except FileNotFoundError as error:
        raise DomainError("recording.changed", "the file is gone") from error
    except FleetError as error:
        raise DomainError(error.code, error.detail) from error
    last = seals[-1]
    play = terminal.Play(last.chunk, last.head, cut, now_us())
    await terminals.say(session_id, (play,), request.user.actor)
    return Response(body, media_type=playback.MEDIA)


@websocket("/v1/terminals/{session_id:str}", opt={"public": True}, middleware=[Front])
async def terminal_socket(socket: WebSocket, session_id: FromPath[str]) -> None:  # type: ignore[type-arg]
    """The ticket is the caller's right; a web page's origin must be ours. `from`: output it has."""
    services = services_of(socket)
    try:
        _check_origin(services, socket.headers.get("origin"))
        start = _offset(socket.query_params.get("from", "0"))
        ticket = socket.query_params.get("ticket", "")
        spent = await services.terminals.tickets.spend(ticket, session_id, now_us())
        found = await services.terminals.session(session_id)
        holds = await _holding(services, found, spent)
    except DomainError as error:
        # Before it is accepted a WebSocket is refused with 403, and no words.
        await socket.close(reason=error.code)
        return
    await socket.accept()
    closed = await Show(services.terminals, found, _Line(socket), start, holds).run()
    if closed.code:
        await socket.close(closed.code, closed.reason)


async def _holding(services: Services, found: Session, spent: Spent) -> Holds:
    """Whether its user still may be inside, by its key and what the organization bound it to.

    Raises: DomainError auth.forbidden: it may not enter now, whatever it might with that ticket;
    organization.suspended, log.unavailable.
    """
    enterable(services, found.org)
    recorded = await services.log.read_stream(found.opened.runtime)
    project = getattr(recorded[0].fact, "project", found.org)
    inside = found.opened.runtime
    entered = Entered(
        *(found.user, found.org, _ENTERING, project, spent.key, spent.implied), inside
    )
    holds = holding(services.directory, services.door, entered, now_us)
    if not holds():
        await services.following.catch_up()  # another process may have let it in a moment ago
    if not holds():
        raise DomainError("auth.forbidden", "what it got the ticket by has been taken back")
    return holds


class _Line:
    def __init__(self, socket: WebSocket) -> None:  # type: ignore[type-arg]
        self._socket = socket

    async def send(self, data: bytes) -> None:
        try:
            await self._socket.send_bytes(data)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise ClosedError(0, "the client has gone") from error

    async def receive(self) -> bytes:
        try:
            data = await self._socket.receive_data(mode="binary")
        except (WebSocketDisconnect, RuntimeError) as error:
            raise ClosedError(0, "the client has gone") from error
        if not isinstance(data, bytes):
            raise ClosedError(terminal_client.RULES, "term.malformed")
        return data


def _check_origin(services: Services, origin: str | None) -> None:
    # Programs that are no browser send none, and nobody can make them send a stranger's ticket.
    settings = services.settings
    own = settings.api_url
    if origin is not None and origin not in {own, *settings.origins}:
        raise DomainError("terminal.origin", "pages of this origin may not open terminals")


def _offset(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _OFFSET_DIGITS):
        raise DomainError("request.invalid", "`from` is a byte offset")
    return int(text)


def _given(found: Session) -> Terminal:
    opened = found.opened
    closed = found.state.closed if isinstance(found.state, terminal.Over) else None
    return Terminal(
        id=found.session,
        organization=found.org,
        runtime=opened.runtime,
        user=found.user,
        columns=opened.columns,
        rows=opened.rows,
        recorded=opened.recorded,
        opened_at=instant(opened.opened_us),
        closed_at=None if closed is None else instant(closed.closed_us),
        reason=None if closed is None else closed.reason,
        shown_bytes=None if closed is None else closed.shown_bytes,
        typed_bytes=None if closed is None else closed.typed_bytes,
        version=found.version,
    )
