"""What is held at one time: shares of a node's devices, and quota under its limits.

contracts/rating.md section 1. State per live allocation and per live commitment, in the spill.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import NUL
from gpuaas_verify.books_reserved import Reserved, wheres_of
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_upkeep import Upkeep
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

DEVICE_MILLI = 1000


class Holdings:
    """Live allocations by node, live commitments by quota stream: nothing is overdrawn."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._reserved = Reserved(spill)
        self.lending = self._reserved.lending
        self.upkeep = Upkeep(spill)

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.node.allocated.v1": self._allocated,
            "gpuaas.node.released.v1": self._released,
            "gpuaas.quota.limit_set.v1": self._limit_set,
            "gpuaas.quota.committed.v1": self._committed,
            "gpuaas.quota.released.v1": self._given_back,
            **self._reserved.handlers(),
            **self.upkeep.handlers(),
        }

    def _allocated(self, position: int, entry: Row, fact: Row) -> None:
        node, allocation = entry["stream"], fact["allocation"]
        if self._spill.get("allocation", node, allocation) is not None:
            raise Invalid("books.held", "held already", position=position, field="allocation")
        claim = self.upkeep.taken(position, node, fact)
        if claim:
            self._spill.put("claimed", "", fact["runtime"], claim)
        self._spill.put("allocation", node, allocation, [fact["runtime"], fact["devices"]])
        for share in fact["devices"]:
            used = self._give(node, str(share["index"]), share["milli"])
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
        self._spill.delete("claimed", "", fact["runtime"])
        for share in held[1]:
            index = str(share["index"])
            used = self._give(node, index, -share["milli"])
            self.upkeep.left(node, index, empty=not used)

    def _limit_set(self, _position: int, entry: Row, fact: Row) -> None:
        # A limit below what is held stops the next commitment and takes nothing away.
        where = NUL.join((_scope(fact["scope"]), fact["model"]))
        self._spill.put("limit", entry["stream"], where, fact["limit_milli"])

    def _committed(self, position: int, entry: Row, fact: Row) -> None:
        quota, runtime = entry["stream"], fact["runtime"]
        if self._spill.get("committed", quota, runtime) is not None:
            raise Invalid("books.held", "committed already", position=position, field="runtime")
        wheres, milli = wheres_of(fact), fact["gpu_milli"]
        self._spill.put("committed", quota, runtime, [wheres, milli, fact["decided_us"]])
        if not self._reserved.draw(position, quota, runtime, wheres, milli):
            self._reserved.use(position, quota, wheres, milli)

    def _given_back(self, position: int, entry: Row, fact: Row) -> None:
        held = self._spill.get("committed", entry["stream"], fact["runtime"])
        if held is None:
            raise Invalid("books.held", "not committed", position=position, field="runtime")
        self._spill.delete("committed", entry["stream"], fact["runtime"])
        if not self._reserved.undraw(entry["stream"], fact["runtime"]):
            self._reserved.give_back(entry["stream"], *held[:2])

    def _give(self, node: str, index: str, milli: int) -> int:
        used: int = (self._spill.get("device", node, index) or 0) + milli
        if used:
            self._spill.put("device", node, index, used)
        else:
            self._spill.delete("device", node, index)
        return used


def _scope(scope: str) -> str:
    """One stream is of one organization, so its whole needs no name."""
    return "organization" if scope.startswith("organization-") else scope
