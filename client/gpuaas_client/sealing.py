"""Whether a counted row is under the root that an entry of the log seals."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct

from gpuaas_client.errors import GpuaasError
from gpuaas_client.models import CountedCalls


class _Seal(Struct, frozen=True):
    first_row: int
    count: int
    root: str


class _Entry(Struct, frozen=True):
    position: int
    fact: _Seal


class _Row(Struct, frozen=True):
    row: int


def root_of(row: bytes, place: tuple[int, int], path: Sequence[bytes]) -> bytes | None:
    """The root that the path leads to from the row, which is (number, of so many); None where it is
    no path of that place.

    Source: RFC 9162 section 2.1.3.2.
    """
    at, last = place[0], place[1] - 1
    if not 0 <= at <= last:
        return None
    found = sha256(b"\x00" + row).digest()
    for beside in path:
        if not last:
            return None
        if at & 1 or at == last:
            found = sha256(b"\x01" + beside + found).digest()
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + beside).digest()
        at, last = at >> 1, last >> 1
    return None if last else found


def checked(number: int, told: CountedCalls, entry: str) -> str:
    """The root of the seal, to which the row's path leads; `entry`: as its receipt has it.

    Raises: GpuaasError calls.not_sealed.
    """
    try:
        row = msgspec.json.decode(told.row, type=_Row)
        seal = msgspec.json.decode(entry, type=_Entry)
        path = [bytes.fromhex(one) for one in told.path]
    except (msgspec.MsgspecError, ValueError) as error:
        raise GpuaasError("calls.not_sealed", f"it is not what is sealed: {error}") from error
    root = root_of(told.row.encode(), (told.index, told.count), path)
    place = (seal.position, seal.fact.count, seal.fact.first_row + told.index, row.row)
    if place != (told.position, told.count, number, number):
        raise GpuaasError("calls.not_sealed", "the seal is of other rows, or of another place")
    if root is None or root.hex() != seal.fact.root:
        raise GpuaasError("calls.not_sealed", "the row's path does not lead to the sealed root")
    return seal.fact.root
