"""What money that is put aside posts, in books of its own (contracts/rating.md section 13)."""

from collections.abc import Callable
from typing import Any

from domain import suspense
from domain.charging import Rows
from domain.ledger import Ledger, Order, post


class Aside:
    """By its stream, what is put aside and not resolved; part of `Books`."""

    def __init__(self) -> None:
        self._ledgers: dict[str, Ledger] = {}
        self.on: dict[type, Callable[[int, str, Any], Rows]] = {
            suspense.Received: self._received,
            suspense.Resolved: self._resolved,
        }

    def _received(self, position: int, stream: str, fact: suspense.Received) -> Rows:
        ledger = self._ledgers[stream] = Ledger(stream, fact.currency, {})
        return _posted(position, ledger, fact.amount_pico)

    def _resolved(self, position: int, stream: str, _: suspense.Resolved) -> Rows:
        """All of it out again, whatever it became."""
        ledger = self._ledgers.pop(stream)
        return _posted(position, ledger, -ledger.balances["cash"].pico)


def _posted(position: int, ledger: Ledger, pico: int) -> Rows:
    about = (ledger.account, "-", None, "-", "-", "cash", "suspense")
    return [], [post(ledger, Order(position, "suspense", *about, pico, None))]
