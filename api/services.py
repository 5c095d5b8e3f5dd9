"""What one API process is made of, built once and closed in reverse; every controller uses it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct, field
from nats.aio.client import Client

from api.acting import Acting
from api.admission.election import Admission
from api.admission.then import Rooms
from api.auth import LATE_S, Verifier, again
from api.authorization.calls import Calls
from api.authorization.decided import Acts
from api.authorization.directory import Directory
from api.authorization.door import Door
from api.authorization.folded import Authorities
from api.authorization.following import Following
from api.authorization.key_tokens import KeyTokens
from api.authorization.keys import KeyRing
from api.authorization.sessions import Sessions
from api.authorization.tokens import NoToken, TokenKind, Tokens
from api.authorization.use import KeyUse
from api.authorization.using import GlassUse
from api.claims import Claims
from api.config import Settings
from api.connecting import connected
from api.edge import now_us, whole
from api.factors.codes import Sealer
from api.factors.store import Factors
from api.fleet import node_ca
from api.fleet.keys import ed25519
from api.fleet.node_ca import NodeCa
from api.header import header
from api.metering.desk import Desk
from api.oidc.provider import Providers
from api.paying.settings import Payments, payments_of
from api.reads import WAIT_US, Reads, reached
from api.ssh.authority import Authority, authority
from api.stopping import Part
from api.tailing import Tail
from api.terminal.sessions import Terminals
from api.together import Together
from api.tokens import AUDIENCE, ISSUER, issuer_key, issuer_public
from api.turns import Turns
from api.webhooks.addresses import Lookups
from domain.errors import DomainError
from evidence.log import EventLog
from evidence.storage import Storage
from evidence.tail import gated
from evidence.wake import HeadWake
from projections.runtimes_read import RUNTIMES, Runtime

_DRAWN: Final = 2


class Services(Struct, frozen=True):
    settings: Settings
    tokens: Tokens
    directory: Directory
    authorities: Authorities
    following: Following
    providers: Providers
    door: Door
    factors: Factors
    calls: Calls
    glass: GlassUse
    log: EventLog
    reads: Reads
    acting: Acting
    admission: Admission
    storage: Storage
    command_key: Ed25519PrivateKey
    ssh: Authority
    terminals: Terminals
    account_key: Ed25519PrivateKey
    node_ca: NodeCa
    nats: Client
    heads: HeadWake
    project_orgs: dict[str, str]
    turns: Turns
    desk: Desk
    payments: Payments
    tail: Tail
    runtimes: Together[Runtime]
    parts: tuple[Part, ...]
    lookups: Lookups = field(default_factory=Lookups)
    rooms: Rooms = field(default_factory=Rooms)
    drawn: Turns = field(default_factory=lambda: Turns(_DRAWN))

    @asynccontextmanager
    async def drawing(self, org: str) -> AsyncIterator[None]:
        """Around what is made of much at once, off the loop: one of an organization at a time, and
        few of all, since each takes its share of the processor from whatever else is answered.
        """
        async with self.turns.of(f"drawn for {org}"), self.drawn.of(""):
            yield

    async def fresh(self, request: Any) -> None:
        """Returns when the views hold the caller's Min-Log-Position.

        Raises: DomainError view.behind (503, Retry-After) after a bounded wait; and of who may no
        more what it might before that.
        """
        asked = header(request, b"min-log-position")
        if asked is None:
            return
        wanted = whole(asked)
        if wanted is None:
            raise DomainError("position.unknown", "Min-Log-Position is a log position")
        began = asyncio.get_running_loop().time()
        await self.reached(wanted)
        if asyncio.get_running_loop().time() - began > LATE_S:
            await again(request)

    async def reached(self, wanted: int) -> int:
        """How many entries the views hold, once that is more than `wanted`. Raises: view.behind."""
        return await reached(self.reads, wanted)


def services_of(request: Any) -> Services:
    found = request.app.state.services
    assert isinstance(found, Services), "create_app opens them before it serves"
    return found


@asynccontextmanager
async def opened(settings: Settings, verifier: Verifier | None = None) -> AsyncIterator[Services]:
    """The services, ready; closed with the block.

    Raises: DomainError nats.unavailable | log.unavailable | log.unsafe_server.
    """
    async with contextlib.AsyncExitStack() as exits:
        client = await connected(settings.nats_url, settings.nats_tls)
        exits.push_async_callback(client.close)
        heads = HeadWake(client)
        await heads.start()
        exits.push_async_callback(heads.close)
        storage, acts = Storage(settings.storage), Acts()
        log = await exits.enter_async_context(_log(settings, storage, heads, acts))
        reads = Reads(settings.database_url)
        exits.callback(reads.close)
        factors = _factors(settings, exits)
        tokens, following, use = await _let_in(settings, reads, heads, verifier, exits)
        acts.directory = following.directory
        tail, runtimes = _seen(settings, reads, heads, following, exits)
        claims = _claims(settings, exits)
        key = ed25519(settings.command_key)
        terminals = Terminals(settings, log, reads, client, heads, key)
        exits.push_async_callback(terminals.close)
        terms = (settings.keeping, settings.leasing, acts.asking)
        admission = _admission(exits, settings.database_url, log, client, heads, *terms)
        desk = Desk(log, reads, now_us)
        exits.push_async_callback(desk.close)
        turning = Authorities(log), Turns()
        door, glass, calls = _door(settings, log, reads, following, turning, exits)
        yield Services(
            settings=settings,
            tokens=tokens,
            directory=following.directory,
            authorities=turning[0],
            following=following,
            providers=Providers(loopback=settings.embedded, ca=settings.issuer_ca),
            door=door,
            calls=calls,
            glass=glass,
            factors=factors,
            log=log,
            reads=reads,
            acting=Acting(claims, reads, acts, WAIT_US),
            admission=admission,
            storage=storage,
            command_key=key,
            ssh=authority(settings),
            terminals=terminals,
            account_key=ed25519(settings.account_key),
            node_ca=node_ca.node_ca(settings.node_ca),
            nats=client,
            heads=heads,
            project_orgs={},
            turns=turning[1],
            desk=desk,
            payments=payments_of(),
            tail=tail,
            runtimes=runtimes,
            parts=(log, calls, glass, claims, following, use),
        )


def _log(
    settings: Settings, storage: Storage, heads: HeadWake, acts: Acts
) -> AbstractAsyncContextManager[EventLog]:
    bound_ms = settings.unsigned_bound_s * 1000
    return gated(settings.database_url, storage, bound_ms, heads.publish, acts.beside)


def _seen(
    settings: Settings,
    reads: Reads,
    heads: HeadWake,
    following: Following,
    exits: contextlib.AsyncExitStack,
) -> tuple[Tail, Together[Runtime]]:
    """What many ask at once: followers of events, and who reads one runtime."""
    tail = Tail(reads, heads)
    exits.push_async_callback(tail.close)
    following.directory.heard = tail.wake
    runtimes = Together(settings.database_url, RUNTIMES)
    exits.push_async_callback(runtimes.close)
    return tail, runtimes


def _door(
    settings: Settings,
    log: EventLog,
    reads: Reads,
    following: Following,
    turning: tuple[Authorities, Turns],
    exits: contextlib.AsyncExitStack,
) -> tuple[Door, GlassUse, Calls]:
    """Where requests are decided; what writes down what staff was let to do; what counts calls."""
    calls = Calls(log, reads, now_us)
    calls.start()
    exits.push_async_callback(calls.close)
    glass = GlassUse(log, following.directory, calls, now_us, turning)
    glass.start()
    exits.push_async_callback(glass.close)
    door = Door(
        *(following.directory, now_us),
        mfa_demanded=settings.mfa_demanded,
        login_age_s=settings.login_age_s,
    )
    door.used = glass.note
    return door, glass, calls


def _admission(exits: contextlib.AsyncExitStack, *terms: Any) -> Admission:
    made = Admission(*terms)
    made.start()
    exits.push_async_callback(made.close)
    return made


def _claims(settings: Settings, exits: contextlib.AsyncExitStack) -> Claims:
    made = Claims(settings.database_url)
    made.start()
    exits.push_async_callback(made.close)
    return made


def _factors(settings: Settings, exits: contextlib.AsyncExitStack) -> Factors:
    """Sealed with the embedded issuer's key; nobody's elsewhere."""
    sealer = Sealer(issuer_key(settings)) if settings.embedded else None
    made = Factors(settings.database_url, sealer)
    exits.push_async_callback(made.close)
    return made


async def _let_in(
    settings: Settings,
    reads: Reads,
    heads: HeadWake,
    verifier: Verifier | None,
    exits: contextlib.AsyncExitStack,
) -> tuple[Tokens, Following, KeyUse]:
    """The kinds of tokens, and what organizations decided, followed; when keys were used."""
    directory = Directory()
    following = Following(settings.database_url, directory)
    await following.start(reads, heads)
    exits.push_async_callback(following.close)
    keys = KeyRing(directory)
    use = KeyUse(settings.database_url, keys)
    use.start()
    exits.push_async_callback(use.close)
    signed = KeyTokens(following.directory, keys)
    kinds: list[TokenKind] = [Sessions(following.directory), keys, signed]
    if verifier is None and settings.embedded:
        verifier = Verifier(issuer_public(settings), ISSUER, AUDIENCE)
    kinds.append(verifier or NoToken())
    return Tokens(*kinds), following, use
