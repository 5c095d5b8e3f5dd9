"""What a command says: tables for people, JSON for programs."""

import json
import re
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec

_PLACES: Final = 12
_SHOWN: Final = 4
_LABEL: Final = 10
_HOUR_US: Final = 3_600_000_000
# How people count what meters count: the unit, how much of it is one, and its name.
_UNITS: Final = {
    "milli-GPU-us": (1000 * _HOUR_US, "GPU-hours"),
    "MiB-us": (1024 * _HOUR_US, "GiB-hours"),
}
# What the platform's own meters count; of others' the API says it.
METERED: Final = {"gpu.time": "milli-GPU-us", "storage.capacity": "MiB-us"}
_EXACT: Final = re.compile(rf"-?\d+\.\d{{{_PLACES}}}", re.ASCII)
_NOT_PLAIN: Final = re.compile(r"[^ -~]")
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z")


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows in columns, a line each; the first is the head. Instants are cut to the second."""
    rows = [[shown(_second(text)) for text in row] for row in rows]
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
    width = max((len(shown(name)) for name, _ in pairs), default=0)
    width = max(width, _LABEL)
    return "".join(f"{shown(name.lower()):{width}} {shown(text)}\n" for name, text in pairs)


def plain(text: object) -> str:
    """People's and machines' words without what a terminal would obey; `-` for nothing."""
    if text is None or text == "":
        return "-"
    return shown(str(text))


def shown(text: str) -> str:
    """On one line, without what a terminal obeys or by which it turns words round."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "?" for one in text)


def escaped(text: str) -> str:
    """JSON of the same value in which nothing but its own line feeds is obeyed by a terminal."""
    if text.isascii() and "\x7f" not in text:
        return text  # JSON has no other control characters
    return _escaped(text, "\n")


def _escaped(text: str, but: str) -> str:
    def said(found: re.Match[str]) -> str:
        one = found[0]
        return one if one.isprintable() or one in but else json.dumps(one)[1:-1]

    return _NOT_PLAIN.sub(said, text)


def write(said: bytes | str) -> None:
    """To standard output as it is; to a terminal without what it would obey."""
    if sys.stdout.isatty():
        text = said if isinstance(said, str) else said.decode(errors="replace")
        sys.stdout.write(_escaped(text, "\n\t"))
    elif isinstance(said, str):
        sys.stdout.write(said)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(said)


def listed(found: Sequence[object]) -> str:
    """Words in a row; `-` for none."""
    return ", ".join(map(plain, found)) or "-"


def money(found: Any) -> str:
    """A `Money` without the zeros that only exactness needs; `-` for None."""
    if found is None:
        return "-"
    whole, _, part = found.amount.partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')} {found.currency}"


def rounded(found: Any) -> str:
    """A `Money` to four decimal places; `< 0.0001` for what is there and less, `-` for None."""
    if found is None:
        return "-"
    if not _EXACT.fullmatch(found.amount):
        return f"{found.amount} {found.currency}"  # none of ours: it is told, not counted with
    return f"{rounded_pico(int(found.amount.replace('.', '')))} {found.currency}"


def quantity(count: str, unit: str) -> str:
    """What a meter counted, in the unit that people count by, to four decimal places."""
    one, name = _UNITS.get(unit, (0, unit))
    if not one or not (count.isascii() and count.isdecimal()):
        return f"{count} {name}"
    pico = int(count) * 10**_PLACES // one
    return f"{rounded_pico(pico or int(int(count) > 0))} {name}"


def rounded_pico(pico: int) -> str:
    """An amount in pico to four decimal places; `< 0.0001` for what is there and less."""
    last = 10 ** (_PLACES - _SHOWN)
    count = (abs(pico) + last // 2) // last
    if pico and not count:
        return f"< 0.{1:0{_SHOWN}}"
    sign = "-" if pico < 0 else ""
    return f"{sign}{count // 10**_SHOWN}.{count % 10**_SHOWN:0{_SHOWN}}"


def per(divisor: str, meter: str) -> str:
    """What a price is for, in the unit that people count by."""
    unit = METERED.get(meter, "of its unit")
    one, name = _UNITS.get(unit, (0, unit))
    return name.removesuffix("s") if str(one) == divisor else f"{divisor} {unit}"


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
    return escaped(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False)) + "\n"
