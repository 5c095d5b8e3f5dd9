"""Cursors: where the next page starts, as an opaque text that stays right while rows are added."""

import base64
import binascii
from typing import Final

import msgspec

from contracts.http import PAGE_LIMIT
from domain.errors import DomainError

_DEFAULT: Final = 100
_GREATEST: Final = 2**63 - 1
_LONGEST: Final = 100
_LONGEST_WORDS: Final = 2000


def page_size(limit: int | None) -> int:
    """Raises: DomainError request.invalid."""
    if limit is None:
        return _DEFAULT
    if not 1 <= limit <= PAGE_LIMIT:
        raise DomainError("request.invalid", f"limit is 1 to {PAGE_LIMIT}", {"pointer": "/limit"})
    return limit


def after(cursor: str | None) -> int:
    """The key the page begins after; -1 for the first page. Raises: DomainError request.invalid."""
    if cursor is None:
        return -1
    try:
        raw = base64.b64decode(cursor[:_LONGEST].encode("ascii"), altchars=b"-_", validate=True)
        key = msgspec.json.decode(raw, type=tuple[int])[0]
    except (binascii.Error, UnicodeError, msgspec.MsgspecError) as error:
        raise no_cursor() from error
    if not 0 <= key <= _GREATEST:
        raise no_cursor()
    return key


def no_cursor() -> DomainError:
    return DomainError("request.invalid", "not a cursor we gave", {"pointer": "/cursor"})


def before(cursor: str | None) -> int | None:
    """The key the page ends before, newest first; None for the first page."""
    return None if cursor is None else after(cursor)


def after_words(cursor: str) -> list[str]:
    """The key of words that the page begins after. Raises: DomainError request.invalid."""
    try:
        raw = base64.b64decode(
            cursor[:_LONGEST_WORDS].encode("ascii"), altchars=b"-_", validate=True
        )
        return msgspec.json.decode(raw, type=list[str])
    except (binascii.Error, UnicodeError, msgspec.MsgspecError) as error:
        raise no_cursor() from error


def cursor_of_words(key: list[str]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode("ascii")


def cursor(key: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((key,))).decode("ascii")
