"""A small HTTP client for the demo: what a program does with the API, on the standard library."""

import http.client
import json
import secrets
import time
import urllib.error
from collections.abc import Callable
from typing import Any

from api.calling import called
from domain.errors import DomainError

_HEARD_S = 0.5


class Http:
    """Calls one API with one token; `position` is the last Log-Position an answer named.

    `alive` is asked before each call and when one fails: it raises when a part of the stack ended.
    Every GET carries it as Min-Log-Position, so that the caller reads its own writes.
    """

    def __init__(self, url: str, token: str, alive: Callable[[], None]) -> None:
        self._alive = alive
        self._url = url
        self._token = token
        self.position = -1

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`. Raises: DomainError `demo.refused`."""
        found = json.loads(self.raw(path))
        assert isinstance(found, dict), path
        return found

    def raw(self, path: str) -> bytes:
        """The bytes at `path`."""
        headers = {"Min-Log-Position": str(self.position)} if self.position >= 0 else {}
        return self._call("GET", path, None, headers)

    def post(self, path: str, *, if_match: int | None = None, **body: Any) -> dict[str, Any]:
        """The answer to an acting POST, sent with an idempotency key of its own."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        found = json.loads(self._call("POST", path, body, headers))
        assert isinstance(found, dict), path
        return found

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> bytes:
        self._alive()
        try:
            with called(method, self._url + path, self._token, body, headers) as answer:
                position = answer.headers.get("Log-Position")
                if position is not None:
                    self.position = max(self.position, int(position))
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            detail = refused.read().decode(errors="replace")[:500]
            if refused.code >= http.client.INTERNAL_SERVER_ERROR:
                self._ask_again()
            raise DomainError(
                "demo.refused", f"{method} {path}: {refused.code} {detail}"
            ) from refused
        except (OSError, http.client.HTTPException) as error:
            self._ask_again()
            raise DomainError("demo.refused", f"{method} {path}: {error}") from error

    def _ask_again(self) -> None:
        # The kernel closes a dead server's connections before its parent hears of the death.
        time.sleep(_HEARD_S)
        self._alive()
