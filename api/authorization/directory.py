"""What all organizations have decided, in memory, folded from the log and kept at its head."""

import hashlib
import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from api.authorization.belonging import Belonging
from api.authorization.cedar import PLATFORM, Place
from api.authorization.clients import Clients
from api.authorization.credentials import Key, Reads, Signed, Vouching, since
from api.authorization.factors_removed import FactorsRemoved
from api.authorization.glass import Grants
from api.authorization.persons import Persons
from api.authorization.staff import Staff
from contracts.authorization.registry import ACTIONS
from domain import (
    api_key,
    authority_facts,
    department,
    factor,
    issuer,
    linking,
    organization,
    project,
    session,
)
from domain.authority import authority_stream
from domain.authority_state import Authority, evolve
from domain.binding import NEVER, Binding, Guardrail
from evidence.following import streams_of_kinds
from evidence.reader import Recorded

STREAMS: Final = streams_of_kinds("access", "department", "organization", "project", "token")
_NOBODY: Final = Authority()
ASKING: Final = ACTIONS["break_glass.request"].roles
_CLOSED: Final = "organization.closed"


class Directory:
    """Folded in the order of the log; owned by one event loop. `heard` is told of each change."""

    def __init__(self, heard: Callable[[str], None] = lambda _org: None) -> None:
        self.applied = 0
        self.heard = heard
        self._authorities: dict[str, Authority] = {}
        self._decided: dict[str, int] = {}  # organization -> version of its authority's stream
        self._departments: dict[str, str] = {}
        self._projects: dict[str, str] = {}
        self._resources: dict[str, str] = {}  # the projects of those that are scopes
        self._below: dict[str, dict[str, None]] = {}  # what lies directly in a scope
        self._keys: dict[str, Key] = {}
        self._secrets: dict[str, str] = {}
        self._keys_of: dict[str, dict[str, None]] = {}  # organization -> its keys, in order
        self._standing: dict[str, dict[str, None]] = {}  # those of them that were not revoked
        self._sessions: dict[str, Signed] = {}
        self._sessions_of: dict[str, dict[str, None]] = {}
        self._bearers: dict[str, str] = {}
        self._expiries: list[tuple[int, str]] = []
        self._issuers: dict[str, Vouching] = {}
        self._domains: dict[str, dict[str, None]] = {}  # who was ever trusted with their addresses
        self._versions: dict[str, int] = {}
        self._stopped: dict[str, str] = {}  # organizations: the code of why they begin nothing
        self.grants = Grants()
        self.people = Staff()
        self.clients = Clients()
        self.factors = FactorsRemoved()
        self.persons = Persons()
        self._belonging = Belonging()

    def apply(self, entry: Recorded) -> None:
        self.people.apply(entry)
        match entry.fact:
            case department.Created():
                self._departments[entry.stream] = entry.org
                self._below.setdefault(entry.org, {})[entry.stream] = None
            case project.Created(department=above) | project.Moved(department=above):
                self._below.get(self._projects.get(entry.stream, ""), {}).pop(entry.stream, None)
                self._below.setdefault(above, {})[entry.stream] = None
                self._projects[entry.stream] = above
            case api_key.KeyCreated() as created:
                self._made(entry, created)
            case fact if isinstance(fact, api_key.Event.__value__):
                self._put(since(self._keys[entry.stream], fact, entry.version))
            case session.Opened() as opened:
                self._opened(entry, opened)
            case session.Authenticated(authenticated_us=at_us):
                self._sessions[entry.stream] = replace(
                    self._sessions[entry.stream], version=entry.version, authenticated_us=at_us
                )
            case session.Ended():
                signed = self._sessions.get(entry.stream)
                if signed is not None:  # one whose time was over before is forgotten
                    self._sessions[entry.stream] = replace(signed, ended=True)
            case issuer.Trusted() as trusted:
                self._trust(entry, trusted)
            case issuer.FactorsSet(amr, acr):
                known, words = self._issuers[entry.stream], issuer.Factors(amr, acr)
                self._issuers[entry.stream] = replace(known, version=entry.version, factors=words)
            case issuer.Distrusted():
                self._distrust(entry)
            case fact if isinstance(fact, linking.Event.__value__):
                self._linked(entry, fact)
            case factor.Removed() as removed:
                self.factors.apply(entry, removed)
            case organization.Suspended():
                self._stopped[entry.org] = "organization.suspended"
            case organization.Reactivated():
                self._stopped.pop(entry.org, None)
            case organization.ClosedForGood():
                self._stopped[entry.org] = _CLOSED
                self._over(entry.org)
            case fact if isinstance(fact, authority_facts.Event.__value__):
                before = self._authorities.get(entry.org, _NOBODY)
                self._authorities[entry.org] = evolve(before, fact)
                self._decided[entry.org] = entry.version
                self._belonging.apply(entry.org, fact)
                self.grants.apply(entry.org, fact)
                if isinstance(fact, authority_facts.ResourcePlaced):
                    self._resources[fact.resource] = fact.project
                self._gone(entry.org, fact)
                if entry.org == PLATFORM:
                    self._staffed(entry)
            case _:
                return
        self._versions[entry.org] = entry.position + 1
        self.heard(entry.org)

    def forget(self, at_us: int) -> None:
        """Sessions whose time is over then: their tokens are unknown, their ids `over`."""
        while self._expiries and self._expiries[0][0] <= at_us:
            signed = self._sessions.pop(heapq.heappop(self._expiries)[1])
            del self._bearers[signed.opened.token_sha256]
            del self._sessions_of[signed.opened.organization][signed.stream]

    def _made(self, entry: Recorded, created: api_key.KeyCreated) -> None:
        org, over = entry.org, self.closed(entry.org)
        made = Key(entry.stream, org, created, entry.position, over, made_by=entry.actor)
        self._keys[entry.stream] = made
        self._secrets[created.secret_sha256] = entry.stream
        self._keys_of.setdefault(org, {})[entry.stream] = None
        if not over:
            self._standing.setdefault(org, {})[entry.stream] = None

    def _put(self, key: Key) -> None:
        self._keys[key.stream] = key
        if key.revoked:
            self._standing.get(key.org, {}).pop(key.stream, None)

    def _opened(self, entry: Recorded, opened: session.Opened) -> None:
        self.forget(opened.opened_us)
        self._sessions[entry.stream] = Signed(entry.stream, opened, position=entry.position)
        self._bearers[opened.token_sha256] = entry.stream
        self._sessions_of.setdefault(opened.organization, {})[entry.stream] = None
        heapq.heappush(self._expiries, (opened.expires_us, entry.stream))

    def _trust(self, entry: Recorded, trusted: issuer.Trusted) -> None:
        """What counts as a second factor there goes on, unless it was distrusted meanwhile."""
        made = Vouching(entry.stream, entry.version, trusted, position=entry.position)
        self.clients.apply(entry.stream, trusted)
        found = self._issuers.get(entry.stream)
        if found is not None:
            factors = found.factors if found.stands else made.factors
            made = replace(made, position=found.position, factors=factors)
        self._issuers[entry.stream] = made
        for domain in trusted.domains:
            self._domains.setdefault(domain, {})[entry.stream] = None

    def _distrust(self, entry: Recorded) -> None:
        """Its sessions, and what keys stand for, are over, also when it is trusted again."""
        before = self._issuers[entry.stream]
        self._issuers[entry.stream] = replace(before, version=entry.version, stands=False)
        for one in self.sessions(before.trusted.organization):
            if one.opened.issuer == entry.stream:
                self._sessions[one.stream] = replace(one, ended=True)
        for key in self._keys.values():
            if key.vouched is not None and key.vouched.issuer == entry.stream:
                self._keys[key.stream] = replace(key, mfa=False)

    def _linked(self, entry: Recorded, fact: linking.Event) -> None:
        """Nobody is signed in as it any more; unlinked, nor as the person by its issuer, or by that
        of what is linked to it.
        """
        org, identity, known = entry.org, fact.identity, self.persons
        person, link = known.of(org, identity)[0], known.link(org, identity)
        below = [] if link is None else [link, *known.linked(org, identity)]
        gone = {(person, one.said.issuer) for one in below}
        known.apply(entry, fact)
        for one in self.sessions(org):
            of = (one.opened.principal, one.opened.issuer)
            if of in gone or of[0] == identity:
                self._sessions[one.stream] = replace(one, ended=True)

    def _gone(self, org: str, fact: authority_facts.Event) -> None:
        """Who left has no keys and no sessions there, also when it comes back."""
        match fact:
            case authority_facts.MemberRemoved(who) | authority_facts.AccountDeleted(who):
                self._over(org, who)

    def _over(self, org: str, who: str = "") -> None:
        """Keys and sessions of the organization, or of one of its principals."""
        for key in self.keys(org):
            if who in ("", key.created.principal):
                self._put(replace(key, revoked=True))
        for signed in self.sessions(org):
            if who in ("", signed.opened.principal):
                self._sessions[signed.stream] = replace(signed, ended=True)

    def stopped(self, org: str) -> str:
        """How whoever would enter what is the organization's is refused; empty when it is not."""
        return self._stopped.get(org, "")

    def closed(self, org: str) -> bool:
        """For good: no key of it stands, nor does one that is made."""
        return self.stopped(org) == _CLOSED

    def _staffed(self, entry: Recorded) -> None:
        """Who is no staff any more has no grants either, wherever they are."""
        for org in {org for _, org in self.grants.every()}:
            self._versions[org] = entry.position + 1
            self.heard(org)

    def authority(self, org: str) -> Authority:
        return self._authorities.get(org, _NOBODY)

    def authorities(self) -> Mapping[str, Authority]:
        return self._authorities

    def belonging(self, actor: str) -> list[str]:
        """Organizations that it is a member, or a service account, of; in order."""
        return self._belonging.of(actor)

    def key(self, token: str) -> Key | None:
        """The key whose secret this is."""
        stream = self._secrets.get(hashlib.sha256(token.encode()).hexdigest())
        return None if stream is None else self._keys[stream]

    def made(self, stream: str) -> Key | None:
        """The key of this id."""
        return self._keys.get(stream)

    def over(self, credential: str, now_us: int) -> bool:
        """Whether the API key or session of this id is over, or whom the key is for gone."""
        signed = self._sessions.get(credential)
        if signed is not None:
            return signed.ended or now_us >= signed.opened.expires_us
        key = self._keys.get(credential)
        if key is None or key.revoked or not self._stands(key):
            return True
        return key.created.until_us != NEVER and now_us >= key.created.until_us

    def decided_by(self, org: str) -> Reads:
        """The stream of the organization's authority, as far as it is known here."""
        version = self._decided.get(org)
        return () if version is None else ((authority_stream(org), version),)

    def until_us(self, credential: str) -> int:
        """When the API key or session of this id ends by itself; 0: not, or not known."""
        signed, key = self._sessions.get(credential), self._keys.get(credential)
        ends = signed.opened.expires_us if signed else NEVER
        return key.created.until_us if key else ends

    def _stands(self, key: Key) -> bool:
        return self.authority(key.org).knows(key.created.principal)

    def home(self, credential: str) -> str:
        """Which organization's the API key or session of this id is; empty where not known."""
        signed, key = self._sessions.get(credential), self._keys.get(credential)
        return signed.opened.organization if signed else key.org if key else ""

    def keys(self, org: str) -> list[Key]:
        """Of the organization, in order of making."""
        return [self._keys[stream] for stream in self._keys_of.get(org, ())]

    def standing(self, org: str) -> tuple[Iterable[str], int]:
        """Keys of the organization that were not revoked, and how many it ever made."""
        return self._standing.get(org, ()), len(self._keys_of.get(org, ()))

    def session(self, token: str) -> Signed | None:
        """The session whose secret this is."""
        stream = self._bearers.get(hashlib.sha256(token.encode()).hexdigest())
        return None if stream is None else self._sessions[stream]

    def sessions(self, org: str) -> list[Signed]:
        """Of the organization, in order of opening; those that were over before the last opening
        are forgotten.
        """
        return [self._sessions[stream] for stream in self._sessions_of.get(org, ())]

    def signed(self, stream: str) -> Signed | None:
        """The session of this id."""
        return self._sessions.get(stream)

    def issuer(self, stream: str) -> Vouching | None:
        """Whether it is trusted still or was once."""
        return self._issuers.get(stream)

    def issuers(self) -> list[Vouching]:
        """In order of first trust."""
        return list(self._issuers.values())

    def vouching(self, domain: str) -> list[Vouching]:
        """Those that addresses of the domain are sent to, in order of claiming it; the one that
        their organization requires comes first. All are of the organization that claimed it first,
        whatever another one requires of its people.
        """
        known = (self._issuers[stream] for stream in self._domains.get(domain, ()))
        found = [one for one in known if one.stands and domain in one.trusted.domains]
        whose = {one.trusted.organization for one in found[:1]}
        mine = [one for one in found if one.trusted.organization in whose]
        return sorted(mine, key=lambda one: not self._required(one))

    def _required(self, one: Vouching) -> bool:
        sso = self.authority(one.trusted.organization).sso
        return sso is not None and sso.issuer == one.stream

    def elsewhere(self, org: str, actor: str, session: str) -> str:
        """The issuer that the organization requires, if the actor is in no session of it. The
        platform's staff, there by break-glass, is not among its people.
        """
        found = self.authority(org)
        sso = found.sso
        if sso is None or (self.staff(actor) and not found.knows(actor)):
            return ""
        signed = self._sessions.get(session)
        return sso.issuer if sso.bars(actor, signed.opened.issuer if signed else "") else ""

    def version(self, org: str) -> int:
        return self._versions.get(org, 0)

    def bindings(self, org: str, actor: str) -> tuple[Binding, ...]:
        if org == PLATFORM:
            return ()  # its staff's are `staff`
        found = self.authority(org)
        return found.rights_of(actor) if found.knows(actor) else ()

    def glass(self, org: str, actor: str) -> tuple[Binding, ...]:
        """Under the conditions of what binds the actor to the staff now; who was of it once and is
        no more has none.
        """
        every = self.authority(org).glass.values()
        mine = [one for one in every if one.asked.principal == actor and one.approver]
        open_ones = [one for one in mine if not one.over]
        if actor not in self.people.ever:  # of the embedded issuer's operator
            return tuple(one.binding() for one in open_ones)
        bases = [one for one in self.staff(actor) if one.role in ASKING]
        return tuple(dict.fromkeys(one.binding(base) for one in open_ones for base in bases))

    def staff(self, actor: str) -> tuple[Binding, ...]:
        found = self.authority(PLATFORM)
        rights = found.rights_of(actor) if found.knows(actor) else ()
        return tuple(replace(one, desk=True) for one in rights)

    def entered(self, actor: str) -> tuple[Place, ...]:
        return tuple(
            self.place(self.authority(org).glass[grant].asked.scope, org)
            for grant, org in self.grants.of(actor)
        )

    def owned(self, org: str) -> bool:
        return not self.people.founding(org)

    def groups(self, org: str, actor: str) -> tuple[str, ...]:
        return self.authority(org).groups_of(actor)

    def guardrails(self, org: str) -> tuple[Guardrail, ...]:
        return tuple(self.authority(org).guardrails.values())

    def place(self, scope: str, org: str, resource: str = "") -> Place:
        """Of a scope that the organization does not have: the organization itself. A resource that
        is no scope of a binding or a guardrail is where its project is.
        """
        if scope == PLATFORM:
            return (PLATFORM,)
        known = resource or scope
        if known in self._resources:
            project = self._resources[known]
            around = self.place(project, org)
            return (known, *around) if around[0] == project else around
        above = self._projects.get(scope, scope)
        if self._departments.get(above) != org:
            return (org, PLATFORM)
        return (scope, org, PLATFORM) if above == scope else (scope, above, org, PLATFORM)

    def resources(self, org: str) -> Mapping[str, str]:
        """Those that are scopes, with their projects."""
        return self.authority(org).resources

    def below(self, scope: str) -> Iterable[str]:
        """Departments of an organization, projects of a department, in order of coming there."""
        return self._below.get(scope, {})

    def org_of(self, scope: str) -> str | None:
        """The organization that the scope is in; None for one that nobody knows."""
        if scope.startswith("organization-") or scope == PLATFORM:
            return scope
        scope = self._resources.get(scope, scope)
        return self._departments.get(self._projects.get(scope, scope))
