"""Wallets: credit in lots, holds of what is prepaid, and what they post (rating.md section 9).

State in the spill: of each wallet its two sums, its lots (`[order, bucket, expires, left]`) and its
holds (`{"until", "parts", "spent", "met"}`); parts are `[grant, pico]` in order.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_metered import Metered
from gpuaas_verify.books_parts import Parts, fail, joined, last, total
from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

FAR = 1 << 126
BUCKETS = ("promo", "paid")  # in the order in which they are taken


class Wallets:
    """Every wallet of the log. `_promised`: what the append at hand must still say."""

    def __init__(self, spill: Spill, charging: Charging, metered: Metered) -> None:
        self._spill = spill
        self._charging = charging
        self._metered = metered
        self._promised: dict[tuple[str, str], str] = {}
        self._offered: tuple[str, str] = ("", "")  # a reservation that its append may hold for
        # The last credit that was paid for: its append's cause, grant, currency and amount.
        self.came: tuple[str, list[Any]] = ("", [])

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        facts = {
            "credit_granted": self._granted,
            "credit_expired": self._expired,
            "hold_placed": self._placed,
            "holds_renewed": self._renewed,
            "hold_captured": self._captured,
            "hold_released": self._released,
            "hold_expired": self._hold_expired,
            "charge_recovered": self._recovered,
            "level_reached": self._level_reached,
            "usage_recovered": self._usage_recovered,
        }
        for kind in ("volume", "reservation"):
            facts[f"{kind}_held"], facts[f"{kind}_renewed"] = self._placed, self._held_on
            facts[f"{kind}_captured"], facts[f"{kind}_released"] = self._captured, self._released
            facts[f"{kind}_recovered"] = self._recovered
        return {
            "gpuaas.account.terms_set.v1": self._terms_set,
            **{f"gpuaas.wallet.{name}.v1": handler for name, handler in facts.items()},
        }

    # -- what belongs together -------------------------------------------------------------

    def entered(self, position: int, cause: str) -> None:
        """An entry of an append with this cause: what an earlier one promised was said in it."""
        for (what, name), promised in self._promised.items():
            if promised != cause:
                code = "books.suspended" if what == "suspension" else "books.hold"
                raise fail(code, f"no {what} with {name}", position, "cause")

    def allocated(self, entry: Row, account: str) -> None:
        """A runtime was, or a metered volume created: of a prepaid account it has its hold in the
        same append.
        """
        if self._spill.get("terms", "", account) == "prepaid":
            self.unlocked(entry)

    def unlocked(self, entry: Row) -> None:
        """It has its hold in the same append."""
        self._promised["hold", entry["stream"]] = entry["cause"]

    def offer(self, name: str, cause: str) -> None:
        """A reservation of a prepaid account: not held for in that append, it costs nothing."""
        self._offered = (name, cause)

    def promised(self, name: str) -> str | None:
        """The cause of the append that may place its hold; asked once, it is placed."""
        if self._offered[0] == name:
            return self._offered[1]
        return self._promised.pop(("hold", name), None)

    def suspends(self, about: str, cause: str) -> None:
        """What was paid went back: its account is suspended for it in the same append."""
        self._promised["suspension", about] = cause

    def suspended(self, about: str) -> None:
        """It is."""
        self._promised.pop(("suspension", about), None)

    def leased(self, entry: Row) -> None:
        """The lease of a node was renewed."""
        self._promised.pop(("lease", entry["stream"]), None)

    def finish(self, position: int) -> None:
        """The last append has said what it had to."""
        self.entered(position, "")

    def _terms_set(self, position: int, entry: Row, fact: Row) -> None:
        self._charging.own_account(position, entry["stream"], entry["org"])
        if fact["terms"] not in ("prepaid", "postpaid"):
            raise fail("books.terms", "neither prepaid nor postpaid", position, "terms")
        self._spill.put("terms", "", entry["stream"], fact["terms"])

    # -- credit ----------------------------------------------------------------------------

    def _granted(self, position: int, entry: Row, fact: Row) -> None:
        account = self.account(position, entry)
        used = self._spill.get("reference", entry["stream"], fact["reference"])
        lot = self._spill.get("lot", entry["stream"], fact["grant"])
        for field, right in (
            ("bucket", fact["bucket"] in BUCKETS),
            ("amount_pico", fact["amount_pico"] > 0),
            ("expires_us", fact["expires_us"] == 0 or fact["expires_us"] > fact["decided_us"]),
            ("reference", used is None),
            ("grant", lot is None and fact["grant"].startswith("grant-")),
        ):
            if not right:
                raise fail("books.credit", "no such credit can be granted", position, field)
        self._spill.put("reference", entry["stream"], fact["reference"], 1)
        amount = fact["amount_pico"]
        order = sum(1 for _ in self._spill.scan("lot", entry["stream"]))
        lot = [order, fact["bucket"], fact["expires_us"] or FAR, amount]
        self._spill.put("lot", entry["stream"], fact["grant"], lot)
        self.stands(position, entry, fact, amount, 0)
        base = fact["balance_pico"] - fact["held_pico"]
        self._spill.put("level", "", entry["stream"], [base, 0])
        debit = "cash" if fact["bucket"] == "paid" else "credits:promo"
        self.post(position, account, "grant", (debit, "wallet"), fact["grant"], amount)
        if fact["bucket"] == "paid":
            currency = self._charging.account(position, account)["currency"]
            self._spill.put("paid", entry["stream"], fact["grant"], amount)
            self.came = (entry["cause"], [fact["grant"], currency, amount])

    def _expired(self, position: int, entry: Row, fact: Row) -> None:
        account = self.account(position, entry)
        lot = self._spill.get("lot", entry["stream"], fact["grant"])
        over = lot is not None and lot[2] <= fact["decided_us"]
        if not over or fact["amount_pico"] != lot[3] or not lot[3]:
            raise fail("books.credit", "not what is left of it then", position, "amount_pico")
        self.move(entry["stream"], fact["grant"], -lot[3])
        self.stands(position, entry, fact, -fact["amount_pico"], 0)
        self.post(
            position, account, "breakage", ("wallet", "breakage"), fact["grant"],
            fact["amount_pico"],
        )  # fmt: skip

    def _level_reached(self, position: int, entry: Row, fact: Row) -> None:
        self.account(position, entry)
        self.stands(position, entry, fact, 0, 0)
        base, level = self._spill.get("level", "", entry["stream"]) or [0, 0]
        percent = fact["percent"]
        left = fact["balance_pico"] - fact["held_pico"]
        reached = base > 0 and left * 100 <= (100 - percent) * base
        if percent <= level or percent not in (50, 80, 100) or not (percent == 100 or reached):
            raise fail("books.wallet", "not reached, or before", position, "percent")
        self._spill.put("level", "", entry["stream"], [base, percent])

    # -- holds -----------------------------------------------------------------------------

    def _placed(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet = self.account(position, entry), entry["stream"]
        field, runtime = named(fact)
        promised = self.promised(runtime)
        # What was promised was allocated, or reserved, just before: it is metered.
        metered = self._spill.get("metered", "", runtime)
        if promised != entry["cause"] or metered["account"] != account:
            raise fail("books.hold", "not of an admission of its account", position, field)
        before = self._spill.get("hold", wallet, runtime)
        if before is not None and "released" not in before:
            raise fail("books.hold", "the hold before is not resolved", position, field)
        if fact["from_us"] >= fact["until_us"] or fact["amount_pico"] < 0:
            raise fail("books.hold", "of no time, or negative", position, "until_us")
        parts = self._take(position, wallet, fact["amount_pico"], fact["decided_us"])
        hold = {"until": fact["until_us"], "parts": parts, "spent": [], "met": 0}
        self._spill.put("hold", wallet, runtime, hold)
        self._spill.delete("charged", "", runtime)  # of a hold before
        self._metered.cover(position, runtime, fact["from_us"], fact["until_us"])
        self.stands(position, entry, fact, 0, fact["amount_pico"])
        self.post(position, account, "hold", ("wallet", "hold"), runtime, fact["amount_pico"])

    def _renewed(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet = self.account(position, entry), entry["stream"]
        self._promised["lease", fact["node"]] = entry["cause"]
        more = 0
        names = [one["runtime"] for one in fact["holds"]]
        if not names or len(set(names)) != len(names):
            raise fail("books.hold", "none, or one twice", position, "holds")
        for one in fact["holds"]:
            said = (one["runtime"], one["amount_pico"], "runtime")
            more += self._resize(position, (account, wallet), said, fact)
        self.stands(position, entry, fact, 0, more)

    def _held_on(self, position: int, entry: Row, fact: Row) -> None:
        owner, (field, name) = (self.account(position, entry), entry["stream"]), named(fact)
        if not self._stands(name):
            raise fail("books.hold", "it is over, or locked", position, field)
        said = (name, fact["amount_pico"], field)
        self.stands(position, entry, fact, 0, self._resize(position, owner, said, fact))

    def _resize(
        self, position: int, owner: tuple[str, str], said: tuple[str, int, str], fact: Row
    ) -> int:
        """By how much the hold of (name, amount in all, field) grows; owner: account, wallet."""
        (account, wallet), (name, amount, field) = owner, said
        hold = self._open(position, wallet, name, field)
        change = amount - total(hold["parts"])
        if amount < 0:
            raise fail("books.hold", "negative", position, "holds")
        if change >= 0:
            taken = self._take(position, wallet, change, fact["decided_us"])
            hold["parts"] = joined(hold["parts"], taken)
        else:
            back, hold["parts"] = last(hold["parts"], -change)
            self._give(wallet, back)
        hold["until"] = max(hold["until"], fact["until_us"])
        self._spill.put("hold", wallet, name, hold)
        self._metered.cover(position, name, None, fact["until_us"])
        self.post(position, account, "hold", ("wallet", "hold"), name, change)
        return change

    def _captured(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet = self.account(position, entry), entry["stream"]
        field, runtime = named(fact)
        hold, amount = self._open(position, wallet, runtime, field), fact["amount_pico"]
        due = self._metered.charged(runtime) - hold["met"]
        least = min(0, max(due, -total(hold["spent"])))
        most = max(0, min(due, total(hold["parts"])))
        if not least <= amount <= most:
            raise fail("books.hold", f"{due} is due", position, "amount_pico")
        if amount >= 0:
            hold["parts"], used = last(hold["parts"], total(hold["parts"]) - amount)
            hold["spent"] = joined(hold["spent"], used)
        else:
            back, hold["spent"] = last(hold["spent"], -amount)
            hold["parts"] = joined(back, hold["parts"])
        hold["met"] += amount
        self._spill.put("hold", wallet, runtime, hold)
        self.stands(position, entry, fact, -amount, -amount)
        self.post(position, account, "capture", ("hold", "receivable"), runtime, amount)

    def _released(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet = self.account(position, entry), entry["stream"]
        field, runtime = named(fact)
        hold = self._open(position, wallet, runtime, field)
        if self._stands(runtime):
            raise fail("books.hold", "it stands", position, field)
        if self._spill.get("runtime", "", runtime) is not None:
            raise fail("books.hold", "its runtime has not ended", position, field)
        if self._metered.charged(runtime) != hold["met"]:
            raise fail("books.hold", "its charges are not met", position, field)
        self._resolve(position, entry, fact, account, hold)
        # What was met is kept: it may cost less one day.
        over = {**hold, "parts": [], "until": 0, "released": True}
        self._spill.put("hold", wallet, runtime, over)

    def _hold_expired(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet, runtime = self.account(position, entry), entry["stream"], fact["runtime"]
        hold = self._open(position, wallet, runtime, "runtime")
        if fact["decided_us"] < hold["until"]:
            raise fail("books.hold", "it is not over", position, "decided_us")
        self._resolve(position, entry, fact, account, hold)
        self._spill.put("hold", wallet, runtime, {**hold, "parts": [], "until": 0})

    def _resolve(self, position: int, entry: Row, fact: Row, account: str, hold: Row) -> None:
        amount = total(hold["parts"])
        if fact["amount_pico"] != amount:
            raise fail("books.hold", f"it is of {amount}", position, "amount_pico")
        self._give(entry["stream"], hold["parts"])
        self.stands(position, entry, fact, 0, -amount)
        self.post(position, account, "release", ("hold", "wallet"), named(fact)[1], amount)

    def _recovered(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet, runtime = self.account(position, entry), entry["stream"], named(fact)[1]
        hold = self._spill.get("hold", wallet, runtime)
        got, lost = fact["recovered_pico"], fact["unrecovered_pico"]
        due = 0 if hold is None else self._metered.charged(runtime) - hold["met"]
        if not (min(0, due) <= got + lost <= max(0, due) and got * lost >= 0 and got + lost):
            raise fail("books.hold", f"{due} is due", position, "recovered_pico")
        if got + lost > 0 and "released" in hold:
            raise fail("books.hold", "its hold was released", position, "recovered_pico")
        if got + lost > 0 and hold["parts"]:
            raise fail("books.hold", "its hold comes first", position, "recovered_pico")
        if got >= 0:
            taken = self._take(position, wallet, got, fact["decided_us"])
            hold["spent"] = joined(hold["spent"], taken)
        else:
            back, hold["spent"] = last(hold["spent"], -got)
            self._give(wallet, back)
        if lost > 0 and self._available(wallet, fact["decided_us"]):
            raise fail("books.hold", "the wallet has it", position, "unrecovered_pico")
        if lost < 0 and hold["spent"]:
            raise fail("books.hold", "spent comes back first", position, "unrecovered_pico")
        hold["met"] += got + lost
        self._spill.put("hold", wallet, runtime, hold)
        self.stands(position, entry, fact, -got, 0)
        self.post(position, account, "recover", ("wallet", "receivable"), runtime, got)
        sides = ("provider:unrecovered", "receivable")
        self.post(position, account, "unrecovered", sides, runtime, lost)

    def _usage_recovered(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet = self.account(position, entry), entry["stream"]
        spent = self._spill.get("spent", "", wallet) or []
        got, due = fact["recovered_pico"], self._charging.owed(account) - total(spent)
        least, most = max(min(0, due), -total(spent)), max(0, due)
        if not got or not least <= got <= most:
            raise fail("books.hold", f"{due} is owed", position, "recovered_pico")
        if got > 0:
            spent = joined(spent, self._take(position, wallet, got, fact["decided_us"]))
        else:
            back, spent = last(spent, -got)
            self._give(wallet, back)
        self._spill.put("spent", "", wallet, spent)
        self.stands(position, entry, fact, -got, 0)
        self.post(position, account, "recover", ("wallet", "receivable"), account, got)

    # -- parts -----------------------------------------------------------------------------

    def account(self, position: int, entry: Row) -> str:
        """The account that the wallet is of, which is its organization's."""
        account = "account-" + entry["stream"].split("-", 1)[1]
        self._charging.own_account(position, account, entry["org"])
        return account

    def _open(self, position: int, wallet: str, name: str, field: str) -> Row:
        hold: Row | None = self._spill.get("hold", wallet, name)
        if hold is None or not hold["until"]:
            raise fail("books.hold", f"nothing is held for {name}", position, field)
        return hold

    def stands(self, position: int, entry: Row, fact: Row, balance: int, held: int) -> None:
        """The wallet's sums after the fact are those it says, and not below zero."""
        sums = self._spill.get("wallet", "", entry["stream"]) or [0, 0]
        sums = [sums[0] + balance, sums[1] + held]
        self._spill.put("wallet", "", entry["stream"], sums)
        for field, derived in zip(("balance_pico", "held_pico"), sums, strict=True):
            if fact[field] != derived:
                raise fail("books.wallet", f"derived {derived}", position, field)
        if not 0 <= sums[1] <= sums[0]:
            raise fail("books.wallet", "it is below zero", position, "balance_pico")

    def lots(self, wallet: str, now: int) -> list[tuple[list[Any], str]]:
        """Those usable then, in the order in which they are taken."""
        lots = [(lot, grant) for grant, lot in self._spill.scan("lot", wallet) if lot[2] > now]
        return sorted(lots, key=lambda one: (BUCKETS.index(one[0][1]), one[0][2], one[0][0]))

    def _stands(self, name: str) -> bool:
        """Whether it is a volume that is not locked, or a reservation, that is not over."""
        kept = self._spill.get("volume", name, "")
        if kept is None:
            return self._spill.get("idle", "", name) is not None
        return kept["locked"] is None

    def _available(self, wallet: str, now: int) -> int:
        return sum(lot[3] for lot, _ in self.lots(wallet, now))

    def _take(self, position: int, wallet: str, pico: int, now: int) -> Parts:
        parts: Parts = []
        for lot, grant in self.lots(wallet, now):
            part = min(pico, lot[3])
            if part > 0:
                self.move(wallet, grant, -part)
                parts.append([grant, part])
                pico -= part
        if pico:
            raise fail("books.wallet", f"{pico} more than there is", position, "amount_pico")
        return parts

    def _give(self, wallet: str, parts: Parts) -> None:
        for grant, pico in parts:
            self.move(wallet, grant, pico)

    def move(self, wallet: str, grant: str, pico: int) -> None:
        """More is left of the lot, or less."""
        lot = self._spill.get("lot", wallet, grant)
        self._spill.put("lot", wallet, grant, [*lot[:3], lot[3] + pico])

    def post(
        self, position: int, account: str, kind: str, sides: tuple[str, str], about: str,
        amount: int,
    ) -> None:  # fmt: skip
        """One transfer, the sides swapped when the amount is negative; none of 0."""
        if not amount:
            return
        debit, credit = sides if amount > 0 else (sides[1], sides[0])
        currency = self._charging.account(position, account)["currency"]
        self._charging.transfer(
            position, kind, account, (debit, credit), currency, abs(amount),
            (about, "-", None, "-", "-"),
        )  # fmt: skip


def named(fact: Row) -> tuple[str, str]:
    """(field, name) of the runtime, volume or reservation that is held for."""
    [field] = {"runtime", "volume", "reservation"} & fact.keys()
    return field, fact[field]
