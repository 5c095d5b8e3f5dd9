"""Reservations as metered resources: what of each nothing runs on (contracts/rating.md section 15).

State, in the spill: per reservation that is metered its size, its end and the instant of its last
change (`idle`, at first `idle_made`), what draws on it (`idle_draw`), and per runtime the one it
draws on (`idle_of`).
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_metered import Metered
from gpuaas_verify.books_prices import NOWHERE, RESERVED
from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_wallet import Wallets

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

METER, DEVICE_MILLI = "gpu.time", 1000


class Idle:
    """Fed the facts of `handlers`, each after what the quota makes of it."""

    def __init__(
        self, spill: Spill, charging: Charging, metered: Metered, wallets: Wallets
    ) -> None:
        self._wallets = wallets
        self._spill = spill
        self._charging = charging
        self._metered = metered
        self.cause = -1  # the last entry that charged for a reservation

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.quota.reserved.v1": self._reserved,
            "gpuaas.reservation.made.v1": self._made,
            "gpuaas.quota.drawn.v1": self._drawn,
            "gpuaas.quota.committed.v1": self._committed,
            "gpuaas.quota.released.v1": self._released,
            "gpuaas.quota.unreserved.v1": self._unreserved,
            "gpuaas.wallet.reservation_held.v1": self._held,
        }

    def _reserved(self, _position: int, _entry: Row, fact: Row) -> None:
        self._spill.put("idle_named", "", fact["reservation"], 1)

    def _made(self, position: int, entry: Row, fact: Row) -> None:
        name, payer = entry["stream"], self._spill.get("payer", "", fact["project"])
        if self._spill.get("idle_named", "", name) is None or payer is None:
            return
        self._spill.delete("idle_named", "", name)
        nodes = [self._spill.get("node", "", node) or {} for node in fact["nodes"]]
        there = {node.get("region", NOWHERE) for node in nodes}
        milli, begins, ends = fact["devices"] * DEVICE_MILLI, fact["decided_us"], fact["until_us"]
        about = {
            "account": payer["account"],
            "project": fact["project"],
            "size": milli,
            "order": position,
            "meter": METER,
            "model": fact["model"],
            "state": RESERVED,
            "region": there.pop() if len(there) == 1 else NOWHERE,
            "simulated": any(node.get("simulated", False) for node in nodes),
            "until": ends,
        }
        self._metered.add(name, about)
        self._spill.put("idle_made", "", name, [milli, ends, begins])
        if self._spill.get("terms", "", payer["account"]) == "prepaid":
            self._wallets.offer(name, entry["cause"])
        else:
            self._stands(name)

    def _held(self, _position: int, _entry: Row, fact: Row) -> None:
        """It is held for: what of it is idle is charged from its beginning on."""
        self._stands(fact["reservation"])

    def _stands(self, name: str) -> None:
        made = self._spill.get("idle_made", "", name)
        self._metered.begin(name, made[2])
        self._spill.put("idle", "", name, made)

    def _drawn(self, _position: int, _entry: Row, fact: Row) -> None:
        if self._spill.get("idle", "", fact["reservation"]) is not None:
            self._spill.put("idle_of", fact["runtime"], fact["reservation"], 1)

    def _committed(self, position: int, _entry: Row, fact: Row) -> None:
        for name, _ in list(self._spill.scan("idle_of", fact["runtime"])):
            if self._spill.get("idle", "", name) is not None:
                self._spill.put("idle_draw", name, fact["runtime"], fact["gpu_milli"])
                self._change(position, name, fact["decided_us"])

    def _released(self, position: int, _entry: Row, fact: Row) -> None:
        for name, _ in list(self._spill.scan("idle_of", fact["runtime"])):
            self._spill.delete("idle_of", fact["runtime"], name)
            self._spill.delete("idle_draw", name, fact["runtime"])
            if self._spill.get("idle", "", name) is not None:
                self._change(position, name, fact["decided_us"])

    def _change(self, position: int, name: str, decided: int) -> None:
        """What is idle from then on, once what was until then is charged."""
        instant, milli = self._stop(position, name, decided)
        left = milli - sum(used for _, used in self._spill.scan("idle_draw", name))
        self._metered.resize(name, left)
        if left > 0:
            self._metered.begin(name, instant)

    def _unreserved(self, position: int, _entry: Row, fact: Row) -> None:
        name = fact["reservation"]
        self._spill.delete("idle_named", "", name)
        if self._spill.get("idle", "", name) is not None:
            self._stop(position, name, fact["decided_us"])
            self._spill.delete("idle", "", name)
            for runtime, _ in list(self._spill.scan("idle_draw", name)):
                self._spill.delete("idle_draw", name, runtime)
            self._metered.drop(name)

    def _stop(self, position: int, name: str, decided: int) -> tuple[int, int]:
        """What is open ends: not after the reservation, nor before the last change of it."""
        milli, ends, last = self._spill.get("idle", "", name)
        instant = max(min(decided, ends), last)
        self._spill.put("idle", "", name, [milli, ends, instant])
        rows = self._charging.rated
        self._metered.end(position, name, instant)
        if self._charging.rated > rows:
            self.cause = position
        return instant, milli
