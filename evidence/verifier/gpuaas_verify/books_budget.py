"""Budgets: what is told of them once, and what may not begin while one is spent.

contracts/facts.md, "Budgets". What was spent is the platform's word: no money moves by it. State
per scope with a budget, in the spill; nothing here for logs without any.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import NUL, Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

LEVELS = (50, 80, 100)
REFUSING = ("refuse", "stop")
STOPPED = "budget.exhausted"


class Budgets:
    """By organization and scope: [account, amount, mode, period told of, its end, {percent: spent},
    forecast or null].
    """

    def __init__(self, spill: Spill, charging: Charging) -> None:
        self._spill = spill
        self._charging = charging

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here; before these, what others do with the same tag."""
        return {
            "gpuaas.budget.set.v1": self._set,
            "gpuaas.budget.cleared.v1": self._cleared,
            "gpuaas.budget.reached.v1": self._reached,
            "gpuaas.budget.forecast.v1": self._forecast,
            "gpuaas.runtime.requested.v1": self._runtime,
            "gpuaas.volume.created.v1": self._volume,
            "gpuaas.volume.grow_requested.v1": self._grown,
            "gpuaas.runtime.stopping.v1": self._stopping,
        }

    def _set(self, position: int, entry: Row, fact: Row) -> None:
        scope, org = fact["scope"], entry["org"]
        opened = self._charging.own_account(position, fact["account"], org)
        before = self._spill.get("budget", org, scope)
        kind = scope.partition("-")[0]
        payer = self._spill.get("payer", "", scope) or {"org": None}
        for field, right in (
            ("stream", entry["stream"] == _stream(org)),
            ("scope", kind in ("organization", "department", "project")),
            ("scope", kind != "organization" or scope == org),
            ("scope", kind != "project" or payer["org"] == org),
            ("account", before is None or before[0] == fact["account"]),
            ("currency", opened["currency"] == fact["currency"]),
            ("amount_pico", 0 < fact["amount_pico"] < 10**38),
            ("mode", fact["mode"] in ("soft", *REFUSING)),
        ):
            if not right:
                raise _wrong(position, "it does not follow", field)
        item = [fact["account"], fact["amount_pico"], fact["mode"], "", 0, {}, None]
        if before is not None:
            amount = fact["amount_pico"]
            told = {p: n for p, n in before[5].items() if n * 100 >= int(p) * amount}
            coming = before[6] if before[6] is not None and before[6] > amount else None
            item[3:] = [before[3], before[4], told, coming]
        self._spill.put("budget", org, scope, item)
        self._spill.put("budgeted", "", org, 1)

    def _cleared(self, position: int, entry: Row, fact: Row) -> None:
        self._known(position, entry, fact)
        self._spill.delete("budget", entry["org"], fact["scope"])

    def _reached(self, position: int, entry: Row, fact: Row) -> None:
        item = self._told(position, entry, fact)
        percent, spent, told = fact["percent"], fact["spent_pico"], item[5]
        if percent not in LEVELS or str(percent) in told:
            raise _wrong(position, "told before, or no such threshold", "percent")
        if any(str(low) not in told for low in LEVELS if low < percent):
            raise _wrong(position, "a lower one comes first", "percent")
        if spent * 100 < percent * item[1]:
            raise _wrong(position, f"not so much of {item[1]}", "spent_pico")
        item[5] = {**told, str(percent): spent}
        self._spill.put("budget", entry["org"], fact["scope"], item)

    def _forecast(self, position: int, entry: Row, fact: Row) -> None:
        item = self._told(position, entry, fact)
        if item[6] is not None or str(LEVELS[-1]) in item[5]:
            raise _wrong(position, "told before, or nothing is left", "scope")
        if fact["forecast_pico"] <= item[1]:
            raise _wrong(position, f"within {item[1]}", "forecast_pico")
        item[6] = fact["forecast_pico"]
        self._spill.put("budget", entry["org"], fact["scope"], item)

    def _told(self, position: int, entry: Row, fact: Row) -> list[Any]:
        """The budget with what stands of that period, which is the account's at that instant."""
        item = self._known(position, entry, fact)
        _, start, end, _ = self._charging.period(position, item[0], fact["period"])
        if fact["until_us"] != end:
            raise _wrong(position, "the period has another end", "until_us")
        if not start <= fact["decided_us"] < end:
            raise _wrong(position, "the period was another one then", "period")
        if item[3] != fact["period"]:
            item[3:] = [fact["period"], end, {}, None]
        return item

    def _known(self, position: int, entry: Row, fact: Row) -> list[Any]:
        item: list[Any] | None = self._spill.get("budget", entry["org"], fact["scope"])
        if item is None or entry["stream"] != _stream(entry["org"]):
            raise _wrong(position, "no budget is set there", "scope")
        return item

    # -- what it forbids -----------------------------------------------------------------

    def _runtime(self, position: int, entry: Row, fact: Row) -> None:
        scopes = [fact["project"], fact["department"], entry["org"]]
        self._begin(position, entry["org"], scopes, fact["account"], fact["requested_us"])

    def _volume(self, position: int, entry: Row, fact: Row) -> None:
        scopes = [fact["project"], fact["department"], entry["org"]]
        self._begin(position, entry["org"], scopes, fact["account"], fact["created_us"])

    def _grown(self, position: int, entry: Row, fact: Row) -> None:
        if self._spill.get("budgeted", "", entry["org"]) is None:
            return
        department, project, _ = self._spill.get("volume", entry["stream"], "")["of"]
        scopes = [project, department, entry["org"]]
        account = (self._spill.get("payer", "", project) or {"account": ""})["account"]
        self._begin(position, entry["org"], scopes, account, fact["decided_us"])

    def _begin(
        self, position: int, org: str, scopes: list[str], account: str, instant: int
    ) -> None:
        found = self._spent(org, scopes, account, instant, REFUSING)
        if found:
            detail = f"the budget of {found} is spent"
            raise Invalid("books.budget", detail, position=position, field="project")

    def _stopping(self, position: int, entry: Row, fact: Row) -> None:
        if fact["reason"] != STOPPED:
            return
        org = entry["org"]
        quota = "quota-" + org.partition("-")[2]
        held = self._spill.get("committed", quota, entry["stream"])
        item = self._spill.get("payer", "", entry["stream"])
        scopes = [] if held is None else [where.split(NUL)[0] for where in held[0][1:]]
        account = "" if item is None else item["account"]
        if not self._spent(org, [org, *scopes], account, fact["decided_us"], ("stop",)):
            raise _wrong(position, "no budget stops it", "reason")

    def _spent(
        self, org: str, scopes: list[str], account: str, instant: int, modes: tuple[str, ...]
    ) -> str:
        """The first of the scopes whose budget of this account is spent then, or nothing."""
        if self._spill.get("budgeted", "", org) is None:
            return ""
        for scope in scopes:
            item = self._spill.get("budget", org, scope)
            if item is None or item[0] != account or item[2] not in modes:
                continue
            if str(LEVELS[-1]) in item[5] and instant < item[4]:
                return scope
        return ""


def _stream(org: str) -> str:
    return "budget-" + org.partition("-")[2]


def _wrong(position: int, detail: str, field: str) -> Invalid:
    return Invalid("books.budget", detail, position=position, field=field)
