"""What a runtime's sshd is given from outside: its host key, whom it trusts, how it answers."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from agent.engine import SSH_INSIDE
from contracts import ssh
from contracts.spec import Spec


def prepare(folder: Path, spec: Spec) -> str:
    """`folder` holds all that sshd reads; the public host key, `ssh-ed25519 <base64>`.

    A key that is there already stays: a repeat after a crash says the same.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = folder / ssh.HOST_KEY
    if not path.exists():
        fresh = folder / f"{ssh.HOST_KEY}~"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(
                Ed25519PrivateKey.generate().private_bytes(
                    Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
                )
            )
        fresh.rename(path)
    for name, text in (
        (ssh.USER_CA, "".join(f"{line}\n" for line in spec.ssh_ca)),
        (ssh.PRINCIPALS, f"{spec.principal}\n" if spec.principal else ""),
        ("sshd_config", ssh.sshd_config(SSH_INSIDE)),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    return public_line(path)


def public_line(path: Path) -> str:
    """The public half of an OpenSSH private key file, without a comment."""
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    key = load_ssh_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey), "prepare makes no other kind"
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
