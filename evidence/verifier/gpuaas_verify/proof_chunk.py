"""A run of a proof's entries checked on its own: what needs no entry before it. In workers."""

from json import JSONDecoder
from typing import Any, Final, NamedTuple

from gpuaas_verify import attest
from gpuaas_verify.entry import KEYS, Entry, parse_entry
from gpuaas_verify.errors import Invalid, Unreadable
from gpuaas_verify.facts import check_fact
from gpuaas_verify.merkle import leaf_hash
from gpuaas_verify.quick import scan
from gpuaas_verify.source import Place, Reader, framed

ENTRIES: Final = "entries"
_TAG: Final = KEYS.index("tag")
_decode: Final = JSONDecoder().raw_decode


class Chunk(NamedTuple):
    """Where they lie, and the leaf hashes that they were found to have."""

    place: Place
    leaves: list[bytes]


class Checked(NamedTuple):
    """The fields of `Entry`, plain tuples since they cross processes; how many are nodes' words."""

    spoken: int
    entries: list[tuple[Any, ...]]


def check_chunk(source: Reader, chunk: Chunk) -> Checked:
    """The entries, each right as far as it alone can show.

    Raises: Invalid as `parse_entry`, `check_fact` and `check_words`, with the position; Unreadable.
    """
    spoken, entries = 0, list[tuple[Any, ...]]()
    items = framed(source.pieces(chunk.place), "entries.malformed", ENTRIES)
    for raw, leaf in zip(items, chunk.leaves, strict=True):
        if leaf_hash(raw) != leaf:
            raise Unreadable(f"{ENTRIES} changed while it was read")
        fields = _seen(raw) or _parsed(raw)
        if fields[_TAG] in attest.SAID:
            attest.check_words(Entry._make(fields))
            spoken += 1
        entries.append(fields)
    return Checked(spoken, entries)


def _seen(raw: bytes) -> tuple[Any, ...] | None:
    """As `_parsed`, None where the bytes' form alone cannot tell."""
    seen = scan(raw)
    if seen is None or seen.after is not None:  # whether a cause is earlier is a comparison
        return None
    return tuple(_decode(raw.decode("ascii"))[0].values())


def _parsed(raw: bytes) -> tuple[Any, ...]:
    entry = parse_entry(raw)
    try:
        check_fact(entry)
    except Invalid as error:
        raise error.at(position=entry.position) from None
    return tuple(entry)
