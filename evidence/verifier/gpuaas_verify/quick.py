"""The common entry recognised by its bytes alone, without decoding it.

For most tags the canonical bytes of an entry are a regular language: the envelope's forms, then the
fact's keys in order with values of one type each. What matches needs no JSON decoder; what does not
is judged by `entry.parse_entry` and `facts.check_fact`, which also say what is wrong. A property
test holds the two against each other.
"""

import re
from functools import cache
from typing import Final, NamedTuple

from gpuaas_verify import entry
from gpuaas_verify.facts import OPENED, PLATFORM_KINDS, SHAPES

_INT = r"(?:0|-?[1-9][0-9]{0,37})"
_TEXT = r'"[ !#-\[\]-~]*"'
_HEX64 = r'"[0-9a-f]{64}"'
_GPU = rf'\{{"index":{_INT},"uuid":{_TEXT}\}}'
# By the suffixes of the catalogue (facts.py); a field of another kind keeps its tag out of here.
_VALUES: Final[dict[str, str]] = {
    "": _INT,
    "$": _TEXT,
    "!": "(?:true|false)",
    "?": f"(?:null|{_INT})",
    "#": _HEX64,
    "@": rf'\{{"private":{_HEX64}\}}',
    "*": (
        rf'\{{"node":{_TEXT},"key":{_HEX64},"boot":"[0-9a-f]{{32}}","seq":(?:0|[1-9][0-9]{{0,37}}),'
        rf'"body":{_TEXT},"sig":{_TEXT}\}}'
    ),
    "[g": rf"\[(?:{_GPU}(?:,{_GPU})*)?\]",
    "[s": rf"\[(?:{_TEXT}(?:,{_TEXT})*)?\]",
}
# One share needs no comparison with a neighbour; more than one is decoded.
_ONE_SHARE = r'\[\{"index":(?:0|[1-9][0-9]{0,37}),"milli":(?:1000|[1-9][0-9]{0,2})\}\]'
_VALUES["[i"] = _ONE_SHARE
_NUMBER = r"(0|[1-9][0-9]{0,17})"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_ENVELOPE = re.compile(
    rf'\{{"position":{_NUMBER},"prev":"([0-9a-f]{{64}})","at_us":{_NUMBER},"salt":"[0-9a-f]{{32}}",'
    rf'"stream":"(([a-z][a-z_]{{0,30}})-{_UUID})","version":([1-9][0-9]{{0,17}}),'
    rf'"tag":"(gpuaas\.[a-z0-9_]+\.[a-z0-9_]+\.v[0-9]+)","org":"(-|organization-{_UUID})",'
    rf'"actor":"{entry.FIELD["actor"].pattern}","cause":"(cmd:[0-9a-f]{{64}}|pos:{_NUMBER})","fact":'
)


class Seen(NamedTuple):
    """What the neighbours of an entry are held against; numbers still in decimal. `after` is its
    cause's position.
    """

    position: str
    prev: str
    at_us: str
    stream: str
    kind: str
    version: str
    tag: str
    org: str
    cause: str
    after: str | None


class _Form(NamedTuple):
    kinds: frozenset[str]
    fact: re.Pattern[str]


_SHAPES: Final = {tag: shape for tag, shape in SHAPES.items() if tag != OPENED}


@cache
def _form(tag: str) -> _Form | None:
    """Compiled when a tag is first met: all of them at once would take longer than most errands."""
    shape = _SHAPES.get(tag)
    if shape is None:
        return None
    values = [_VALUES.get(suffix) for suffix in shape.suffixes]
    if None in values:
        return None
    fields = ",".join(f'"{key}":{value}' for key, value in zip(shape.keys, values, strict=True))
    return _Form(shape.kinds, re.compile(rf"\{{{fields}\}}\}}"))


def scan(raw: bytes) -> Seen | None:
    """The entry's place, when it is right as far as it alone can show; None where only decoding can
    tell.

    For bytes no longer than an entry may be, as those out of an entry bundle are.
    """
    if not raw.isascii():
        return None
    text = raw.decode("ascii")
    envelope = _ENVELOPE.match(text)
    if envelope is None:
        return None
    seen = Seen._make(envelope.groups())
    form = _form(seen.tag)
    if form is None or form.fact.fullmatch(text, envelope.end()) is None:
        return None
    kind, org = seen.kind, seen.org
    if kind not in form.kinds or (org == "-") != (kind in PLATFORM_KINDS):
        return None
    if kind == "organization" and org != seen.stream:
        return None
    return seen


@cache
def form_of(tag: str) -> re.Pattern[str] | None:
    """What all facts of that tag, with the entry's closing bracket after them, match; None for an
    irregular one.
    """
    form = _form(tag)
    return form.fact if form is not None else None
