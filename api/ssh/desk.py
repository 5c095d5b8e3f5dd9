"""Certificates for gateways, asked for over NATS: a gateway is reachable from anywhere, so it
holds no CA key. Only the platform's own NATS user may publish there.
"""

import asyncio
from typing import Final

import msgspec
import nats.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from api.edge import now_us
from api.ssh.authority import Authority, Ticket, sign_host, user_key
from contracts import ssh
from domain.errors import DomainError

SUBJECT: Final = "gpuaas.v1.access.gateway"
_QUEUE: Final = "access"
_HOUR_US: Final = 3_600_000_000
_RETRY_S: Final = 0.5


class GatewayAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """`host_key`: the gateway's, an OpenSSH public key."""

    host_key: str


class GatewayPapers(Struct, frozen=True, forbid_unknown_fields=True):
    certificate: str
    user_ca: str


async def attend(client: Client, keys: Authority) -> None:
    """Answers gateways from now on; any number of processes may."""

    async def answer(message: Msg) -> None:
        try:
            ask = msgspec.json.decode(message.data, type=GatewayAsk)
            key, _ = user_key(ask.host_key)
        except (msgspec.MsgspecError, DomainError):
            return
        now = now_us()
        until = now + ssh.HOST_HOURS * _HOUR_US
        ticket = Ticket(0, ssh.GATEWAY, ssh.GATEWAY, now, until)
        papers = GatewayPapers(sign_host(keys, key, ticket), keys.user_ca)
        await message.respond(msgspec.json.encode(papers))

    await client.subscribe(SUBJECT, queue=_QUEUE, cb=answer)


async def papers(client: Client, host_key: str) -> GatewayPapers:
    """A host certificate of 24 hours and the CA of users; waits for whoever holds the keys."""
    ask = msgspec.json.encode(GatewayAsk(host_key))
    while True:
        try:
            found = await client.request(SUBJECT, ask, timeout=2)
            return msgspec.json.decode(found.data, type=GatewayPapers)
        except (nats.errors.Error, OSError):
            await asyncio.sleep(_RETRY_S)
