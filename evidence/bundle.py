"""The full bundle out of storage alone: as members, as a directory, as a deterministic tar stream.

EVIDENCE.md section 5. Pinned to the checkpoint that was published when it was opened, however the
log grows meanwhile. Memory: the names (O(entries / 256)) and one piece of one member at a time.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from domain.errors import DomainError
from evidence.files import content_name
from evidence.storage import CHECKPOINT, Storage, join_bundle
from evidence.tree import watched_entries
from gpuaas_verify.bulk import SEALS, SealChain, member_name
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.files import SEALED, LiveFiles
from gpuaas_verify.files import member_name as file_member
from gpuaas_verify.note import parse_note
from gpuaas_verify.source import Place
from gpuaas_verify.tarball import BLOCK, header
from gpuaas_verify.tiles import entries_path, level_widths, levels, tile_names, tile_path

CHUNK: Final = 1 << 20
FORMAT: Final = "gpuaas-bundle/1"


class StorageSource:
    """The members of the bundle at the published checkpoint, in bytewise order of name.

    A `gpuaas_verify.source.Source`, so that the verifier can judge the storage where it lies.
    """

    path: Path | None = None

    def __init__(self, storage: Storage) -> None:
        """Raises: DomainError receipt.not_signed (no checkpoint yet), storage.missing."""
        note = storage.read(CHECKPOINT)
        if note is None:
            raise DomainError("receipt.not_signed", "nothing is signed yet", {"retry_after_s": 1})
        self.note = note
        self.checkpoint = parse_checkpoint(parse_note(note).text)
        self._storage = storage
        # What may change while we read is read now: the note and the unfinished right edge.
        self._held = {CHECKPOINT: note, **_partials(storage, self.checkpoint.size)}
        self.live: dict[str, list[Any]] = {}  # sealed files: name -> [position, sha256, bytes]
        self._files: dict[str, str] = {}
        self._bulk: list[str] = []
        self.seal_streams: dict[str, str] = {}  # by table of rows
        self._read_seals()

    def _read_seals(self) -> None:
        live, chain = LiveFiles(), SealChain()
        for entry in watched_entries(self._storage, self.checkpoint.size):
            if entry.tag in SEALS:
                chain.apply(entry)
                table = entry.fact["table"]
                self._bulk.append(member_name(table, entry.fact["first_row"]))
                self.seal_streams[table] = entry.stream
            elif entry.tag == SEALED:
                live.apply(entry)
        self.live = dict(live.items())
        self._files = {file_member(name): content_name(held[1]) for name, held in self.live.items()}
        live.close()

    def names(self) -> Iterator[str]:
        yield from sorted(self._bulk)
        yield CHECKPOINT
        yield from sorted(self._files)
        yield from sorted(tile_names(self.checkpoint.size))

    def find(self, name: str) -> Place | None:
        held = self._held.get(name)
        size = len(held) if held is not None else self._storage.size(self._stored_as(name))
        return None if size is None else Place(name, size)

    def _stored_as(self, name: str) -> str:
        return self._files.get(name, name)

    def read(self, place: Place) -> bytes:
        return b"".join(self.pieces(place))

    def pieces(self, place: Place) -> Iterator[bytes]:
        """The member's bytes in pieces of at most 1 MiB. Raises: DomainError storage.missing."""
        held = self._held.get(place.name)
        if held is not None:
            yield held
            return
        left = place.size
        with (self._storage.root / self._stored_as(place.name)).open("rb") as file:
            while left:
                piece = file.read(min(CHUNK, left))
                if not piece:
                    raise DomainError("storage.missing", f"{place.name} became shorter")
                left -= len(piece)
                yield piece

    def close(self) -> None:
        """Nothing is held open."""


def _partials(storage: Storage, size: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for level in range(levels(size)):
        full, width = level_widths(size, level)
        if width:
            found[tile_path(level, full, width)] = storage.tile(level, full, width)
    full, width = level_widths(size, 0)
    if width:
        found[entries_path(full, width)] = join_bundle(storage.entries(full, width))
    return found


def members(source: StorageSource) -> Iterator[Place]:
    """Every member with its size, in the tar's order. Raises: DomainError storage.missing."""
    for name in source.names():
        place = source.find(name)
        if place is None:
            raise DomainError("storage.missing", f"{name} is not in the evidence storage")
        yield place


def tar_size(source: StorageSource) -> int:
    """How many bytes `stream_tar` gives."""
    return sum(BLOCK + place.size + -place.size % BLOCK for place in members(source)) + 2 * BLOCK


def stream_tar(source: StorageSource) -> Iterator[bytes]:
    """The tar in pieces of at most 1 MiB; the same checkpoint gives the same bytes.

    Raises: DomainError storage.missing in the middle: the receiver then has a truncated tar, which
    no verifier accepts.
    """
    for place in members(source):
        yield header(place.name, place.size)
        yield from source.pieces(place)
        if place.size % BLOCK:
            yield bytes(-place.size % BLOCK)
    yield bytes(2 * BLOCK)


def write_tar(source: StorageSource, path: Path) -> None:
    """The bundle as a file; complete once it has this name."""
    fresh = path.with_name(path.name + "~")
    with fresh.open("wb") as out:
        for piece in stream_tar(source):
            out.write(piece)
    fresh.rename(path)


def write_directory(source: StorageSource, folder: Path) -> None:
    """The same members as files; the checkpoint last, so a tree without it is not finished.

    Raises: FileExistsError when the folder exists.
    """
    folder.mkdir(parents=True)
    for place in members(source):
        if place.name != CHECKPOINT:
            _write_member(source, place, folder / place.name)
    (folder / CHECKPOINT).write_bytes(source.note)


def _write_member(source: StorageSource, place: Place, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        for piece in source.pieces(place):
            out.write(piece)
