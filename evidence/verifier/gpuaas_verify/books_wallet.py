"""Wallets: credit in lots, holds of prepaid runtimes, and what they post (rating.md section 9).

State in the spill: of each wallet its two sums, its lots (`[order, bucket, expires, left]`) and its
holds (`{"until", "parts", "spent", "met"}`); parts are `[grant, pico]` in order.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_metered import Metered
from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]
type Parts = list[list[Any]]

FAR = 1 << 126
BUCKETS = ("promo", "paid")  # in the order in which they are taken


class Wallets:
    """Every wallet of the log. `_promised`: what the append at hand must still say."""

    def __init__(self, spill: Spill, charging: Charging, metered: Metered) -> None:
        self._spill = spill
        self._charging = charging
        self._metered = metered
        self._promised: dict[tuple[str, str], str] = {}

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
        }
        return {
            "gpuaas.account.terms_set.v1": self._terms_set,
            **{f"gpuaas.wallet.{name}.v1": handler for name, handler in facts.items()},
        }

    # -- what belongs together -------------------------------------------------------------

    def entered(self, position: int, cause: str) -> None:
        """An entry of an append with this cause: what an earlier one promised was said in it."""
        for (what, name), promised in self._promised.items():
            if promised != cause:
                raise _fail("books.hold", f"no {what} with {name}", position, "cause")

    def allocated(self, entry: Row, account: str) -> None:
        """A runtime was: of a prepaid account it has its hold in the same append."""
        terms = self._spill.get("terms", "", account)
        if terms == "prepaid":
            self._promised["hold", entry["stream"]] = entry["cause"]

    def leased(self, entry: Row) -> None:
        """The lease of a node was renewed."""
        self._promised.pop(("lease", entry["stream"]), None)

    def finish(self, position: int) -> None:
        """The last append has said what it had to."""
        self.entered(position, "")

    def _terms_set(self, position: int, entry: Row, fact: Row) -> None:
        self._charging.own_account(position, entry["stream"], entry["org"])
        if fact["terms"] not in ("prepaid", "postpaid"):
            raise _fail("books.terms", "neither prepaid nor postpaid", position, "terms")
        self._spill.put("terms", "", entry["stream"], fact["terms"])

    # -- credit ----------------------------------------------------------------------------

    def _granted(self, position: int, entry: Row, fact: Row) -> None:
        account = self._account(position, entry)
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
                raise _fail("books.credit", "no such credit can be granted", position, field)
        self._spill.put("reference", entry["stream"], fact["reference"], 1)
        amount = fact["amount_pico"]
        order = sum(1 for _ in self._spill.scan("lot", entry["stream"]))
        lot = [order, fact["bucket"], fact["expires_us"] or FAR, amount]
        self._spill.put("lot", entry["stream"], fact["grant"], lot)
        self._stands(position, entry, fact, amount, 0)
        base = fact["balance_pico"] - fact["held_pico"]
        self._spill.put("level", "", entry["stream"], [base, 0])
        debit = "cash" if fact["bucket"] == "paid" else "credits:promo"
        self._post(position, account, "grant", (debit, "wallet"), fact["grant"], amount)

    def _expired(self, position: int, entry: Row, fact: Row) -> None:
        account = self._account(position, entry)
        lot = self._spill.get("lot", entry["stream"], fact["grant"])
        over = lot is not None and lot[2] <= fact["decided_us"]
        if not over or fact["amount_pico"] != lot[3] or not lot[3]:
            raise _fail("books.credit", "not what is left of it then", position, "amount_pico")
        self._move(entry["stream"], fact["grant"], -lot[3])
        self._stands(position, entry, fact, -fact["amount_pico"], 0)
        self._post(
            position, account, "breakage", ("wallet", "breakage"), fact["grant"],
            fact["amount_pico"],
        )  # fmt: skip

    def _level_reached(self, position: int, entry: Row, fact: Row) -> None:
        self._account(position, entry)
        self._stands(position, entry, fact, 0, 0)
        base, level = self._spill.get("level", "", entry["stream"]) or [0, 0]
        percent = fact["percent"]
        left = fact["balance_pico"] - fact["held_pico"]
        reached = base > 0 and left * 100 <= (100 - percent) * base
        if percent <= level or percent not in (50, 80, 100) or not (percent == 100 or reached):
            raise _fail("books.wallet", "not reached, or before", position, "percent")
        self._spill.put("level", "", entry["stream"], [base, percent])

    # -- holds -----------------------------------------------------------------------------

    def _placed(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet, runtime = self._account(position, entry), entry["stream"], fact["runtime"]
        promised = self._promised.pop(("hold", runtime), None)
        # What was promised was allocated just before, so it is metered.
        metered = self._spill.get("metered", "", runtime)
        if promised != entry["cause"] or metered["account"] != account:
            raise _fail("books.hold", "not of an admission of its account", position, "runtime")
        if fact["from_us"] >= fact["until_us"] or fact["amount_pico"] < 0:
            raise _fail("books.hold", "of no time, or negative", position, "until_us")
        parts = self._take(position, wallet, fact["amount_pico"], fact["decided_us"])
        hold = {"until": fact["until_us"], "parts": parts, "spent": [], "met": 0}
        self._spill.put("hold", wallet, runtime, hold)
        self._metered.cover(position, runtime, fact["from_us"], fact["until_us"])
        self._stands(position, entry, fact, 0, fact["amount_pico"])
        self._post(position, account, "hold", ("wallet", "hold"), runtime, fact["amount_pico"])

    def _renewed(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet = self._account(position, entry), entry["stream"]
        self._promised["lease", fact["node"]] = entry["cause"]
        more = 0
        names = [one["runtime"] for one in fact["holds"]]
        if not names or len(set(names)) != len(names):
            raise _fail("books.hold", "none, or one twice", position, "holds")
        for one in fact["holds"]:
            hold = self._open(position, wallet, one["runtime"])
            change = one["amount_pico"] - _sum(hold["parts"])
            more += change
            if one["amount_pico"] < 0:
                raise _fail("books.hold", "negative", position, "holds")
            if change >= 0:
                taken = self._take(position, wallet, change, fact["decided_us"])
                hold["parts"] = _joined(hold["parts"], taken)
            else:
                back, hold["parts"] = _last(hold["parts"], -change)
                self._give(wallet, back)
            hold["until"] = max(hold["until"], fact["until_us"])
            self._spill.put("hold", wallet, one["runtime"], hold)
            self._metered.cover(position, one["runtime"], None, fact["until_us"])
            self._post(position, account, "hold", ("wallet", "hold"), one["runtime"], change)
        self._stands(position, entry, fact, 0, more)

    def _captured(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet, runtime = self._account(position, entry), entry["stream"], fact["runtime"]
        hold, amount = self._open(position, wallet, runtime), fact["amount_pico"]
        due = self._metered.charged(runtime) - hold["met"]
        least, most = min(0, max(due, -_sum(hold["spent"]))), max(0, min(due, _sum(hold["parts"])))
        if not least <= amount <= most:
            raise _fail("books.hold", f"{due} is due", position, "amount_pico")
        if amount >= 0:
            hold["parts"], used = _last(hold["parts"], _sum(hold["parts"]) - amount)
            hold["spent"] = _joined(hold["spent"], used)
        else:
            back, hold["spent"] = _last(hold["spent"], -amount)
            hold["parts"] = _joined(back, hold["parts"])
        hold["met"] += amount
        self._spill.put("hold", wallet, runtime, hold)
        self._stands(position, entry, fact, -amount, -amount)
        self._post(position, account, "capture", ("hold", "receivable"), runtime, amount)

    def _released(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet, runtime = self._account(position, entry), entry["stream"], fact["runtime"]
        hold = self._open(position, wallet, runtime)
        if self._spill.get("runtime", "", runtime) is not None:
            raise _fail("books.hold", "its runtime has not ended", position, "runtime")
        if self._metered.charged(runtime) != hold["met"]:
            raise _fail("books.hold", "its charges are not met", position, "runtime")
        self._resolve(position, entry, fact, account, hold)
        # What was met is kept: it may cost less one day.
        over = {**hold, "parts": [], "until": 0, "released": True}
        self._spill.put("hold", wallet, runtime, over)

    def _hold_expired(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet, runtime = self._account(position, entry), entry["stream"], fact["runtime"]
        hold = self._open(position, wallet, runtime)
        if fact["decided_us"] < hold["until"]:
            raise _fail("books.hold", "it is not over", position, "decided_us")
        self._resolve(position, entry, fact, account, hold)
        self._spill.put("hold", wallet, runtime, {**hold, "parts": [], "until": 0})

    def _resolve(self, position: int, entry: Row, fact: Row, account: str, hold: Row) -> None:
        amount = _sum(hold["parts"])
        if fact["amount_pico"] != amount:
            raise _fail("books.hold", f"it is of {amount}", position, "amount_pico")
        self._give(entry["stream"], hold["parts"])
        self._stands(position, entry, fact, 0, -amount)
        self._post(position, account, "release", ("hold", "wallet"), fact["runtime"], amount)

    def _recovered(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet, runtime = self._account(position, entry), entry["stream"], fact["runtime"]
        hold = self._spill.get("hold", wallet, runtime)
        got, lost = fact["recovered_pico"], fact["unrecovered_pico"]
        due = 0 if hold is None else self._metered.charged(runtime) - hold["met"]
        if not (min(0, due) <= got + lost <= max(0, due) and got * lost >= 0 and got + lost):
            raise _fail("books.hold", f"{due} is due", position, "recovered_pico")
        if got + lost > 0 and "released" in hold:
            raise _fail("books.hold", "its hold was released", position, "recovered_pico")
        if got + lost > 0 and hold["parts"]:
            raise _fail("books.hold", "its hold comes first", position, "recovered_pico")
        if got >= 0:
            taken = self._take(position, wallet, got, fact["decided_us"])
            hold["spent"] = _joined(hold["spent"], taken)
        else:
            back, hold["spent"] = _last(hold["spent"], -got)
            self._give(wallet, back)
        if lost > 0 and self._available(wallet, fact["decided_us"]):
            raise _fail("books.hold", "the wallet has it", position, "unrecovered_pico")
        if lost < 0 and hold["spent"]:
            raise _fail(
                "books.hold", "what was spent comes back first", position, "unrecovered_pico"
            )
        hold["met"] += got + lost
        self._spill.put("hold", wallet, runtime, hold)
        self._stands(position, entry, fact, -got, 0)
        self._post(position, account, "recover", ("wallet", "receivable"), runtime, got)
        sides = ("provider:unrecovered", "receivable")
        self._post(position, account, "unrecovered", sides, runtime, lost)

    # -- parts -----------------------------------------------------------------------------

    def _account(self, position: int, entry: Row) -> str:
        account = "account-" + entry["stream"].split("-", 1)[1]
        self._charging.own_account(position, account, entry["org"])
        return account

    def _open(self, position: int, wallet: str, runtime: str) -> Row:
        hold: Row | None = self._spill.get("hold", wallet, runtime)
        if hold is None or not hold["until"]:
            raise _fail("books.hold", f"nothing is held for {runtime}", position, "runtime")
        return hold

    def _stands(self, position: int, entry: Row, fact: Row, balance: int, held: int) -> None:
        """The wallet's sums after the fact are those it says, and not below zero."""
        sums = self._spill.get("wallet", "", entry["stream"]) or [0, 0]
        sums = [sums[0] + balance, sums[1] + held]
        self._spill.put("wallet", "", entry["stream"], sums)
        for field, derived in zip(("balance_pico", "held_pico"), sums, strict=True):
            if fact[field] != derived:
                raise _fail("books.wallet", f"derived {derived}", position, field)
        if not 0 <= sums[1] <= sums[0]:
            raise _fail("books.wallet", "it is below zero", position, "balance_pico")

    def _lots(self, wallet: str, now: int) -> list[tuple[list[Any], str]]:
        """Those usable then, in the order in which they are taken."""
        lots = [(lot, grant) for grant, lot in self._spill.scan("lot", wallet) if lot[2] > now]
        return sorted(lots, key=lambda one: (BUCKETS.index(one[0][1]), one[0][2], one[0][0]))

    def _available(self, wallet: str, now: int) -> int:
        return sum(lot[3] for lot, _ in self._lots(wallet, now))

    def _take(self, position: int, wallet: str, pico: int, now: int) -> Parts:
        parts: Parts = []
        for lot, grant in self._lots(wallet, now):
            part = min(pico, lot[3])
            if part > 0:
                self._move(wallet, grant, -part)
                parts.append([grant, part])
                pico -= part
        if pico:
            raise _fail("books.wallet", f"{pico} more than there is", position, "amount_pico")
        return parts

    def _give(self, wallet: str, parts: Parts) -> None:
        for grant, pico in parts:
            self._move(wallet, grant, pico)

    def _move(self, wallet: str, grant: str, pico: int) -> None:
        lot = self._spill.get("lot", wallet, grant)
        self._spill.put("lot", wallet, grant, [*lot[:3], lot[3] + pico])

    def _post(
        self, position: int, account: str, kind: str, sides: tuple[str, str], about: str,
        amount: int,
    ) -> None:  # fmt: skip
        if not amount:
            return
        debit, credit = sides if amount > 0 else (sides[1], sides[0])
        currency = self._charging.account(position, account)["currency"]
        self._charging.transfer(
            position, kind, account, (debit, credit), currency, abs(amount),
            (about, "-", None, "-", "-"),
        )  # fmt: skip


def _fail(code: str, detail: str, position: int, field: str) -> Invalid:
    return Invalid(code, detail, position=position, field=field)


def _sum(parts: Parts) -> int:
    return sum(pico for _, pico in parts)


def _joined(first: Parts, then: Parts) -> Parts:
    sums: dict[str, int] = {}
    for grant, pico in [*first, *then]:
        sums[grant] = sums.get(grant, 0) + pico
    return [[grant, pico] for grant, pico in sums.items()]


def _last(parts: Parts, pico: int) -> tuple[Parts, Parts]:
    """(the last `pico` of them, the rest), in order."""
    last: Parts = []
    rest: Parts = []
    for grant, part in reversed(parts):
        gone = min(part, pico)
        pico -= gone
        if gone:
            last.insert(0, [grant, gone])
        if part > gone:
            rest.insert(0, [grant, part - gone])
    return last, rest
