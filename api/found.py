"""`gpuaas found`: the first operator of a deployment whose people sign in at an issuer.

Beside the database, by whoever holds its URL: there is nobody yet whom an API could ask.
"""

import asyncio
import secrets
import sys
from typing import Final

import msgspec
import psycopg
from msgspec import Struct

from api.authorization.credentials import Vouching
from api.authorization.decided import fact_of
from api.authorization.directory import Directory
from api.authorization.loading import load
from api.config import Settings
from api.edge import now_us
from api.issuers import issuer_stream
from api.oidc.provider import Providers
from contracts.http_sessions import IssuerNew
from domain import authority, issuer
from domain.authority_checks import PLATFORM
from domain.authority_commands import Command, Found
from domain.authority_facts import PlatformFounded
from domain.decider import fold
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.log import EventLog
from migrations.runner import require_current

_ACTOR: Final = "system-founding"
_POLICIES: Final = ("founding",)  # what lets whoever holds the database

_RECOVERED: Final = (
    "gpuaas: RECOVERED: the platform had operators, and none could sign in; the log says so"
)


class Founded(Struct, frozen=True):
    """`issuer`: its id. `anew`: false where it was so already. `recovered`: it had operators
    before, and there was no issuer left at which one could sign in.
    """

    principal: str
    issuer: str
    anew: bool
    recovered: bool


def run(
    settings: Settings,
    who: tuple[str, str, str],
    *,
    domain: tuple[str, ...],
    algorithm: tuple[str, ...],
) -> int:
    """The verb. `who`: the issuer, our client id there, the subject. Raises: as `found`, and
    DomainError issuer.invalid of what the API would not take either; SchemaMismatch.
    """
    require_current(settings.database_url)
    url, client_id, subject = who
    said: dict[str, object] = {"organization": PLATFORM, "url": url, "client_id": client_id}
    said |= {"domains": domain} | ({"algorithms": algorithm} if algorithm else {})
    try:
        wanted = msgspec.convert(said, IssuerNew)
    except msgspec.ValidationError as error:
        raise DomainError("issuer.invalid", str(error)) from error
    done = found(settings, wanted, subject)
    if done.recovered:
        print(_RECOVERED, file=sys.stderr)
    print(f"operator  {done.principal}{'' if done.anew else '  (as before)'}")
    print(f"issuer    {done.issuer}")
    print(f"sign in:  gpuaas login URL --issuer {done.issuer}")
    return 0


def found(settings: Settings, wanted: IssuerNew, subject: str) -> Founded:
    """The subject of that issuer operates the platform, which is in the log when it returns. Said
    again in the same words it changes nothing.

    Raises: DomainError platform.founded (somebody operates it, or this one by other words),
        platform.embedded, issuer.invalid, issuer.unreachable, log.not_opened, log.version_stale
        (somebody else was faster: repeat it).
    """
    if settings.embedded:
        detail = "the embedded stack's operator has the token that `gpuaas up` prints"
        raise DomainError("platform.embedded", detail)
    if not 0 < len(subject) <= 255 or not subject.isprintable():
        raise DomainError("issuer.invalid", "a subject is 1 to 255 printable characters")
    return asyncio.run(_found(settings, wanted, subject))


async def _found(settings: Settings, wanted: IssuerNew, subject: str) -> Founded:
    providers = Providers(loopback=False, ca=settings.issuer_ca)
    providers.require(wanted.url)
    await providers.of(wanted.url).published()
    log = await EventLog.open(settings.database_url)
    try:
        return await _appended(log, await asyncio.to_thread(_known, settings), wanted, subject)
    finally:
        await log.close()


def _known(settings: Settings) -> Directory:
    directory = Directory()
    with psycopg.connect(settings.database_url) as conn:
        load(conn, directory)
    if not directory.applied:
        raise DomainError("log.not_opened", "the log has no entry 0: run `gpuaas migrate`")
    return directory


async def _appended(
    log: EventLog, directory: Directory, wanted: IssuerNew, subject: str
) -> Founded:
    stream, staff = issuer_stream(PLATFORM, wanted.url, wanted.client_id), authority.STAFF_STREAM
    others = [
        one
        for one in directory.issuers()
        if one.trusted.organization == PLATFORM and one.stream != stream
    ]
    own = await log.read_stream(stream)
    recorded = await log.read_stream(staff)
    believed = fold(issuer.DECIDER, (one.fact for one in own))  # type: ignore[misc]  # its own kind
    now = now_us()
    trust = issuer.Trust(
        *(wanted.url, wanted.client_id, PLATFORM, wanted.algorithms, wanted.domains, now)
    )
    trusted = tuple(issuer.DECIDER.decide(trust, believed))
    state = fold(authority.DECIDER, (one.fact for one in recorded))  # type: ignore[misc]
    who = issuer.principal(wanted.url, subject)
    alone = not isinstance(believed, issuer.Believed) and not any(one.stands for one in others)
    wish = Found(who, new_id("binding"), stream, alone)
    facts = tuple(authority.decide(Command(wish, PLATFORM, _POLICIES, now), state))
    if not facts and trusted:
        raise DomainError("platform.founded", "it is, by other words about the issuer: ask them")
    if facts:
        writes = _writes((stream, len(own), trusted), (staff, len(recorded), facts))
        await log.append(Append(writes, _ACTOR, f"cmd:{secrets.token_hex(32)}", _versions(others)))
    recovered = any(isinstance(one, PlatformFounded) and one.recovered for one in facts)
    return Founded(who, stream, bool(facts), recovered)


def _versions(issuers: list[Vouching]) -> tuple[tuple[str, int], ...]:
    """It loses to a change of whom else the platform trusts."""
    return tuple((one.stream, one.version) for one in issuers)


def _writes(*of: tuple[str, int, tuple[Struct, ...]]) -> tuple[Write, ...]:
    """And what let the issuer be trusted, beside it (ADR 60): its fact does not say so itself."""
    found: list[Write] = []
    for stream, version, facts in of:
        if not facts:
            continue
        write = Write(stream, PLATFORM, version, facts)
        found.append(write)
        if isinstance(facts[0], issuer.Trusted):
            found.append(fact_of((write,), "issuer.trust", PLATFORM, _POLICIES))
    return tuple(found)
