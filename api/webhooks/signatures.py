"""Signatures of the Standard Webhooks specification, version 1 (HMAC-SHA256)."""

import base64
import hashlib
import hmac
import secrets
from typing import Final

PREFIX: Final = "whsec_"
_BYTES: Final = 32


def new_secret() -> str:
    """A fresh secret as receivers take it: `whsec_` and base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def headers(keys: list[str], message: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers; one signature for each key, so that either is taken while one rotates."""
    signed = f"{message}.{at_s}.".encode() + body
    made = [
        base64.b64encode(hmac.new(_key(one), signed, hashlib.sha256).digest()).decode()
        for one in keys
    ]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{one}" for one in made),
    }


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))
