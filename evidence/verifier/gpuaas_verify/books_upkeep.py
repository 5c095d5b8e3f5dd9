"""Who a device is kept for, and whether its node takes work (contracts/facts.md, receipts).

State per node and device in the spill: who holds it, whom it is kept for, what closes it, whether
its canary was missed.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import NUL
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]


class Upkeep:
    """Told of every allocation and release by Holdings, of the rest by its own handlers."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.node.cordoned.v1": self._cordoned,
            "gpuaas.node.uncordoned.v1": self._uncordoned,
            "gpuaas.node.drain_started.v1": self._drain_started,
            "gpuaas.node.drain_ended.v1": self._drain_ended,
            "gpuaas.node.quarantined.v1": self._quarantined,
            "gpuaas.node.sanitization_required.v1": self._required,
            "gpuaas.node.canary_looked.v1": self._canary,
            "gpuaas.node.sanitized.v1": self._sanitized,
            "gpuaas.node.returned.v1": self._returned,
            "gpuaas.node.retired.v1": self._retired,
            "gpuaas.node.reserved.v1": self._reserved,
            "gpuaas.node.unreserved.v1": self._unreserved,
        }

    def enrolled(self, node: str, fact: Row) -> None:
        """A machine enrolled as this node: a real one owes receipts, a device that is gone none."""
        if not fact["simulated"]:
            self._spill.put("owes", "", node, 1)
        count = len(fact["gpus"])
        for space in ("kept", "quarantine", "reserved", "missed"):
            gone = [index for index, _ in self._spill.scan(space, node) if int(index) >= count]
            for index in gone:
                self._spill.delete(space, node, index)

    def taken(self, position: int, node: str, fact: Row) -> str:
        """The reservation of all these devices, if any; that organization may have them.

        Raises: Invalid `books.closed`, `books.shared`, `books.unsanitized`, `books.reserved`.
        """
        closed = self._standing(node)
        if closed:
            detail = f"the node takes no work: {closed[0].replace(NUL, ' ')}"
            raise Invalid("books.closed", detail, position=position, field="stream")
        claims = set()
        for share in fact["devices"]:
            index = str(share["index"])
            if self._spill.get("quarantine", node, index) is not None:
                detail = f"device {index} is in quarantine"
                raise Invalid("books.closed", detail, position=position, field="devices")
            if self._spill.get("missed", node, index) is not None:
                detail = f"the canary of device {index} was missed"
                raise Invalid("books.unsanitized", detail, position=position, field="devices")
            reserved, claim = self._spill.get("reserved", node, index) or (None, "")
            claims.add(claim)
            for whose, code in (
                (self._spill.get("holder", node, index), "books.shared"),
                (self._spill.get("kept", node, index), "books.unsanitized"),
                (reserved, "books.reserved"),
            ):
                if whose not in {None, fact["organization"]}:
                    detail = f"device {index} is still of {whose}"
                    raise Invalid(code, detail, position=position, field="devices")
            self._spill.put("holder", node, index, fact["organization"])
        return claims.pop() if len(claims) == 1 else ""

    def left(self, node: str, index: str, *, empty: bool) -> None:
        """A share of the device was released; `empty`: the last one."""
        if self._owes(node):
            self._spill.put("kept", node, index, self._spill.get("holder", node, index))
        if empty:
            self._spill.delete("holder", node, index)

    def _owes(self, node: str) -> bool:
        return self._spill.get("owes", "", node) is not None

    def _cordoned(self, _position: int, entry: Row, _fact: Row) -> None:
        self._close(entry["stream"], "cordoned")

    def _uncordoned(self, _position: int, entry: Row, _fact: Row) -> None:
        self._reopen(entry["stream"], "cordoned")

    def _drain_started(self, _position: int, entry: Row, fact: Row) -> None:
        self._close(entry["stream"], _claim(fact))

    def _drain_ended(self, position: int, entry: Row, fact: Row) -> None:
        if _claim(fact) not in self._standing(entry["stream"]):
            detail = "no such drain: nobody ends another's"
            raise Invalid("books.closed", detail, position=position, field="owner")
        self._reopen(entry["stream"], _claim(fact))

    def _retired(self, _position: int, entry: Row, _fact: Row) -> None:
        self._close(entry["stream"], "retired")

    def _close(self, node: str, why: str) -> None:
        self._spill.put("closed", "", node, [*self._standing(node), why])

    def _reopen(self, node: str, why: str) -> None:
        left = [one for one in self._standing(node) if one != why]
        self._spill.put("closed", "", node, left)

    def _standing(self, node: str) -> list[str]:
        return self._spill.get("closed", "", node) or []

    def _required(self, _position: int, entry: Row, _fact: Row) -> None:
        self._spill.put("owes", "", entry["stream"], 1)

    def _reserved(self, position: int, entry: Row, fact: Row) -> None:
        for index in _indexes(position, fact):
            whose = [fact["organization"], fact["reservation"]]
            self._spill.put("reserved", entry["stream"], index, whose)

    def _unreserved(self, position: int, entry: Row, fact: Row) -> None:
        for index in _indexes(position, fact):
            self._spill.delete("reserved", entry["stream"], index)

    def _quarantined(self, position: int, entry: Row, fact: Row) -> None:
        for index in _indexes(position, fact):
            self._spill.put("quarantine", entry["stream"], index, "unproven")

    def _canary(self, position: int, entry: Row, fact: Row) -> None:
        node, planted = entry["stream"], fact["planted"]
        missed = fact["found"] > 0 or planted == 0 or 10 * fact["looked"] < 9 * planted
        for index in _indexes(position, fact):
            if not missed:
                self._spill.delete("missed", node, index)
                continue
            self._spill.put("missed", node, index, 1)
            if self._spill.get("quarantine", node, index) is not None:
                self._spill.put("quarantine", node, index, "unproven")

    def _sanitized(self, position: int, entry: Row, fact: Row) -> None:
        node = entry["stream"]
        if fact["bytes_covered"] < 1 or fact["residual_processes"] != 0:
            return
        for index in _indexes(position, fact):
            if self._spill.get("holder", node, index) is not None:
                continue  # said of a device in use: worth nothing
            if self._spill.get("missed", node, index) is not None:
                continue  # its canary is there still, or nobody knows
            self._spill.delete("kept", node, index)
            if self._spill.get("quarantine", node, index) is not None:
                self._spill.put("quarantine", node, index, "proven")

    def _returned(self, position: int, entry: Row, fact: Row) -> None:
        node = entry["stream"]
        for index in _indexes(position, fact):
            standing = self._spill.get("quarantine", node, index)
            if standing is None or (standing != "proven" and self._owes(node)):
                detail = f"device {index} has no clean receipt since its quarantine"
                raise Invalid("books.unsanitized", detail, position=position, field="devices")
            self._spill.delete("quarantine", node, index)
            self._spill.delete("missed", node, index)


def _claim(fact: Row) -> str:
    return NUL.join(("drain", fact["owner"], fact["reason"]))


def _indexes(position: int, fact: Row) -> list[str]:
    if not all(type(index) is int for index in fact["devices"]):
        raise Invalid("fact.malformed", "devices", position=position, field="devices")
    return [str(index) for index in fact["devices"]]
