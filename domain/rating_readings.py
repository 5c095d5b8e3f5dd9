"""What sealed readings add to charge lines (contracts/rating.md section 8). A part of one fold."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from domain import meter, project, source
from domain.charging import (
    READ,
    Payer,
    Resource,
    Rows,
    Service,
    count,
    cut_after,
    service_at,
    settle,
)
from domain.errors import DomainError
from domain.reading import WEIGHTED, Reading
from domain.tariff import REGION, Price, Scope, Tariff

SUM: Final = "sum"


class Place(Struct, frozen=True):
    """One charge line, and how often its project had moved by then."""

    it: Resource
    price: Price
    period: Service
    moves: int = 0

    @property
    def key(self) -> tuple[str, str, int, str, int]:
        return (self.it.id, self.it.scope[0], self.price.position, self.period.id, self.moves)


class Use(Struct):
    """What one seal changes of a charge line, and the time of what changed it."""

    place: Place
    quantity: int
    start_us: int
    end_us: int


type Group = tuple[str, str, str, str]  # resource, meter, dimensions, period


class _Best(Struct, frozen=True):
    """The reading that stands for a group, when it began, where it is charged, by which seal."""

    rank: tuple[int, ...]
    quantity: int
    place: Place
    at_us: int
    seal: int
    read: Resource


class Counted(Struct, frozen=True):
    """A reading that counts; of a group for which it `stands`."""

    it: Resource
    start_us: int
    end_us: int
    quantity: int
    is_level: bool = False
    stands: Group | None = None


class _Seal(Struct):
    """What one seal has of an account: from when to when its readings are."""

    position: int
    start_us: int
    end_us: int


class _Slot(Struct, gc=False):
    """Where readings of one source and name go that begin in `[since_us, until_us)`."""

    since_us: int
    until_us: int
    use: Use


type Change = tuple[Place, int, int, int]


class Meters:
    """Registered meters of readings, what pays for these, and, for `max` and `last`, what stands
    for each group. `account` and `runtime` find what the same fold has of a name.
    """

    def __init__(
        self,
        tariff: Tariff,
        account: Callable[[str], Payer],
        runtime: Callable[[str], Resource],
        cuts: Callable[[str], list[int]],
        reread: Callable[[int], Iterable[Reading]] | None = None,
    ) -> None:
        """`reread`: the readings of a seal once more; None: they are kept in memory."""
        self._tariff = tariff
        self._cuts = cuts
        self._account = account
        self._runtime = runtime
        self._aggregations: dict[str, str] = {}
        self._projects: dict[str, str] = {}  # their accounts
        self._paid_by: dict[str, str] = {}  # what a source reports of its project
        self._payers: dict[tuple[str, str, Scope], Resource] = {}
        self._best: dict[Group, _Best] = {}
        self._kept: dict[int, tuple[Reading, ...]] = {}
        self._reread = reread or self._kept.__getitem__
        self._keeps = reread is None
        self._seals: dict[str, list[_Seal]] = {}  # by account
        self._fixed: dict[str, int] = {}  # accounts: what was sealed before that is never moved
        self._position = 0  # of the seal at hand
        self.on: dict[type, Callable[[int, str, Any], Rows | None]] = {
            meter.ReadingsRegistered: lambda _, __, fact: self.register(fact),
            project.Created: lambda _, stream, fact: self.moved(stream, fact.account),
            source.Registered: self._registered,
        }

    def register(self, fact: meter.Registered | meter.ReadingsRegistered) -> None:
        """What the meter's readings come to, from here on."""
        if isinstance(fact, meter.ReadingsRegistered) or fact.source == meter.READINGS:
            self._aggregations[fact.meter] = fact.aggregation

    def account_of(self, project_id: str) -> str:
        """The account of the project now; `""` for one that was never created."""
        return self._projects.get(project_id, "")

    def read(self, position: int, readings: Iterable[Reading]) -> Rows:
        """The rows that the readings of the seal at the position cause.

        Raises:
            DomainError: `rating.*`.
        """
        rows: Rows = ([], [])
        payers: dict[str, Payer] = {}
        self._position = position
        if self._keeps:
            readings = self._kept[position] = tuple(readings)
        for use in self.uses(readings):
            self._sealed(position, use)
            if use.quantity:
                piece = (use.place.period, use.start_us, use.end_us)
                sign = 1 if use.quantity > 0 else -1
                size = abs(use.quantity)
                it = use.place.it
                count(self._tariff, position, it, piece, use.place.price, sign, size, rows)
                payers[it.account.ledger.account] = it.account
        for name in sorted(payers):
            settle(position, payers[name], rows)
        return rows

    def _sealed(self, position: int, use: Use) -> None:
        seals = self._seals.setdefault(use.place.it.account.ledger.account, [])
        if not seals or seals[-1].position != position:
            seals.append(_Seal(position, use.start_us, use.end_us))
        seals[-1].start_us = min(seals[-1].start_us, use.start_us)
        seals[-1].end_us = max(seals[-1].end_us, use.end_us)

    def payers(self, account: str) -> list[Resource]:
        """What readings of the account were charged to."""
        return [it for it in self._payers.values() if it.account.ledger.account == account]

    def fix(self, account: str, position: int) -> None:
        """What the account was read before the position keeps its prices for good."""
        self._fixed[account] = position

    def counted(self, account: str, from_us: int, until_us: int) -> Iterator[Counted]:
        """Readings of the account that count, and may be moved: all that touch the range, sums and
        levels in order of their seals, then what stands for its group.
        """
        fixed = self._fixed.get(account, -1)
        for seal in self._seals.get(account, ()):
            touches = seal.start_us < until_us and from_us < seal.end_us
            for one in self._reread(seal.position) if touches and seal.position > fixed else ():
                aggregation, it = self._aggregations[one.meter], self._payer(one)
                if it.account.ledger.account == account and aggregation in {SUM, WEIGHTED}:
                    end = max(one.to_us, one.from_us + 1)
                    level = aggregation == WEIGHTED
                    yield Counted(it, one.from_us, end, one.quantity, level)
        for group, best in list(self._best.items()):
            it = best.read
            if it.account.ledger.account == account and best.seal > fixed:
                yield Counted(
                    it, best.at_us, best.at_us + 1, best.quantity, is_level=False, stands=group
                )

    def reprice(self, group: Group, price: Price) -> None:
        """What stands for the group is charged by that entry now."""
        best = self._best[group]
        it = self.charged_to(best.read, price)
        place = Place(it, price, best.place.period, best.place.moves)
        self._best[group] = _Best(best.rank, best.quantity, place, best.at_us, best.seal, best.read)

    def moved(self, project_id: str, account: str) -> None:
        """The account of what begins in the project from here on, sources included."""
        self._projects[project_id] = account

    def _registered(self, _: int, stream: str, fact: source.Registered) -> None:
        self._paid_by[stream] = self._projects.get(fact.project, "")

    def _payer(self, reading: Reading) -> Resource:
        """What pays for the reading: a runtime, ended ones included, or a project itself, by the
        account that it had when the source was registered.
        """
        name = reading.resource
        if name in self._projects:
            owner = self._account(self._paid_by.get(reading.source) or self._projects[name])
            of, region, simulated = name, reading.region, False
        else:
            it = self._runtime(name)
            owner, of, simulated = it.account, it.project, it.simulated
            region = it.scope[2] or REGION
        scope = (reading.meter, reading.model, region, READ, owner.opened.currency)
        return self._known(name, owner, of, scope, simulated=simulated)

    def _known(
        self, name: str, owner: Payer, of: str, scope: Scope, *, simulated: bool
    ) -> Resource:
        key = (name, owner.ledger.account, scope)
        found = self._payers.get(key)
        if found is None:
            found = self._payers[key] = Resource(
                *(name, 0, owner, of, 1, {}, scope, simulated), cuts=self._cuts(of)
            )
        return found

    def charged_to(self, it: Resource, price: Price) -> Resource:
        """Whose line of that price it is, what is read of `it`: a project stands nowhere, so a line
        of it is in the region of its entry.
        """
        meter, model, region, state, currency = it.scope
        if region == price.region or it.id not in self._projects:
            return it
        scope = (meter, model, price.region, state, currency)
        return self._known(it.id, it.account, it.project, scope, simulated=it.simulated)

    def _at(self, it: Resource, instant: int) -> tuple[Service, Price, int]:
        """The service period and the price that hold at the instant, and until when both do."""
        service = service_at(it, instant)
        price, until = self._tariff.at(it.account.ledger.account, it.scope, instant)
        if price is None:
            raise DomainError("rating.no_price", f"nothing prices {it.id} at {instant}")
        return service, price, min(service.end_us, until, cut_after(it, instant))

    def uses(self, readings: Iterable[Reading]) -> list[Use]:
        """What the readings of one seal change, by line in order of first touch; maybe by 0.

        Raises:
            DomainError: `rating.*`.
        """
        found: dict[tuple[str, str, int, str, int], Use] = {}
        slots: dict[tuple[str, str, str, str], _Slot] = {}
        for reading in readings:
            name = (reading.source, reading.resource, reading.meter, reading.dimensions)
            start = reading.from_us
            slot = slots.get(name)
            if slot is not None and slot.since_us <= start < slot.until_us:
                # As below, of a sum whose line is known: nearly all readings of a seal are.
                known, end = slot.use, reading.to_us
                known.quantity += reading.quantity
                # Compared, not called: `min` and `max` take as long as all of the rest.
                if start < known.start_us:  # noqa: PLR1730 - see above
                    known.start_us = start
                if end <= start:
                    end = start + 1
                if end > known.end_us:  # noqa: PLR1730 - see above
                    known.end_us = end
                continue
            for place, quantity, start, end in self._changes(reading):
                use = found.get(place.key)
                if use is None:
                    use = found[place.key] = Use(place, quantity, start, end)
                else:
                    use.quantity += quantity
                    use.start_us = min(use.start_us, start)
                    use.end_us = max(use.end_us, end)
                if self._aggregations[reading.meter] == SUM:
                    until = self._at(self._payer(reading), start)[2]
                    slots[name] = _Slot(start, until, use)
        return list(found.values())

    def _changes(self, reading: Reading) -> Iterator[Change]:
        aggregation = self._aggregations.get(reading.meter)
        if aggregation is None:
            raise DomainError("rating.no_meter", f"no meter {reading.meter} of readings")
        it = self._payer(reading)
        if aggregation == WEIGHTED:
            yield from self._weighted(it, reading)
            return
        # An instant stands as the microsecond that begins there.
        start, end = reading.from_us, max(reading.to_us, reading.from_us + 1)
        period, price, _ = self._at(it, start)
        place = Place(self.charged_to(it, price), price, period, bisect_right(it.cuts, start))
        if aggregation == SUM:
            yield place, reading.quantity, start, end
            return
        group = (reading.resource, reading.meter, reading.dimensions, period.id)
        rank = rank_of(aggregation, reading)
        best = self._best.get(group)
        if best is not None and rank <= best.rank:
            return
        if best is not None:
            span = (start, end)
            if best.place.moves != place.moves:  # taken back from whom it was charged to
                span = (best.at_us, best.at_us + 1)
            yield best.place, -best.quantity, *span
        self._best[group] = _Best(rank, reading.quantity, place, start, self._position, it)
        yield place, reading.quantity, start, end

    def _weighted(self, it: Resource, reading: Reading) -> Iterator[Change]:
        at = reading.from_us
        while at < reading.to_us:
            period, price, until = self._at(it, at)
            end = min(reading.to_us, until)
            place = Place(self.charged_to(it, price), price, period, bisect_right(it.cuts, at))
            yield place, reading.quantity * (end - at), at, end
            at = end


def rank_of(aggregation: str, reading: Reading) -> tuple[int, ...]:
    """The higher one stands for its group. Total but for readings that count the same: the order
    they come in decides nothing.
    """
    if aggregation == "max":
        return (reading.quantity, -reading.from_us)
    return (reading.to_us, reading.from_us, reading.quantity)
