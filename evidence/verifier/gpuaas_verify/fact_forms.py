"""The forms of a fact's values, by the suffixes of the catalogue (facts.py, contracts/facts.md)."""

import re
from collections.abc import Callable
from typing import Any

_HEX64 = re.compile(r"[0-9a-f]{64}")
_HEX32 = re.compile(r"[0-9a-f]{32}")


def _hex64(value: Any) -> bool:
    return _HEX64.fullmatch(value) is not None


def _private(value: Any) -> bool:
    return tuple(value) == ("private",) and _is_text(value["private"]) and _hex64(value["private"])


def _is_text(value: Any) -> bool:
    return type(value) is str


def _typed(value: Any, names: tuple[str, ...], kinds: tuple[type, ...]) -> bool:
    return (
        type(value) is dict and tuple(value) == names and tuple(map(type, value.values())) == kinds
    )


def _attested(value: Any) -> bool:
    names, kinds = ("node", "key", "boot", "seq", "body", "sig"), (str, str, str, int, str, str)
    return (
        _typed(value, names, kinds)
        and _hex64(value["key"])
        and _HEX32.fullmatch(value["boot"]) is not None
        and value["seq"] >= 0
    )


def _shares(value: Any) -> bool:
    if not all(_typed(share, ("index", "milli"), (int, int)) for share in value):
        return False
    places = [share["index"] for share in value]
    whole = all(share["index"] >= 0 and 1 <= share["milli"] <= 1000 for share in value)
    return whole and places == sorted(set(places))


def _texts(value: Any) -> bool:
    return all(type(item) is str for item in value)


def _indexes(value: Any) -> bool:
    whole = all(type(item) is int and item >= 0 for item in value)
    return whole and value == sorted(set(value))


def _gpus(value: Any) -> bool:
    return all(_typed(gpu, ("index", "uuid"), (int, str)) for gpu in value)


def _rules(value: Any) -> bool:
    names, kinds = ("cidr", "protocol", "first_port", "last_port"), (str, str, int, int)
    return all(
        _typed(rule, names, kinds)
        and rule["protocol"] in ("tcp", "udp")
        and 1 <= rule["first_port"] <= rule["last_port"] <= 65_535
        for rule in value
    )


def _parts(value: Any) -> bool:
    if not all(_typed(part, ("line", "minor"), (int, int)) for part in value):
        return False
    lines = [part["line"] for part in value]
    return lines == sorted(set(lines)) and all(line >= 0 for line in lines)


def _holds(value: Any) -> bool:
    return all(_typed(one, ("runtime", "amount_pico"), (str, int)) for one in value)


def is_continued(value: Any) -> bool:
    """Whether it says which log a new one goes on from."""
    return _typed(value, ("origin", "note", "first_lost", "lost_count"), (str, str, int, int))


def _tiers(value: Any) -> bool:
    return all(
        type(tier) is dict
        and tuple(tier) == ("up_to", "price_pico")
        and type(tier["up_to"]) in (int, type(None))
        and type(tier["price_pico"]) is int
        for tier in value
    )


KINDS: dict[str, tuple[tuple[type, ...], Callable[[Any], bool] | None]] = {
    "": ((int,), None),
    "$": ((str,), None),
    "!": ((bool,), None),
    "?": ((int, type(None)), None),
    "#": ((str,), _hex64),
    "@": ((dict,), _private),
    "*": ((dict,), _attested),
    "[s": ((list,), _texts),
    "[i": ((list,), _shares),
    "[g": ((list,), _gpus),
    "[n": ((list,), _indexes),
    "[r": ((list,), _rules),
    "[c": ((list,), _parts),
    "[h": ((list,), _holds),
    "[t": ((list,), _tiers),
}
