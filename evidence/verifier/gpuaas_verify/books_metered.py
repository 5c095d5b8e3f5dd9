"""Metered resources: their open intervals, and what is charged when one ends or a period closes.

contracts/rating.md sections 1 to 3. A resource is a runtime, a volume created after the meter of
storage was registered, or a reservation; its item: account, project, size, meter, model, state,
simulated, order (position of its first entry), start and done of the open interval, first (when its
first one began), until (of a reservation). Its owner keeps the item until `drop`.
"""

from typing import Any

from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]


class Metered:
    """Every metered resource until it is dropped; those with an open interval also by account."""

    def __init__(self, spill: Spill, charging: Charging) -> None:
        self._spill = spill
        self._charging = charging

    def add(self, stream: str, item: Row) -> None:
        """A resource without an open interval."""
        self._spill.put("metered", "", stream, {**item, "start": None, "done": None, "first": None})

    def has(self, stream: str) -> bool:
        """Whether the stream is a metered resource."""
        return self._spill.get("metered", "", stream) is not None

    def is_open(self, stream: str) -> bool:
        """Whether its time is counted."""
        item = self._spill.get("metered", "", stream)
        return item is not None and item["start"] is not None

    def resize(self, stream: str, size: int) -> None:
        """Its size in what follows; no interval of another size is open."""
        item = self._spill.get("metered", "", stream)
        item["size"] = size
        self._spill.put("metered", "", stream, item)

    def region(self, stream: str) -> str:
        """Where its node stood when it was placed there."""
        found: str = self._spill.get("metered", "", stream)["region"]
        return found

    def restate(self, stream: str, state: str) -> None:
        """It is priced in another state; nothing of it was charged or held for."""
        item = self._spill.get("metered", "", stream)
        self._spill.put("metered", "", stream, {**item, "state": state})

    def begin(self, stream: str, instant: int) -> None:
        """An interval opens at the instant, unless one is open."""
        item = self._spill.get("metered", "", stream)
        if item["start"] is None:
            item["start"] = item["done"] = instant
            if item["first"] is None:
                item["first"] = instant
            self._spill.put("metered", "", stream, item)
            self._spill.put("open", item["account"], f"{item['order']:020d}", stream)

    def end(self, position: int, stream: str, end: int) -> None:
        """The open interval, if there is one, ends there, charged to the microsecond."""
        item = self._spill.get("metered", "", stream)
        start, done = item["start"], item["done"]
        if start is None:
            return
        end = _within(item, end)
        if end > done:
            self._charging.charge(position, stream, item, done, end, 1)
        elif end < done:
            self._charging.charge(position, stream, item, max(end, start), done, -1)
        self._charging.settle(position)
        item["start"] = item["done"] = None
        self._spill.put("metered", "", stream, item)
        self._spill.delete("open", item["account"], f"{item['order']:020d}")

    def cover(self, position: int, stream: str, since: int | None, until: int) -> None:
        """The resource is prepaid: held for until then, at the prices known now beyond what was
        held before; `since`: of a hold that begins then.
        """
        item = self._spill.get("metered", "", stream)
        if item is None:
            raise Invalid("books.hold", "has ended", position=position, field="runtime")
        known = item.get("covered") if since is None else None
        fixed = [] if known is None else known[1]
        reached = since if known is None else known[0]
        if until > reached:
            fixed = self._charging.fix(position, item, fixed, reached, until)
        item = {**item, "covered": [max(reached, until), fixed]}
        self._spill.put("metered", "", stream, item)
        self._charging.cover(item)

    def covered(self, stream: str) -> int | None:
        """When its hold ends; None of what nothing was ever held for."""
        item = self._spill.get("metered", "", stream)
        known = None if item is None else item.get("covered")
        return None if known is None else known[0]

    def charged(self, stream: str) -> int:
        """All that was charged of a prepaid resource, pico, net."""
        found: int = self._spill.get("charged", "", stream) or 0
        return found

    def drop(self, stream: str) -> None:
        """It has no more intervals. What it was charged is kept, should that be priced again."""
        self._spill.delete("metered", "", stream)

    def period_closed(self, position: int, entry: Row, fact: Row) -> None:
        """What is open is charged up to the end of the period, in order; then it is closed."""
        self._charging.own_account(position, fact["account"], entry["org"])
        period = self._charging.period(position, fact["account"], entry["stream"])
        for field, right in (
            ("start_us", fact["start_us"] == period[1]),
            ("end_us", fact["end_us"] == period[2]),
            ("closed_us", period[3] is None),
        ):
            if not right:
                raise Invalid("books.period", "not what was opened", position=position, field=field)
        for _, stream in self._spill.scan("open", fact["account"]):
            item = self._spill.get("metered", "", stream)
            end = _within(item, fact["end_us"])
            if item["done"] < end:
                self._charging.charge(position, stream, item, item["done"], end, 1)
                item["done"] = end
                self._spill.put("metered", "", stream, item)
        self._charging.pay_commitments(position, fact["account"], period)
        self._charging.settle(position)
        self._charging.set_closed(position, fact["account"], entry["stream"])


def _within(item: Row, end: int) -> int:
    """The instant, or the end of the holds of what is prepaid, or of a reservation: nothing after
    it is charged.
    """
    covered, last = item.get("covered"), item.get("until")
    if covered is not None:
        last = covered[0] if last is None else min(last, covered[0])
    return end if last is None else max(item["start"], min(end, last))
