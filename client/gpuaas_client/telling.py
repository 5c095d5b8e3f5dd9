"""What a command says: tables for people, JSON for programs."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

_PLACES: Final = 12
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z")


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows in columns, a line each; the first is the head. Instants are cut to the second."""
    rows = [[_second(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def _second(text: str) -> str:
    found = _INSTANT.fullmatch(text)
    return f"{found[1]}Z" if found else text


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """One thing, a name and its value a line."""
    return "".join(f"{name.lower():10} {text}\n" for name, text in pairs)


def plain(text: object) -> str:
    """People's and machines' words without what a terminal would obey; `-` for nothing."""
    if text is None or text == "":
        return "-"
    return "".join(one if one.isprintable() else "?" for one in str(text))


def listed(found: Sequence[object]) -> str:
    """Words in a row; `-` for none."""
    return ", ".join(map(plain, found)) or "-"


def money(found: Any) -> str:
    """A `Money` without the zeros that only exactness needs; `-` for None."""
    if found is None:
        return "-"
    whole, _, part = found.amount.partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')} {found.currency}"


def exact(text: str) -> str:
    """An amount as people write it, `1200.50`, with all the decimal places that money has here.

    What is no such number is left as it is: the API says so.
    """
    whole, point, part = text.partition(".")
    if not whole.removeprefix("-").isdecimal() or (point and not part.isdecimal()):
        return text
    return f"{whole}.{part.ljust(_PLACES, '0')}"


def as_json(value: Any) -> str:
    """Structs, lists of them and plain values, indented, one line feed at the end."""
    return json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False) + "\n"
