"""The SSH side: certificates of our CA in, one forwarding to the runtime's own sshd out.

The client's SSH to the runtime runs inside the forwarding, end to end: the gateway sees ciphertext
and cannot speak as the runtime, whose host certificate the client checks. `ssh -J` and
`contracts.ssh.client_config` do exactly this.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import asyncssh

from api.edge import now_us
from api.gateway.certificates import presented
from api.gateway.doors import Entry
from api.gateway.flows import Visit
from api.gateway.parts import Parts
from api.gateway.relay import relay
from contracts import ssh
from domain.errors import DomainError

_WINDOW: Final = 1 << 20
_BACKLOG: Final = 256


class Reception:
    """Listens; counts handshakes and connections, and closes at once what is too many."""

    def __init__(self, parts: Parts, host_key: bytes, host_certificate: str) -> None:
        self.parts = parts
        self.handshakes: Counter[str] = Counter()  # by source address
        self.connections = 0
        self._ca = asyncssh.import_public_key(parts.user_ca)
        self._options = self._made(host_key, host_certificate)
        self._server: asyncio.AbstractServer | None = None

    def renew(self, host_key: bytes, host_certificate: str) -> None:
        """Connections from now on are shown the new certificate."""
        self._options = self._made(host_key, host_certificate)

    async def listen(self, host: str, port: int) -> None:
        """Raises: OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._received, host, port, backlog=_BACKLOG)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for visit in list(self.parts.flows.visits):
            visit.end("gateway_stopped")

    def is_ca(self, key: asyncssh.SSHKey) -> bool:
        return key.public_data == self._ca.public_data

    def refused(self, why: str) -> None:
        self.parts.flows.refused[why] += 1

    def _received(self) -> asyncio.Protocol:
        limits = self.parts.limits
        shaking = self.handshakes.total()
        if shaking >= limits.handshakes or self.connections >= limits.connections:
            self.refused("crowd")
            return _Closing()
        return Connection(asyncio.get_running_loop(), self._options, self)

    def _made(self, key: bytes, certificate: str) -> asyncssh.SSHServerConnectionOptions:
        pair = (asyncssh.import_private_key(key), asyncssh.import_certificate(certificate))
        return asyncssh.SSHServerConnectionOptions(
            config=None,
            server_factory=Owner,
            server_host_keys=[pair],
            server_version="gpuaas-gateway",
            login_timeout=self.parts.limits.login_s,
            public_key_auth=True,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            compression_algs=None,
            keepalive_interval=30,
        )


class _Closing(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        transport.abort()


class Connection(asyncssh.SSHServerConnection):
    """One client. Its user name is the runtime's id; its key is a certificate or nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: Any, reception: Reception) -> None:
        super().__init__(loop, options)
        self.reception = reception
        self.visit: Visit | None = None
        self.source = ""
        self._shaking = False
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        reception = self.reception
        self.source = str(ipaddress.ip_address(transport.get_extra_info("peername")[0]))
        self._shaking = self._counted = True
        reception.handshakes[self.source] += 1
        reception.connections += 1
        super().connection_made(transport)
        if reception.handshakes[self.source] > reception.parts.limits.handshakes_per_source:
            reception.refused("crowd")
            self.abort()

    def connection_lost(self, exc: Exception | None = None) -> None:
        super().connection_lost(exc)
        self.shaken()
        if self._counted:
            self._counted = False
            self.reception.connections -= 1
        if self.visit is not None:
            self.visit.end("client_gone")
            self.reception.parts.flows.visits.discard(self.visit)

    def shaken(self) -> None:
        """The handshake is over, one way or the other."""
        if self._shaking:
            self._shaking = False
            handshakes = self.reception.handshakes
            handshakes[self.source] -= 1
            if not handshakes[self.source]:
                del handshakes[self.source]

    async def validate_public_key(
        self, username: str, key_data: bytes, msg: bytes, signature: bytes
    ) -> bool:
        """Our own look at the certificate and the log, then the library's: CA, times, signature,
        source address and principal, the last in place of the user name.
        """
        entry = await self._entry(username, key_data)
        if entry is None:
            return False
        held = await super().validate_public_key(entry.principal, key_data, msg, signature)
        if not held:
            self.reception.refused("certificate")
        elif msg:
            now = asyncio.get_running_loop().time()
            self.visit = Visit(entry, self.abort, now)
            self.reception.parts.flows.visits.add(self.visit)
        return held

    async def _entry(self, username: str, key_data: bytes) -> Entry | None:
        """Who that is by the log as it stands now; None, counted by reason, when refused."""
        claims = presented(key_data)
        if claims is None:
            self.reception.refused("no_certificate")
            return None
        parts = self.reception.parts
        try:
            await parts.tail.catch_up()
        except DomainError:
            self.reception.refused("log_out_of_sight")
            return None
        entry = parts.doors.admit(username, claims.grant, claims.serial, "ssh")
        if entry is None or entry.principal != claims.principal:
            self.reception.refused("unknown")
            return None
        why = parts.doors.why_not(entry, now_us())
        if why is not None:
            self.reception.refused(why)
            return None
        return entry


class Owner(asyncssh.SSHServer):
    """What an admitted client may ask for: a forwarding to its runtime's sshd, nothing else."""

    def __init__(self) -> None:
        self._conn: Connection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert isinstance(conn, Connection), "the reception makes no other"
        self._conn = conn

    def begin_auth(self, _username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_ca_key(self, _username: str, key: asyncssh.SSHKey) -> bool:
        assert self._conn is not None
        return self._conn.reception.is_ca(key)

    def auth_completed(self) -> None:
        assert self._conn is not None
        self._conn.shaken()

    def connection_requested(
        self, dest_host: str, dest_port: int, _orig_host: str, _orig_port: int
    ) -> Any:
        """The only forwarding there is. The name is the runtime's, resolved by nobody."""
        conn = self._conn
        assert conn is not None
        visit, parts = conn.visit, conn.reception.parts
        if visit is None or (dest_host, dest_port) != (visit.entry.runtime, ssh.PORT):
            conn.reception.refused("elsewhere")
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "only the runtime of your certificate"
            )
        channel = conn.create_tcp_channel(window=_WINDOW)
        return channel, _relayed(parts, visit, conn.source)


def _relayed(parts: Parts, visit: Visit, source: str) -> Callable[[Any, Any], Any]:
    async def handle(reader: Any, writer: Any) -> None:
        # A task of its own: the library cancels handlers when a connection is lost, and a session
        # that was opened in the log must also be closed there.
        task = asyncio.create_task(relay(parts, visit, source, reader, writer))
        parts.flows.relays.add(task)
        task.add_done_callback(parts.flows.relays.discard)
        try:
            await asyncio.shield(task)
        finally:
            writer.close()

    return handle
