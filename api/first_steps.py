"""`gpuaas first-steps`: on SIMULATED GPUs, all that a first launch needs, and what to type then.

An organization with a department, an account, a project and an owner whose token is shown once, and
an example price for each SIMULATED model that has none. What was done by an earlier call is found
again by its idempotency keys, so a repeat makes nothing. Real GPUs get no price from us.
"""

import os
import shlex
import shutil
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
_OWNER: Final = "you"


def first_steps(env: Mapping[str, str] = os.environ) -> int:
    """Prints what is there and how to go on; 0.

    Raises: DomainError node.unknown when no node of SIMULATED GPUs enrols; as `Api`'s.
    """
    api = api_of(env)
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
    token = _owner(api, organization)
    print(_way(env, organization, token, models[0]))
    return 0


def _owner(api: Api, organization: str) -> str | None:
    """The token of somebody who owns the organization, a day long; None: it was shown before."""
    _made(api, "members", principal=f"user-{_OWNER}", organization=organization)
    bound = {"principal": f"user-{_OWNER}", "role": "owner", "scope": organization}
    _made(api, "role-bindings", **bound)
    said = {"subject": _OWNER, "role": "user", "organization": organization}
    token: str | None = _made(api, "tokens", **said)["token"]
    return token


def _way(env: Mapping[str, str], organization: str, token: str | None, model: str) -> str:
    """What is typed from here on, in a shell of that person's."""
    if token is None:
        create = f"token create --subject {_OWNER} --role user --organization {organization}"
        first = f"its owner's token was shown before; another one: gpuaas {create}"
    else:
        said = {name: env[name] for name in ("GPUAAS_URL", "GPUAAS_CA") if env.get(name)}
        words = (f"{name}={shlex.quote(value)}" for name, value in said.items())
        first = (
            f"as its owner, user-{_OWNER}, whose token is shown this once and counts for a day:\n"
            f"  export {' '.join(words)} GPUAAS_TOKEN={token}"
        )
    return (
        f"{first}\nthen, in that shell:\n"
        f"  gpuaas launch {model} --name first --wait\n"
        "  gpuaas terminal first\n"
        "  gpuaas usage\n"
        "  gpuaas stop first"
    )


def on_path(program: str, env: Mapping[str, str] = os.environ) -> str:
    """How `gpuaas` comes to be found by its name, where this one is not; else nothing."""
    here = Path(program).absolute()
    known = shutil.which("gpuaas", path=env.get("PATH"))
    if here.name != "gpuaas" or (known is not None and Path(known).absolute() == here):
        return ""
    return f"In another terminal: export PATH={shlex.quote(str(here.parent))}:$PATH\n"


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
