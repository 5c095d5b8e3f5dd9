"""What is held at one time: shares of a node's devices, and quota under its limits.

contracts/rating.md section 1. State per live allocation and per live commitment, in the spill.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import NUL
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_upkeep import Upkeep
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

DEVICE_MILLI = 1000
ANY_MODEL = "*"


class Holdings:
    """Live allocations by node, live commitments by quota stream: nothing is overdrawn."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self.upkeep = Upkeep(spill)

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.node.allocated.v1": self._allocated,
            "gpuaas.node.released.v1": self._released,
            "gpuaas.quota.limit_set.v1": self._limit_set,
            "gpuaas.quota.committed.v1": self._committed,
            "gpuaas.quota.released.v1": self._given_back,
            **self.upkeep.handlers(),
        }

    def _allocated(self, position: int, entry: Row, fact: Row) -> None:
        node, allocation = entry["stream"], fact["allocation"]
        if self._spill.get("allocation", node, allocation) is not None:
            raise Invalid("books.held", "held already", position=position, field="allocation")
        self.upkeep.taken(position, node, fact)
        self._spill.put("allocation", node, allocation, [fact["runtime"], fact["devices"]])
        for share in fact["devices"]:
            used = self._add("device", node, str(share["index"]), share["milli"])
            if used > DEVICE_MILLI:
                detail = f"device {share['index']} gives {used} of {DEVICE_MILLI}"
                raise Invalid("books.oversold", detail, position=position, field="devices")

    def _released(self, position: int, entry: Row, fact: Row) -> None:
        node, allocation = entry["stream"], fact["allocation"]
        held = self._spill.get("allocation", node, allocation)
        if held is None or held[0] != fact["runtime"]:
            detail = "the runtime does not hold it"
            raise Invalid("books.held", detail, position=position, field="allocation")
        self._spill.delete("allocation", node, allocation)
        for share in held[1]:
            index = str(share["index"])
            used = self._add("device", node, index, -share["milli"])
            self.upkeep.left(node, index, empty=not used)

    def _limit_set(self, _position: int, entry: Row, fact: Row) -> None:
        # A limit below what is held stops the next commitment and takes nothing away.
        where = NUL.join((_scope(fact["scope"]), fact["model"]))
        self._spill.put("limit", entry["stream"], where, fact["limit_milli"])

    def _committed(self, position: int, entry: Row, fact: Row) -> None:
        quota, runtime = entry["stream"], fact["runtime"]
        if self._spill.get("committed", quota, runtime) is not None:
            raise Invalid("books.held", "committed already", position=position, field="runtime")
        wheres = _wheres(fact)
        self._spill.put("committed", quota, runtime, [wheres, fact["gpu_milli"]])
        for where in wheres:
            used = self._add("quota", quota, where, fact["gpu_milli"])
            limit = self._spill.get("limit", quota, where)
            if limit is not None and used > limit:
                detail = f"{used} of {limit} for {where.replace(NUL, ' ')}"
                raise Invalid("books.quota", detail, position=position, field="gpu_milli")

    def _given_back(self, position: int, entry: Row, fact: Row) -> None:
        held = self._spill.get("committed", entry["stream"], fact["runtime"])
        if held is None:
            raise Invalid("books.held", "not committed", position=position, field="runtime")
        self._spill.delete("committed", entry["stream"], fact["runtime"])
        for where in held[0]:
            self._add("quota", entry["stream"], where, -held[1])

    def _add(self, space: str, group: str, key: str, milli: int) -> int:
        used: int = (self._spill.get(space, group, key) or 0) + milli
        if used:
            self._spill.put(space, group, key, used)
        else:
            self._spill.delete(space, group, key)
        return used


def _scope(scope: str) -> str:
    """One stream is of one organization, so its whole needs no name."""
    return "organization" if scope.startswith("organization-") else scope


def _wheres(fact: Row) -> list[str]:
    """Every (scope, model) that the commitment counts in."""
    scopes = ("organization", fact["department"], fact["project"])
    return [NUL.join((scope, model)) for scope in scopes for model in (fact["model"], ANY_MODEL)]
