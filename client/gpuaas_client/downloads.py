"""Files of the API on this disk: whole or not there, and what broke off goes on."""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Literal

import httpx
import msgspec
from msgspec import Struct

from gpuaas_client import operations
from gpuaas_client.call import Call
from gpuaas_client.client import Client
from gpuaas_client.errors import GpuaasError, Impostor, Refused, Unreachable, no_api

_SEEN_EVERY: Final = 16 << 20
_CREDIT: Final = re.compile("^credit_note-|-C[0-9]+$")
type Told = Callable[[str], None]


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


def export(client: Client, order: Order, out: Path, told: Told) -> str:
    """The last position that counts; `out` is there once it is whole, until then `out`.part, which
    the same order continues.

    Raises: GpuaasError export.exists, export.broken, api.*, and what the API refuses with.
    """
    _absent(out)
    part, note = Path(f"{out}.part"), Path(f"{out}.part.json")
    with _opened(part, "ab") as mine:
        if os.fstat(mine.fileno()).st_uid != os.geteuid():
            # In a folder of everybody's: its beginning would be what somebody else wrote.
            raise GpuaasError("export.exists", f"{part} is another user's", "Name another file.")
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            detail = f"another command is writing {part}"
            raise GpuaasError("export.exists", detail) from error
        try:
            position = _exported(client, order, part, note, told)
            part.replace(out)
            note.unlink(missing_ok=True)
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()  # what was refused leaves nothing behind
    return position


def _opened(part: Path, mode: Literal["ab", "wb"]) -> BinaryIO:
    """The file itself, not what somebody laid there to lead elsewhere."""

    def followed(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_NOFOLLOW, 0o666)

    return open(part, mode, opener=followed)


def _absent(out: Path) -> None:
    if out.exists():
        raise GpuaasError("export.exists", f"{out} is there already", "Name another file.")


def _exported(client: Client, order: Order, part: Path, note: Path, told: Told) -> str:
    """As `export`, by the only one who writes there."""
    begun = _begun(note, order, client.place.url)
    try:
        return _fetched(client, order, begun, part, note, told)
    except Refused as stale:
        if begun is None or stale.code != "if_match.stale":
            raise
        told("names were erased meanwhile, or the platform updated: anew")
        return _fetched(client, order, None, part, note, told)


def _begun(note: Path, order: Order, url: str) -> Begun | None:
    try:
        found = msgspec.json.decode(note.read_bytes(), type=Begun)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if (found.order, found.url) == (order, url) else None


def _fetched(
    client: Client, order: Order, begun: Begun | None, part: Path, note: Path, told: Told
) -> str:
    """The last position that counts; the file is whole."""
    have = 0 if begun is None else part.stat().st_size
    call = operations.export_books(
        order.account,
        order.form,
        start=order.start,
        end=order.end,
        as_of=order.as_of if begun is None else begun.position,
        offset=None if begun is None else str(have),
    )
    headers = {} if begun is None else {"If-Match": begun.etag}
    with (
        _broken(lambda: part.stat().st_size),
        client.streamed(call, headers) as answer,
        _opened(part, "wb" if begun is None else "ab") as file,
    ):
        position = _header(answer, "Log-Position")
        if begun is None:
            made = Begun(order, client.place.url, _header(answer, "ETag"), position)
            note.write_bytes(msgspec.json.encode(made))
        seen = have
        for piece in answer.iter_bytes():
            file.write(piece)
            have += len(piece)
            if have - seen >= _SEEN_EVERY:
                seen = have
                told(f"{have >> 20} MiB")
    return position


def _header(answer: httpx.Response, name: str) -> str:
    """Raises: Unreachable answer.malformed."""
    found = answer.headers.get(name)
    if found is None:
        why = f"the answer has no {name}"
        raise Unreachable("answer.malformed", why, "Check GPUAAS_URL: a proxy may have taken it.")
    return str(found)


@contextmanager
def _broken(size: Callable[[], int]) -> Iterator[None]:
    """What breaks after the first byte is export.broken, by how far it came."""
    try:
        yield
    except (Refused, Impostor):
        raise
    except Unreachable as error:
        if not size():
            raise
        detail = f"after {size()} bytes: {error.__cause__ or error}"
        raise GpuaasError("export.broken", detail, "Repeat the same command.") from error


def fetch(client: Client, call: Call[bytes], out: Path, told: Told) -> int:
    """Bytes written to `out`, which appears once it is whole.

    Raises: GpuaasError export.exists, export.broken, api.*, and what the API refuses with.
    """
    _absent(out)
    fresh = out.with_name(f"{out.name}.{os.getpid()}.part")  # two at once leave one whole file
    try:
        with (
            _broken(lambda: fresh.stat().st_size if fresh.exists() else 0),
            client.streamed(call) as answer,
            fresh.open("xb") as file,
        ):
            media = answer.headers.get("content-type", "")
            if "html" in media and "page" not in call.path:
                raise no_api(f"status {answer.status_code}, {media}")
            seen = 0
            for piece in answer.iter_bytes():
                file.write(piece)
                if file.tell() - seen >= _SEEN_EVERY:
                    seen = file.tell()
                    told(f"{seen >> 20} MiB")
            have, expected = file.tell(), _expected(answer)
        if expected is not None and have != expected:
            raise GpuaasError("export.broken", f"after {have} of {expected} bytes", "Repeat it.")
        fresh.replace(out)
    finally:
        fresh.unlink(missing_ok=True)
    return have


def _expected(answer: httpx.Response) -> int | None:
    """The length that was told of what arrives as it is."""
    found = answer.headers.get("Content-Length")
    plain = found and found.isdecimal() and "Content-Encoding" not in answer.headers
    return int(found) if plain else None


def paper(number: str, form: str) -> Call[bytes]:
    """An invoice or a credit note, by number or id, as `ubl`, `cii`, `pdf`, `page` or `file`."""
    ways = {
        "ubl": (operations.invoice_ubl, operations.credit_note_ubl),
        "cii": (operations.invoice_cii, operations.credit_note_cii),
        "pdf": (operations.invoice_as_pdf, operations.credit_note_as_pdf),
        "page": (operations.show_page, operations.credit_note_page),
        "file": (operations.invoice_file, operations.credit_note_file),
    }
    return ways[form][bool(_CREDIT.search(number))](number)


def proof(number: str, line: int | None = None) -> Call[bytes]:
    """What an invoice, one line of it, or a credit note rests on."""
    if line is not None:
        return operations.line_proof(number, str(line))
    if _CREDIT.search(number):
        return operations.credit_note_proof(number)
    return operations.invoice_proof(number)
