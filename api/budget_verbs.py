"""`gpuaas budget set`, `clear`, `list`, `show`: budgets as people set and read them, over HTTP."""

import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from api.calling import api_of
from api.node_verbs import items, say

_HEAD: Final = ("SCOPE", "MODE", "AMOUNT", "SPENT", "FORECAST", "UNTIL", "ALERTS")


def put(
    scope: str,
    amount: tuple[str, str],
    mode: str,
    account: str | None,
    env: Mapping[str, str] = os.environ,
) -> int:
    """Sets the scope's budget, an (amount, currency) for each billing period, and prints it.

    Raises: DomainError as `Api.post`.
    """
    body: dict[str, Any] = {
        "scope": scope,
        "amount": dict(zip(("amount", "currency"), amount, strict=True)),
        "mode": mode,
    }
    if account is not None:
        body["account"] = account
    say([_HEAD, _row(api_of(env).post("/v1/budgets", body))])
    return 0


def cleared(scope: str, env: Mapping[str, str] = os.environ) -> int:
    """Nothing counts against the scope any more. Raises: DomainError as `Api.post`."""
    api_of(env).post("/v1/budgets/clear", {"scope": scope})
    print(f"{scope}: no budget")
    return 0


def listed(env: Mapping[str, str] = os.environ) -> int:
    """Prints every budget that the caller may see, by scope. Raises: DomainError as `Api.get`."""
    say([_HEAD, *(_row(one) for one in items(api_of(env), "/v1/budgets"))])
    return 0


def shown(scope: str, env: Mapping[str, str] = os.environ) -> int:
    """Prints one budget and what was told of it. Raises: DomainError as `Api.get`."""
    found = api_of(env).get(f"/v1/budgets/{quote(scope, safe='')}")
    for name, text in zip(_HEAD[:-1], _row(found)[:-1], strict=True):
        print(f"{name.lower():10} {text}")
    print(f"{'account':10} {found['account'] or '-'}")
    for one in found["alerts"]:
        percent = "%" if one["what"].isdigit() else ""
        print(f"{'told':10} {one['what']}{percent} at {one['at']}: {_money(one['amount'])}")
    return 0


def _row(budget: Mapping[str, Any]) -> tuple[str, ...]:
    """`-` for what is not seen yet."""
    told = " ".join(one["what"] for one in budget["alerts"]) or "-"
    return (
        *(budget["scope"], budget["mode"] or "-"),
        *(_money(budget[name]) for name in ("amount", "spent", "forecast")),
        *(budget["period_end"] or "-", told),
    )


def _money(found: Mapping[str, str] | None) -> str:
    """Without the zeros that only exactness needs."""
    if found is None:
        return "-"
    whole, _, part = found["amount"].partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')} {found['currency']}"
