"""The only copy of the key, and the largest tree it ever signed: a folder of the signer's own.

`key` (mode 0600), `vkey` (public), `state` (origin, size, root), `refused` (count, last), `note`
(the last one signed), `lock`. It lies apart from the data directory, so that restoring the data
from a backup does not roll this back with it (EVIDENCE.md section 4).
"""

import contextlib
import os
import secrets
import stat
import time
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from domain.errors import DomainError
from evidence.signing import SignTree, Status
from evidence.storage import hold_alone, replace_durably
from gpuaas_verify.checkpoint import Checkpoint
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from gpuaas_verify.note import Vkey, sign_note

FORMAT: Final = "gpuaas-signer/1"
_KEY_PREFIX: Final = "gpuaas-signer-key/1"


class State(Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    origin: str
    size: int
    root: str


class Refusals(Struct, frozen=True, forbid_unknown_fields=True):
    count: int = 0
    last: str | None = None
    last_us: int | None = None


def create(folder: Path, name: str) -> str:
    """A fresh key, a fresh origin `<name>/<16 hex>` and an empty tree; returns the vkey.

    The key is written last and never over another one: a crash before it leaves a folder without
    a key, which has signed nothing, and is made anew by calling again. A key without its state
    was not left by a crash here: whoever lost the state still has the key.

    Raises: DomainError signer.exists when this folder has signed or may have signed before.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = read_state(folder)
    if has_key(folder) or (folder / "note").exists() or (before is not None and before.size):
        raise DomainError("signer.exists", "this folder holds what a signer left: its key or state")
    origin = f"{name}/{secrets.token_hex(8)}"
    key = Ed25519PrivateKey.generate()
    vkey = Vkey(origin, key.public_key().public_bytes_raw()).format()
    text = f"{_KEY_PREFIX}\n{origin}\n{key.private_bytes_raw().hex()}\n"
    replace_durably(folder / "vkey", f"{vkey}\n".encode())
    empty = State(FORMAT, origin, 0, EMPTY_ROOT.hex())
    replace_durably(folder / "state", msgspec.json.encode(empty), 0o600)
    replace_durably(folder / "key", text.encode(), 0o600)
    return vkey


def has_key(folder: Path) -> bool:
    """Whether a signer was made there: its key is the last thing written."""
    return (folder / "key").exists()


def read_state(folder: Path) -> State | None:
    """What was last made durable there, or None when there is no state."""
    raw = _read(folder / "state")
    return None if raw is None else msgspec.json.decode(raw, type=State)


class SignerState:
    """The folder under its lock. One process at a time; used from one thread."""

    def __init__(self, folder: Path) -> None:
        """Raises: DomainError signer.second, signer.key_missing, signer.key_exposed."""
        self.folder = folder
        self.origin, self._key = _load_key(folder / "key")
        detail = "another signer already holds this state"
        self._lock = hold_alone(folder / "lock", "signer.second", detail)
        self._vkey = Vkey(self.origin, self._key.public_key().public_bytes_raw())
        self.vkey = self._vkey.format()
        self._raw = _read(folder / "state")
        self.state = read_state(folder)
        seen = _read(folder / "refused")
        self.refusals = Refusals() if seen is None else msgspec.json.decode(seen, type=Refusals)

    def close(self) -> None:
        os.close(self._lock)

    def status(self) -> Status:
        size, root = (self.state.size, self.state.root) if self.state else (None, None)
        last, at_us = self.refusals.last, self.refusals.last_us
        return Status(self.origin, self.vkey, size, root, self.refusals.count, last, at_us)

    def sign(self, tree: SignTree) -> str:
        """The signed note. The new size and root are durable before the signature exists.

        A crash between the two is harmless: the same tree asked for again is the same note.

        Raises: DomainError signer.size_moved (ask again with a proof from facts["size"]), or a
        refusal, which is counted: signer.state_missing, signer.state_changed,
        signer.origin_differs, signer.smaller_tree, signer.fork, signer.inconsistent.
        """
        try:
            old = self._guard(tree)
        except DomainError as refusal:
            self._count(refusal)
            raise
        if tree.old_size != old.size:
            detail = f"the proof starts at {tree.old_size}, the last tree signed has {old.size}"
            raise DomainError("signer.size_moved", detail, {"size": old.size})
        try:
            _check_consistent(old, tree)
        except DomainError as refusal:
            self._count(refusal)
            raise
        self._remember(State(FORMAT, self.origin, tree.size, tree.root))
        text = Checkpoint(self.origin, tree.size, bytes.fromhex(tree.root)).format()
        note = sign_note(text, self._vkey, self._key.sign)
        # Not synced: a note lost in a power cut is the same bytes when asked for again.
        fresh = self.folder / "note~"
        fresh.write_bytes(note)
        fresh.rename(self.folder / "note")
        return note.decode()

    def _guard(self, tree: SignTree) -> State:
        state = self.state
        if tree.origin != self.origin:
            detail = f"asked to sign for {tree.origin}, this key belongs to {self.origin}"
            raise DomainError("signer.origin_differs", detail)
        if state is None:
            detail = "the state is missing, so what was signed before is unknown; nothing is signed"
            raise DomainError("signer.state_missing", detail)
        if _read(self.folder / "state") != self._raw:
            raise DomainError("signer.state_changed", "somebody else wrote the signer's state")
        if tree.size < state.size:
            detail = f"a tree of {tree.size} after one of {state.size} was signed"
            facts: dict[str, int | str] = {"size": state.size, "asked": tree.size}
            raise DomainError("signer.smaller_tree", detail, facts)
        if tree.size == state.size and tree.root != state.root:
            raise DomainError("signer.fork", f"another root of the same size {tree.size}")
        return state

    def _remember(self, state: State) -> None:
        """Compare-and-swap: the caller compared the file with what we hold, under the lock."""
        if state == self.state:
            return
        raw = msgspec.json.encode(state)
        replace_durably(self.folder / "state", raw, 0o600)
        self.state, self._raw = state, raw

    def _count(self, refusal: DomainError) -> None:
        at_us = time.time_ns() // 1000
        self.refusals = Refusals(self.refusals.count + 1, str(refusal), at_us)
        # A full disk must not hide the refusal from whoever asked.
        with contextlib.suppress(OSError):
            replace_durably(self.folder / "refused", msgspec.json.encode(self.refusals), 0o600)


def _check_consistent(old: State, tree: SignTree) -> None:
    try:
        proof = [bytes.fromhex(part) for part in tree.proof]
        roots = bytes.fromhex(old.root), bytes.fromhex(tree.root)
        if old.size and old.size < tree.size:
            verify_consistency(old.size, tree.size, *roots, proof)
        elif proof or len(roots[1]) != HASH_BYTES:
            raise DomainError("signer.inconsistent", "a proof where none belongs, or no root")
    except (Invalid, ValueError) as error:
        detail = f"the tree of {tree.size} does not extend the one of {old.size}: {error}"
        raise DomainError("signer.inconsistent", detail) from error


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _load_key(path: Path) -> tuple[str, Ed25519PrivateKey]:
    raw = _read(path)
    if raw is None:
        raise DomainError("signer.key_missing", "the signer's folder holds no key")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise DomainError("signer.key_exposed", "others may read the signer's key: chmod 600 it")
    lines = raw.decode("ascii", "replace").split("\n")
    if len(lines) != 4 or lines[0] != _KEY_PREFIX:
        raise DomainError("signer.key_missing", "the signer's key file has another format")
    try:
        return lines[1], Ed25519PrivateKey.from_private_bytes(bytes.fromhex(lines[2]))
    except ValueError as error:
        raise DomainError("signer.key_missing", "the signer's key file is malformed") from error
