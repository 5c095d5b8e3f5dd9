"""Bundles laid out from whatever the database says, past the integrator and the signer's state."""

import io
from collections.abc import Mapping

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence.bundle import StorageSource, members
from evidence.storage import join_bundle
from gpuaas_verify.bulk import member_name
from gpuaas_verify.bundle import Scope, Trust, verify_source
from gpuaas_verify.checkpoint import Checkpoint
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import leaf_hash, root_hash
from gpuaas_verify.note import Vkey, sign_note
from gpuaas_verify.tarball import TarSource
from gpuaas_verify.tiles import TILE_WIDTH, entries_path, level_tiles
from tests.bundles import tar_of, tree_members
from tests.integration.evidence_stack import EvidenceStack

type Members = dict[str, bytes]


def judged(
    bundle: Mapping[str, bytes],
    vkey: Vkey,
    known: tuple[bytes, ...] = (),
    scope: Scope | None = None,
) -> Invalid | None:
    """The auditor's first failure on these members as a tar, None when it is valid."""
    source = TarSource(io.BytesIO(tar_of(dict(bundle))))
    try:
        return verify_source(source, Trust((vkey,), known=known), scope or Scope()).error
    finally:
        source.close()


def published_members(stack: EvidenceStack) -> Members:
    """The bundle as the platform lays it out."""
    source = StorageSource(stack.storage)
    return {place.name: source.read(place) for place in members(source)}


def stored_entries(stack: EvidenceStack) -> list[bytes]:
    """The entries that the database has, in the order of its `position` column."""
    with psycopg.connect(stack.database.app_url) as conn:
        rows = conn.execute("SELECT entry FROM log.entry ORDER BY position", binary=True).fetchall()
    return [bytes(raw) for (raw,) in rows]


def stored_rows(stack: EvidenceStack, table: str, first: int, count: int) -> Members:
    """The rows that the database has where a seal says they are, as the seal's member."""
    with psycopg.connect(stack.database.app_url) as conn:
        rows = conn.execute(
            "SELECT row_bytes FROM log.bulk_row WHERE bulk_table = %s AND row_number >= %s"
            " AND row_number < %s ORDER BY row_number",
            (table, first, first + count),
            binary=True,
        ).fetchall()
    return {member_name(table, first): join_bundle([bytes(raw) for (raw,) in rows])}


def entry_members(entries: list[bytes], size: int) -> Members:
    """Entry bundles named for a tree of `size`, whether or not there are so many entries."""
    return {
        entries_path(index, width): join_bundle(
            entries[index * TILE_WIDTH : index * TILE_WIDTH + width]
        )
        for index, width in level_tiles(size, 0)
    }


def signed_members(stack: EvidenceStack, entries: list[bytes]) -> Members:
    """A whole tree over these entries, signed with the log's real key behind the signer's back."""
    key = (stack.signer_state / "key").read_text().split("\n")[2]
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key))
    checkpoint = Checkpoint(
        stack.vkey.name, len(entries), root_hash(leaf_hash(entry) for entry in entries)
    )
    note = sign_note(checkpoint.format(), stack.vkey, private.sign)
    return {**tree_members(entries), "checkpoint": note}
