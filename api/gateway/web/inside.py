"""Ways into runtimes: one SSH connection each, by which ports inside are reached and nothing else.

By the runtime's own sshd, because it proves by its host certificate that it is this allocation at
this epoch: an address is only a node's word, and behind another tenant's there may be an app that
trusts whoever comes through the gateway. What is reached is inside the runtime's namespace.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import asyncssh
import h11
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.gateway.doors import Entry
from api.gateway.parts import Parts
from api.gateway.relay import way
from api.gateway.web.peers import Peer
from api.ssh.authority import public_text
from contracts import ssh
from domain.errors import DomainError

type Certify = Callable[[str, str], Awaitable[str]]

_WINDOW: Final = 1 << 20
_UNUSED_S: Final = 60.0


class Inside:
    """Connections by principal, opened when needed; `tend` closes the unused and the stale."""

    def __init__(self, parts: Parts, certify: Certify) -> None:
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        self._parts = parts
        self._certify = certify
        self._key = asyncssh.import_private_key(pem)
        self._public = public_text(key.public_key())
        self._ca = asyncssh.import_public_key(parts.host_ca)
        self._known: dict[str, asyncio.Task[asyncssh.SSHClientConnection]] = {}
        self._used: dict[str, float] = {}
        self._open: Counter[str] = Counter()

    async def reach(self, entry: Entry, port: int) -> Peer:
        """The app on that port inside. Give it back by `leave`.

        Raises: DomainError app.unreachable, gateway.unreachable, gateway.no_route.
        """
        conn = await self._connection(entry)
        try:
            async with asyncio.timeout(self._parts.limits.connect_s):
                # By name: an app listens on either family's loopback.
                reader, writer = await conn.open_connection(
                    "localhost", port, encoding=None, window=_WINDOW
                )
        except asyncssh.ChannelOpenError as error:
            raise DomainError("app.unreachable", f"nothing listens on its port {port}") from error
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise DomainError("gateway.unreachable", "its sshd does not answer") from error
        self._open[entry.principal] += 1
        return Peer(h11.CLIENT, reader, writer)

    def leave(self, entry: Entry, app: Peer) -> None:
        app.abort()
        self._open[entry.principal] -= 1
        self._used[entry.principal] = asyncio.get_running_loop().time()

    def tend(self) -> None:
        """Ends what nobody used for a minute, and what leads to an epoch that is over."""
        now = asyncio.get_running_loop().time()
        live = {door.principal for door in self._parts.doors.doors.values()}
        for name, task in list(self._known.items()):
            unused = not self._open[name] and now - self._used.get(name, now) > _UNUSED_S
            if task.done() and (unused or name not in live):
                self._drop(name)

    def close(self) -> None:
        for name in list(self._known):
            self._drop(name)

    async def _connection(self, entry: Entry) -> asyncssh.SSHClientConnection:
        name = entry.principal
        task = self._known.get(name)
        if task is not None and task.done() and not _alive(task):
            self._drop(name)
            task = None
        if task is None:
            task = self._known[name] = asyncio.create_task(self._connected(entry))
        self._used[name] = asyncio.get_running_loop().time()
        return await asyncio.shield(task)

    async def _connected(self, entry: Entry) -> asyncssh.SSHClientConnection:
        route, limits = way(self._parts, entry), self._parts.limits
        line = await self._certify(self._public, entry.principal)
        try:
            return await asyncssh.connect(
                route.address,
                route.port,
                config=None,
                username=ssh.LOGIN,
                client_keys=[(self._key, asyncssh.import_certificate(line))],
                agent_path=None,
                preferred_auth="publickey",
                known_hosts=([], [self._ca], []),
                host_key_alias=entry.principal,
                compression_algs=None,
                connect_timeout=limits.connect_s,
                login_timeout=limits.login_s,
                keepalive_interval=30,
            )
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise DomainError("gateway.unreachable", "its sshd does not let us in") from error

    def _drop(self, name: str) -> None:
        task = self._known.pop(name)
        self._used.pop(name, None)
        if not task.done():
            task.cancel()
        elif not task.cancelled() and task.exception() is None:
            task.result().abort()


def _alive(task: "asyncio.Task[asyncssh.SSHClientConnection]") -> bool:
    return not task.cancelled() and task.exception() is None and not task.result().is_closed()
