"""A receipt: one entry's bytes and the proof that it is in the signed log (EVIDENCE.md
section 7).
"""

from typing import Final

from msgspec import Struct

from domain.errors import DomainError
from domain.sealing import Downloaded
from evidence.append import Append, Write
from evidence.storage import CHECKPOINT, Storage
from evidence.tree import node_reader
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.merkle import inclusion_proof
from gpuaas_verify.note import parse_note
from gpuaas_verify.receipt import format_proof
from gpuaas_verify.tiles import TILE_WIDTH

RETRY_AFTER_S: Final = 1  # a checkpoint follows an append within 200 ms


class Receipt(Struct, frozen=True):
    """`entry` verbatim; `proof` is a `.tlog-proof` file for the tree of `size` entries."""

    position: int
    size: int
    entry: bytes
    proof: bytes


def receipt(storage: Storage, position: int) -> Receipt:
    """The receipt under the checkpoint that is published now.

    Raises: DomainError receipt.not_signed (ask again after facts["retry_after_s"]; facts name the
    signed size), storage.missing.
    """
    note = storage.read(CHECKPOINT)
    size = 0 if note is None else parse_checkpoint(parse_note(note).text).size
    if note is None or not 0 <= position < size:
        facts: dict[str, int | str] = {"signed": size, "retry_after_s": RETRY_AFTER_S}
        raise DomainError("receipt.not_signed", f"position {position} is not signed yet", facts)
    index, offset = divmod(position, TILE_WIDTH)
    entry = storage.entries(index, offset + 1)[offset]
    proof = inclusion_proof(position, size, node_reader(storage, size))
    return Receipt(position, size, entry, format_proof(position, proof, note))


def downloaded(
    stream: str, expected: int, actor: str, cause: str, what: str, size: int, index: int | None
) -> Append:
    """The fact that somebody took a `bundle` or a `receipt`; append it before the
    bytes are sent.
    """
    fact = Downloaded(what, size, index)
    return Append((Write(stream, "-", expected, (fact,)),), actor, cause)
