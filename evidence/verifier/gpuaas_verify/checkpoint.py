"""C2SP tlog-checkpoint without extension lines: what a log signs."""

import re
from base64 import b64encode
from dataclasses import dataclass

from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import EMPTY_ROOT, HASH_BYTES
from gpuaas_verify.note import strict_b64

MAX_SIZE = 1 << 62
MAX_ORIGIN_CHARS = 255
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    def format(self) -> str:
        """The note's text: three lines, each ended by a newline."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def parse_decimal(text: str) -> int | None:
    """The number, or None where the text is not its one decimal form or is 2^62 or more."""
    if not _DECIMAL.fullmatch(text):
        return None
    number = int(text)
    return number if number < MAX_SIZE else None


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a note's text. Raises: Invalid `checkpoint.malformed`."""
    code = "checkpoint.malformed"
    lines = text.split("\n")
    if len(lines) != 4:
        raise Invalid(code, "a checkpoint is origin, size and root, and has no extension lines")
    origin, decimal, encoded = lines[:3]
    if not 0 < len(origin) <= MAX_ORIGIN_CHARS:
        raise Invalid(code, "the origin is empty or too long", field="origin")
    size = parse_decimal(decimal)
    if size is None:
        raise Invalid(code, "the size is not a decimal number below 2^62", field="size")
    root = strict_b64(encoded, code)
    if len(root) != HASH_BYTES:
        raise Invalid(code, "the root is not 32 bytes", field="root")
    if size == 0 and root != EMPTY_ROOT:
        raise Invalid(code, "the empty tree has one root only", field="root")
    return Checkpoint(origin, size, root)
