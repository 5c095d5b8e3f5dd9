"""Calls of nobody who is known, and what could not be read: lines of the process's own log.

They are no facts and in no count (ADR 59), as anybody may send so many as they like; so many lines
are written, too, and no more. A line names the route, and nothing that was sent.
"""

import logging
import time
from typing import Any, Final

from litestar import Request

from api.limiting import Limits
from api.limits import Rate
from api.origin import origin
from domain.errors import DomainError

_LOG: Final = logging.getLogger("gpuaas.api")
LINES: Final = Rate(per_second=1, burst=20)
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_MALFORMED: Final = frozenset(("idempotency_key.required", "if_match.malformed"))


class RefusalLog:
    """Owned by one event loop. The next line after those that were left out says how many."""

    def __init__(self, rate: Rate = LINES) -> None:
        self._lines = Limits(rate)
        self._left_out = 0

    def tell(self, request: Request[Any, Any, Any], error: DomainError, correlation: str) -> None:
        """One line, of what is nowhere else."""
        caller = request.scope.get("user")
        if error.code == "rate.limited" or (caller is not None and not _malformed(error.code)):
            return
        try:
            self._lines.take("", time.monotonic())
        except DomainError:
            self._left_out += 1
            return
        proxies = request.app.state.services.settings.proxies
        method = request.method if request.method in _METHODS else "-"
        _LOG.warning(
            "%s %s: %s %s from %s by %s%s",
            *(correlation, error.code, method, request.scope.get("path_template", "-")),
            *(origin(request, proxies) or "-", "nobody" if caller is None else caller.actor),
            f" ({self._left_out} more before it)" if self._left_out else "",
        )
        self._left_out = 0


def _malformed(code: str) -> bool:
    return code.startswith("request.") or code in _MALFORMED
