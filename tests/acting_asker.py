"""One request of an act in all the ways that people send it, and when two answers are the same."""

from typing import Any, Final

import httpx
import msgspec

from tests.acting_recipes import Call
from tests.api_stage import Stage

# Shown once: a repeat's answer is without them, or has another of the same.
SECRET: Final = frozenset(
    ("token", "key", "secret", "ticket", "enter", "address", "recovery_codes")
)
_SIGNED_ANEW: Final = frozenset(("certificate",))
_SHOWN: Final = "secret_already_shown"


class Asker:
    """`call` at any stage, with any key."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.raw = b"" if call.body is None else msgspec.json.encode(call.body)

    async def send(
        self,
        client: httpx.AsyncClient,
        operator: str,
        key: str,
        *,
        if_match: str | None = None,
        more: bytes = b"",
        body: Any = None,
    ) -> httpx.Response:
        """`if_match`: in place of what the call names, empty for none. `more`: after the body.
        `body`: in its place.
        """
        headers = {"Authorization": f"Bearer {self.call.token or operator}"}
        if key:
            headers["Idempotency-Key"] = key
        version = f'"{self.call.version}"' if self.call.version else ""
        asked = version if if_match is None else if_match
        if asked:
            headers["If-Match"] = asked
        raw = (self.raw if body is None else msgspec.json.encode(body)) + more
        if raw:
            headers["Content-Type"] = "application/json"
        return await client.post(self.call.path, content=raw, headers=headers)

    async def ask(self, stage: Stage, key: str, **more: Any) -> httpx.Response:
        """At a stage, as `send`."""
        return await self.send(stage.client, stage.operator, key, **more)

    @property
    def more(self) -> bytes:
        """What makes another body of it, as good as this one."""
        return b" " if self.raw else b"{}"


def said(answer: httpx.Response) -> dict[str, Any]:
    """What the answer says that every repeat of it must say too."""
    body = answer.json()
    kept = {name: answer.headers.get(name) for name in ("log-position", "log-leaf", "etag")}
    fields = {name: value for name, value in body.items() if name not in _SIGNED_ANEW | {_SHOWN}}
    return {"status": answer.status_code, **kept, **fields}


def differs(first: httpx.Response, again: httpx.Response) -> dict[str, Any]:
    """What a repeat says otherwise than the first; nothing where it is the same answer."""
    one, other = said(first), said(again)
    found = {}
    for name in one.keys() | other.keys():
        hidden = name in SECRET and other.get(name) is None
        if one.get(name) != other.get(name) and not hidden:
            found[name] = (one.get(name), other.get(name))
    return found


def in_flight(answer: httpx.Response) -> bool:
    """The one refusal that a concurrent duplicate may get."""
    return (
        answer.status_code == 409
        and answer.json()["code"] == "idempotency_key.in_flight"
        and answer.headers.get("retry-after", "") != ""
    )
