"""Random organizations, and questions to both evaluators: the one that serves, and the oracle."""

import random
from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from api.authorization.caller import Caller
from api.authorization.cedar import PLATFORM, Call, Place, Policies
from api.authorization.door import Door
from contracts.authorization.registry import ACTIONS, AREAS, ROLES
from domain.authority_facts import GlassRequested
from domain.binding import STAFF_ROLES, Binding, Guardrail
from domain.break_glass import ROLES as GLASS_ROLES
from domain.break_glass import Grant
from domain.words import Private
from projections.reach import Reach
from tests.authority_oracle import Asked, decided
from tests.no_tenants import NoTenants

_NETWORKS = ("10.0.0.0/8", "192.168.1.0/24", "2001:db8::/32", "0.0.0.0/0", "10.1.2.3/32")
_SOURCES = ("", "10.1.2.3", "192.168.1.9", "8.8.8.8", "2001:db8::1", "fe80::1")
_PEOPLE = ("user-a", "user-b", "service-c")
_GROUPS = ("group-x", "group-y")
_LATEST = 6  # instants are 0 to 5, so that ends and questions meet at the same one
ORG = "organization-1"


class Item(Struct, frozen=True):
    """A thing of a list: its scope, itself where it is a resource, and whether it is to be shown."""

    scope: str
    resource: str
    shown: bool


class World(Struct, frozen=True):
    """Places of one organization, and all that was decided in it."""

    places: tuple[Place, ...]
    groups: dict[str, tuple[str, ...]]
    bindings: tuple[Binding, ...]
    guardrails: tuple[Guardrail, ...]


def world(rng: random.Random) -> World:
    """A tree of up to 3 departments, 5 projects and 3 resources, up to 8 bindings, 4 guardrails."""
    places: list[Place] = [(ORG, PLATFORM)]
    places += [(f"department-{number}", ORG, PLATFORM) for number in range(rng.randrange(4))]
    above = tuple(places)
    projects = [(f"project-{number}", *rng.choice(above)) for number in range(rng.randrange(6))]
    places += projects
    if projects:
        kinds = ("runtime-1", "volume-1", "network-1")[: rng.randrange(4)]
        places += [(name, *rng.choice(projects)) for name in kinds]
    scopes = [place[0] for place in places]
    groups = {who: tuple(g for g in _GROUPS if rng.random() < 0.4) for who in _PEOPLE}
    bindings = tuple(
        Binding(
            f"binding-{number}",
            rng.choice((*_PEOPLE, *_GROUPS)),
            rng.choice(ROLES),
            rng.choice(scopes),
            mfa=rng.random() < 0.2,
            networks=_some(rng, _NETWORKS, 0.2),
            until_us=rng.randrange(_LATEST) if rng.random() < 0.3 else 0,
        )
        for number in range(rng.randrange(9))
    )
    for number in range(rng.randrange(4)):
        bindings += _of_staff(rng, number, scopes)
    words = (*rng.sample(list(ACTIONS), 6), *(f"{area}.*" for area in rng.sample(AREAS, 3)))
    words = (*words, "administrative", "*")
    guardrails = tuple(
        Guardrail(
            f"guardrail-{number}",
            tuple(rng.sample(words, 1 + rng.randrange(4))),
            rng.choice(scopes),
            unless_mfa=rng.random() < 0.3,
            unless_networks=_some(rng, _NETWORKS, 0.3),
        )
        for number in range(rng.randrange(5))
    )
    return World(tuple(places), groups, bindings, guardrails)


def _of_staff(rng: random.Random, number: int, scopes: list[str]) -> tuple[Binding, ...]:
    """At the platform, or by a grant of break-glass in the organization: under the conditions of
    one or two bindings at the platform.
    """
    who = rng.choice((*_PEOPLE, *_GROUPS))
    if rng.random() < 0.6:
        mfa = rng.random() < 0.2
        role = rng.choice(STAFF_ROLES)
        return (Binding(f"binding-staff-{number}", who, role, PLATFORM, mfa, desk=True),)
    until_us = 1 + rng.randrange(_LATEST)
    who, role = rng.choice(_PEOPLE), rng.choice(GLASS_ROLES)
    asked = GlassRequested(
        *(f"break_glass-{number}", who, role, rng.choice(scopes), Private(""), "T", 60, (), 0)
    )
    bases = [
        Binding(
            f"binding-base-{number}",
            *(who, "support", PLATFORM, rng.random() < 0.3, _some(rng, _NETWORKS, 0.3)),
            until_us=rng.randrange(_LATEST) if rng.random() < 0.3 else 0,
        )
        for _ in range(1 + rng.randrange(2))
    ]
    return tuple(Grant(asked, "user-z", until_us).binding(base) for base in bases)


def _some(rng: random.Random, words: tuple[str, ...], chance: float) -> tuple[str, ...]:
    return tuple(rng.sample(words, 1 + rng.randrange(2))) if rng.random() < chance else ()


