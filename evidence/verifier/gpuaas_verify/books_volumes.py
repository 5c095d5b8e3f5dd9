"""Volumes: one writer at a time, on the volume's own node, under epochs that only rise.

contracts/facts.md. State per volume that is not wiped yet, in the spill.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

MIB = 1 << 20


class Volumes:
    """By volume: [node, MiB, made, the allocation that has it or None, its last epoch]."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.volume.created.v1": self._created,
            "gpuaas.volume.formatted.v1": self._formatted,
            "gpuaas.volume.attached.v1": self._attached,
            "gpuaas.volume.detached.v1": self._detached,
            "gpuaas.volume.grown.v1": self._grown,
            "gpuaas.volume.wiped.v1": self._wiped,
        }

    def _created(self, position: int, entry: Row, fact: Row) -> None:
        if self._spill.get("volume", entry["stream"], "") is not None:
            raise _wrong(position, "it was created before", "stream")
        self._put(entry, [fact["node"], fact["size_mib"], False, None, 0])

    def _formatted(self, position: int, entry: Row, fact: Row) -> None:
        node, size, _, has, epoch = self._known(position, entry)
        if fact["bytes"] != size * MIB:
            raise _wrong(position, f"it was asked for with {size} MiB", "bytes")
        self._put(entry, [node, size, True, has, epoch])

    def _attached(self, position: int, entry: Row, fact: Row) -> None:
        node, size, made, has, epoch = self._known(position, entry)
        if not made or has is not None:
            detail = f"{has} has it" if made else "its node has not made it"
            raise _wrong(position, detail, "allocation")
        if fact["epoch"] <= epoch:
            raise _wrong(position, f"epoch {epoch} has had it", "epoch")
        held = self._spill.get("allocation", node, fact["allocation"])
        if held is None or held[0] != fact["runtime"]:
            raise _wrong(position, "the allocation is not held on its node", "allocation")
        self._put(entry, [node, size, made, fact["allocation"], fact["epoch"]])

    def _detached(self, position: int, entry: Row, fact: Row) -> None:
        node, size, made, has, epoch = self._known(position, entry)
        if (fact["allocation"], fact["epoch"]) != (has, epoch):
            raise _wrong(position, "another allocation has it", "allocation")
        if self._spill.get("allocation", node, has) is not None:
            raise _wrong(position, "its runtime has not ended", "allocation")
        self._put(entry, [node, size, made, None, epoch])

    def _grown(self, position: int, entry: Row, fact: Row) -> None:
        node, size, made, has, epoch = self._known(position, entry)
        if fact["size_mib"] <= size:
            raise _wrong(position, f"it had {size} MiB before", "size_mib")
        self._put(entry, [node, fact["size_mib"], made, has, epoch])

    def _wiped(self, position: int, entry: Row, fact: Row) -> None:
        _, size, made, has, _ = self._known(position, entry)
        if has is not None:
            raise _wrong(position, f"{has} has it", "stream")
        if made and fact["bytes_covered"] < size * MIB:
            raise _wrong(position, f"the receipt covers less than {size} MiB", "bytes_covered")
        self._spill.delete("volume", entry["stream"], "")

    def _known(self, position: int, entry: Row) -> list[Any]:
        found: list[Any] | None = self._spill.get("volume", entry["stream"], "")
        if found is None:
            raise _wrong(position, "there is no such volume", "stream")
        return found

    def _put(self, entry: Row, state: list[Any]) -> None:
        self._spill.put("volume", entry["stream"], "", state)


def _wrong(position: int, detail: str, field: str) -> Invalid:
    return Invalid("books.volume", detail, position=position, field=field)
