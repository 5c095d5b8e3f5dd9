"""Nodes and runtimes: whose clock bills, which instants, and what is charged when.

contracts/facts.md ("Agents' words") for the instants, contracts/rating.md sections 2 and 3 for
the intervals and causes of runtimes. Signatures are checked before (attest.py); here the attested
body's boot time is read again from its bytes and every billable instant computed anew.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_metered import Metered
from gpuaas_verify.books_prices import NOWHERE, is_region
from gpuaas_verify.books_rating import Charging, bounded
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_wallet import Wallets
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

METER, STATE, SPOT = "gpu.time", "usable", "spot"
ATTESTED_KEYS = ["node", "key", "boot", "seq", "body", "sig"]


class Lives:
    """Runtimes until they end, and what of each node their billing needs.

    A runtime's item: account, project, milli, requested (position), node, previous (instant),
    lease (last renewal that named it). Its intervals are among the metered ones.
    """

    def __init__(
        self, spill: Spill, charging: Charging, metered: Metered, wallets: Wallets
    ) -> None:
        self._spill = spill
        self._charging = charging
        self._metered = metered
        self._wallets = wallets

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.node.enrolled.v1": self._enrolled,
            "gpuaas.node.region_set.v1": self._region_set,
            "gpuaas.node.anchored.v1": self._anchored,
            "gpuaas.node.lease_renewed.v1": self._lease_renewed,
            "gpuaas.runtime.requested.v1": self._requested,
            "gpuaas.runtime.allocated.v1": self._allocated,
            "gpuaas.runtime.region_asked.v1": self._region_asked,
            "gpuaas.runtime.spot.v1": self._spot,
            "gpuaas.runtime.usable.v1": self._usable,
            "gpuaas.runtime.degraded.v1": self._degraded,
            "gpuaas.runtime.stopped.v1": self._stopped,
            "gpuaas.runtime.failed.v1": self._failed,
            "gpuaas.runtime.lost.v1": self._lost,
            "gpuaas.runtime.cancelled.v1": self._cancelled,
            "gpuaas.period.closed.v1": self._metered.period_closed,
        }

    # -- nodes ---------------------------------------------------------------------------

    def _node(self, position: int, node: str) -> Row:
        item: Row | None = self._spill.get("node", "", node)
        if item is None:
            raise Invalid("books.node", f"{node} is not enrolled", position=position, field="node")
        return item

    def _enrolled(self, _position: int, entry: Row, fact: Row) -> None:
        item = self._spill.get("node", "", entry["stream"]) or {"anchor": None, "seen": 0}
        item |= {
            "simulated": fact["simulated"],
            "model": fact["model"],
            "gpus": [gpu["index"] for gpu in fact["gpus"]],
        }
        self._spill.put("node", "", entry["stream"], item)

    def _region_set(self, position: int, entry: Row, fact: Row) -> None:
        item, region = self._node(position, entry["stream"]), fact["region"]
        if region != NOWHERE and not is_region(region):
            raise Invalid("books.region", "no region", position=position, field="region")
        self._spill.put("node", "", entry["stream"], {**item, "region": region})

    def _anchored(self, position: int, entry: Row, fact: Row) -> None:
        item = self._node(position, entry["stream"])
        boottime = _spoken(position, entry, fact, entry["stream"], fact["boot"])
        # Only the latest is kept: an agent's word counts under the boot of the latest anchor.
        item["anchor"] = [fact["boot"], boottime, fact["anchor_us"]]
        item["seen"] = max(item["seen"], fact["anchor_us"])
        self._spill.put("node", "", entry["stream"], item)

    def _lease_renewed(self, position: int, entry: Row, fact: Row) -> None:
        for runtime in fact["runtimes"]:
            item = self._spill.get("runtime", "", runtime) if type(runtime) is str else None
            # One that ended while the renewal was under way has nothing left to bill.
            if item is not None and item.get("node") == entry["stream"]:
                item["lease"] = fact["renewed_us"]
                self._spill.put("runtime", "", runtime, item)
        node = self._node(position, entry["stream"])
        node["seen"] = max(node["seen"], fact["renewed_us"])
        self._wallets.leased(entry)
        self._spill.put("node", "", entry["stream"], node)

    # -- runtimes ------------------------------------------------------------------------

    def _runtime(self, position: int, entry: Row) -> Row:
        item: Row | None = self._spill.get("runtime", "", entry["stream"])
        if item is None:
            raise Invalid(
                "books.lifecycle", f"{entry['stream']} does not exist or has ended",
                position=position, field="stream",
            )  # fmt: skip
        return item

    def _placed(self, position: int, entry: Row) -> Row:
        item = self._runtime(position, entry)
        if "node" not in item:
            raise Invalid("books.lifecycle", "not allocated", position=position, field="stream")
        return item

    def _requested(self, position: int, entry: Row, fact: Row) -> None:
        if self._spill.get("runtime", "", entry["stream"]) is not None or entry["version"] != 1:
            raise Invalid("books.lifecycle", "requested twice", position=position, field="stream")
        self._charging.own_account(position, fact["account"], entry["org"])
        if fact["gpu_milli"] < 1:
            raise Invalid("books.lifecycle", "of no size", position=position, field="gpu_milli")
        item = {
            "account": fact["account"],
            "project": fact["project"],
            "milli": fact["gpu_milli"],
            "devices": fact["devices"],
            "models": fact["models"],
            "requested": position,
        }
        self._spill.put("runtime", "", entry["stream"], item)

    def _allocated(self, position: int, entry: Row, fact: Row) -> None:
        item = self._runtime(position, entry)
        if "node" in item:
            raise Invalid("books.lifecycle", "allocated twice", position=position, field="stream")
        node = self._node(position, fact["node"])
        _check_place(position, fact, item, node)
        del item["devices"], item["models"]
        about = {
            "account": item["account"],
            "project": item["project"],
            "size": item["milli"],
            "order": item["requested"],
            "meter": METER,
            "model": fact["model"],
            "state": STATE,
            "region": node.get("region", NOWHERE),
            "simulated": node["simulated"],
        }
        self._metered.add(entry["stream"], about)
        self._wallets.allocated(entry, item["account"])
        item |= {
            "node": fact["node"],
            "previous": fact["allocated_us"],
            "lease": None,
            "admitted": entry["cause"],
        }
        self._spill.put("runtime", "", entry["stream"], item)

    def _instant(self, position: int, entry: Row, fact: Row, item: Row, field: str) -> int:
        """The billable instant of an attested fact, which its field must say."""
        anchor = self._node(position, item["node"])["anchor"]
        if anchor is None:
            raise Invalid("books.instant", "its node has no anchor", position=position, field=field)
        boot, anchor_boottime, anchor_us = anchor
        boottime = _spoken(position, entry, fact, item["node"], boot)
        meant = anchor_us + (boottime - anchor_boottime)
        instant = max(min(max(meant, item["previous"]), fact["decided_us"]), item["previous"])
        if fact[field] != instant:
            raise Invalid(
                "books.instant", f"{field} is {fact[field]}, derived {instant}",
                position=position, field=field,
            )  # fmt: skip
        return bounded(instant, position, field)

    def _region_asked(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        if item["admitted"] != entry["cause"]:
            raise Invalid("books.lifecycle", "admitted as it is", position=position, field="stream")
        if self._metered.region(entry["stream"]) != fact["region"]:
            raise Invalid(
                "books.region", "its node is not there", position=position, field="region"
            )

    def _spot(self, position: int, entry: Row, _fact: Row) -> None:
        item = self._placed(position, entry)
        if item["admitted"] != entry["cause"] or self._metered.is_open(entry["stream"]):
            raise Invalid("books.lifecycle", "admitted as it is", position=position, field="stream")
        self._metered.restate(entry["stream"], SPOT)
        self._spill.put("spot", "", entry["stream"], 1)

    def _usable(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        instant = self._instant(position, entry, fact, item, "usable_us")
        item["previous"] = instant
        self._metered.begin(entry["stream"], instant)
        self._spill.put("runtime", "", entry["stream"], item)

    def _degraded(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        instant = self._instant(position, entry, fact, item, "degraded_us")
        self._metered.end(position, entry["stream"], instant)
        item["previous"] = instant
        self._spill.put("runtime", "", entry["stream"], item)

    def _stopped(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        self._end(position, entry, self._instant(position, entry, fact, item, "stopped_us"))

    def _failed(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        self._end(position, entry, self._instant(position, entry, fact, item, "failed_us"))

    def _lost(self, position: int, entry: Row, fact: Row) -> None:
        item = self._placed(position, entry)
        lease = item["previous"] if item["lease"] is None else item["lease"]
        instant = max(lease, item["previous"])
        if fact["lost_us"] != instant:
            raise Invalid(
                "books.instant", f"lost_us is {fact['lost_us']}, derived {instant}",
                position=position, field="lost_us",
            )  # fmt: skip
        self._end(position, entry, instant)

    def _cancelled(self, position: int, entry: Row, _fact: Row) -> None:
        self._runtime(position, entry)
        if self._metered.is_open(entry["stream"]):
            raise Invalid("books.lifecycle", "cancelled in use", position=position, field="stream")
        self._gone(entry["stream"])

    def _end(self, position: int, entry: Row, instant: int) -> None:
        self._metered.end(position, entry["stream"], instant)
        self._gone(entry["stream"])

    def _gone(self, stream: str) -> None:
        self._spill.delete("runtime", "", stream)
        self._spill.delete("spot", "", stream)
        self._metered.drop(stream)


def _check_place(position: int, fact: Row, item: Row, node: Row) -> None:
    """What is allocated is what was asked for, and what will be billed, on devices the node has."""
    shares = fact["devices"]
    accepted = item["models"]
    for code, field, right in (
        ("books.size", "devices", sum(share["milli"] for share in shares) == item["milli"]),
        ("books.size", "devices", len(shares) == item["devices"]),
        ("books.model", "model", fact["model"] == node["model"]),
        ("books.model", "model", not accepted or fact["model"] in accepted),
        ("books.device", "devices", all(share["index"] in node["gpus"] for share in shares)),
    ):
        if not right:
            raise Invalid(code, "not as asked for, or not there", position=position, field=field)


def _spoken(position: int, entry: Row, fact: Row, node: str, boot: str) -> int:
    """The boot time in the attested bytes, said by this node in this boot about this entry."""
    attested = fact["attested"]
    if list(attested) != ATTESTED_KEYS or type(attested["body"]) is not str:
        raise Invalid("fact.malformed", "attested", position=position, field="attested")
    try:
        body = json.loads(base64.b64decode(attested["body"], validate=True))
    except (binascii.Error, ValueError) as error:
        raise Invalid(
            "books.attested", "its body is not JSON", position=position, field="attested"
        ) from error
    said = body if isinstance(body, dict) else {}
    for name, value in (
        ("node", node),
        ("boot", boot),
        ("tag", entry["tag"]),
        ("stream", entry["stream"]),
        ("boottime_us", fact["boottime_us"]),
    ):
        if said.get(name) != value or type(said[name]) is not type(value):
            raise Invalid(
                "books.attested", f"its body's {name} is not that of the fact",
                position=position, field=name,
            )  # fmt: skip
    boottime: int = said["boottime_us"]
    return boottime
