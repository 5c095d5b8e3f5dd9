"""Who enters runtimes: grants and host certificates as the API gives them, and a gateway.

The gateway's doors, flows and choice of a route are the real ones, and so is who gets a host
certificate. What OpenSSH does is one line here: it goes on with an sshd only that shows a host
certificate of the allocation and epoch it was told (`Law.believes`). A session's own facts, which
decide nothing, are left out.
"""

from functools import cache
from typing import Final

from msgspec import Struct

from api.changing import Target
from api.gateway.doors import Doors, Route
from api.gateway.flows import Flows, Visit
from api.gateway.relay import leading
from api.ssh.authority import user_key
from api.ssh.granting import entrance
from api.ssh.hosts import Asked, entitled
from domain import grant, runtime
from domain.errors import DomainError
from evidence.reader import Recorded
from tests.fleet_model.law import Law
from tests.fleet_model.machine import Machine
from tests.fleet_model.parts import NODE, ORG, PRIVATE, SECOND, Container
from tests.fleet_model.places import NETWORKS
from tests.fleet_model.plane import Plane
from tests.fleet_model.world import World

_FOLLOW_US: Final = SECOND  # the head's wake, or the next poll and its reading
_known_key = cache(user_key)


class Ticket(Struct, frozen=True):
    """A certificate that somebody holds."""

    grant: str
    serial: int
    runtime: str


