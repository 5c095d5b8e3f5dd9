"""`gpuaas first-steps`: on SIMULATED GPUs, all that a first launch needs, and its command.

An organization with a department, an account and a project, and an example price for each SIMULATED
model that has none. What was done by an earlier call is found again by its idempotency keys, so a
repeat makes nothing. Real GPUs get no price from us.
"""

import os
import shlex
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from api.calling import Api, api_of
from domain.errors import DomainError

_PATIENCE_S: Final = 60
_PAUSE_S: Final = 0.5
_CURRENCY: Final = "USD"
_PER_GPU_HOUR: Final = "1.000000000000"
_KEY: Final = "gpuaas-first-steps"


def first_steps(env: Mapping[str, str] = os.environ) -> int:
    """Prints what is there and how to launch; 0.

    Raises: DomainError node.unknown when no node of SIMULATED GPUs enrols; as `Api`'s.
    """
    api = api_of(env)
    program = sys.argv[0] if Path(sys.argv[0]).name == "gpuaas" else "gpuaas"
    models = _simulated(api)
    print(f"SIMULATED GPUs: {', '.join(models)}")
    organization = _made(api, "organizations", name="Example")["id"]
    department = _made(api, "departments", organization=organization, name="Example")["id"]
    opened = {"organization": organization, "currency": _CURRENCY, "zone": "UTC"}
    account = _made(api, "accounts", **opened)["id"]
    named = {"department": department, "account": account, "name": "Example"}
    project = _made(api, "projects", **named)["id"]
    print(f"organization {organization}\naccount      {account}\nproject      {project}")
    _priced(api, models)
    print(
        "launch one, as whom and where you said this:\n"
        f"  {shlex.quote(program)} launch {models[0]} --project {project} --name first\n"
        "then: gpuaas list"
    )
    return 0


def hint(url: str, token: str, ca: Path | None, program: str) -> str:
    """What `gpuaas up` says while nothing has a price, so that every launch would be refused; else
    nothing, and neither while the API does not answer.
    """
    said = {"GPUAAS_URL": url, "GPUAAS_TOKEN": token, **({"GPUAAS_CA": str(ca)} if ca else {})}
    try:
        if api_of(said).get("/v1/prices")["items"]:
            return ""
    except DomainError:
        return ""
    words = [f"{name}={shlex.quote(value)}" for name, value in said.items()]
    command = " ".join([*words, shlex.quote(program), "first-steps"])
    why = "Nothing has a price yet: launches are refused. To begin, on SIMULATED GPUs:"
    return f"{why}\n  {command}\n"


def _simulated(api: Api) -> list[str]:
    """Models whose every node says that its GPUs are SIMULATED, in order of name."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        nodes = api.get("/v1/nodes?limit=500")["items"]
        real = {one["model"] for one in nodes if one["simulated"] is False}
        found = {one["model"] for one in nodes if one["simulated"]} - real
        if found:
            return sorted(found)
        if real or time.monotonic() > deadline:
            raise DomainError("node.unknown", "no node of SIMULATED GPUs has enrolled")
        time.sleep(_PAUSE_S)


def _made(api: Api, what: str, **body: Any) -> dict[str, Any]:
    return api.post(f"/v1/{what}", body, key=f"{_KEY}-{what}")


def _priced(api: Api, models: list[str]) -> None:
    """Every model has a price in the account's currency, in force when this returns."""
    try:
        _made(api, "meters", meter="gpu.time", unit="milli-GPU-us", source="lifecycle")
    except DomainError as error:
        if error.code != "meter.exists":
            raise
    known = {
        one["model"]
        for one in api.get("/v1/prices")["items"]
        if (one["account"], one["meter"], one["price"]["currency"])
        == ("default", "gpu.time", _CURRENCY)
    }
    effective = datetime.now(UTC) + timedelta(seconds=2)
    for model in models:
        if model in known:
            print(f"{model} has a price already")
            continue
        price = {"amount": _PER_GPU_HOUR, "currency": _CURRENCY}
        at = effective.isoformat(timespec="microseconds").replace("+00:00", "Z")
        api.post("/v1/prices", {"model": model, "price": price, "effective_from": at})
        print(f"{model} at 1 {_CURRENCY} per GPU-hour: an example, for SIMULATED GPUs")
    while (left := (effective - datetime.now(UTC)).total_seconds()) > 0:
        time.sleep(left)
