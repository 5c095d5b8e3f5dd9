"""Accounts that are suspended: nothing of theirs begins (contracts/facts.md, rating.md section 13).

State in the spill: of each account that is, what it is suspended for.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_wallet import Wallets
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]


class Credits:
    """By account, in order: what it is suspended for."""

    def __init__(self, spill: Spill, charging: Charging, wallets: Wallets) -> None:
        self._spill = spill
        self._charging = charging
        self._wallets = wallets

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here; before these, what others do with the same tag."""
        return {
            "gpuaas.account.suspended.v1": self._suspended,
            "gpuaas.account.resumed.v1": self._resumed,
            "gpuaas.runtime.requested.v1": self._begins,
            "gpuaas.volume.created.v1": self._begins,
            "gpuaas.volume.grow_requested.v1": self._grows,
            "gpuaas.wallet.credit_charged_back.v1": self._charged_back,
            "gpuaas.invoice.payment_returned.v1": self._returned,
        }

    def _suspended(self, position: int, entry: Row, fact: Row) -> None:
        standing = self._standing(position, entry)
        if fact["about"] in standing:
            raise _wrong(position, "it stands already", "about")
        self._spill.put("suspended", "", entry["stream"], [*standing, fact["about"]])
        self._wallets.suspended(fact["about"])

    def _resumed(self, position: int, entry: Row, fact: Row) -> None:
        standing = self._standing(position, entry)
        if fact["about"] not in standing:
            raise _wrong(position, "it is not suspended for that", "about")
        standing.remove(fact["about"])
        self._spill.put("suspended", "", entry["stream"], standing)

    def _standing(self, position: int, entry: Row) -> list[str]:
        self._charging.own_account(position, entry["stream"], entry["org"])
        return self._spill.get("suspended", "", entry["stream"]) or []

    def _charged_back(self, _: int, entry: Row, fact: Row) -> None:
        account = "account-" + entry["stream"].partition("-")[2]
        self._suspends(account, fact["grant"], entry)

    def _returned(self, _: int, entry: Row, __: Row) -> None:
        account = self._spill.get("due", "", entry["stream"])["account"]
        self._suspends(account, entry["stream"], entry)

    def _suspends(self, account: str, about: str, entry: Row) -> None:
        if about not in (self._spill.get("suspended", "", account) or []):
            self._wallets.suspends(about, entry["cause"])

    def _begins(self, position: int, _: Row, fact: Row) -> None:
        self._check(position, fact["account"], "account")

    def _grows(self, position: int, entry: Row, _: Row) -> None:
        item = self._spill.get("volume", entry["stream"], "")
        payer = self._spill.get("payer", "", item["of"][1]) or {"account": ""}
        self._check(position, payer["account"], "stream")

    def _check(self, position: int, account: str, field: str) -> None:
        if self._spill.get("suspended", "", account):
            raise _wrong(position, f"{account} is suspended", field)


def _wrong(position: int, detail: str, field: str) -> Invalid:
    return Invalid("books.suspended", detail, position=position, field=field)