class Callers:
    """They call at random instants, with any certificate they ever got, over as it may be."""

    def __init__(self, world: World, plane: Plane, machine: Machine, law: Law) -> None:
        self._world = world
        self._plane = plane
        self._machine = machine
        self._law = law
        self._chance = world.chance_of_callers
        self.doors = Doors("gateway-1")
        self.flows = Flows(self.doors, world.rules.limits)
        self._unread: list[Recorded] = []
        self._follows = self._watches = False
        self._fresh_us = self._in_sight_us = 0
        # Now and then the database does not answer the gateway.
        self._blind_from_us = self._chance.within(0, 4_000) * SECOND
        self._blind_until_us = self._blind_from_us + self._chance.within(1, 1_500) * SECOND
        self._tickets: list[Ticket] = []
        self._placed: list[str] = []

    # ---------------------------------------------------------------- the gateway and the log

    def told(self, entry: Recorded) -> None:
        """What a gateway reads of the log (`api/gateway/tail.py`)."""
        if isinstance(entry.fact, runtime.Allocated):
            self._placed.append(entry.stream)
        if isinstance(entry.fact, runtime.Stopping) and not self._world.rules.closed:
            return
        self._unread.append(entry)
        if not self._follows:
            self._follows = True
            self._world.at(self._chance.within(1_000, _FOLLOW_US), self._follow)

    def _follow(self) -> None:
        self._follows = False
        if not self._catch_up() and self._unread:
            self._follows = True
            self._world.at(self._blind_until_us - self._world.true_us, self._follow)

    def _catch_up(self) -> bool:
        """False while it does not see the log."""
        now = self._world.true_us
        if self._blind_from_us <= now < self._blind_until_us and not self._world.settling:
            self._in_sight_us = self._blind_until_us
            return False
        self._fresh_us = now
        if self._unread:
            for entry in self._unread:
                self.doors.apply(entry)
            self._unread.clear()
            self.flows.check(self._world.now_us())
        return True

    def _watch(self) -> None:
        """The sweep, while somebody is connected; then nobody is who should not be."""
        self._catch_up()
        self.flows.check(self._world.now_us())
        self.flows.sweep(self._world.true_us / SECOND, self._fresh_us / SECOND)
        self.doors.forget(self._world.now_us())
        for visit in self.flows.visits:
            self._law.must_be_cut(visit.entry, self._in_sight_us, self._fresh_us)
        self._watches = bool(self.flows.visits)
        if self._watches:
            self._world.at(self._chance.within(15 * SECOND, 30 * SECOND), self._watch)

    # ---------------------------------------------------------------- what the API gives

    def certify(self, one: Container) -> None:
        """A node asks for a host certificate (`api/ssh/hosts.py`)."""
        if not self._plane.up:
            return
        key, digest = _known_key(one.host_key)
        recorded = self._plane.streams.get(one.runtime, [])
        try:
            found = entitled(Asked(one.runtime, NODE, key, digest), recorded)
        except DomainError:
            return
        self._world.carry(self._machine.certified, one, found.principal)

    def _get_ticket(self) -> None:
        """A grant and its certificate for whatever was placed last, in one append."""
        name = self._placed[-1 - self._chance.randrange(min(2, len(self._placed)))]
        recorded = self._plane.streams[name]
        facts = tuple(one.fact for one in recorded)
        try:
            found = entrance(Target(name, ORG, len(recorded), facts, recorded[-1].position))
        except DomainError:
            return
        now, number = self._world.now_us(), len(self._tickets) + 1
        until = now + self._chance.within(5, 60) * grant.MINUTE_US
        asked = grant.Grant(name, "p", "u", grant.SSH, until, now)
        (granted,) = grant.decide(asked, grant.Missing())
        before = now + 5 * grant.MINUTE_US
        wanted = grant.IssueCertificate(number, found.principal, "k", PRIVATE, before, now)
        issued = grant.decide(wanted, grant.evolve(grant.Missing(), granted))
        ticket = Ticket(f"access-{number}", number, name)
        self._tickets.append(ticket)
        self._plane.append(ticket.grant, ORG, (granted, *issued))

    def _revoke(self, ticket: Ticket) -> None:
        state: grant.State = grant.Missing()
        for one in self._plane.streams[ticket.grant]:
            state = grant.evolve(state, one.fact)  # type: ignore[arg-type]
        facts = grant.decide(grant.Revoke("user", self._world.now_us()), state)
        self._plane.append(ticket.grant, ORG, tuple(facts))

    # ---------------------------------------------------------------- calls

    def call(self) -> None:
        """Somebody connects, now and then somebody who just got a certificate."""
        self._world.at(self._chance.within(100 * SECOND, 300 * SECOND), self.call)
        if self._plane.up and self._placed and self._chance.random() < 0.6:
            self._get_ticket()
        if not self._tickets:
            return
        ticket = self._tickets[-1 - self._chance.randrange(min(3, len(self._tickets)))]
        if self._plane.up and self._chance.random() < 0.05:
            self._revoke(ticket)
        self._knock(ticket)

    def tempted(self, one: Container) -> None:
        """Somebody calls whom the log routes to a place where now somebody else answers."""
        self._world.at(max(0, one.answers_us - self._world.true_us), self._misled, one)

    def _misled(self, one: Container) -> None:
        for ticket in self._tickets:
            if ticket.runtime != one.runtime and self._law.routes.get(ticket.runtime) == one.place:
                self._knock(ticket)
                return

    def _knock(self, ticket: Ticket) -> None:
        """`Connection.validate_public_key`, then `relay`."""
        now_us, now = self._world.now_us(), self._world.true_us / SECOND
        if self._world.rules.current and not self._catch_up():
            self._world.found.shut += 1
            return
        entry = self.doors.admit(ticket.runtime, ticket.grant, ticket.serial, grant.SSH)
        if entry is None or self.doors.why_not(entry, now_us) is not None:
            self._world.found.shut += 1
            return
        try:
            route = leading(self.doors, NETWORKS, entry, now_us)
        except DomainError:
            return  # it waits until there is one
        visit = Visit(entry, lambda: self._cut(visit), now)
        self.flows.visits.add(visit)
        self.flows.begin(visit, now)
        within_us = self._chance.within(1_000, self.flows.limits.connect_s * SECOND)
        asked = (self._plane.position, self._world.true_us)
        self._world.at(within_us, self._arrive, visit, route, asked)

    def _arrive(self, visit: Visit, route: Route, asked: tuple[int, int]) -> None:
        """Who answers where the route leads, and whether the caller believes it."""
        if visit not in self.flows.visits:
            return
        met = self._machine.places.answering(route.address, route.port)
        entry = visit.entry
        if met is None or not self._law.believes(entry.principal, met):
            self._world.found.refused_routes += met is not None and met.runtime != entry.runtime
            self._leave(visit)
            return
        self._law.must_lead(entry, met, *asked)
        self._world.found.connected += 1
        if not self._watches:
            self._watches = True
            self._world.at(self._chance.within(15 * SECOND, 30 * SECOND), self._watch)
        longest_s = 1_500 if self._chance.random() < 0.2 else 60
        self._world.at(self._chance.within(1, longest_s) * SECOND, self._leave, visit)

    def _cut(self, visit: Visit) -> None:
        self._world.found.cut += 1
        self._leave(visit)

    def _leave(self, visit: Visit) -> None:
        for flow in list(visit.flows):
            self.flows.finish(visit, flow, self._world.true_us / SECOND)
        self.flows.visits.discard(visit)
