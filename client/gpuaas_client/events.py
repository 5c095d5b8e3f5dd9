"""Server-sent events, as the API sends facts: parsed line by line, resumed by position."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True):
    """A CloudEvent of the log. `id` is its position; `data` the fact's own JSON."""

    id: str
    type: str
    subject: str
    time: str
    org: str
    actor: str
    cause: str
    version: int
    data: msgspec.Raw

    @property
    def position(self) -> int:
        return int(self.id)


class Lines:
    """The parser of one connection (WHATWG HTML section 9.2.6), fed with whole lines."""

    def __init__(self) -> None:
        self._data: list[str] = []

    def take(self, line: str) -> Iterator[Event]:
        """The event that this line ends, if it ends one."""
        if not line:
            said, self._data = "\n".join(self._data), []
            if said:
                yield msgspec.json.decode(said, type=Event)
            return
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
