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
from contracts.spec import Spec

_HOST_KEY = "ssh_host_ed25519_key"
# A host certificate that is not there (yet) is only noted by sshd; passwords and keys of the
# runtime's own files open nothing: only certificates of the CAs for this one principal do.
_CONFIG = f"""\
Port 22
HostKey {SSH_INSIDE}/{_HOST_KEY}
HostCertificate {SSH_INSIDE}/{_HOST_KEY}-cert.pub
TrustedUserCAKeys {SSH_INSIDE}/user_ca.pub
AuthorizedPrincipalsFile {SSH_INSIDE}/principals
AuthorizedKeysFile none
PidFile none
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel INFO
"""


def prepare(folder: Path, spec: Spec) -> str:
    """`folder` holds all that sshd reads; the public host key, `ssh-ed25519 <base64>`.

    A key that is there already stays: a repeat after a crash says the same.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = folder / _HOST_KEY
    if not path.exists():
        fresh = folder / f"{_HOST_KEY}~"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(
                Ed25519PrivateKey.generate().private_bytes(
                    Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
                )
            )
        fresh.rename(path)
    for name, text in (
        ("user_ca.pub", "".join(f"{line}\n" for line in spec.ssh_ca)),
        ("principals", f"{spec.principal}\n" if spec.principal else ""),
        ("sshd_config", _CONFIG),
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
