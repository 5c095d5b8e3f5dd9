"""Whether what somebody entered with still lets them: asked as long as they are inside."""

from collections.abc import Callable

from msgspec import Struct

from api.authorization.cedar import PLATFORM, Call
from api.authorization.directory import Directory
from api.authorization.door import Door, implied
from api.authorization.principal import Principal
from contracts.authorization.registry import ACTIONS

type Holds = Callable[[], bool]


class Entered(Struct, frozen=True):
    """Who is inside, by which action, where, of which resource; `credential`: the id of the API key
    or session it came with, if it did; `implied`: the token that it asked with gives the action by
    itself.
    """

    user: str
    org: str
    action: str
    scope: str
    credential: str = ""
    implied: bool = False
    resource: str = ""


def by_token(caller: Principal, action: str) -> bool:
    """Whether the token gives the action by itself, whatever the organization bound its user to."""
    return any(one.role in ACTIONS[action].roles for one in implied(caller))


def allowed(door: Door, of: Entered, now_us: int, home: str = "") -> bool:
    """By bindings alone, each condition of an entrance (a second factor, networks) taken as met:
    what else it came with, its token said, and ends with that. `home`: the platform, of its staff,
    which grants let in; else the organization.
    """
    who = Principal(of.user, "", home or of.org)
    place = door.tenants.place(of.scope, of.org, of.resource)
    policies = door.policies(who, of.org, inside=True)
    return policies.decide(of.user, of.action, place, Call(), now_us).allowed


def holding(directory: Directory, door: Door, of: Entered, clock_us: Callable[[], int]) -> Holds:
    """False once what it came with is over, or no binding lets the user in any more: from the first
    question on, since between the right to enter and the entrance it may have been taken.

    Whoever was let in by what its token implies, and never by a binding, is left inside. An issuer
    that the organization requires is for its own people: its staff enters by grants.
    """
    had = not of.implied

    def holds() -> bool:
        nonlocal had
        now_us = clock_us()
        if of.credential and directory.over(of.credential, now_us):
            return False
        home = directory.home(of.credential)
        if home in {"", PLATFORM} and allowed(door, of, now_us, PLATFORM):
            had = True
            return True
        if directory.elsewhere(of.org, of.user, of.credential):
            return False
        now = home != PLATFORM and allowed(door, of, now_us)
        if had and not now:
            return False
        had = had or now
        return True

    holds()
    return holds
