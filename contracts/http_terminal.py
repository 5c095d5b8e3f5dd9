"""What the front door takes and gives about terminals; `terminal_client.py` says the WebSocket."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, Taken

type Side = Annotated[int, Meta(ge=1, le=1000)]


class TerminalNew(Taken, frozen=True, kw_only=True):
    """`record`: output and input are kept, sealed in chunks whose heads lie in the log."""

    columns: Side = 80
    rows: Side = 24
    record: bool = False


class Terminal(Given, frozen=True):
    """`closed_at` and `reason` null while it is open; counts null when nobody could count."""

    id: str
    organization: str
    runtime: str
    user: str
    columns: int
    rows: int
    recorded: bool
    opened_at: Instant
    closed_at: Instant | None
    reason: str | None
    shown_bytes: int | None
    typed_bytes: int | None
    version: int


class TerminalOpened(Given, frozen=True):
    """`ticket` opens `path` once within 30 s; null when this answer was given before: ask for one
    under `/v1/terminals/{id}/tickets`.
    """

    id: str
    path: str
    ticket: str | None


class TerminalTicket(Given, frozen=True):
    """Good once, for 30 s, for whoever opened the session."""

    ticket: str
    expires_at: Instant