class Tenants(NoTenants):
    """The world as a door asks for it."""

    def __init__(self, of: World) -> None:
        self._of = of
        self._places = {place[0]: place for place in of.places}

    def version(self, _org: str) -> int:
        return 1

    def bindings(self, _org: str, actor: str) -> tuple[Binding, ...]:
        whose = {actor, *self._of.groups[actor]}
        return tuple(one for one in self._of.bindings if one.principal in whose)

    def groups(self, _org: str, actor: str) -> tuple[str, ...]:
        return self._of.groups[actor]

    def guardrails(self, _org: str) -> tuple[Guardrail, ...]:
        return self._of.guardrails

    def place(self, scope: str, _org: str, resource: str = "") -> Place:
        return self._places[resource or scope]

    def below(self, scope: str) -> list[str]:
        return [
            place[0] for place in self._of.places
            if place[1] == scope and place[0].startswith(("department-", "project-"))
        ]  # fmt: skip

    def resources(self, _org: str) -> dict[str, str]:
        """Only those that are scopes."""
        marks = {one.scope for one in self._of.bindings}
        marks |= {one.scope for one in self._of.guardrails}
        kinds = ("runtime-", "volume-", "network-")
        return {p[0]: p[1] for p in self._of.places if p[0].startswith(kinds) and p[0] in marks}


def question(rng: random.Random, of: World) -> Asked:
    """Half of them about actions that a guardrail or a key names, so that they meet."""
    who = rng.choice(_PEOPLE)
    named = [word for one in of.guardrails for word in one.actions if word in ACTIONS]
    action = rng.choice(named if named and rng.random() < 0.5 else list(ACTIONS))
    if rng.random() < 0.1:
        action = rng.choice([name for name in ACTIONS if name.startswith("break_glass.")])
    if rng.random() < 0.05:
        action = "token.issue"
    scopes = None
    if rng.random() < 0.2:
        scopes = tuple(
            rng.sample(
                (
                    action,
                    "*",
                    "runtime.*",
                    "volume.create",
                    "administrative",
                    f"role:{rng.choice(ROLES)}",
                ),
                2,
            )
        )
    return Asked(
        who,
        frozenset(of.groups[who]),
        action,
        rng.choice((*of.places, (PLATFORM,))),
        rng.randrange(_LATEST),
        rng.random() < 0.5,
        rng.choice(_SOURCES),
        rng.random() < 0.1,
        scopes,
        rng.random() < 0.3,
        rng.random() < 0.1,
        rng.random() < 0.7,
        rng.choice(("", "user-a", "user-b")),
        rng.random() < 0.2,
    )


def _call(asked: Asked) -> Call:
    return Call(
        *(asked.mfa, asked.source, asked.operator, asked.scopes),
        *(asked.mfa_demanded, asked.elsewhere, asked.owned, asked.requester),
        stale=asked.stale,
    )


class Asking(Door):
    """A door to which everybody comes as the question says."""

    def __init__(self, tenants: Tenants, asked: Asked) -> None:
        super().__init__(tenants, lambda: asked.now_us)
        self._asked = asked

    def call(self, caller: Caller, action: str, org: str) -> Call:
        del caller, action, org
        return _call(self._asked)


def reaches(seed: int, lists: int) -> tuple[Counter[str], list[tuple[Reach, list[Item]]]]:
    """What lists of one random world show is what the oracle says of each thing in it by itself.

    How often all, some and nothing was shown; and each reach with its items, for other judges.
    """
    rng = random.Random(seed)
    one = world(rng)
    tenants = Tenants(one)
    counted, judged = Counter[str](), []
    for _ in range(lists):
        asked = question(rng, one)
        reach = Asking(tenants, asked).reach(Caller(asked.who, "", ORG), asked.action, ORG)
        items = []
        for place in one.places:
            resource = place[0] if place[0].startswith(("runtime-", "volume-", "network-")) else ""
            item = Item(place[1] if resource else place[0], resource, _shown(one, asked, place))
            assert reach.covers(item.scope, item.resource) == item.shown, (seed, asked, item)
            items.append(item)
        shown = sum(item.shown for item in items)
        counted["all" if shown == len(items) else "some" if shown else "nothing"] += 1
        judged.append((reach, items))
    return counted, judged


def _shown(of: World, asked: Asked, place: Place) -> bool:
    return decided(of.bindings, of.guardrails, replace(asked, place=place))[0]


def agree(seed: int, questions: int) -> int:
    """How many of the questions to one random world were allowed; every answer was the oracle's."""
    rng = random.Random(seed)
    one = world(rng)
    sets = {
        who: Policies(
            tuple(b for b in one.bindings if b.principal in (who, *one.groups[who])),
            one.guardrails,
            one.groups[who],
        )
        for who in _PEOPLE
    }
    allowed = 0
    for _ in range(questions):
        asked = question(rng, one)
        call = _call(asked)
        found = sets[asked.who].decide(asked.who, asked.action, asked.place, call, asked.now_us)
        wanted = decided(one.bindings, one.guardrails, asked)
        assert (found.allowed, found.policies) == wanted, (seed, asked, found, wanted)
        allowed += found.allowed
    return allowed
