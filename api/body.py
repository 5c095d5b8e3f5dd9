"""A request body as its struct, or a refusal: size, depth, JSON, text and types, in that order."""

import asyncio
import json
import re
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.types import Empty

from api.auth import LATE_S, again
from api.authorization.principal import Principal
from contracts.http import BODY_LIMIT, DEPTH_LIMIT
from contracts.http_limits import BODY_S
from domain.errors import DomainError

# EVIDENCE.md section 1: what no string of an entry may hold, refused before anything is stored.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(
        f"{chr(0x10000 * plane + 0xFFFE)}{chr(0x10000 * plane + 0xFFFF)}" for plane in range(17)
    )
    + "]"
)
# What shows as nothing, or turns the letters around it about, makes one name look like another
# (Unicode TR 36): bidirectional controls, invisible letters, tags. Joiners shape the letters of
# many scripts and of emoji, and stay where such a one is before them.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    "|(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]"
)
_PATH: Final = re.compile(r" - at `\$(.*)`$")
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_JSON: Final = re.compile(r'application/json(\s*;\s*charset\s*=\s*"?utf-8"?)?\s*', re.IGNORECASE)
_LENGTH_DIGITS: Final = 9
_ESCAPE: Final = 0x5C
_DELETE: Final = 0x7F
_DECODERS: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}


class FrontRequest(Request[Principal, Any, State]):
    """A request whose JSON is decoded once, strictly, into the handler's `data` type."""

    async def body(self) -> bytes:
        """The whole body. Raises: DomainError request.too_large as soon as it is,
        request.encoding, request.too_slow; and of who may no more what it might when it began to
        send: a body may take longer than what is taken back takes to count everywhere.
        """
        if self._body is Empty:
            self._check_head()
            # Litestar's own way through a generator costs as much as all our decoding.
            began = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(BODY_S):
                    found = await self._parts()
            except TimeoutError as error:
                detail = f"a body comes within {BODY_S} s"
                raise DomainError("request.too_slow", detail) from error
            if asyncio.get_running_loop().time() - began > LATE_S:
                await again(self)
            if found:
                self._check_media()
            self._body = self._connection_state.body = found
        return self._body

    async def _parts(self) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            event = await self.receive()
            if event["type"] != "http.request":
                raise DomainError("request.malformed", "the client went away")
            parts.append(event["body"])
            size += len(parts[-1])
            _check_size(size)
            more = event.get("more_body", False)
        return b"".join(parts)

    def _check_head(self) -> None:
        """A length said ahead is believed when it is too much: nobody waits for such a body."""
        said = self.headers.get("content-length", "")
        if len(said) > _LENGTH_DIGITS or (said.isdigit() and int(said) > BODY_LIMIT):
            _check_size(BODY_LIMIT + 1)
        for name, taken in (("content-encoding", "identity"), ("transfer-encoding", "chunked")):
            if self.headers.get(name, taken).lower() != taken:
                raise DomainError("request.encoding", "a body is sent as it is, chunked or not")

    def _check_media(self) -> None:
        if not _JSON.fullmatch(self.headers.get("content-type", "")):
            raise DomainError("request.media_type", "a body is application/json")

    async def json(self) -> Any:
        kind = self.route_handler.parsed_data_field
        raw = await self.body()
        return decode(raw, kind.annotation if kind else Any)


def decode[T](raw: bytes, kind: type[T]) -> T:
    """Raises: DomainError request.too_large, request.malformed, request.text, request.invalid."""
    _check_size(len(raw))
    _check_depth(raw)
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        value: T = decoder.decode(raw)
    except msgspec.ValidationError as error:
        # A body that is no JSON at all further on is malformed first of all.
        _check_text(raw)
        raise _invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DomainError("request.malformed", f"not JSON: {error}") from error
    _check_text(raw)
    return value


def _check_size(size: int) -> None:
    if size > BODY_LIMIT:
        raise DomainError("request.too_large", f"a body has at most {BODY_LIMIT} bytes")


def _check_depth(raw: bytes) -> None:
    # Counting brackets is an upper bound of depth: only a suspect body is scanned properly.
    if raw.count(b"{") + raw.count(b"[") <= DEPTH_LIMIT:
        return
    depth = 0
    for found in _BRACKETS.finditer(raw):
        first = found[0][:1]
        if first in b"[{":
            depth += 1
            if depth > DEPTH_LIMIT:
                raise DomainError("request.too_deep", f"a body nests at most {DEPTH_LIMIT} deep")
        elif first in b"]}":
            depth -= 1


def _check_text(raw: bytes) -> None:
    if not _plain(raw):
        _scan(raw)


def _scan(raw: bytes) -> None:
    try:
        json.loads(raw, object_pairs_hook=_pairs, parse_constant=_constant)
    except RecursionError as error:
        raise DomainError("request.too_deep", "a body nests too deep") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise DomainError("request.malformed", f"not JSON: {error}") from error


def _plain(raw: bytes) -> bool:
    """True when one quick look proves well-formed `raw` free of everything `_pairs` looks for.

    Written again it is the same bytes, so no name was there twice; printable ASCII without
    escapes holds no forbidden character.
    """
    if not raw.isascii() or _ESCAPE in raw or _DELETE in raw:
        return False
    try:
        return msgspec.json.encode(msgspec.json.decode(raw)) == raw
    except (msgspec.MsgspecError, OverflowError, RecursionError):
        return False


def _constant(name: str) -> None:
    raise DomainError("request.malformed", f"{name} is not JSON")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise DomainError("request.malformed", "a name is there twice in one object")
        found[name] = value
        for text in (name, *_texts(value)):
            if _FORBIDDEN.search(text):
                raise DomainError("request.text", "a text has a control character or noncharacter")
            if _UNSEEN.search(text):
                raise DomainError("request.text", "a text has a letter that nobody sees")
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []


def _invalid(message: str) -> DomainError:
    found = _PATH.search(message)
    pointer = "" if found is None else re.sub(r"\.|\[(?=[0-9.])", "/", found[1]).replace("]", "")
    detail = message if found is None else message[: found.start()]
    return DomainError("request.invalid", detail, {"pointer": pointer})


def on_a_line(text: str) -> str:
    """What somebody else wrote, on one line, without the letters that no text here may have."""
    found = _FORBIDDEN.sub(" ", text)
    while _UNSEEN.search(found):  # without one, what it hid may be the next
        found = _UNSEEN.sub("", found)
    return " ".join(found.split())


def check_word(text: str, limit: int = 200) -> str:
    """A header or query text free of what no log may hold. Raises: DomainError request.text."""
    clean = (text.isascii() and text.isprintable()) or _FORBIDDEN.search(text) is None
    if len(text) > limit or not clean:
        raise DomainError("request.text", "a text is too long or has control characters")
    return text
