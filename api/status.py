"""`gpuaas status`: whether the platform is ready, why not, and what ends soon, for an operator."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from api.calling import Api, api_of, unheard
from gpuaas_client.telling import plain
from projections.readiness import CERTIFICATE

_PATIENCE_S: Final = 30
_NOT_READY: Final = 503


def status(env: Mapping[str, str] = os.environ) -> int:
    """0 when ready, 1 when not; one reason, warning or certificate a line.

    Raises: DomainError config.missing, config.malformed, api.unreachable, api.impostor.
    """
    found = _asked(api_of(env))
    print("ready" if found["ready"] else "NOT READY")
    told = set(found["warnings"])
    for why in found["reasons"]:
        print(f"reason   {plain(why)}")
    for why in found["warnings"]:
        print(f"warning  {plain(why)}")
    for one in found["components"]:
        line = f"{one['name']}: {one['detail']}"
        if one["ok"] and one["name"].startswith(CERTIFICATE) and line not in told:
            print(f"fine     {plain(line)}")
    return 0 if found["ready"] else 1


def _asked(api: Api) -> dict[str, Any]:
    url = f"{api.url}/v1/readiness"
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_S, context=api.tls) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as refused:
        if refused.code != _NOT_READY:
            raise unheard(api.url, refused) from refused
        said: dict[str, Any] = json.load(refused)
        if "reasons" not in said:
            raise unheard(api.url, refused) from refused
        return said
    except (OSError, ValueError) as error:
        raise unheard(api.url, error) from error
