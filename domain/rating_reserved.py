"""Reservations as metered resources: what of one nothing runs on (rating.md section 15)."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from domain import quota, reservation
from domain.charging import Payer, Resource, Rows, begin, cease
from domain.placed import Nodes
from domain.prepayment import Prepayments
from domain.tariff import Tariff, reserved_scope
from domain.words import MILLI, one_of


class _Standing(Struct):
    """`drawn`: what runs on it, by runtime; `since_us`: when its size was last set."""

    it: Resource
    milli: int
    drawn: dict[str, int]
    since_us: int


class Reservations:
    """Those that stand in a quota, and what draws on them. A part of one fold; `payer` finds who
    pays in a project, if anybody is known to.
    """

    def __init__(
        self,
        tariff: Tariff,
        payer: Callable[[str], Payer | None],
        nodes: Nodes,
        cuts: dict[str, list[int]],
        prepayments: Prepayments,
        resources: dict[str, Resource],
    ) -> None:
        self._tariff = tariff
        self._payer = payer
        self._nodes = nodes
        self._cuts = cuts
        self._prepayments = prepayments
        self._resources = resources  # those that holds may be of
        self._offered: dict[str, tuple[Resource, reservation.Made]] = {}  # prepaid, and not held
        self._counted: set[str] = set()  # what the quota has and was not made yet
        self._standing: dict[str, _Standing] = {}
        self._draws: dict[str, str] = {}  # runtime -> its reservation, until it is released
        self.on: dict[type, Callable[[int, str, Any], Rows | None]] = {
            quota.Reserved: self._reserved,
            reservation.Made: self._made,
            quota.Drawn: self._drawn,
            quota.Committed: self._committed,
            quota.Released: self._released,
            quota.Unreserved: self._unreserved,
        }

    def _reserved(self, _: int, __: str, fact: quota.Reserved) -> None:
        self._counted.add(fact.reservation)

    def _made(self, position: int, stream: str, fact: reservation.Made) -> None:
        owner = self._payer(fact.project)
        if stream not in self._counted or owner is None:
            return
        self._counted.remove(stream)
        milli, there = fact.devices * MILLI, {self._nodes.region(name) for name in fact.nodes}
        it = Resource(
            *(stream, position, owner, fact.project, milli, {}),
            reserved_scope(fact.model, owner.opened.currency, one_of(there)),
            any(self._nodes.simulated(name) for name in fact.nodes),
            cuts=self._cuts[fact.project],
            until_us=fact.until_us,
        )
        if owner.prepaid:  # where nothing is held for it, it costs nothing
            self._offered, self._resources[stream] = {stream: (it, fact)}, it
            return
        self._stands(stream, it, fact)

    def held(self, name: str) -> None:
        """It has a hold: what of it is idle from its beginning on is charged."""
        if name in self._offered:
            self._stands(name, *self._offered.pop(name))

    def _stands(self, name: str, it: Resource, fact: reservation.Made) -> None:
        self._standing[name] = _Standing(it, it.size, {}, fact.decided_us)
        begin(it, fact.decided_us)

    def _drawn(self, _: int, __: str, fact: quota.Drawn) -> None:
        if fact.reservation in self._standing:
            self._draws[fact.runtime] = fact.reservation

    def _committed(self, position: int, _: str, fact: quota.Committed) -> Rows | None:
        one = self._standing.get(self._draws.get(fact.runtime, ""))
        if one is None:
            return None
        one.drawn[fact.runtime] = fact.gpu_milli
        return self._resize(position, one, fact.decided_us)

    def _released(self, position: int, _: str, fact: quota.Released) -> Rows | None:
        one = self._standing.get(self._draws.pop(fact.runtime, ""))
        if one is None:
            return None
        del one.drawn[fact.runtime]
        return self._resize(position, one, fact.decided_us)

    def _resize(self, position: int, one: _Standing, decided_us: int) -> Rows:
        """What was idle until then is charged; from then on what is idle now."""
        rows = self._until(position, one, decided_us)
        one.it.size = one.milli - sum(one.drawn.values())
        if one.it.size > 0:
            begin(one.it, one.since_us)
        return rows

    def _unreserved(self, position: int, _: str, fact: quota.Unreserved) -> Rows | None:
        self._counted.discard(fact.reservation)
        one = self._standing.pop(fact.reservation, None)
        if one is None:
            return None
        rows = self._until(position, one, fact.decided_us)
        self._prepayments.ended(one.it)
        return rows

    def _until(self, position: int, one: _Standing, decided_us: int) -> Rows:
        """Facts of a quota stand in its order whoever's clock they are of: none goes back."""
        one.since_us = max(one.since_us, min(decided_us, one.it.until_us))
        rows: Rows = ([], [])
        if one.it.started_us is not None:
            end = cease(self._tariff, position, one.it, one.since_us, rows)
            self._prepayments.charged(one.it, end)
        return rows
