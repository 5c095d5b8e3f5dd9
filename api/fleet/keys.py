"""Key files of the control plane: made once, 0600, whole or not there."""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.errors import DomainError


def ed25519(path: Path) -> Ed25519PrivateKey:
    """The key of a file of 32 raw bytes, made on first use. Raises: command.key_unreadable."""
    raw = kept(path, lambda: Ed25519PrivateKey.generate().private_bytes_raw())
    if len(raw) != 32:
        raise DomainError("command.key_unreadable", f"{path} does not hold a key of 32 bytes")
    return Ed25519PrivateKey.from_private_bytes(raw)


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file holds, made on first use; two processes that make it at once agree."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, make())
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        # link, not rename: it fails when the other process was first.
        path.hardlink_to(partial)
    except FileExistsError:
        pass
    finally:
        partial.unlink()
