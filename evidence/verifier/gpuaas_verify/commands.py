"""Command ids of a whole log: each is the cause of one append, so of one run of entries (contracts/facts.md)."""

import tempfile
from array import array
from collections.abc import Iterator
from typing import IO, Final

DIGEST: Final = 32
RECORD: Final = DIGEST + 8
PARTS: Final = 256
IN_MEMORY: Final = 300_000  # records, 12 MB


def record(cause: str, position: int) -> bytes:
    """What is kept of an entry that a command caused, `cmd:` and 64 hex digits: the id, then where."""
    return bytes.fromhex(cause[4:]) + position.to_bytes(8)


class Commands:
    """Records in order of position; beyond `in_memory` of them in a temporary file, parted by the id's first byte."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._limit = in_memory * RECORD
        self._recent = bytearray()
        self._file: IO[bytes] | None = None
        self._edges: list[array[int]] = []  # per flush, where each part begins, and the end

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(self, records: bytes) -> None:
        self._recent += records
        if len(self._recent) > self._limit:
            self._flush()

    def repeated(self) -> int | None:
        """The first position whose command id an earlier record has; None when there is none."""
        found = [_repeated(portion) for portion in self._portions()]
        return min((position for position in found if position is not None), default=None)

    def _flush(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        parts = [bytearray() for _ in range(PARTS)]
        for item in _records(self._recent):
            parts[item[0]] += item
        edge = self._file.seek(0, 2)
        edges = array("Q", [edge])
        for part in parts:
            edge += len(part)
            edges.append(edge)
        self._file.write(b"".join(parts))
        self._edges.append(edges)
        self._recent.clear()

    def _portions(self) -> Iterator[Iterator[bytes]]:
        """The records in portions that fit in memory; those of one id are in one portion, in order."""
        if self._file is None:
            yield _records(self._recent)
            return
        self._flush()
        for part in range(PARTS):
            size = sum(edges[part + 1] - edges[part] for edges in self._edges)
            times = min(PARTS, 1 + size // self._limit)
            for turn in range(times):
                yield (item for item in self._part(part) if item[1] % times == turn)

    def _part(self, part: int) -> Iterator[bytes]:
        assert self._file is not None
        for edges in self._edges:
            self._file.seek(edges[part])
            yield from _records(self._file.read(edges[part + 1] - edges[part]))


def _records(raw: bytes | bytearray) -> Iterator[bytes]:
    for at in range(0, len(raw), RECORD):
        yield bytes(raw[at : at + RECORD])


def _repeated(records: Iterator[bytes]) -> int | None:
    seen: set[bytes] = set()
    for item in records:
        command = item[:DIGEST]
        if command in seen:
            return int.from_bytes(item[DIGEST:])
        seen.add(command)
    return None
