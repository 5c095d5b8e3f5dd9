"""Whether a word that a client sent holds a secret of the platform's: no app is ever given one.

Told by what a secret is, not by where it stands: a pass by its prefix or its hash in the log, an
API key or a session by its prefix, an API token by the claims of its JWT, alone or inside `Basic`.
What is too much to be looked at whole counts as ours.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Container
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Struct

from api.tokens import AUDIENCE, ISSUER
from contracts import apps
from domain import api_key

_PIECE: Final = re.compile(rb"[^\s,;:=\"'&]+")
_MOST: Final = 64
_JWT_PARTS: Final = 3


class _Claims(Struct):
    iss: Any = None
    aud: Any = None


def is_ours(value: bytes, passes: Container[str]) -> bool:
    """`passes`: the SHA-256 (hex) of every program's pass that the log knows."""
    pieces = _pieces(value)
    inner = [one for piece in pieces[:_MOST] for one in _pieces(_unbase64(piece))]
    if max(len(pieces), len(inner)) > _MOST:
        return True
    return any(
        _is_pass(one, passes) or _is_key(one) or _is_api_token(one) for one in pieces + inner
    )


def _pieces(value: bytes) -> list[bytes]:
    found = _PIECE.findall(value)
    return found + [plain for one in found if (plain := unquote_to_bytes(one)) != one]


def _is_pass(piece: bytes, passes: Container[str]) -> bool:
    return apps.TOKEN_PREFIX.encode() in piece or hashlib.sha256(piece).hexdigest() in passes


def _is_key(piece: bytes) -> bool:
    """An API key, or a session, whose prefix begins alike."""
    return piece.startswith(api_key.PREFIX.encode())


def _is_api_token(piece: bytes) -> bool:
    """A JWT that names our issuer or us as its audience, whoever signed it and until whenever."""
    parts = piece.split(b".")
    if len(parts) != _JWT_PARTS:
        return False
    try:
        claims = msgspec.json.decode(_unbase64(parts[1]), type=_Claims)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    audiences = claims.aud if isinstance(claims.aud, list) else [claims.aud]
    return claims.iss == ISSUER or AUDIENCE in audiences


def _unbase64(text: bytes) -> bytes:
    """What it says in either alphabet, padded or not; nothing where it is no base64."""
    plain = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
