"""What a source of readings signs: the chain of all it said (contracts/rating.md section 8)."""

from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gpuaas_verify import strict
from gpuaas_verify.errors import Invalid
from gpuaas_verify.note import strict_b64

FORMAT = "gpuaas-usage/1"
COMPLETE = "gpuaas-usage-complete/1"


def beginning(source: str, epoch: int) -> str:
    """The chain of an epoch before its first reading, hex."""
    return sha256(f"{FORMAT}\n{source}\n{epoch}\n".encode()).hexdigest()


def linked(chain: str, row: dict[str, Any], dimensions: dict[str, str]) -> str:
    """The chain after the row's reading, hex."""
    return sha256(bytes.fromhex(chain) + reading_digest(row, dimensions)).hexdigest()


def reading_digest(row: dict[str, Any], dimensions: dict[str, str]) -> bytes:
    """What the chain is told of the row's reading."""
    reading = {
        "meter": row["meter"],
        "resource": row["resource"],
        "dimensions": dimensions,
        "from_us": row["from_us"],
        "to_us": row["to_us"],
        "quantity": row["quantity"],
    }
    return sha256(strict.encode(reading)).digest()


def is_signed(row: dict[str, Any], chain: str, key: str) -> bool:
    """Whether the row ends a batch whose chain this key has signed."""
    said = {
        "format": FORMAT,
        "source": row["source"],
        "epoch": row["epoch"],
        "sequence": row["sequence"],
        "chain": chain,
    }
    return _verifies(said, row["sig"], key) and row["chain"] == chain


def is_complete(fact: dict[str, Any], key: str) -> bool:
    """Whether this key has signed that all is told until then."""
    names = ("source", "epoch", "sequence", "chain", "until_us")
    said = {"format": COMPLETE, **{name: fact[name] for name in names}}
    return _verifies(said, fact["sig"], key)


def _verifies(said: dict[str, Any], sig: str, key: str) -> bool:
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(strict_b64(sig), strict.encode(said))
    except (Invalid, InvalidSignature, ValueError):
        return False
    return True
