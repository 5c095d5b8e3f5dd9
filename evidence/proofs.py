"""The file of an invoice's proof: `gpuaas-invoice-proof/2` (invoice-proof.md section 1)."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, BinaryIO, Final

from domain.errors import DomainError
from evidence.storage import CHECKPOINT, Storage
from gpuaas_verify import proof, strict
from gpuaas_verify.checkpoint import Checkpoint, parse_checkpoint
from gpuaas_verify.merkle import HASH_BYTES, NodeReader, complete_root, leaf_hash, sparse_proof
from gpuaas_verify.note import parse_note
from gpuaas_verify.proof_chunk import ENTRIES
from gpuaas_verify.tarball import BLOCK, header
from gpuaas_verify.tiles import TILE_HEIGHT, TILE_WIDTH, level_widths

PAGE: Final = 1_000
TILES: Final = 64  # kept in memory; leaves are asked for from left to right
_ASK_AGAIN: Final[dict[str, int | str]] = {"retry_after_s": 1}

# The entries at ascending positions, in their order.
type Read = Callable[[Sequence[int]], Iterator[bytes]]


def signed(storage: Storage, position: int) -> tuple[bytes, Checkpoint]:
    """The published note, which covers the position. Raises: DomainError receipt.not_signed."""
    note = storage.read(CHECKPOINT)
    found = None if note is None else parse_checkpoint(parse_note(note).text)
    if note is None or found is None or position >= found.size:
        raise DomainError("receipt.not_signed", f"position {position} is not signed", _ASK_AGAIN)
    return note, found


def write_proof(
    out: BinaryIO,
    storage: Storage,
    note: bytes,
    positions: array[int],
    read: Read,
    head: dict[str, Any],
    files: dict[str, bytes],
) -> None:
    """The proof that `head` says it is, with these files as members, under the note, written to
    `out`.

    `out` can seek and is empty. The same arguments give the same bytes. Memory: the positions and
    32 bytes for each. Raises: DomainError storage.missing, log.unavailable.
    """
    size = parse_checkpoint(parse_note(note).text).size
    leaves = bytearray()
    node = _nodes(storage, size)
    members: dict[str, Iterator[bytes | bytearray]] = {
        proof.CHECKPOINT: iter((note,)),
        ENTRIES: _entries(positions, read, leaves),
        proof.HASHES: sparse_proof(positions, size, node),
        proof.LEAVES: iter((leaves,)),
        proof.HEAD: iter((strict.encode(head),)),
        **{name: iter((data,)) for name, data in files.items()},
    }
    for name in sorted(members):  # the entries before their leaves
        _member(out, name, members[name])
    out.write(bytes(2 * BLOCK))


def _member(out: BinaryIO, name: str, pieces: Iterator[bytes | bytearray]) -> None:
    at, length = out.tell(), 0
    out.write(bytes(BLOCK))  # its header says how long it is
    for piece in pieces:
        out.write(piece)
        length += len(piece)
    out.write(bytes(-length % BLOCK))
    end = out.tell()
    out.seek(at)
    out.write(header(name, length))
    out.seek(end)


def _entries(positions: array[int], read: Read, leaves: bytearray) -> Iterator[bytes]:
    """The member's bytes; `leaves` grows by each entry's hash."""
    for at in range(0, len(positions), PAGE):
        asked = positions[at : at + PAGE]
        for entry in read(asked):
            leaves += leaf_hash(entry)
            yield len(entry).to_bytes(2, "big") + entry
    if len(leaves) != HASH_BYTES * len(positions):
        raise DomainError("storage.missing", "an entry of the proof is not in the database")


def _nodes(storage: Storage, size: int) -> NodeReader:
    @lru_cache(maxsize=TILES)
    def tile(level: int, index: int) -> bytes:
        full, partial = level_widths(size, level)
        return storage.tile(level, index, TILE_WIDTH if index < full else partial)

    def node(level: int, index: int) -> bytes:
        tile_level, inside = divmod(level, TILE_HEIGHT)
        number, offset = divmod(index << inside, TILE_WIDTH)
        start = HASH_BYTES * offset
        return complete_root(tile(tile_level, number)[start : start + (HASH_BYTES << inside)])

    return node
