"""Server-sent events, as the API sends facts: parsed piece by piece, resumed by position."""

import re
from collections.abc import Iterator
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from gpuaas_client.call import Call
from gpuaas_client.errors import Unreachable, no_api
from gpuaas_client.reading import MOST_BYTES, Whole, endless
from gpuaas_client.trial import Headers, Patience, Trial

# A carriage return at the end of a piece may be half of a line's end.
_END: Final = re.compile(rb"\r\n|\n|\r(?=[^\n])")
_POSITION: Final = re.compile("[0-9]{1,19}")
# Who was listened to for so long was there: what breaks then is waited for anew.
_LIVED_S: Final = 8.0


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


class Cut:
    """Bytes as lines, which end with CR, LF or both: not where `str.splitlines` ends some, too, as
    at the U+2028 of somebody's name.
    """

    def __init__(self) -> None:
        self._rest = b""

    def take(self, piece: bytes) -> Iterator[str]:
        """The lines that end in this piece. Raises: Unreachable answer.endless."""
        *lines, self._rest = _END.split(self._rest + piece)
        if len(self._rest) > MOST_BYTES:
            raise endless()
        for line in lines:
            yield line.decode(errors="replace")

    def rest(self) -> Iterator[str]:
        """What has no end of its own, once there is nothing more."""
        if self._rest:
            yield self._rest.removesuffix(b"\r").decode(errors="replace")


class Lines:
    """The parser of one connection (WHATWG HTML section 9.2.6)."""

    def __init__(self) -> None:
        self._cut = Cut()
        self._data: list[str] = []

    def take(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece. Raises: Unreachable answer.malformed, .endless."""
        for line in self._cut.take(piece):
            if line:
                name, _, value = line.partition(":")
                if name == "data":
                    self._data.append(value.removeprefix(" "))
                continue
            said, self._data = "\n".join(self._data), []
            if said:
                yield event_of(said)


def event_of(said: str | bytes) -> Event:
    """The envelope as it is sent. Raises: Unreachable answer.malformed."""
    try:
        found = msgspec.json.decode(said, type=Event)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _malformed(str(error)) from error
    if not _POSITION.fullmatch(found.id):
        raise _malformed(f"the position {found.id!r}")
    return found


def _malformed(what: str) -> Unreachable:
    why = f"it is no event of the API: {what}"
    return Unreachable("answer.malformed", why, "Update the client to the API's version.")


class Following:
    """Facts after a position over any number of connections, without I/O of its own."""

    def __init__(self, call: Call[bytes], url: str, after: int, patience: Patience) -> None:
        self._call = call
        self._url = url
        self._after = after
        self._anew(patience)
        self._opened = patience.clock()

    def _anew(self, patience: Patience) -> None:
        self._patience = patience
        self._trial = Trial(self._call, self._url, Headers(), patience)

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """After the last that was seen."""
        found = self._trial.request(http)
        if self._after >= 0:
            found.headers["Last-Event-ID"] = str(self._after)
        self._opened = self._patience.clock()
        return found

    def lines(self, answer: httpx.Response) -> Lines:
        """Of a connection that stands. Raises: Unreachable: no stream of events."""
        media = answer.headers.get("content-type", "")
        if "text/event-stream" not in media:
            raise no_api(f"status {answer.status_code}, {media or 'of no type'}")
        return Lines()

    def seen(self, event: Event, patience: Patience) -> None:
        self._after = event.position
        self._anew(patience)

    def refused(self, answer: Whole) -> float:
        """Seconds to wait. Raises: as `Trial.heard`."""
        return self._trial.heard(answer) or 0.0

    def broke(self, error: httpx.RequestError, patience: Patience) -> float:
        """Seconds to wait. Raises: as `Trial.unheard`."""
        if self._patience.clock() - self._opened > _LIVED_S:
            self._anew(patience)
        return self._trial.unheard(error)
