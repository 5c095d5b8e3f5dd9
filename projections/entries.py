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
    try:
        entry = _ENTRY(raw)
        return entry, _FACT[entry.tag](entry.fact)
    except KeyError as error:
        raise DomainError("projection.unknown_tag", f"no view knows {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DomainError("projection.malformed", str(error)) from error
