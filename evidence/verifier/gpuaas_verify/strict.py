"""The one JSON encoding of a value (EVIDENCE.md section 1), written and read.

Two readers that agree (a property test compares them): the plain one decodes, checks every value
and compares the bytes with their re-encoding; the fast one proves the same from the bytes for the
common plain-ASCII case.
"""

import json
import re
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

from gpuaas_verify.errors import Invalid

MAX_BYTES = 65_535
MAX_DEPTH = 16
INTEGER_LIMIT = 10**38
FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
CODE = "json.not_canonical"


class _RefusedError(ValueError):
    """Something the grammar of JSON allows and section 1 does not."""


def _no_float(text: str) -> NoReturn:
    raise _RefusedError(f"{text[:40]} is not an integer")


_PLAIN = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)
# scan_once has been the decoder's C scanner since 2.7; typeshed leaves it out.
_SCAN: Callable[[str, int], tuple[Any, int]] = vars(_PLAIN)["scan_once"]
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(value: Any) -> bytes:
    """The bytes `decode` accepts, for a value that `check_value` accepts."""
    return _encode(value).encode()


def encode_string(text: str) -> str:
    """The text as a JSON string with only the mandatory escapes."""
    return encode_basestring(text)


def check_value(value: Any, depth: int = 1) -> None:
    """Nothing when the value is within section 1's bounds. Raises: Invalid `json.not_canonical`."""
    if type(value) is str:
        if FORBIDDEN.search(value):
            raise Invalid(CODE, "a string has a forbidden character")
    elif type(value) is int:
        if not -INTEGER_LIMIT < value < INTEGER_LIMIT:
            raise Invalid(CODE, "an integer has more than 38 digits")
    elif type(value) is dict or type(value) is list:
        if depth > MAX_DEPTH:
            raise Invalid(CODE, f"nested deeper than {MAX_DEPTH}")
        for key in value if type(value) is dict else ():
            if type(key) is not str:
                raise Invalid(CODE, "a key is not a string")
            check_value(key, depth + 1)
        for item in value.values() if type(value) is dict else value:
            check_value(item, depth + 1)
    elif value is not None and type(value) is not bool:
        raise Invalid(CODE, f"a {type(value).__name__} has no encoding")


def decode_plainly(raw: bytes) -> dict[str, Any]:
    """As `decode`, by re-encoding; says what is wrong."""
    if not 1 <= len(raw) <= MAX_BYTES:
        raise Invalid(CODE, f"{len(raw)} bytes; 1 to {MAX_BYTES} are allowed")
    try:
        value = _PLAIN.decode(raw.decode("utf-8"))
    except RecursionError as error:
        raise Invalid(CODE, f"nested deeper than {MAX_DEPTH}") from error
    except ValueError as error:
        raise Invalid(CODE, f"not strict JSON: {error}") from error
    if type(value) is not dict:
        raise Invalid(CODE, "not an object")
    check_value(value)
    # Also how repeated keys are found: the last one wins, and the others are missing from the re-
    # encoding.
    if encode(value) != raw:
        raise Invalid(CODE, "the bytes are not their own re-encoding")
    return value


def count_keys(value: dict[str, Any] | list[Any], depth: int) -> int:
    """How many keys a decoded value has at all depths; a number beyond any count when it is out of
    bounds.
    """
    if depth > MAX_DEPTH:
        return MAX_BYTES
    keys = 0
    items: Any = value
    if type(value) is dict:
        keys = len(value)
        items = value.values()
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is int:
            if not -INTEGER_LIMIT < item < INTEGER_LIMIT:
                return MAX_BYTES
        elif kind is dict or kind is list:
            keys += count_keys(item, depth + 1)
    return keys


def plain(text: str) -> bool:
    """True when ASCII text has no character that could stand for another spelling of the same JSON.

    No escapes, no white space, no control characters, no minus zero.
    """
    return (
        text.isprintable()
        and " " not in text
        and "\\" not in text
        and ":-0" not in text
        and ",-0" not in text
        and "[-0" not in text
    )


def scan_object(text: str, start: int, depth: int) -> tuple[dict[str, Any], int] | None:
    """The canonical object that starts there and the index after it, or None where only
    `decode_plainly` can tell.

    For ASCII text that is `plain` from there on. Every key is followed by `":`, so as many `":` as
    decoded keys means that none was repeated (a value that begins with a colon goes the slow way).
    """
    try:
        value, end = _SCAN(text, start)
    except (ValueError, StopIteration, RecursionError):
        return None
    if type(value) is not dict or count_keys(value, depth) != text.count('":', start, end):
        return None
    return value, end


def decode(raw: bytes) -> dict[str, Any]:
    """The object whose canonical encoding these bytes are. Raises: Invalid `json.not_canonical`."""
    if raw.isascii() and len(raw) <= MAX_BYTES:
        text = raw.decode("ascii")
        found = scan_object(text, 0, 1) if plain(text) else None
        if found is not None and found[1] == len(raw):
            return found[0]
    return decode_plainly(raw)
