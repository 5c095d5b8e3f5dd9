"""A log opened: the signer's key and origin, then entry 0 (EVIDENCE.md sections 1 and 4)."""

import asyncio
import hashlib
from pathlib import Path
from typing import Final

from msgspec import UNSET, UnsetType

from domain import log as facts
from domain.errors import DomainError
from domain.words import Continues
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write
from evidence.signer_state import State, create, has_key, read_state
from evidence.storage import CHECKPOINT, Storage, replace_durably
from gpuaas_verify.note import Vkey

FORMAT: Final = "gpuaas-log/1"
VKEY: Final = "vkey"  # beside the tiles, for operators to copy aside; never a trust root by itself


def open_log(database_url: str, storage: Path, signer_state: Path, name: str) -> str:
    """As `opening`, for a caller without an event loop; call it before the signer starts."""
    return asyncio.run(_open_log(database_url, storage, signer_state, name))


async def _open_log(database_url: str, storage: Path, signer_state: Path, name: str) -> str:
    log = await EventLog.open(database_url)
    try:
        return await opening(log, Storage(storage), signer_state, name)
    finally:
        await log.close()


async def opening(
    log: EventLog,
    storage: Storage,
    signer_state: Path,
    name: str,
    continues: Continues | UnsetType = UNSET,
) -> str:
    """The log's vkey; entry 0 is committed. Safe to repeat and to interrupt anywhere.

    A fresh deployment gets a key, an origin `<name>/<16 hex>` and a signer that has signed nothing.

    `continues` is only for a log that is opened by this call, or was by its repeat.

    Raises: DomainError signer.state_missing (there is a log but not its signer), log.lost (the
    signer has signed more than the empty database holds: restore), log.origin_differs,
    log.already_open (a log is there that does not say it continues that one).
    """
    size = (await log.head()).size
    if size and continues is not UNSET:
        await _require_continued(log, size, continues)
    state = _ensure_signer(storage, signer_state, name, size)
    vkey = (signer_state / "vkey").read_text().strip()
    if Vkey.parse(vkey).name != state.origin:
        raise DomainError("log.origin_differs", "the signer's key and state name other origins")
    if not size:
        if state.size:
            detail = (
                f"the signer has signed {state.size} entries, the database has none: restore it"
            )
            raise DomainError("log.lost", detail, {"size": state.size})
        await _append_opened(log, facts.Opened(FORMAT, state.origin, vkey, continues))
    replace_durably(storage.root / VKEY, f"{vkey}\n".encode())
    return vkey


async def _require_continued(log: EventLog, size: int, continues: Continues) -> None:
    opened = await log.entry(0)
    if opened is None or getattr(opened.fact, "continues", UNSET) != continues:
        detail = f"a log of {size} entries is open here; a new one needs an empty database"
        raise DomainError("log.already_open", detail, {"size": size})


def _ensure_signer(storage: Storage, folder: Path, name: str, size: int) -> State:
    state = read_state(folder)
    if state is None or not (size or has_key(folder)):
        if size or storage.size(CHECKPOINT) is not None:
            detail = f"there is a log of {size} entries, and its signer's state is not in {folder}"
            raise DomainError("signer.state_missing", detail)
        create(folder, name)
        state = read_state(folder)
    assert state is not None, "create writes the state before the key"
    return state


async def _append_opened(log: EventLog, opened: facts.Opened) -> None:
    # The command id follows from the origin: two openers at once still make one entry 0.
    command = hashlib.sha256(f"gpuaas-open/1\n{opened.origin}".encode()).hexdigest()
    write = Write(new_id("log"), "-", 0, (opened,))
    appended = await log.append(Append((write,), "system-opening", f"cmd:{command}"))
    if appended.first != 0:
        raise DomainError("log.origin_differs", "something else was appended first")
