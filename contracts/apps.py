"""Apps in a runtime over HTTP: the name of their origin, and what the gateway keeps for itself.

Each port of each runtime is an origin of its own, `<port>-<runtime id>` below one name that the
operator chose: what runs there can read no other's pages, storage or cookies (RFC 6454).
"""

import re
from typing import Final

ENTER: Final = "/.gpuaas/enter"
COOKIE: Final = "gpuaas-app"
# A pass is known as one wherever it is found.
TOKEN_PREFIX: Final = "gpuaas-pass."  # noqa: S105 - not one itself
# Browsers take a name with this prefix only over TLS, for this host alone (RFC 6265bis 4.1.3.2).
SECURE_COOKIE: Final = f"__Host-{COOKIE}"

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_LABEL: Final = re.compile(rf"([1-9][0-9]{{0,4}})-(runtime-{_UUID})")


def origin(base: str, runtime: str, port: int) -> str:
    """The origin of an app below `base`, itself `http(s)://name[:port]`."""
    scheme, _, host = base.partition("://")
    return f"{scheme}://{port}-{runtime}.{host}"


def named(base: str, host: str) -> tuple[str, int] | None:
    """(runtime, port) that a Host header names below `base`; None for any other name."""
    label, _, rest = host.lower().partition(".")
    found = _LABEL.fullmatch(label)
    if found is None or rest != base.partition("://")[2]:
        return None
    return found[2], int(found[1])


def cookie_name(base: str) -> str:
    """The name of the gateway's own cookie, which no app ever sees."""
    return SECURE_COOKIE if base.startswith("https://") else COOKIE
