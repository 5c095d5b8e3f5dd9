"""The log read back from what is stored, checked, laid out as tiles outside the database, signed.

EVIDENCE.md section 4. One integrator per storage. Each step: read a range, check it whole, write
its tiles, bundles and bulk rows; at the head, have the tree signed and publish the checkpoint.
Whatever is found wrong stops signing; nothing already published is touched.
"""

import os
from pathlib import Path
from typing import Any, Final

import psycopg

from domain.errors import DomainError
from evidence import files
from evidence.edge import load_edge
from evidence.ordering import Order, Row
from evidence.signing import SignTree, ask_status, ask_to_sign
from evidence.storage import CHECKPOINT, Storage, hold_alone, join_bundle, replace
from evidence.tree import node_reader, streams_of, watched_entries
from gpuaas_verify.bulk import SEALS, check_rows, member_name
from gpuaas_verify.checkpoint import Checkpoint, parse_checkpoint
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.files import SEALED
from gpuaas_verify.merkle import EMPTY_ROOT, consistency_proof, leaf_hash
from gpuaas_verify.note import Vkey, parse_note, verify_note
from gpuaas_verify.tiles import TILE_WIDTH

BATCH: Final = 4096  # entries per read; 16 bundles
SIGN_AFTER: Final = 32_768  # entries without a checkpoint while catching up

READ_HEAD: Final = """
SELECT next_position, leaf, at_us, (SELECT max(position) FROM log.entry) FROM log.head
"""
READ_RANGE: Final = """
SELECT position, stream, version, command, span, entry FROM log.entry
WHERE position >= %(first)s AND position < %(end)s ORDER BY position
"""
READ_ROWS: Final = """
SELECT row_number, row_bytes FROM log.bulk_row
WHERE bulk_table = %(table)s AND row_number >= %(first)s AND row_number < %(first)s + %(count)s
ORDER BY row_number
"""


