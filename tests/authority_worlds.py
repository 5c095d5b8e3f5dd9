"""Random organizations, and questions to both evaluators: the one that serves, and the oracle."""

import random

from msgspec import Struct

from api.authorization.cedar import PLATFORM, Call, Place, Policies
from contracts.authorization.registry import ACTIONS, AREAS, ROLES
from domain.binding import STAFF_ROLES, Binding, Guardrail
from domain.break_glass import ROLES as GLASS_ROLES
from tests.authority_oracle import Asked, decided

_NETWORKS = ("10.0.0.0/8", "192.168.1.0/24", "2001:db8::/32", "0.0.0.0/0", "10.1.2.3/32")
_SOURCES = ("", "10.1.2.3", "192.168.1.9", "8.8.8.8", "2001:db8::1", "fe80::1")
_PEOPLE = ("user-a", "user-b", "service-c")
_GROUPS = ("group-x", "group-y")
_LATEST = 6  # instants are 0 to 5, so that ends and questions meet at the same one
ORG = "organization-1"


class World(Struct, frozen=True):
    """Places of one organization, and all that was decided in it."""

    places: tuple[Place, ...]
    groups: dict[str, tuple[str, ...]]
    bindings: tuple[Binding, ...]
    guardrails: tuple[Guardrail, ...]


def world(rng: random.Random) -> World:
    """A tree of up to 3 departments and 5 projects, up to 8 bindings and 4 guardrails."""
    places: list[Place] = [(ORG, PLATFORM)]
    places += [(f"department-{number}", ORG, PLATFORM) for number in range(rng.randrange(4))]
    above = tuple(places)
    places += [(f"project-{number}", *rng.choice(above)) for number in range(rng.randrange(6))]
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
    bindings += tuple(_of_staff(rng, number, scopes) for number in range(rng.randrange(4)))
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


def _of_staff(rng: random.Random, number: int, scopes: list[str]) -> Binding:
    """At the platform, or by a grant of break-glass in the organization."""
    who = rng.choice((*_PEOPLE, *_GROUPS))
    if rng.random() < 0.6:
        mfa = rng.random() < 0.2
        role = rng.choice(STAFF_ROLES)
        return Binding(f"binding-staff-{number}", who, role, PLATFORM, mfa, desk=True)
    until_us = 1 + rng.randrange(_LATEST)
    who, role = rng.choice(_PEOPLE), rng.choice(GLASS_ROLES)
    return Binding(f"break_glass-{number}", who, role, rng.choice(scopes), until_us=until_us)


def _some(rng: random.Random, words: tuple[str, ...], chance: float) -> tuple[str, ...]:
    return tuple(rng.sample(words, 1 + rng.randrange(2))) if rng.random() < chance else ()


def question(rng: random.Random, of: World) -> Asked:
    """Half of them about actions that a guardrail or a key names, so that they meet."""
    who = rng.choice(_PEOPLE)
    named = [word for one in of.guardrails for word in one.actions if word in ACTIONS]
    action = rng.choice(named if named and rng.random() < 0.5 else list(ACTIONS))
    if rng.random() < 0.1:
        action = rng.choice([name for name in ACTIONS if name.startswith("break_glass.")])
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
    )


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
        call = Call(
            *(asked.mfa, asked.source, asked.operator, asked.scopes),
            *(asked.mfa_demanded, asked.elsewhere, asked.owned, asked.requester),
        )
        found = sets[asked.who].decide(asked.who, asked.action, asked.place, call, asked.now_us)
        wanted = decided(one.bindings, one.guardrails, asked)
        assert (found.allowed, found.policies) == wanted, (seed, asked, found, wanted)
        allowed += found.allowed
    return allowed
