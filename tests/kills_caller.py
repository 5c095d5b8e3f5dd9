"""A client that does not give up: the same request with the same key until it is answered."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.supervisor import Stack
from api.tokens import developer_token

PATIENCE_S = 90


class RefusedError(AssertionError):
    """An answer that no repeat changes."""


class Caller:
    """Repeats with the same key until it is answered: 2xx, or a refusal. Used by many threads."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.url
        self._token = developer_token(stack.settings)
        self._seen = 0  # the last Log-Position answered: reads are never older than own writes
        self._lock = threading.Lock()
        self._waiting: dict[object, str] = {}
        self.repeated = 0  # how many requests needed more than one try

    def post(self, path: str, key: str, **body: Any) -> dict[str, Any]:
        return self._read("POST", path, {"Idempotency-Key": key}, body)

    def close(self, period: dict[str, Any], key: str) -> dict[str, Any]:
        """Closes the period at the version that was shown."""
        headers = {"Idempotency-Key": key, "If-Match": f'"{period["version"]}"'}
        return self._read("POST", f"/v1/periods/{period['id']}/close", headers, {})

    def get(self, path: str) -> dict[str, Any]:
        return self._read("GET", path, {}, None)

    def bundle(self, to: Path) -> None:
        to.write_bytes(self._bytes("GET", "/v1/bundle", {}, None))

    def waiting(self, request: str) -> bool:
        """Whether such a request (`POST /v1/runtimes`) is sent and not answered."""
        with self._lock:
            return request in self._waiting.values()

    def _read(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None
    ) -> dict[str, Any]:
        found = json.loads(self._bytes(method, path, headers, body))
        assert isinstance(found, dict)
        return found

    def _bytes(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None
    ) -> bytes:
        deadline = time.monotonic() + PATIENCE_S
        this, tries = object(), 0
        with self._lock:
            self._waiting[this] = f"{method} {path}"
        try:
            while True:
                tries += 1
                answer = self._try(method, path, headers, body, late=time.monotonic() > deadline)
                if answer is not None:
                    return answer
                time.sleep(0.1)
        finally:
            with self._lock:
                del self._waiting[this]
                self.repeated += tries > 1

    def _try(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: dict[str, Any] | None,
        *,
        late: bool,
    ) -> bytes | None:
        """The answer, None when another try may bring one."""
        try:
            return self._once(method, path, headers, body)
        except urllib.error.HTTPError as refused:
            said = refused.read().decode(errors="replace")
            if late or not (refused.code >= 500 or refused.code == 409):
                raise RefusedError(f"{method} {path}: {refused.code} {said}") from refused
        except OSError as error:
            if late:
                raise AssertionError(f"{method} {path}: no answer: {error}") from error
        return None

    def _once(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None
    ) -> bytes:
        sent = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            **headers,
        }
        if method == "GET":
            sent["Min-Log-Position"] = str(self._seen)
        request = urllib.request.Request(  # noqa: S310 - the stack's own URL
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers=sent,
            method=method,
        )
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
            with self._lock:
                self._seen = max(self._seen, int(answer.headers.get("Log-Position") or 0))
            return bytes(answer.read())


def wait(ready: Callable[[], Any], what: str) -> None:
    """Returns once `ready`; fails by name after 90 s."""
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.2)  # half of what a living stack did was answering those who wait
