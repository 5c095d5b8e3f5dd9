"""`gpuaas bill`: an account's books into a file, and what broke off goes on; one invoice as one."""

import fcntl
import http.client
import os
import re
import sys
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from api.calling import Api, api_of, called, refusal, unheard
from domain.errors import DomainError

_PIECE: Final = 1 << 20
_SEEN_EVERY: Final = 16 << 20
_CREDIT: Final = re.compile("^credit_note-|-C[0-9]+$")


class Order(Struct, frozen=True):
    """What is exported; `start`, `end` in RFC 3339 or None, `as_of` a position or a time."""

    form: str
    account: str
    start: str | None = None
    end: str | None = None
    as_of: str | None = None


class Begun(Struct, frozen=True):
    """Beside the unfinished file: which download it is of."""

    order: Order
    url: str
    etag: str
    position: str


def export(order: Order, out: Path, env: Mapping[str, str] = os.environ) -> int:
    """Writes `out` once it is whole; until then `out`.part, which the same command continues.

    Raises: DomainError export.exists, export.broken, api.*, and what the API refuses with.
    """
    if out.exists():
        raise DomainError("export.exists", f"{out} is there already")
    api = api_of(env)
    part, note = Path(f"{out}.part"), Path(f"{out}.part.json")
    with part.open("ab") as mine:
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            detail = f"another command is writing {part}"
            raise DomainError("export.exists", detail) from error
        try:
            return _exported(api, order, out, part, note)
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()  # what was refused leaves nothing behind


def fetch(number: str, form: str, out: Path, env: Mapping[str, str] = os.environ) -> int:
    """Writes the invoice or credit note with that number or id, in that form, to `out`.

    Raises: DomainError export.exists, api.*, and what the API refuses with.
    """
    api = api_of(env)
    kind = "credit-notes" if _CREDIT.search(number) else "invoices"
    url = f"{api.url}/v1/{kind}/{quote(number, safe='')}/{quote(form, safe='')}"
    try:
        with called("GET", url, api.token, None, {}, api.tls) as answer:
            data = answer.read()
    except urllib.error.HTTPError as refused:
        raise refusal(refused) from refused
    except (OSError, http.client.HTTPException) as error:
        raise unheard(api.url, error) from error
    try:
        with out.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise DomainError("export.exists", f"{out} is there already") from error
    print(f"{out}: {len(data)} bytes")
    return 0


def _exported(api: Api, order: Order, out: Path, part: Path, note: Path) -> int:
    """As `export`, by the only one who writes there."""
    begun = _begun(note, order, api.url)
    try:
        position = _fetched(api, order, begun, part, note)
    except DomainError as stale:
        if begun is None or stale.code != "if_match.stale":
            raise
        print("  names were erased meanwhile, or the platform updated: anew", file=sys.stderr)
        position = _fetched(api, order, None, part, note)
    part.replace(out)
    note.unlink(missing_ok=True)
    print(f"{out}: {out.stat().st_size} bytes, everything sealed up to position {position}")
    return 0


def _begun(note: Path, order: Order, url: str) -> Begun | None:
    try:
        found = msgspec.json.decode(note.read_bytes(), type=Begun)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if (found.order, found.url) == (order, url) else None


def _fetched(api: Api, order: Order, begun: Begun | None, part: Path, note: Path) -> str:
    """The last position that counts; the file is whole."""
    have = 0 if begun is None else part.stat().st_size
    asked = {"start": order.start, "end": order.end, "as_of": order.as_of}
    headers = {}
    if begun is not None:
        asked |= {"as_of": begun.position, "offset": str(have)}
        headers["If-Match"] = begun.etag
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    path = f"/v1/accounts/{quote(order.account, safe='')}/exports/{quote(order.form, safe='')}"
    try:
        with (
            called("GET", f"{api.url}{path}?{query}", api.token, None, headers, api.tls) as answer,
            part.open("wb" if begun is None else "ab") as file,
        ):
            position = answer.headers["Log-Position"]
            if begun is None:
                made = Begun(order, api.url, answer.headers["ETag"], position)
                note.write_bytes(msgspec.json.encode(made))
            seen = have
            while piece := answer.read1(_PIECE):
                file.write(piece)
                have += len(piece)
                if have - seen >= _SEEN_EVERY:
                    seen = have
                    print(f"  {have >> 20} MiB ...", file=sys.stderr, flush=True)
    except urllib.error.HTTPError as refused:
        raise refusal(refused) from refused
    except http.client.HTTPException as error:
        raise DomainError("export.broken", f"after {have} bytes: {error!r}") from error
    except OSError as error:
        if have:
            raise DomainError("export.broken", f"after {have} bytes: {error}") from error
        raise unheard(api.url, error) from error
    return str(position)


def proof(invoice: str, line: int | None, out: Path, env: Mapping[str, str] = os.environ) -> int:
    """Writes the proof to `out`, which appears once it is whole.

    Raises: DomainError export.exists, export.broken, api.*, and what the API refuses with.
    """
    if out.exists():
        raise DomainError("export.exists", f"{out} is there already")
    api = api_of(env)
    part = "" if line is None else f"/lines/{line}"
    kind = "credit-notes" if _CREDIT.search(invoice) else "invoices"
    url = f"{api.url}/v1/{kind}/{quote(invoice, safe='')}{part}/proof"
    fresh = out.with_name(f"{out.name}.{os.getpid()}.part")  # two at once leave one whole file
    have = 0
    try:
        with (
            called("GET", url, api.token, None, {}, api.tls) as answer,
            fresh.open("wb") as file,
        ):
            expected = int(answer.headers["Content-Length"])
            while piece := answer.read1(_PIECE):
                have += file.write(piece)
        if have != expected:
            raise DomainError("export.broken", f"after {have} of {expected} bytes")
        fresh.replace(out)
    except urllib.error.HTTPError as refused:
        raise refusal(refused) from refused
    except http.client.HTTPException as error:
        raise DomainError("export.broken", f"after {have} bytes: {error!r}") from error
    except OSError as error:
        if have:
            raise DomainError("export.broken", f"after {have} bytes: {error}") from error
        raise unheard(api.url, error) from error
    finally:
        fresh.unlink(missing_ok=True)
    print(f"{out}: {have} bytes; gpuaas-verify invoice {out} --key VKEY")
    return 0
