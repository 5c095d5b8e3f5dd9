"""What a caller asks the log to append, and what it hears back.

`gc=False`: these hold no cycles, and the collector need not walk thousands of them a second.
"""

from msgspec import Struct

from evidence.private import PrivateValue


class Write(Struct, frozen=True, gc=False):
    """Facts for one stream that must be at version `expected` (0 = it does not exist yet)."""

    stream: str
    org: str
    expected: int
    facts: tuple[Struct, ...]


class Bulk(Struct, frozen=True, gc=False):
    """Rows `first_row`, `first_row` + 1, … of one table; their seal is a fact of the
    same append.
    """

    table: str
    first_row: int
    rows: tuple[bytes, ...]


class Append(Struct, frozen=True, gc=False):
    """One atomic append: every write, private value and row, or nothing.

    Args:
        writes: at most one per stream.
        cause: `cmd:<64 hex>` (appended at most once, ever) or `pos:<n>` (an earlier position).
        reads: streams the decision rested on and their versions; it loses if one moved.
    """

    writes: tuple[Write, ...]
    actor: str
    cause: str
    reads: tuple[tuple[str, int], ...] = ()
    private: tuple[PrivateValue, ...] = ()
    bulk: tuple[Bulk, ...] = ()


class Appended(Struct, frozen=True, gc=False):
    """Committed and on disk: positions `first`..`last`, and the leaf hash of `last`.

    `repeated`: the command was appended before; this is what happened then.
    """

    first: int
    last: int
    leaf: bytes
    repeated: bool = False
