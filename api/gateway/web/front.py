"""The HTTP side of a gateway: who asks for which app, and whether the log lets them.

Nothing here trusts a head until h11 has parsed it whole, within its time and size. Programs show
a token of a pass; a browser exchanges a ticket for a cookie of that one origin.
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import ssl
import uuid
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

import h11

from api.edge import now_us
from api.gateway.doors import Entry
from api.gateway.flows import SECOND_US
from api.gateway.parts import Parts
from api.gateway.web import heads
from api.gateway.web.carry import Exchange, GoneError, carry
from api.gateway.web.cookies import Cookies
from api.gateway.web.guests import Guests
from api.gateway.web.inside import Inside
from api.gateway.web.knock import Knocking
from api.gateway.web.ours import is_ours
from api.gateway.web.peers import BROKEN, CHUNK, Peer
from api.refusals import MEDIA, problem_bytes
from api.terminal.tickets import Tickets
from contracts import apps
from domain.errors import DomainError

_BACKLOG: Final = 256


class Front:
    """Listens; an exchange runs only under a guest whose session is in the log."""

    def __init__(self, parts: Parts, inside: Inside, cookies: Cookies, tickets: Tickets) -> None:
        self._parts = parts
        self._inside = inside
        self._cookies = cookies
        self._tickets = tickets
        self._guests = Guests(parts)
        self._own = apps.cookie_name(parts.apps_url)
        self._scheme = parts.apps_url.partition(":")[0]
        self._server: asyncio.AbstractServer | Knocking | None = None
        self.waiting: Counter[str] = Counter()  # heads that have not come yet, by source address
        self.connections = 0

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """With TLS where it is given. Raises: OSError when the port is taken."""
        if tls is None:
            self._server = await asyncio.start_server(
                self._received, host, port, limit=CHUNK, backlog=_BACKLOG
            )
            return
        within_s = self._parts.limits.login_s
        self._server = Knocking(tls, within_s, self._holding, self._received)
        self._server.listen(host, port)

    def tend(self) -> None:
        """As Inside.tend; every second."""
        self._inside.tend()

    def close(self) -> None:
        """Nobody new comes; guests are told by whoever ends all visits."""
        if self._server is not None:
            self._server.close()

    async def _received(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = str(ipaddress.ip_address(writer.get_extra_info("peername")[0]))
        if self._crowded(source):
            writer.transport.abort()
            return
        peer = Peer(h11.SERVER, reader, writer)
        self.connections += 1
        try:
            while await self._served(peer, source):
                peer.conn.start_next_cycle()
            await peer.farewell()
        except (GoneError, *BROKEN):
            pass
        finally:
            self.connections -= 1
            peer.abort()

    async def _served(self, peer: Peer, source: str) -> bool:
        """One exchange; True when the connection may carry another. Raises: GoneError, BROKEN."""
        try:
            request = await self._head(peer, source)
        except TimeoutError:
            self._parts.flows.refused["slow"] += 1
            return False
        except h11.RemoteProtocolError as error:
            await self._refuse(peer, DomainError("app.malformed", str(error)))
            return False
        if not isinstance(request, h11.Request):
            return False
        try:
            await self._answer(peer, request, source)
        except DomainError as error:
            await self._refuse(peer, error)
        return peer.conn.our_state is h11.DONE and peer.conn.their_state is h11.DONE

    async def _head(self, peer: Peer, source: str) -> Any:
        """Whole within its time, however slowly its bytes come. Raises: TimeoutError …"""
        with self._counted(source):
            async with asyncio.timeout(self._parts.limits.login_s):
                return await peer.event()

    def _crowded(self, source: str) -> bool:
        """True where there is no room for one more from there; counted as refused."""
        limits = self._parts.limits
        crowd = self.waiting.total() >= limits.handshakes
        crowd |= self.waiting[source] >= limits.handshakes_per_source
        if crowd or self.connections >= limits.connections:
            self._parts.flows.refused["crowd"] += 1
            return True
        return False

    @contextlib.contextmanager
    def _counted(self, source: str) -> Iterator[None]:
        self.waiting[source] += 1
        try:
            yield
        finally:
            self.waiting[source] -= 1
            if not self.waiting[source]:
                del self.waiting[source]

    @contextlib.contextmanager
    def _holding(self, source: str) -> Iterator[bool]:
        """While it shakes hands it counts as one whose head has not come."""
        source = str(ipaddress.ip_address(source))
        if self._crowded(source):
            yield False
            return
        with self._counted(source):
            yield True

    async def _answer(self, peer: Peer, request: h11.Request, source: str) -> None:
        heads.check(request)
        [host] = heads.values(list(request.headers), b"host")
        found = apps.named(self._parts.apps_url, host.decode("ascii", "replace"))
        if found is None:
            raise DomainError("app.unknown", "no app has that name")
        await self._parts.tail.catch_up()
        path, _, query = request.target.decode("ascii", "replace").partition("?")
        if path == apps.ENTER:
            await self._enter(peer, request, query, found)
            return
        foreign = not self._is_ours(request)
        entry = await self._entry(request, *found, by_cookie=foreign)
        await self._through(peer, request, entry, found[1], source, authorized=foreign)

    def _is_ours(self, request: h11.Request) -> bool:
        """Whether what it sent as Authorization, if anything, is the platform's."""
        sent = heads.values(list(request.headers), b"authorization")
        return any(is_ours(value, self._parts.doors.tokens) for value in sent)

    async def _entry(
        self, request: h11.Request, runtime: str, port: int, *, by_cookie: bool
    ) -> Entry:
        """Who asks, by the log as it stands now: a bearer of ours decides alone, else a cookie.

        Raises: DomainError app.no_pass | foreign_page.
        """
        doors, headers = self._parts.doors, list(request.headers)
        token = None if by_cookie else heads.bearer(headers)
        if token is not None:
            grants = [doors.tokens.get(hashlib.sha256(token.encode()).hexdigest())]
        else:
            shown = heads.cookies(headers, self._own)
            grants = [await self._cookies.grant_of(value) for value in shown[:4]]
        for grant in grants:
            entry = None if grant is None else doors.admit_app(grant, runtime, port)
            if entry is None:
                continue
            why = doors.why_not(entry, now_us())
            if why is not None:
                raise DomainError("app.no_pass", f"it opens nothing any more: {why}")
            if token is None:
                heads.check_page(request, apps.origin(self._parts.apps_url, runtime, port))
            return entry
        raise DomainError("app.no_pass", "nothing that was sent opens this app")

    async def _enter(
        self, peer: Peer, request: h11.Request, query: str, found: tuple[str, int]
    ) -> None:
        """A ticket, spent, becomes a cookie for this origin; the browser goes to the app's root."""
        asked = dict(one.partition("=")[::2] for one in query.split("&"))
        grant, ticket = asked.get("grant", ""), asked.get("ticket", "")
        doors, now = self._parts.doors, now_us()
        entry = doors.admit_app(grant, *found)
        if request.method != b"GET" or entry is None or doors.why_not(entry, now) is not None:
            raise DomainError("app.ticket", "not of this app, or over")
        try:
            await self._tickets.spend(ticket, grant, now)
        except DomainError as error:
            if error.code != "terminal.ticket":
                raise
            raise DomainError("app.ticket", "spent or expired") from error
        until_us = doors.passes[grant].until_us
        value = await self._cookies.issue(grant, until_us, now)
        cookie = f"{self._own}={value}; Path=/; HttpOnly; SameSite=Lax"
        cookie += f"; Max-Age={(until_us - now) // SECOND_US}"
        cookie += "; Secure" if self._scheme == "https" else ""
        fields = [("Location", "/"), ("Set-Cookie", cookie), ("Referrer-Policy", "no-referrer")]
        await _say(peer, HTTPStatus.SEE_OTHER, fields, b"")

    async def _through(
        self, peer: Peer, request: h11.Request, entry: Entry, port: int, source: str,
        *, authorized: bool,
    ) -> None:  # fmt: skip
        """To the app and back, unless the flow is cut. Raises: DomainError, GoneError."""
        guest, flow = await self._guests.begin(entry, source)
        cut = asyncio.create_task(flow.cut.wait())
        fields = heads.forwarded(request, self._own, source, self._scheme, authorized=authorized)
        work = asyncio.create_task(self._carried(peer, request, entry, port, fields, flow))
        try:
            await asyncio.wait({cut, work}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise GoneError
            await work
        finally:
            cut.cancel()
            work.cancel()
            await asyncio.gather(cut, work, return_exceptions=True)
            self._guests.finish(guest, flow)

    async def _carried(
        self, peer: Peer, request: h11.Request, entry: Entry, port: int, fields: heads.Fields,
        flow: Any,
    ) -> None:  # fmt: skip
        app = await self._inside.reach(entry, port)
        try:
            await carry(Exchange(peer, app, flow, request, fields, self._own))
        finally:
            self._inside.leave(entry, app)

    async def _refuse(self, peer: Peer, error: DomainError) -> None:
        """Says why, and closes; in the middle of an answer nothing can be said."""
        self._parts.flows.refused[error.code.partition(".")[2]] += 1
        if peer.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            raise GoneError
        status, body, fields = problem_bytes(error, uuid.uuid4().hex)
        await _say(peer, status, [*fields.items(), ("Content-Type", MEDIA)], body)


async def _say(peer: Peer, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
    """A short answer of the gateway's own, the connection's last."""
    fields = [
        *fields,
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Connection", "close"),
    ]
    await peer.send(h11.Response(status_code=status, headers=fields))
    await peer.send(h11.Data(data=body))
    await peer.send(h11.EndOfMessage())
