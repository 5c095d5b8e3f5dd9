"""An organization of its own with a prepaid account, on a living stack."""

import time
from collections.abc import Callable
from typing import Any

from api.edge import instant, now_us
from tests.crowd_stage import Hall

PICO = 10**12


def usd(pico: int) -> dict[str, str]:
    return {"amount": f"{pico // PICO}.{pico % PICO:012d}", "currency": "USD"}


def pico(money: dict[str, str]) -> int:
    return int(money["amount"].replace(".", ""))


class Prepaid:
    """An organization of its own with a prepaid account, on a hall's stack; `lives_us`: its first
    period is over so long after now.
    """

    def __init__(self, here: Hall, lives_us: int = 0) -> None:
        self.office = here.office
        org = self.done("/v1/organizations", {"name": "Prepaid"})["id"]
        made = {"organization": org}
        department = self.done("/v1/departments", {**made, "name": "D"})["id"]
        account = {**made, "currency": "USD", "zone": "UTC"}
        if lives_us:
            account["first_period_end"] = instant(now_us() + lives_us)
        self.account = self.done("/v1/accounts", account)["id"]
        body = {"department": department, "account": self.account, "name": "P"}
        self.project = self.done("/v1/projects", body)["id"]
        self.path = f"/v1/accounts/{self.account}"
        self.done(f"{self.path}/terms", {"terms": "prepaid"})

    def done(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.office.post(path, body)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    def grant(self, amount: int, reference: str, **more: Any) -> dict[str, Any]:
        body = {"amount": usd(amount), "reference": reference, **more}
        return self.done(f"{self.path}/grants", body)

    def launch(self, **more: str) -> Any:
        body = {"project": self.project, "name": "r", "devices": 1, "gpu_milli": 1000, **more}
        return self.office.post("/v1/runtimes", body)

    def wallet(self) -> dict[str, Any]:
        found: dict[str, Any] = self.office.get(f"{self.path}/wallet").json()
        return found

    def state(self, name: str) -> str:
        return str(self.office.get(f"/v1/runtimes/{name}").json().get("state"))

    def journal(self) -> str:
        """As a foreign bookkeeper reads it."""
        return self.office.get(f"{self.path}/exports/beancount").text

    def balances(self) -> dict[str, int]:
        """By ledger account, as the views have them."""
        found = self.office.get(self.path).json()["balances"]
        return {one["ledger"]: pico(one["balance"]) for one in found}

    def until(self, ready: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 60
        while not ready():
            assert time.monotonic() < deadline, (what, self.wallet())
            time.sleep(0.1)
