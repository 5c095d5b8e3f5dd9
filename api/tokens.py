"""The embedded issuer: one Ed25519 key in a file, JWTs signed with it (embedded default only).

Whoever reads the file can be anybody: it is made 0600 and never leaves the machine. It
rotates by deleting it: every token it signed dies with it.
"""

import os
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from api.config import Settings
from api.edge import now_us
from evidence.storage import sync_folder

ALGORITHM: Final = "EdDSA"
ISSUER: Final = "gpuaas-embedded"
AUDIENCE: Final = "gpuaas"
AMR_MFA: Final = ("pwd", "otp", "mfa")  # RFC 8176; a token by itself is what its bearer was given
_DEVELOPER_S: Final = 30 * 86_400
_MODE: Final = 0o600


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key in the file, made there when there is none; two first starts agree on one key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{os.getpid()}~")
        pem = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(handle)
        try:
            os.link(fresh, path)  # refuses when another process was first
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        sync_folder(path.parent)
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey), f"{path} holds another kind of key"
    return key


def issuer_key(settings: Settings) -> Ed25519PrivateKey:
    return private_key(settings.issuer_key)


def issuer_public(settings: Settings) -> Ed25519PublicKey:
    return issuer_key(settings).public_key()


def issue(
    settings: Settings,
    subject: str,
    role: str,
    organization: str | None,
    at_us: int,
    seconds: int,
    *,
    mfa: bool = False,
) -> str:
    """A bearer token for `subject`; the caller logs that it was issued. `mfa`: it is asked for with
    another one and a second factor, and says so.
    """
    assert settings.embedded, "the embedded issuer serves the embedded deployment only"
    now = at_us // 1_000_000
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "role": role,
        "iat": now,
        "nbf": now,
        "exp": now + seconds,
        "amr": list(AMR_MFA if mfa else AMR_MFA[:1]),
        "acr": "aal2" if mfa else "aal1",
    }
    if organization is not None:
        claims["org"] = organization
    return jwt.encode(claims, issuer_key(settings), algorithm=ALGORITHM)


def developer_token(settings: Settings) -> str:
    """A platform operator's token for the person who started the embedded stack; 30 days."""
    return issue(settings, "user-developer", "platform-operator", None, now_us(), _DEVELOPER_S)
