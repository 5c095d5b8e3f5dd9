"""Certificates for gateways, asked for over NATS: a gateway is reachable from anywhere, so it
holds no CA key. Only the platform's own NATS user may publish there.

A gateway that carries HTTP into a runtime enters by the runtime's own sshd, which proves by its
host certificate that it is the runtime: an address alone is a node's word. Its certificate for
that, a *passage*, lives five minutes, forwards ports and runs no command.
"""

import asyncio
from typing import Final

import msgspec
import nats.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from api.edge import now_us
from api.ssh.authority import Authority, Ticket, sign_host, sign_passage, user_key
from contracts import ssh
from domain.errors import DomainError

SUBJECT: Final = "gpuaas.v1.access.gateway"
PASSAGE: Final = "gpuaas.v1.access.passage"
_QUEUE: Final = "access"
_HOUR_US: Final = 3_600_000_000
_RETRY_S: Final = 0.5
_PASSAGE_US: Final = 300_000_000
_PASSAGE_ID: Final = "gateway-passage"


class GatewayAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """`host_key`: the gateway's, an OpenSSH public key."""

    host_key: str


class GatewayPapers(Struct, frozen=True, forbid_unknown_fields=True):
    certificate: str
    user_ca: str
    host_ca: str


class PassageAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """`key`: a gateway's own, an OpenSSH public key; `principal`: the runtime's present one."""

    key: str
    principal: str


class Passage(Struct, frozen=True, forbid_unknown_fields=True):
    certificate: str


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
        papers = GatewayPapers(sign_host(keys, key, ticket), keys.user_ca, keys.host_ca)
        await message.respond(msgspec.json.encode(papers))

    async def admit(message: Msg) -> None:
        try:
            ask = msgspec.json.decode(message.data, type=PassageAsk)
            key, _ = user_key(ask.key)
        except (msgspec.MsgspecError, DomainError):
            return
        now = now_us()
        ticket = Ticket(0, _PASSAGE_ID, ask.principal, now, now + _PASSAGE_US)
        await message.respond(msgspec.json.encode(Passage(sign_passage(keys, key, ticket))))

    await client.subscribe(SUBJECT, queue=_QUEUE, cb=answer)
    await client.subscribe(PASSAGE, queue=_QUEUE, cb=admit)


async def papers(client: Client, host_key: str) -> GatewayPapers:
    """A host certificate of 24 hours and the CA of users; waits for whoever holds the keys."""
    ask = msgspec.json.encode(GatewayAsk(host_key))
    while True:
        try:
            found = await client.request(SUBJECT, ask, timeout=2)
            return msgspec.json.decode(found.data, type=GatewayPapers)
        except (nats.errors.Error, OSError):
            await asyncio.sleep(_RETRY_S)


async def passage(client: Client, key: str, principal: str) -> str:
    """A certificate of five minutes. Raises: DomainError gateway.unreachable: nobody signs now."""
    ask = msgspec.json.encode(PassageAsk(key, principal))
    try:
        found = await client.request(PASSAGE, ask, timeout=5)
    except (nats.errors.Error, OSError) as error:
        raise DomainError("gateway.unreachable", "no API process signs certificates") from error
    return msgspec.json.decode(found.data, type=Passage).certificate
