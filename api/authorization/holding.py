"""Whether what somebody entered with still lets them: asked as long as they are inside."""

from collections.abc import Callable

from msgspec import Struct

from api.authorization.cedar import Call
from api.authorization.directory import Directory
from api.authorization.door import Door
from api.authorization.principal import Principal

type Holds = Callable[[], bool]


class Entered(Struct, frozen=True):
    """Who is inside, by which action, where; `credential`: the id of the API key or session
    it came with, if it did.
    """

    user: str
    org: str
    action: str
    scope: str
    credential: str = ""


def allowed(door: Door, of: Entered, now_us: int) -> bool:
    """By bindings alone, each condition of an entrance (a second factor, networks) taken as met:
    what else it came with, its token said, and ends with that.
    """
    who = Principal(of.user, "", of.org)
    place = door.tenants.place(of.scope, of.org)
    policies = door.policies(who, of.org, inside=True)
    return policies.decide(of.user, of.action, place, Call(), now_us).allowed


def holding(directory: Directory, door: Door, of: Entered, clock_us: Callable[[], int]) -> Holds:
    """False once what it came with is over, or bindings that let the user in do not any more.

    Whoever was let in by what its token implies, and never by a binding, is left inside.
    """
    had = False

    def holds() -> bool:
        nonlocal had
        now_us = clock_us()
        if of.credential and directory.over(of.credential, now_us):
            return False
        now = allowed(door, of, now_us)
        if had and not now:
            return False
        had = had or now
        return True

    holds()
    return holds
