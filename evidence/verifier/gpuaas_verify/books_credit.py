"""Accounts that may begin nothing: suspended, over their limit, overdue (contracts/facts.md).

State in the spill: of each account what it is suspended for, its terms of credit, whether its limit
is exceeded, and the steps of dunning that stand by invoice; of each invoice when it was issued.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_wallet import Wallets
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]


DAY = 86_400_000_000
BARRING = ("suspended", "stopped")


class Credits:
    """What keeps an account from beginning something new."""

    def __init__(self, spill: Spill, charging: Charging, wallets: Wallets) -> None:
        self._spill = spill
        self._charging = charging
        self._wallets = wallets

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here; before these, what others do with the same tag."""
        return {
            "gpuaas.account.suspended.v1": self._suspended,
            "gpuaas.account.resumed.v1": self._resumed,
            "gpuaas.account.credit_set.v1": self._set,
            "gpuaas.account.over_limit.v1": self._over,
            "gpuaas.account.within_limit.v1": self._within,
            "gpuaas.account.dunned.v1": self._dunned,
            "gpuaas.account.dunning_ended.v1": self._ended,
            "gpuaas.invoice.issued.v1": self._issued,
            "gpuaas.runtime.stopping.v1": self._stopping,
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

    # -- credit and dunning --------------------------------------------------------------

    def _set(self, position: int, entry: Row, fact: Row) -> None:
        self._charging.own_account(position, entry["stream"], entry["org"])
        suspend, stop = fact["suspend_days"], fact["stop_days"]
        for field, right in (
            ("limit_pico", fact["limit_pico"] >= 0),
            ("due_days", fact["due_days"] >= 0),
            ("remind_days", 0 not in fact["remind_days"]),
            ("suspend_days", suspend >= 0),
            ("stop_days", stop == 0 or 0 < suspend <= stop),
        ):
            if not right:
                raise _fail("books.limit", "no such terms", position, field)
        self._spill.put("credit", "", entry["stream"], fact)

    def _over(self, position: int, entry: Row, fact: Row) -> None:
        limit = self._limit(position, entry, fact)
        if not 0 < limit < fact["used_pico"] or self._is_over(entry["stream"]):
            raise _fail("books.limit", f"told, or within {limit}", position, "used_pico")
        self._spill.put("over", "", entry["stream"], 1)

    def _within(self, position: int, entry: Row, fact: Row) -> None:
        limit = self._limit(position, entry, fact)
        if 0 < limit < fact["used_pico"] or not self._is_over(entry["stream"]):
            raise _fail("books.limit", f"told, or over {limit}", position, "used_pico")
        self._spill.delete("over", "", entry["stream"])

    def _limit(self, position: int, entry: Row, fact: Row) -> int:
        terms = self._spill.get("credit", "", entry["stream"]) or {"limit_pico": 0}
        if fact["limit_pico"] != terms["limit_pico"]:
            raise _fail("books.limit", "another limit is set", position, "limit_pico")
        return int(terms["limit_pico"])

    def _is_over(self, account: str) -> bool:
        return self._spill.get("over", "", account) is not None

    def _issued(self, _: int, entry: Row, fact: Row) -> None:
        self._spill.put("issued", "", entry["stream"], fact["issued_us"])

    def _dunned(self, position: int, entry: Row, fact: Row) -> None:
        account, invoice = entry["stream"], fact["invoice"]
        terms = self._spill.get("credit", "", account)
        issued, due = (self._spill.get(name, "", invoice) for name in ("issued", "due"))
        if terms is None or issued is None or due["account"] != account:
            raise _fail("books.dunning", "not issued to it, or no terms", position, "invoice")
        sold = self._spill.get("credit_head", "", invoice)
        days = terms["due_days"] if sold is None else sold["seller"]["terms_days"]
        standing = self._standing_steps(account)
        told = standing.setdefault(invoice, [])
        step = [fact["step"], fact["days"]]
        before = _before(terms, step)
        for field, right in (
            ("step", before is not None and step not in told),
            ("step", all(one in told for one in before or [])),
            ("due_us", fact["due_us"] == issued + days * DAY),
            ("due_minor", fact["due_minor"] == due["minor"] > 0),
            ("decided_us", fact["decided_us"] >= fact["due_us"] + fact["days"] * DAY),
        ):
            if not right:
                raise _fail("books.dunning", "it does not follow", position, field)
        told.append(step)
        self._spill.put("dunning", "", account, standing)

    def _ended(self, position: int, entry: Row, fact: Row) -> None:
        standing = self._standing_steps(entry["stream"])
        if not standing.pop(fact["invoice"], None):
            raise _fail("books.dunning", "nothing of it stands", position, "invoice")
        self._spill.put("dunning", "", entry["stream"], standing)

    def _standing_steps(self, account: str) -> dict[str, list[list[Any]]]:
        return self._spill.get("dunning", "", account) or {}

    def _steps(self, account: str) -> set[str]:
        return {step for told in self._standing_steps(account).values() for step, _ in told}

    def _stopping(self, position: int, entry: Row, fact: Row) -> None:
        if fact["reason"] != "account.overdue":
            return
        payer = self._spill.get("payer", "", entry["stream"])
        if "stopped" not in self._steps(payer["account"]):
            raise _fail("books.dunning", "nothing stops it", position, "reason")

    # -- what they forbid ----------------------------------------------------------------

    def _begins(self, position: int, _: Row, fact: Row) -> None:
        self._check(position, fact["account"], "account")

    def _grows(self, position: int, entry: Row, _: Row) -> None:
        item = self._spill.get("volume", entry["stream"], "")
        payer = self._spill.get("payer", "", item["of"][1]) or {"account": ""}
        self._check(position, payer["account"], "stream")

    def _check(self, position: int, account: str, field: str) -> None:
        late = self._steps(account).intersection(BARRING)
        if late or self._spill.get("suspended", "", account):
            raise _wrong(position, f"{account} is suspended", field)
        if self._is_over(account):
            raise _fail("books.limit", f"{account} is over its limit", position, field)


def _before(terms: Row, step: list[Any]) -> list[list[Any]] | None:
    """The steps that come before this one, by days; None of one that the terms do not have."""
    steps = [["due", 0], *(["reminded", days] for days in terms["remind_days"])]
    for name, field in (("suspended", "suspend_days"), ("stopped", "stop_days")):
        if terms[field]:
            steps.append([name, terms[field]])
    steps.sort(key=lambda one: one[1])
    return steps[: steps.index(step)] if step in steps else None


def _wrong(position: int, detail: str, field: str) -> Invalid:
    return _fail("books.suspended", detail, position, field)


def _fail(code: str, detail: str, position: int, field: str) -> Invalid:
    return Invalid(code, detail, position=position, field=field)
