"""Sealed files: content kept by digest first, then the fact, then the name
(EVIDENCE.md section 5).
"""

import re
from hashlib import sha256
from typing import Final

from domain.errors import DomainError
from domain.sealing import FileSealed
from evidence.storage import Storage
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.files import NAME, member_name

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def content_name(digest: str) -> str:
    """Where content lies by its digest, whatever becomes of the fact that binds it."""
    return f"sealed/{digest[:2]}/{digest}"


def stage(
    storage: Storage, name: str, data: bytes, as_of_size: int, supersedes: int | None = None
) -> FileSealed:
    """The fact to append (actor `system-…`); the content is durable when this returns.

    A crash before the append leaves content nobody names; staging it again is the same file.

    Raises: DomainError file.name.
    """
    if not NAME.fullmatch(name):
        raise DomainError("file.name", f"{name[:100]!r} is not a sealed file's name")
    digest = sha256(data).hexdigest()
    if storage.size(content_name(digest)) != len(data):
        storage.write({content_name(digest): data})
    return FileSealed(name, digest, len(data), as_of_size, supersedes)


def sealed_content(storage: Storage, digest: str) -> bytes:
    """The content with this SHA-256. Raises: DomainError storage.missing, file.changed."""
    assert _DIGEST.fullmatch(digest), digest
    data = storage.need(content_name(digest))
    if sha256(data).hexdigest() != digest:
        raise DomainError("file.changed", f"the content of {digest} is not what was sealed")
    return data


def publish(storage: Storage, entry: Entry) -> None:
    """The file under its name once its fact is in the log.

    Raises: Invalid file.missing or file.bytes with the position of the fact.
    """
    fact = entry.fact
    try:
        data = sealed_content(storage, fact["sha256"])
    except DomainError as error:
        code = "file.missing" if error.code == "storage.missing" else "file.bytes"
        raise Invalid(code, error.detail, position=entry.position, member=fact["name"]) from error
    if len(data) != fact["bytes"]:
        raise Invalid("file.bytes", "not the sealed size", position=entry.position, field="bytes")
    storage.write({member_name(fact["name"]): data})
