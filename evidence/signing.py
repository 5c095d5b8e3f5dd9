"""What the integrator and readiness say to the signer, and how they reach it.

One request and one answer per connection on a Unix socket, each one line of JSON. The socket's
folder decides who may connect; the signer believes nobody: every tree comes with a consistency
proof.
"""

import socket
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from domain.errors import DomainError

MAX_LINE: Final = 65_536
_PATIENCE_S: Final = 10


class SignTree(Struct, frozen=True, forbid_unknown_fields=True, tag="sign"):
    """Sign this tree. `proof` is the RFC 6962 consistency proof from `old_size` to
    `size`, in hex.
    """

    origin: str
    old_size: int
    size: int
    root: str
    proof: tuple[str, ...]


class AskStatus(Struct, frozen=True, forbid_unknown_fields=True, tag="status"):
    pass


type Request = SignTree | AskStatus


class Signed(Struct, frozen=True, forbid_unknown_fields=True, tag="signed"):
    note: str


class Status(Struct, frozen=True, forbid_unknown_fields=True, tag="state"):
    """What the signer remembers. `refused` counts refusals since the key was made."""

    origin: str
    vkey: str
    size: int | None
    root: str | None
    refused: int
    last_refusal: str | None
    last_refusal_us: int | None


class Refused(Struct, frozen=True, forbid_unknown_fields=True, tag="refused"):
    code: str
    detail: str
    facts: dict[str, int | str]


type Answer = Signed | Status | Refused

decode_request: Final = msgspec.json.Decoder[Request](Request).decode
_decode_answer: Final = msgspec.json.Decoder[Answer](Answer).decode
encode_line: Final = msgspec.json.Encoder().encode


def read_line(connection: socket.socket) -> bytes:
    """The bytes before the newline; less than a line or more than `MAX_LINE` is a ValueError."""
    data = bytearray()
    while not data.endswith(b"\n"):
        part = connection.recv(MAX_LINE)
        data += part
        if not part or len(data) > MAX_LINE:
            raise ValueError("not one line")
    return bytes(data[:-1])


def ask(path: Path, request: Request) -> Answer:
    """The signer's answer. Raises: DomainError signer.unavailable (not there, or it went away)."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PATIENCE_S)
            connection.connect(str(path))
            connection.sendall(encode_line(request) + b"\n")
            answer: Answer = _decode_answer(read_line(connection))
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        detail = f"no answer from the signer at its socket: {error}"
        raise DomainError("signer.unavailable", detail) from error
    return answer


def ask_status(path: Path) -> Status:
    """What the signer remembers. Raises: DomainError signer.unavailable."""
    answer = ask(path, AskStatus())
    if not isinstance(answer, Status):
        raise DomainError("signer.unavailable", "the signer answered something else than its state")
    return answer


def ask_to_sign(path: Path, tree: SignTree) -> str:
    """The signed note of this tree; the signer's state is durable before it exists.

    Raises: DomainError with the signer's own code (signer.*), or signer.unavailable.
    """
    answer = ask(path, tree)
    if isinstance(answer, Refused):
        raise DomainError(answer.code, answer.detail, answer.facts)
    if not isinstance(answer, Signed):
        raise DomainError("signer.unavailable", "the signer answered something else than a note")
    return answer.note
