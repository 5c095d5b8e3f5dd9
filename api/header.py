"""One header of a request. The framework's own look-up builds a mapping of all of them, which costs
as much as all guards together.
"""

from typing import Any

from litestar.connection import ASGIConnection


def header(connection: ASGIConnection[Any, Any, Any, Any], name: bytes) -> str | None:
    """The first value under the name, which is in lower case; None without one."""
    for one, value in connection.scope["headers"]:
        if one == name:
            return value.decode("latin-1")
    return None
