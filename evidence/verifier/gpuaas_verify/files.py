"""Sealed files: which are live, and that a bundle's are those (EVIDENCE.md section 5)."""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.source import Place, Reader, Source
from gpuaas_verify.spill import Spill

SEALED = "gpuaas.evidence.file_sealed.v1"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def member_name(name: str) -> str:
    return f"file/{name}"


class LiveFiles:
    """The files sealed and not superseded so far."""

    def __init__(self) -> None:
        self._by_name = Spill()
        self._by_position = Spill()

    def close(self) -> None:
        self._by_name.close()
        self._by_position.close()

    def apply(self, entry: Entry) -> None:
        """Nothing when the seal may stand. Raises: Invalid `file.*` with position and field."""
        fact = entry.fact
        name, supersedes = fact["name"], fact["supersedes"]
        if not entry.actor.startswith("system-"):
            raise _fail("file.actor", "a file is sealed by a system- actor", entry, "actor")
        if not NAME.fullmatch(name) or fact["bytes"] < 0:
            raise _fail("file.malformed", "not a file's name or size", entry, "name")
        if not 0 <= fact["as_of_size"] <= entry.position:
            raise _fail("file.malformed", "not an earlier size", entry, "as_of_size")
        old = None if supersedes is None else self._by_position.get(str(supersedes))
        if supersedes is not None:
            if old is None:
                raise _fail("file.supersedes", "no live file there", entry, "supersedes")
            if old != name:
                raise _fail("file.renamed", f"it is the file {old}", entry, "supersedes")
            self._by_position.remove(str(supersedes))
            self._by_name.remove(old)
        if self._by_name.get(name) is not None:
            raise _fail("file.repeated", f"{name} is sealed and live", entry, "name")
        self._by_name.put(name, [entry.position, fact["sha256"], fact["bytes"]])
        self._by_position.put(str(entry.position), name)

    def items(self) -> Iterator[tuple[str, list[Any]]]:
        """(name, [position, sha256, bytes]) by name."""
        return self._by_name.items()

    def get(self, name: str) -> list[Any] | None:
        found: list[Any] | None = self._by_name.get(name)
        return found


def _fail(code: str, detail: str, entry: Entry, field: str) -> Invalid:
    return Invalid(code, detail, position=entry.position, field=field)


def check_file(source: Source, name: str, sealed: list[Any]) -> None:
    """Nothing when the bytes are the sealed ones. Raises: Invalid `file.missing`, `file.bytes`."""
    position, digest, size = sealed
    member = member_name(name)
    place = source.find(member)
    if place is None:
        raise Invalid("file.missing", "sealed but not here", position=position, member=member)
    if place.size != size or _digest(source, place) != digest:
        raise Invalid("file.bytes", "not the sealed bytes", position=position, member=member)


def _digest(source: Reader, place: Place) -> str:
    hashed = sha256()
    for piece in source.pieces(place):
        hashed.update(piece)
    return hashed.hexdigest()
