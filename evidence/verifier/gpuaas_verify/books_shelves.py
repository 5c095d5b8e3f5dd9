"""Quota of storage: no commitment leaves the use of a scope above its limit, as set before it.

contracts/facts.md, contracts/rating.md section 1. State per volume that is committed and not wiped,
per scope with use, per limit; in the spill.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import NUL
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]


class Shelves:
    """By volume: [quota stream, the scopes it counts in, MiB]."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.quota.storage_limit_set.v1": self._limit_set,
            "gpuaas.quota.storage_committed.v1": self._committed,
        }

    def _limit_set(self, _position: int, entry: Row, fact: Row) -> None:
        scope = "organization" if fact["scope"].startswith("organization-") else fact["scope"]
        where = NUL.join((scope, fact["model"]))
        self._spill.put("shelf_limit", entry["stream"], where, fact["limit_mib"])
        self._spill.put("limited", "", entry["stream"], 1)

    def _committed(self, position: int, entry: Row, fact: Row) -> None:
        quota, volume, size = entry["stream"], fact["volume"], fact["size_mib"]
        wheres = _wheres(fact["department"], fact["project"], fact["model"])
        held = self._spill.get("shelved", "", volume) or [quota, wheres, 0]
        if held[:2] != [quota, wheres]:
            detail = "it was committed to other scopes"
            raise Invalid("books.held", detail, position=position, field="volume")
        if size <= held[2]:
            detail = f"it has {held[2]} MiB"
            raise Invalid("books.held", detail, position=position, field="size_mib")
        self._spill.put("shelved", "", volume, [quota, wheres, size])
        for where in wheres:
            used = self._add(quota, where, size - held[2])
            limit = self._spill.get("shelf_limit", quota, where)
            if limit is not None and used > limit:
                detail = f"{used} of {limit} MiB for {where.replace(NUL, ' ')}"
                raise Invalid("books.quota", detail, position=position, field="size_mib")

    def check_claim(self, position: int, entry: Row, of: list[str], size: int) -> None:
        """What a volume is asked to have is what was committed for it; of = department, project,
        model. Nothing need be while its organization has no limit.
        """
        volume, quota = entry["stream"], "quota-" + entry["org"].partition("-")[2]
        if self._spill.get("cuts", "", of[1]) is not None:
            of = [self._spill.get("place", "", of[1])[1], *of[1:]]  # its project has moved since
        held = self._spill.get("shelved", "", volume)
        if held is None:
            if self._spill.get("limited", "", quota) is not None:
                detail = "nothing was committed for it"
                raise Invalid("books.quota", detail, position=position, field="size_mib")
        elif held != [quota, _wheres(*of), size]:
            detail = f"{held[2]} MiB were committed, or in other scopes"
            raise Invalid("books.held", detail, position=position, field="size_mib")

    def settle(self, volume: str, size: int) -> None:
        """The volume counts what it has, its node did not grow it."""
        held = self._spill.get("shelved", "", volume)
        if held is not None:
            self._count_less(held, held[2] - size)
            self._spill.put("shelved", "", volume, [*held[:2], size])

    def release(self, volume: str) -> None:
        """The volume counts no more."""
        held = self._spill.get("shelved", "", volume)
        if held is not None:
            self._count_less(held, held[2])
            self._spill.delete("shelved", "", volume)

    def _count_less(self, held: list[Any], size: int) -> None:
        for where in held[1]:
            self._add(held[0], where, -size)

    def _add(self, quota: str, where: str, size: int) -> int:
        used: int = (self._spill.get("shelf", quota, where) or 0) + size
        self._spill.put("shelf", quota, where, used)
        return used


def _wheres(department: str, project: str, model: str) -> list[str]:
    return [NUL.join((scope, model)) for scope in ("organization", department, project)]
