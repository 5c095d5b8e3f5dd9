"""The door of NATS: lets each node in with its own rights, and puts a barred one out at once."""

import time
from typing import Final

import msgspec
import nats.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from api.fleet import callout
from api.fleet.ingest import Ingest
from api.fleet.state import KnownNode
from contracts.enrolment import NODE
from contracts.signing import FleetError, decode
from domain import node

_CONNECTIONS: Final = "$SYS.REQ.SERVER.PING.CONNZ"
_FIRST_ANSWER_S: Final = 2.0
_ALL_SERVERS_S: Final = 0.2
# One may have been on its way in while the bar was being read.
_CUTS: Final = 3


class _Connection(Struct):
    cid: int
    authorized_user: str = ""


class _Connections(Struct):
    connections: list[_Connection] = []


class _Server(Struct):
    id: str


class _Connz(Struct):
    server: _Server
    data: _Connections


class Door:
    """Answers the servers of one ingest session; `cuts` counts how often a barred node was cut.

    `certified`: NATS is reached over TLS, so nodes come with their certificates or not at all.
    """

    def __init__(
        self, ingest: Ingest, client: Client, account: Ed25519PrivateKey, *, certified: bool = False
    ) -> None:
        self._certified = certified
        self._ingest = ingest
        self._client = client
        self._account = account
        self._cuts: dict[str, int] = {}

    async def open(self) -> None:
        """From here on nodes may enter. Without it they wait outside and try again."""
        await self._client.subscribe(callout.ASKED, queue="callout", cb=self._answer)

    async def _answer(self, message: Msg) -> None:
        try:
            request = callout.asked(message.data)
        except FleetError as error:
            await self._ingest.refuse("-", error)
            return
        now_s = int(time.time())
        named = callout.claimed(request)
        try:
            known = await self._serving(request, named)
            callout.check(request, known, named, self._account)
            until_s = callout.check_certificate(request, known, named) if self._certified else 0
        except FleetError as error:
            await self._ingest.refuse(named if NODE.fullmatch(named) else "-", error)
            answer = callout.refused(request, self._account, now_s, error.code)
        else:
            answer = callout.granted(request, named, self._account, now_s, until_s)
        await message.respond(answer)

    async def _serving(self, request: callout.Request, named: str) -> node.Serving:
        if not NODE.fullmatch(named):
            raise FleetError("node.unknown", "the connection names no node")
        known = self._ingest.follower.state.nodes.get(named)
        if known is None or known.identity.nkey != request.connect_opts.nkey:
            # Enrolled or certified a moment ago: the log may know more than we do.
            await self._ingest.follower.catch_up()
            known = self._ingest.follower.state.nodes.get(named)
        if known is None or not isinstance(known.state, node.Serving):
            raise FleetError("node.unknown", "no such node is enrolled")
        return known.state

    def must_cut(self, known: KnownNode) -> bool:
        """True while a barred node may still be connected."""
        if not known.identity.barred:
            self._cuts.pop(known.node, None)
            return False
        return self._cuts.get(known.node, 0) < _CUTS

    async def cut(self, known: KnownNode) -> None:
        """Every connection of the node is ended, on every server that answers at once.

        Where the servers do not let the platform ask (README, "NATS"), a connection lives until
        its rights expire, at most an hour; what it says is refused all the same.
        """
        inbox = self._client.new_inbox()
        answers = await self._client.subscribe(inbox)
        try:
            question = msgspec.json.encode({"auth": True, "user": known.node})
            await self._client.publish(_CONNECTIONS, question, reply=inbox)
            answer = await answers.next_msg(timeout=_FIRST_ANSWER_S)
            self._cuts[known.node] = self._cuts.get(known.node, 0) + 1
            while True:
                await self._kick(known.node, answer.data)
                # Every server of a cluster answers for itself; silence ends the list.
                answer = await answers.next_msg(timeout=_ALL_SERVERS_S)
        except (TimeoutError, nats.errors.Error):
            return
        finally:
            await answers.unsubscribe()

    async def _kick(self, named: str, raw: bytes) -> None:
        try:
            found = decode(raw, _Connz, "connz.malformed", canonical=False)
        except FleetError:
            return  # an answer that lists nothing: no responders, or no such right
        for one in found.data.connections:
            if one.authorized_user == named:
                kick = f"$SYS.REQ.SERVER.{found.server.id}.KICK"
                # Asked, not told: a server does not heed what expects no answer.
                said = msgspec.json.encode({"cid": one.cid})
                await self._client.request(kick, said, timeout=_FIRST_ANSWER_S)
