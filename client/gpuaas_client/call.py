"""A call as a value: what is sent, and the type of what comes back."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from gpuaas_client.errors import GpuaasError, Unreachable


class Call[T](Struct, frozen=True):
    """`acts`: it is sent with an idempotency key. `waits`: it can wait for a log position.

    `answer` is a struct to decode JSON as, `str` for text, `bytes` for a file.
    """

    method: str
    path: str
    answer: type[T]
    query: Mapping[str, Any] = {}
    body: Any = None
    acts: bool = False
    waits: bool = False

    @property
    def repeatable(self) -> bool:
        """Sent twice it has one effect."""
        return self.acts or self.method == "GET"

    def after(self, cursor: str) -> "Call[T]":
        """The same of the page after this one, which begins there.

        Raises: Unreachable answer.malformed: it is this page again, and so there would be no end.
        """
        if self.query.get("cursor") == cursor:
            why = f"{self.method} {self.path} answered that a page follows itself"
            raise Unreachable("answer.malformed", why, "Try again, or tell whoever runs the API.")
        return replace(self, query={**self.query, "cursor": cursor})

    def parameters(self) -> list[tuple[str, str]]:
        """The query: what is None is left out, a list is many of one name."""
        found = []
        for name, value in self.query.items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    text = str(one).lower() if isinstance(one, bool) else str(one)
                    found.append((name, text))
        return found


def quoted(part: object) -> str:
    """A value as one segment of a path. Raises: GpuaasError name.malformed: it would be none."""
    text = str(part)
    if text in {"", ".", ".."}:
        raise GpuaasError("name.malformed", f"no name of a thing: {text!r}")
    return quote(text, safe="")
