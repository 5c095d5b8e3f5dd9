"""Stored entries decoded once, for all views: the envelope and the typed fact."""

from typing import Final

import msgspec
from msgspec import Struct

from domain.errors import DomainError
from domain.facts import TAGS


class Entry(Struct, frozen=True, gc=False):
    """The envelope's fields that a view may need; `fact` is still bytes."""

    position: int
    at_us: int
    stream: str
    version: int
    tag: str
    org: str
    actor: str
    cause: str
    fact: msgspec.Raw


_ENTRY: Final = msgspec.json.Decoder(Entry).decode
_FACT: Final = {tag: msgspec.json.Decoder(kind).decode for tag, kind in TAGS.items()}


def decode(raw: bytes) -> tuple[Entry, Struct]:
    """The entry and its fact. Append has checked the bytes; here only what is typed counts.

    Raises:
        DomainError: `projection.unknown_tag` (a newer version wrote it), `projection.malformed`.
    """
    entry = envelope(raw)
    return entry, fact_of(entry)


def envelope(raw: bytes) -> Entry:
    """The entry with its fact not yet decoded. Raises: DomainError `projection.malformed`."""
    try:
        return _ENTRY(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DomainError("projection.malformed", str(error)) from error


def fact_of(entry: Entry) -> Struct:
    """The entry's fact. Raises: as `decode`."""
    read = _FACT.get(entry.tag)
    if read is None:
        raise DomainError("projection.unknown_tag", f"no view knows {entry.tag}")
    try:
        return read(entry.fact)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DomainError("projection.malformed", str(error)) from error
