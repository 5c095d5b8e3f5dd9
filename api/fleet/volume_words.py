"""What a node's words about its volumes mean: pure, one shape per tag (contracts/facts.md)."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from api.fleet.state import KnownNode
from contracts import volumes as tags
from contracts.fleet import Body
from domain import stray, volume
from domain.errors import DomainError
from domain.words import Attested

type Count = Annotated[int, Meta(ge=0, le=10**18)]
type Method = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:]{1,64}$")]
type Name = Annotated[str, Meta(pattern=r"^snapshot-[0-9a-f-]{36}$")]


class _Formatted(Struct, forbid_unknown_fields=True):
    command: Count
    method: Method
    bytes: Count


class _Grown(Struct, forbid_unknown_fields=True):
    command: Count
    size_mib: Count


class _Snapshotted(Struct, forbid_unknown_fields=True):
    command: Count
    snapshot: Name
    bytes: Count
    frozen_us: Count


class _Restored(Struct, forbid_unknown_fields=True):
    command: Count
    snapshot: Name


class _Wiped(Struct, forbid_unknown_fields=True):
    command: Count
    method: Method
    bytes_covered: Count
    duration_us: Count


class _StrayWiped(Struct, forbid_unknown_fields=True):
    volume: Annotated[str, Meta(pattern=r"^volume-[0-9a-f-]{36}$")]
    command: Count
    method: Method
    bytes_covered: Count
    duration_us: Count


type _Said = _Formatted | _Grown | _Snapshotted | _Restored | _Wiped
SHAPES: Final[dict[str, type[_Said]]] = {
    tags.FORMATTED: _Formatted,
    tags.GROWN: _Grown,
    tags.SNAPSHOTTED: _Snapshotted,
    tags.RESTORED: _Restored,
    tags.WIPED: _Wiped,
}


def command_of(
    known: KnownNode, body: Body, attested: Attested, now_us: int
) -> volume.Report | None:
    """The command that the word is; None when it has not the shape of its tag, in its order."""
    shape = SHAPES[body.tag]
    if tuple(body.said) != shape.__struct_fields__:
        return None
    try:
        said = msgspec.convert(dict(body.said), shape)
    except msgspec.ValidationError:
        return None
    word = volume.Word(said.command, body.boottime_us, known.anchor, attested, now_us)
    match said:
        case _Formatted():
            return volume.ReportFormatted(word, said.method, said.bytes)
        case _Grown():
            return volume.ReportGrown(word, said.size_mib)
        case _Snapshotted():
            return volume.ReportSnapshotted(word, said.snapshot, said.bytes, said.frozen_us)
        case _Restored():
            return volume.ReportRestored(word, said.snapshot)
        case _Wiped():
            return volume.ReportWiped(word, said.method, said.bytes_covered, said.duration_us)


def stray_of(
    known: KnownNode, body: Body, attested: Attested, now_us: int
) -> stray.ReportWiped | None:
    """The receipt for what is nobody's any more; None when it has not its shape, in its order.

    Raises: DomainError volume.not_asked when it answers another request than the open one.
    """
    if tuple(body.said) != _StrayWiped.__struct_fields__ or body.stream != known.node:
        return None
    try:
        said = msgspec.convert(dict(body.said), _StrayWiped)
    except msgspec.ValidationError:
        return None
    if known.wiping.get(said.volume) != said.command:
        raise DomainError("volume.not_asked", "nobody asked the node for that")
    fact = stray.VolumeWiped(
        *(said.volume, said.command, said.method, said.bytes_covered, said.duration_us),
        *(body.boottime_us, now_us, attested),
    )
    return stray.ReportWiped(fact)
