"""One call with its repeats, without I/O: what to send, and after each answer whether to wait.

A call that acts has one idempotency key for all of its repeats, so that it has one effect whatever
got lost on the way. What has no such key is repeated only where it cannot have been heard.
"""

import math
import random
import re
import secrets
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import httpx
import msgspec
from msgspec import Struct

from gpuaas_client.call import Call
from gpuaas_client.errors import GpuaasError, Impostor, Unreachable, no_api, refusal, unheard
from gpuaas_client.reading import MOST_BYTES, Reading, Whole

AGENT: Final = "gpuaas-client/0.1.0"
_FIRST_S: Final = 0.2
_MOST_S: Final = 8.0
_SOON: Final = frozenset({429, 502, 503, 504})
_CONFLICT: Final = 409
_GOOD: Final = range(200, 300)
_CONNECT_S: Final = 10.0
_SILENT_S: Final = 1.0
_POSITION: Final = re.compile("[0-9]{1,19}")


def _quietly(_why: GpuaasError, _most_s: float) -> None: ...


class Patience(Struct, frozen=True):
    """How long a call is repeated in all, and how long one answer is waited for; seconds.

    `unsent_s`: how long it is repeated while there is no connection at all and never was one
    (`whole_s` once anything was heard). `told` hears once of a call why it is repeated, and
    for how long at most: at once where there is no connection, else when it has taken a second.
    """

    whole_s: float = 60.0
    answer_s: float = 60.0
    unsent_s: float = 60.0
    told: Callable[[GpuaasError, float], None] = _quietly
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


class Headers(Struct, frozen=True):
    """What the caller wants said beside the call; empty for nothing."""

    key: str = ""
    if_match: str = ""
    at_least: int | None = None


class Trial[T]:
    """Of one call. `position`: the Log-Position of the last answer, -1 without one."""

    def __init__(self, call: Call[T], url: str, said: Headers, patience: Patience) -> None:
        self.call = call
        self.position = -1
        self._url = url
        self._patience = patience
        self._since = patience.clock()
        self._tried = 0
        self._told = False
        self._maybe_done = False
        self._headers = _headers(call, said)
        if not call.path.startswith("/"):
            # A whole address would be another host's, and get the token.
            raise GpuaasError("path.malformed", f"no path of the API: {call.path!r}")

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The request, the same each time. Raises: GpuaasError path.malformed."""
        call, answer_s = self.call, self._patience.answer_s
        content = None if call.body is None else msgspec.json.encode(call.body)
        try:
            return http.build_request(
                call.method,
                call.path,
                params=httpx.QueryParams(tuple(call.parameters())),
                content=content,
                headers=self._headers,
                timeout=httpx.Timeout(answer_s, connect=min(answer_s, _CONNECT_S)),
            )
        except httpx.InvalidURL as error:
            raise GpuaasError("path.malformed", f"no path of the API: {error}") from error

    def begun(self, given: httpx.Response) -> Reading:
        """What takes in the body of an answer that begins, in bounds."""
        patience = self._patience
        if self.call.answer is bytes and given.is_success:
            return Reading(given, None, math.inf, patience.clock)  # a file may be of any size
        return Reading(given, MOST_BYTES, patience.answer_s, patience.clock)

    def unheard(self, error: httpx.RequestError) -> float:
        """Seconds to wait before the same again. Raises: Unreachable, Impostor: no more."""
        why = unheard(self._url, error)
        # A connection that never was carried nothing.
        unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        if isinstance(why, Impostor) or not (self.call.repeatable or unsent):
            raise why from error
        if self.call.acts and not unsent:
            self._maybe_done = True
        most = self._patience.unsent_s if unsent else self._patience.whole_s
        return self._pause(why, "", most, said_at_s=0.0 if unsent else _SILENT_S)

    def heard(self, answer: Whole) -> float | None:
        """None for an answer to decode, else seconds to wait. Raises: Refused, Unreachable."""
        status = answer.status
        if status in _GOOD:
            found = answer.headers.get("log-position", "")
            self.position = int(found) if _POSITION.fullmatch(found) else -1
            return None
        why = refusal(status, answer.body)
        later = answer.headers.get("retry-after", "")
        soon = status in _SOON or (status == _CONFLICT and later)
        if not soon or not (self.call.repeatable or status == 429):
            raise why
        return self._pause(why, later, self._patience.whole_s)

    def _pause(
        self, why: GpuaasError, later: str, most_s: float, said_at_s: float = _SILENT_S
    ) -> float:
        spent = self._patience.clock() - self._since
        ceiling = min(_MOST_S, _FIRST_S * 2.0**self._tried)
        self._tried += 1
        # Full jitter, so that many who were refused together do not come together again.
        wait: float = _seconds(later) + ceiling * self._patience.chance()
        if spent + wait > min(most_s, self._patience.whole_s):
            raise self._told_of(why)
        if not self._told and spent + wait > said_at_s:
            self._told = True
            self._patience.told(why, min(most_s, self._patience.whole_s))
        return wait

    def _told_of(self, why: GpuaasError) -> GpuaasError:
        """With the key, where it was sent and may have been done: under it, it is done once."""
        if self._maybe_done:
            key = self._headers["Idempotency-Key"]
            why.remedy = (
                f"It may have been done: look, or repeat it under the key {key}. {why.remedy}"
            )
        return why

    def decoded(self, answer: Whole) -> T:
        """What the answer carries. Raises: Unreachable answer.malformed, api.unreachable."""
        kind: Any = self.call.answer
        if kind in {bytes, str}:
            return cast("T", answer.body if kind is bytes else answer.body.decode(errors="replace"))
        media = answer.headers.get("content-type", "json")
        if "json" not in media:
            raise no_api(f"status {answer.status}, {media}")  # as a portal that asks for a login
        try:
            found: T = msgspec.json.decode(answer.body, type=kind)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            detail = f"{self.call.method} {self.call.path} answered something else: {error}"
            what = "Update the client to the API's version."
            raise Unreachable("answer.malformed", detail, what) from error
        return found


def one_word(name: str, text: str) -> str:
    """Raises: GpuaasError header.malformed: no header could carry it."""
    if not (text.isascii() and text.isprintable()):
        raise GpuaasError("header.malformed", f"{name} is printable ASCII, not {text!r}")
    return text


def _headers(call: Call[Any], said: Headers) -> dict[str, str]:
    """Raises: GpuaasError header.malformed."""
    found = {}
    if call.body is not None:
        found["Content-Type"] = "application/json"
    if call.acts:
        found["Idempotency-Key"] = one_word("an idempotency key", said.key) or _key()
    if said.if_match:
        found["If-Match"] = f'"{one_word("a version", said.if_match).strip('"')}"'
    if call.waits and said.at_least is not None and said.at_least >= 0:
        found["Min-Log-Position"] = str(said.at_least)
    return found


def _key() -> str:
    return secrets.token_hex(16)


def _seconds(text: str) -> float:
    """Of a Retry-After: a number, or an HTTP date; 0 for neither."""
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, at.timestamp() - time.time())
