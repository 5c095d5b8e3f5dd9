"""Passwords of the embedded servers: kept in files of mode 0600, whole or not there at all."""

from pathlib import Path

import msgspec

from domain.errors import DomainError
from evidence.storage import replace_durably

_MODE = 0o600


def keep(path: Path, passwords: msgspec.Struct) -> None:
    """On disk when it returns; a crash before leaves what was there before."""
    replace_durably(path, msgspec.json.encode(passwords), _MODE)


def kept[S: msgspec.Struct](path: Path, kind: type[S]) -> S:
    """Raises: DomainError stack.secrets_missing, stack.secrets_unreadable; nothing is changed."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        detail = f"the server's data is there, but its passwords are not: put {path} back"
        raise DomainError("stack.secrets_missing", detail) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        detail = f"{path} does not hold the server's passwords: put back a copy of it"
        raise DomainError("stack.secrets_unreadable", detail) from error
