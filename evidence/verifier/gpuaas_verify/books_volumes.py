"""Volumes: one writer at a time, on the volume's own node, under epochs that only rise; metered.

contracts/facts.md, contracts/rating.md sections 1 and 2. State per volume that is not wiped yet, in
the spill. Instants are checked with the words that rest on them (attest.py).
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_metered import Metered
from gpuaas_verify.books_prices import NOWHERE
from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_shelves import Shelves
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_wallet import Wallets
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

MIB = 1 << 20
METER, UNIT, SOURCE, MODEL, STATE = "storage.capacity", "MiB-us", "lifecycle", "local", "existing"


class Volumes:
    """By volume: node, size (MiB), made, has (its allocation or None), its last epoch, of (its
    department, project and model), previous (its last instant), locked (since when, or None). By
    node and volume: the position of the open request to wipe what is nobody's any more.
    """

    def __init__(
        self, spill: Spill, charging: Charging, metered: Metered, wallets: Wallets
    ) -> None:
        self._spill = spill
        self._charging = charging
        self._metered = metered
        self._wallets = wallets
        self._shelves = Shelves(spill)
        self._registered = False  # volumes created from now on are metered

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.meter.registered.v1": self._meter_registered,
            "gpuaas.volume.created.v1": self._created,
            "gpuaas.volume.formatted.v1": self._formatted,
            "gpuaas.volume.attached.v1": self._attached,
            "gpuaas.volume.detached.v1": self._detached,
            "gpuaas.volume.grow_requested.v1": self._grow_requested,
            "gpuaas.volume.grown.v1": self._grown,
            "gpuaas.volume.order_refused.v1": self._order_refused,
            "gpuaas.volume.wiped.v1": self._wiped,
            "gpuaas.volume.lost.v1": self._lost,
            "gpuaas.volume.locked.v1": self._locked,
            "gpuaas.volume.unlocked.v1": self._unlocked,
            "gpuaas.node.volume_wipe_requested.v1": self._stray_asked,
            "gpuaas.node.volume_wipe_refused.v1": self._stray_answered,
            "gpuaas.node.volume_wiped.v1": self._stray_answered,
            **self._shelves.handlers(),
        }

    def _meter_registered(self, _position: int, _entry: Row, fact: Row) -> None:
        if [fact["meter"], fact["unit"], fact["source"]] == [METER, UNIT, SOURCE]:
            self._registered = True

    def _created(self, position: int, entry: Row, fact: Row) -> None:
        if entry["version"] != 1:
            raise _wrong(position, "it was created before", "stream")
        item = {
            "node": fact["node"],
            "size": fact["size_mib"],
            "made": False,
            "has": None,
            "epoch": 0,
            "of": [fact["department"], fact["project"], MODEL],
            "previous": fact["created_us"],
            "locked": None,
        }
        self._put(entry, item)
        self._shelves.check_claim(position, entry, item["of"], fact["size_mib"])
        if self._registered:
            self._meter(position, entry, fact)

    def _meter(self, position: int, entry: Row, fact: Row) -> None:
        self._charging.own_account(position, fact["account"], entry["org"])
        if fact["size_mib"] < 1:
            raise _wrong(position, "of no size", "size_mib")
        node = self._node(position, fact["node"])
        about = {
            "account": fact["account"],
            "project": fact["project"],
            "size": fact["size_mib"],
            "order": position,
            "meter": METER,
            "model": MODEL,
            "state": STATE,
            "region": node.get("region", NOWHERE),
            "simulated": node["simulated"],
        }
        self._metered.add(entry["stream"], about)
        self._wallets.allocated(entry, fact["account"])

    def _formatted(self, position: int, entry: Row, fact: Row) -> None:
        item = self._known(position, entry)
        if item["made"]:
            raise _wrong(position, "its node has made it before", "stream")
        if fact["bytes"] != item["size"] * MIB:
            raise _wrong(position, f"it was asked for with {item['size']} MiB", "bytes")
        self._put(entry, {**item, "made": True, "previous": fact["formatted_us"]})
        if self._metered.has(entry["stream"]) and item["locked"] is None:
            self._metered.begin(entry["stream"], fact["formatted_us"])

    def _attached(self, position: int, entry: Row, fact: Row) -> None:
        item = self._known(position, entry)
        made, has = item["made"], item["has"]
        if not made or has is not None:
            detail = f"{has} has it" if made else "its node has not made it"
            raise _wrong(position, detail, "allocation")
        if item["locked"] is not None:
            raise _wrong(position, "it is locked", "allocation")
        if fact["epoch"] <= item["epoch"]:
            raise _wrong(position, f"epoch {item['epoch']} has had it", "epoch")
        held = self._spill.get("allocation", item["node"], fact["allocation"])
        if held is None or held[0] != fact["runtime"]:
            raise _wrong(position, "the allocation is not held on its node", "allocation")
        self._put(entry, {**item, "has": fact["allocation"], "epoch": fact["epoch"]})

    def _detached(self, position: int, entry: Row, fact: Row) -> None:
        item = self._known(position, entry)
        if (fact["allocation"], fact["epoch"]) != (item["has"], item["epoch"]):
            raise _wrong(position, "another allocation has it", "allocation")
        if self._spill.get("allocation", item["node"], item["has"]) is not None:
            raise _wrong(position, "its runtime has not ended", "allocation")
        self._put(entry, {**item, "has": None})

    def _grow_requested(self, position: int, entry: Row, fact: Row) -> None:
        item = self._known(position, entry)
        self._shelves.check_claim(position, entry, item["of"], fact["size_mib"])

    def _order_refused(self, position: int, entry: Row, _fact: Row) -> None:
        self._shelves.settle(entry["stream"], self._known(position, entry)["size"])

    def _grown(self, position: int, entry: Row, fact: Row) -> None:
        stream = entry["stream"]
        item = self._known(position, entry)
        if not item["made"]:
            raise _wrong(position, "its node has not made it", "stream")
        if fact["size_mib"] <= item["size"]:
            raise _wrong(position, f"it had {item['size']} MiB before", "size_mib")
        self._put(entry, {**item, "size": fact["size_mib"], "previous": fact["grown_us"]})
        if self._metered.has(stream):
            self._metered.end(position, stream, fact["grown_us"])
            self._metered.resize(stream, fact["size_mib"])
            if item["locked"] is None:
                self._metered.begin(stream, fact["grown_us"])

    def _wiped(self, position: int, entry: Row, fact: Row) -> None:
        stream = entry["stream"]
        item = self._known(position, entry)
        if item["has"] is not None:
            raise _wrong(position, f"{item['has']} has it", "stream")
        if item["made"] and fact["bytes_covered"] < item["size"] * MIB:
            detail = f"the receipt covers less than {item['size']} MiB"
            raise _wrong(position, detail, "bytes_covered")
        self._over(position, stream, fact["wiped_us"])

    def _lost(self, position: int, entry: Row, fact: Row) -> None:
        item = self._known(position, entry)
        if item["has"] is not None:
            raise _wrong(position, f"{item['has']} has it", "stream")
        instant = max(item["previous"], self._node(position, item["node"])["seen"])
        if fact["lost_us"] != instant:
            detail = f"lost_us is {fact['lost_us']}, derived {instant}"
            raise Invalid("books.instant", detail, position=position, field="lost_us")
        self._over(position, entry["stream"], instant)

    def _locked(self, position: int, entry: Row, fact: Row) -> None:
        item = self._known(position, entry)
        end = self._metered.covered(entry["stream"])
        if end is None or item["locked"] is not None:
            raise _wrong(position, "nothing holds for it, or it is locked", "stream")
        for field, right in (
            ("locked_us", fact["locked_us"] == end),
            ("wipe_us", fact["wipe_us"] >= end),
            ("decided_us", fact["decided_us"] >= end),
        ):
            if not right:
                raise _wrong(position, f"its hold ends at {end}", field)
        self._metered.end(position, entry["stream"], end)
        self._put(entry, {**item, "locked": end})

    def _unlocked(self, position: int, entry: Row, fact: Row) -> None:
        item = self._known(position, entry)
        if item["locked"] is None or fact["unlocked_us"] < item["locked"]:
            raise _wrong(position, "it was not locked by then", "unlocked_us")
        previous = max(item["previous"], fact["unlocked_us"])
        self._put(entry, {**item, "locked": None, "previous": previous})
        self._wallets.unlocked(entry)
        if item["made"]:
            self._metered.begin(entry["stream"], fact["unlocked_us"])

    def _stray_asked(self, position: int, entry: Row, fact: Row) -> None:
        if self._spill.get("volume", fact["volume"], "") is not None:
            raise _wrong(position, "the volume stands", "volume")
        if self._spill.get("stray", entry["stream"], fact["volume"]) is not None:
            raise _wrong(position, "it was asked for already", "volume")
        self._spill.put("stray", entry["stream"], fact["volume"], position)

    def _stray_answered(self, position: int, entry: Row, fact: Row) -> None:
        if self._spill.get("stray", entry["stream"], fact["volume"]) != fact["command"]:
            raise _wrong(position, "nobody asked its node for that", "command")
        self._spill.delete("stray", entry["stream"], fact["volume"])

    def _over(self, position: int, stream: str, instant: int) -> None:
        self._spill.delete("volume", stream, "")
        self._shelves.release(stream)
        if self._metered.has(stream):
            self._metered.end(position, stream, instant)
            self._metered.drop(stream)

    def _node(self, position: int, node: str) -> Row:
        found: Row | None = self._spill.get("node", "", node)
        if found is None:
            raise _wrong(position, "its node is not enrolled", "node")
        return found

    def _known(self, position: int, entry: Row) -> Row:
        found: Row | None = self._spill.get("volume", entry["stream"], "")
        if found is None:
            raise _wrong(position, "there is no such volume", "stream")
        return found

    def _put(self, entry: Row, item: Row) -> None:
        self._spill.put("volume", entry["stream"], "", item)


def _wrong(position: int, detail: str, field: str) -> Invalid:
    return Invalid("books.volume", detail, position=position, field=field)
