"""Command ids of a whole log: each causes one append, one run of entries (contracts/facts.md)."""

import tempfile
from array import array
from collections.abc import Iterator
from struct import Struct
from typing import IO, Final

DIGEST: Final = 32
RECORD: Final = DIGEST + 8
PARTS: Final = 256
IN_MEMORY: Final = 300_000  # records, 12 MB
_WHOLE: Final = Struct(f"{RECORD}s")
_PAIR: Final = Struct(f">{DIGEST}sQ")


def record(cause: str, position: int) -> bytes:
    """What is kept of an entry caused by `cmd:` and 64 hex digits: the id, then where."""
    return bytes.fromhex(cause[4:]) + position.to_bytes(8)


class Commands:
    """Records in order of position; beyond `in_memory` of them in a file by first byte."""

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

    def _portions(self) -> Iterator[bytes]:
        """The records in portions that fit in memory; those of one id in one portion, in order."""
        if self._file is None:
            yield bytes(self._recent)
            return
        self._flush()
        for part in range(PARTS):
            size = sum(edges[part + 1] - edges[part] for edges in self._edges)
            times = min(PARTS, 1 + size // self._limit)
            if times == 1:
                yield b"".join(self._part(part))
                continue
            for turn in range(times):
                pieces = (_records(piece) for piece in self._part(part))
                chosen = (item for items in pieces for item in items if item[1] % times == turn)
                yield b"".join(chosen)

    def _part(self, part: int) -> Iterator[bytes]:
        assert self._file is not None
        for edges in self._edges:
            self._file.seek(edges[part])
            yield self._file.read(edges[part + 1] - edges[part])


def _records(raw: bytes | bytearray) -> Iterator[bytes]:
    return (item for (item,) in _WHOLE.iter_unpack(raw))


def _repeated(records: bytes) -> int | None:
    commands = [command for command, _ in _PAIR.iter_unpack(records)]
    if len(set(commands)) == len(commands):
        return None
    seen: set[bytes] = set()
    for command, position in _PAIR.iter_unpack(records):
        if command in seen:
            return int(position)
        seen.add(command)
    return None
