"""Which members a bundle must have: exactly those (EVIDENCE.md section 5)."""

import re

from gpuaas_verify.errors import Invalid
from gpuaas_verify.history import History
from gpuaas_verify.source import Source
from gpuaas_verify.tiles import entries_path, level_tiles, level_widths, levels, tile_path
from gpuaas_verify.tree import find_tile

CHECKPOINT = "checkpoint"
_TILE = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


def check_tiles(source: Source, size: int) -> int:
    """How many tiles and entry bundles there are, when all that the size implies are there.

    Raises: Invalid `tile.missing`, `tile.size`.
    """
    count = 0
    for level in range(levels(size)):
        for index, width in level_tiles(size, level):
            find_tile(source, tile_path(level, index, width), width)
            count += 1
    for index, width in level_tiles(size, 0):
        name = entries_path(index, width)
        if source.find(name) is None:
            raise Invalid("tile.missing", "the size implies this entry bundle", member=name)
        count += 1
    return count


def check_names(source: Source, size: int) -> None:
    """Nothing when every name can be one of a bundle of that size; which of bulk/ and file/ is
    checked later.

    Raises: Invalid `member.unexpected`.
    """
    for name in source.names():
        if name.startswith(("bulk/", "file/")) or name == CHECKPOINT or _implied(name, size):
            continue
        raise Invalid("member.unexpected", "not a member of this bundle", member=name)


def _implied(name: str, size: int) -> bool:
    found = _TILE.fullmatch(name)
    if found is None:
        return False
    level = 0 if found[1] == "entries" else int(found[1])
    index = int(found[2].replace("x", "").replace("/", ""))
    full, partial = level_widths(size, level)
    width = int(found[3] or 256)
    if not (index < full and width == 256) and not (index == full and width == partial):
        return False
    path = entries_path(index, width) if found[1] == "entries" else tile_path(level, index, width)
    return path == name


def check_bulk_names(source: Source, history: History) -> None:
    """Nothing when every name under bulk/ is that of a seal's rows. Raises: Invalid
    `member.unexpected`.
    """
    for name in source.names():
        if name.startswith("bulk/") and history.sealed_members.get(name) is None:
            raise Invalid("member.unexpected", "no seal binds these rows", member=name)


def check_file_names(source: Source, history: History) -> None:
    """Nothing when every name under file/ is a live sealed file. Raises: Invalid
    `member.unexpected`.
    """
    for name in source.names():
        if name.startswith("file/") and history.files.get(name[5:]) is None:
            raise Invalid("member.unexpected", "not sealed, or superseded", member=name)
