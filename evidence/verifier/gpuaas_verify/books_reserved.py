"""Reservations as use of a quota: a whole one instead of what draws on it (contracts/facts.md).

State per reservation that stands in a quota, and per live runtime that drew on one; in the spill.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_lending import Lending
from gpuaas_verify.books_rating import NUL
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

DEVICE_MILLI = 1000
ANY_MODEL = "*"


class Reserved:
    """By quota stream: how many milli-GPU of each scope and model are used, under its limits."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self.lending = Lending(spill)

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            **self.lending.handlers(),
            "gpuaas.quota.reserved.v1": self._reserved,
            "gpuaas.quota.drawn.v1": self._drawn,
            "gpuaas.quota.unreserved.v1": self._unreserved,
            "gpuaas.reservation.made.v1": self._made,
            "gpuaas.reservation.ended.v1": self._ended,
        }

    def use(self, position: int, quota: str, wheres: list[str], milli: int) -> None:
        """So much more is used. Raises: Invalid `books.quota` above a limit."""
        before = self.lending.sums(quota, wheres[0::2])
        for where in wheres:
            used = self._add(quota, where, milli)
            limit = self._spill.get("limit", quota, where)
            if limit is not None and used > limit:
                detail = f"{used} of {limit} for {where.replace(NUL, ' ')}"
                raise Invalid("books.quota", detail, position=position, field="gpu_milli")
        self.lending.settle(quota, wheres[0::2])
        self.lending.check_use(position, quota, wheres[0::2], before)

    def give_back(self, quota: str, wheres: list[str], milli: int) -> None:
        """So much less is used."""
        for where in wheres:
            self._add(quota, where, -milli)
        self.lending.settle(quota, wheres[0::2])

    def draws(self, quota: str, runtime: str) -> tuple[str, list[Any]] | None:
        """The reservation that the runtime drew on, if it stands: its id and what it counts."""
        name = self._spill.get("draws", quota, runtime)
        held = None if name is None else self._spill.get("earmark", quota, name)
        return None if held is None else (name, held)

    def draw(self, position: int, quota: str, runtime: str, wheres: list[str], milli: int) -> bool:
        """Whether the commitment is of a reservation that stands, which then has that much less.

        Raises: Invalid `books.quota` when it has not, or is of other scopes.
        """
        found = self.draws(quota, runtime)
        if found is None:
            return False
        name, held = found
        group = quota + NUL + name
        drawn = sum(other for _, other in self._spill.scan("drawing", group)) + milli
        if wheres != held[0] or drawn > held[1]:
            detail = f"{drawn} of {held[1]} reserved, or in other scopes"
            raise Invalid("books.quota", detail, position=position, field="gpu_milli")
        self._spill.put("drawing", group, runtime, milli)
        return True

    def undraw(self, quota: str, runtime: str) -> bool:
        """Whether what the runtime gives back is of a reservation that stands."""
        found = self.draws(quota, runtime)
        self._spill.delete("draws", quota, runtime)
        if found is None:
            return False
        self._spill.delete("drawing", quota + NUL + found[0], runtime)
        return True

    def _reserved(self, position: int, entry: Row, fact: Row) -> None:
        quota, name = entry["stream"], fact["reservation"]
        if self._spill.get("earmark", quota, name) is not None:
            raise Invalid("books.held", "reserved already", position=position, field="reservation")
        wheres = wheres_of(fact)
        self._spill.put("earmark", quota, name, [wheres, fact["gpu_milli"]])
        self._spill.put("earmarks", "", quota, 1)
        self.use(position, quota, wheres, fact["gpu_milli"])

    def _drawn(self, position: int, entry: Row, fact: Row) -> None:
        name, runtime = fact["reservation"], fact["runtime"]
        if self._spill.get("earmark", entry["stream"], name) is None:
            detail = "no such reservation stands in the quota"
            raise Invalid("books.held", detail, position=position, field="reservation")
        if self._spill.get("claimed", "", runtime) != name:
            detail = "its devices are not of that reservation"
            raise Invalid("books.reserved", detail, position=position, field="reservation")
        if self._spill.get("committed", entry["stream"], runtime) is not None:
            raise Invalid("books.held", "committed already", position=position, field="runtime")
        self._spill.put("draws", entry["stream"], runtime, name)

    def _unreserved(self, position: int, entry: Row, fact: Row) -> None:
        quota, name = entry["stream"], fact["reservation"]
        held = self._spill.get("earmark", quota, name)
        if held is None or self._spill.get("over", "", name) is None:
            detail = "it is not reserved, or not over"
            raise Invalid("books.held", detail, position=position, field="reservation")
        self._spill.delete("earmark", quota, name)
        self._spill.delete("over", "", name)
        group = quota + NUL + name
        drawn = list(self._spill.scan("drawing", group))
        for runtime, _ in drawn:
            self._spill.delete("drawing", group, runtime)
        left = held[1] - sum(milli for _, milli in drawn)
        self.give_back(quota, held[0], left)

    def _made(self, position: int, entry: Row, fact: Row) -> None:
        quota = "quota-" + entry["org"].partition("-")[2]
        held = self._spill.get("earmark", quota, entry["stream"])
        if held is None:
            if self._spill.get("earmarks", "", quota) is not None:
                detail = "nothing was reserved in the quota"
                raise Invalid("books.quota", detail, position=position, field="devices")
            return
        where = NUL.join((fact["project"], fact["model"]))
        if where not in held[0] or held[1] != fact["devices"] * DEVICE_MILLI:
            detail = f"{held[1]} milli-GPU were reserved, or in other scopes"
            raise Invalid("books.held", detail, position=position, field="devices")

    def _ended(self, _position: int, entry: Row, _fact: Row) -> None:
        quota = "quota-" + entry["org"].partition("-")[2]
        if self._spill.get("earmark", quota, entry["stream"]) is not None:
            self._spill.put("over", "", entry["stream"], 1)

    def _add(self, quota: str, where: str, milli: int) -> int:
        used: int = (self._spill.get("quota", quota, where) or 0) + milli
        if used:
            self._spill.put("quota", quota, where, used)
        else:
            self._spill.delete("quota", quota, where)
        return used


def wheres_of(fact: Row) -> list[str]:
    """Every (scope, model) that the commitment or reservation counts in."""
    scopes = ("organization", fact["department"], fact["project"])
    return [NUL.join((scope, model)) for scope in scopes for model in (fact["model"], ANY_MODEL)]