class Integrator:
    """Owns the storage (one per storage, by a lock) and a read-only use of the connection."""

    def __init__(self, conn: psycopg.Connection[Any], storage: Storage, socket: Path) -> None:
        """Resumes from the published checkpoint.

        Raises: DomainError integrator.second, integrator.storage_damaged, signer.unavailable,
        signer.rolled_back, signer.origin_differs.
        """
        self._conn = conn
        self._storage = storage
        self._socket = socket
        lock = storage.root / "integrator.lock"
        self._lock = hold_alone(lock, "integrator.second", "another integrator writes there")
        try:
            self._resume()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets another integrator in; the connection stays its owner's."""
        os.close(self._lock)

    def _resume(self) -> None:
        status = ask_status(self._socket)
        self.vkey = Vkey.parse(status.vkey)
        self.signed = published(self._storage, self.vkey)
        if self.signed.size > (status.size or 0):
            detail = f"it remembers {status.size}, a tree of {self.signed.size} is published"
            raise DomainError("signer.rolled_back", detail)
        size = self.signed.size
        self._asked_size = status.size or 0
        self._edge = load_edge(self._storage, size)
        if self._edge.root() != self.signed.root:
            detail = f"the tiles do not give the published root of size {size}"
            raise DomainError("integrator.storage_damaged", detail)
        self._order = Order(self.vkey.name)
        if size:
            last = self._storage.entries((size - 1) // TILE_WIDTH, (size - 1) % TILE_WIDTH + 1)[-1]
            watched = watched_entries(self._storage, size)
            streams = streams_of(self._storage, size)
            self._order.resume(size, last, leaf_hash(last), watched, streams)
        self._partials = set(self._edge.partials())
        self._unwritten: dict[str, bytes] = {}

    @property
    def size(self) -> int:
        """Entries integrated; those up to `signed.size` are covered by the published checkpoint."""
        return self._edge.size

    def step(self) -> bool:
        """True when more than this step's range was waiting, so that another step is due at once.

        Raises: Invalid (what is stored is wrong: position, field), DomainError (signer.*,
        storage.*), psycopg.OperationalError. After any of them, close and resume.
        """
        head = self._read_head()
        behind = self._integrate(head)
        if self.size > self.signed.size and (
            not behind or self.size - self.signed.size >= SIGN_AFTER
        ):
            self._sign()
        return behind

    def _read_head(self) -> tuple[int, bytes, int]:
        row = self._conn.execute(READ_HEAD, binary=True).fetchone()
        if row is None:
            raise Invalid("head.missing", "the head row is gone")
        if row[3] is not None and row[3] >= row[0]:
            raise Invalid("head.differs", "an entry stands beyond it", position=int(row[0]))
        if row[0] == self.size:
            return int(row[0]), bytes(row[1]), int(row[2])
        if row[0] < self.size:
            raise Invalid("head.rewound", f"the head is at {row[0]}", position=int(row[0]))
        return int(row[0]), bytes(row[1]), int(row[2])

    def _integrate(self, head: tuple[int, bytes, int]) -> bool:
        size, leaf, at_us = head
        first, end = self.size, min(self.size + BATCH, size)
        rows = self._read_range(first, end) if first < end else []
        leaves = [leaf_hash(row.entry) for row in rows]
        for entry in self._order.check(rows, leaves):
            self._keep_sealed(entry)
        if len(rows) < end - first:
            gone = first + len(rows)  # gaps before it were found as wrong positions
            raise Invalid("entry.missing", "not in the database", position=gone)
        if end == size:
            self._order.require_whole()
            if self._order.leaf != leaf.hex() or self._order.at_us != at_us:
                raise Invalid("head.differs", "not its hash or time", position=size - 1)
        self._unwritten |= self._edge.extend([row.entry for row in rows], leaves)
        if end < size:
            self._write({})
        return end < size

    def _read_range(self, first: int, end: int) -> list[Row]:
        """The rows there are. The one before them is read back too: it must still be
        what we know.
        """
        asked = {"first": max(first - 1, 0), "end": end}
        found = self._conn.execute(READ_RANGE, asked, binary=True).fetchall()
        rows = list(map(Row._make, found))
        if first:
            past = rows.pop(0) if rows and rows[0].position == first - 1 else None
            if past is None or leaf_hash(past.entry).hex() != self._order.leaf:
                raise Invalid("entry.changed", "not what was signed", position=first - 1)
        return rows

    def _write(self, more: dict[str, bytes]) -> None:
        self._storage.write({**self._unwritten, **more})
        self._unwritten = {}

    def _keep_sealed(self, entry: Entry) -> None:
        """The rows or the file this seal binds, checked and outside the database."""
        if entry.tag in SEALS:
            fact = entry.fact
            table, first, count = fact["table"], fact["first_row"], fact["count"]
            asked = {"table": table, "first": first, "count": count}
            rows = self._conn.execute(READ_ROWS, asked, binary=True).fetchall()
            items = [bytes(raw) for _, raw in rows]
            check_rows(iter(items), entry)
            self._storage.write({member_name(table, first): join_bundle(items)})
        elif entry.tag == SEALED:
            files.publish(self._storage, entry)

    def _sign(self) -> None:
        """Everything the tree needs is durable, then the signature, then the checkpoint.

        A crash before the checkpoint is written costs nothing: the next run asks for a tree that
        extends the one signed here.
        """
        partials = self._edge.partials()
        self._write(partials)
        checkpoint = Checkpoint(self.vkey.name, self.size, self._edge.root())
        note = self._ask(checkpoint).encode()
        verify_note(parse_note(note), [self.vkey], exact=True)
        # Not synced into its folder: an older checkpoint after a crash is still a true one.
        replace(self._storage.root / CHECKPOINT, note)
        self._asked_size, self.signed = checkpoint.size, checkpoint
        self._storage.remove(self._partials - set(partials))
        self._partials = set(partials)

    def _ask(self, checkpoint: Checkpoint) -> str:
        try:
            return ask_to_sign(self._socket, self._request(checkpoint, self._asked_size))
        except DomainError as error:
            # A signer that was asked before a crash of ours remembers more than was published.
            if error.code != "signer.size_moved":
                raise
            self._asked_size = int(error.facts["size"])
        return ask_to_sign(self._socket, self._request(checkpoint, self._asked_size))

    def _request(self, checkpoint: Checkpoint, old: int) -> SignTree:
        node = node_reader(self._storage, self.size, self._edge)
        grown = 0 < old < checkpoint.size
        proof = consistency_proof(old, checkpoint.size, node) if grown else []
        hashes = tuple(part.hex() for part in proof)
        return SignTree(checkpoint.origin, old, checkpoint.size, checkpoint.root.hex(), hashes)


def published(storage: Storage, vkey: Vkey) -> Checkpoint:
    """The checkpoint in storage, its signature checked; the empty tree when there is none.

    Raises: DomainError integrator.storage_damaged.
    """
    note = storage.read(CHECKPOINT)
    if note is None:
        return Checkpoint(vkey.name, 0, EMPTY_ROOT)
    try:
        parsed = parse_note(note)
        verify_note(parsed, [vkey])
        found = parse_checkpoint(parsed.text)
    except Invalid as error:
        detail = f"the published checkpoint is not one of this signer: {error}"
        raise DomainError("integrator.storage_damaged", detail) from error
    if found.origin != vkey.name:
        raise DomainError("signer.origin_differs", f"the storage is of {found.origin}")
    return found
