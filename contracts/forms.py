"""The forms of fields in words, by the patterns that the document gives them.

A program reads the pattern; a person who is refused reads this. Every pattern of a body has its
words here, or is a list of words, or an id: a test holds it.
"""

import ast
import re
from typing import Final

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ONE_OF: Final = re.compile(r"\^\(([A-Za-z0-9_.-]+(?:\|[A-Za-z0-9_.-]+)+)\)\$")
_ID: Final = re.compile(
    r"\^(?P<all>\()?(?:(?P<word>[a-z]+|-)\|)?(?:\((?P<many>[a-z|]+)\)|(?P<one>[a-z_]+))-"
    + re.escape(_UUID)
    + r"(?(all)\))\$"
)
_TOLD: Final = re.compile(r"Expected `[^`]*` matching regex ('.*'|\".*\")", re.DOTALL)
_BOUND: Final = re.compile(r"Expected `(int|str|array)` (?:of length )?(>=|<=) (-?[0-9]+)")
_KIND: Final = re.compile(r"Expected `(int|str|bool|array|object)(?: \| null)?`, got `[a-z]+`")
_BOUNDS: Final = {
    "int": "a whole number, {0} or {1}",
    "str": "a text of {0} characters or {1}",
    "array": "a list of {0} or {1}",
}
_KINDS: Final = {
    "int": "a whole number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}
_WORD: Final = "letters, digits and"

FORMS: Final = {
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T.*Z$": "a time in UTC, as 2026-05-01T10:00:00Z",
    r"^[A-Za-z0-9_.:-]+$": f"{_WORD} _ . : - alone",
    r"^[A-Za-z0-9_.-]+$": f"{_WORD} _ . - alone",
    r"^[A-Za-z0-9_.@ -]*$": f"{_WORD} _ . @ - and spaces alone",
    r"^[A-Za-z0-9._#/:-]+$": f"{_WORD} . _ # / : - alone",
    r"^[a-z0-9_.-]+$": "lower-case letters, digits and _ . - alone, as `no_longer_needed`",
    r"^[a-z0-9-]*$": "lower-case letters, digits and - alone",
    r"^[a-z][a-z0-9_]{0,39}$": "lower-case letters, digits and _, a letter first, at most 40",
    r"^[A-Z]{3}$": "three capital letters, as USD",
    r"^[A-Z]{2}$": "two capital letters of ISO 3166, as DE",
    r"^[A-Z]{2}[A-Z0-9]{2,20}$": "a country's two letters and its number, as DE123456789",
    r"^([A-Z]{2}[A-Z0-9]{2,20})?$": "a country's two letters and its number, or empty",
    r"^[A-Z][A-Z0-9]{0,11}$": "capital letters and digits, a letter first, at most 12",
    r"^(VATEX-[A-Z0-9-]{1,40})?$": "a code as VATEX-EU-132, or empty",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits, in lower case",
    r"^sha256:[0-9a-f]{64}$": "sha256: and 64 hexadecimal digits",
    r"^-?[0-9]{1,26}\.[0-9]{12}$": "a number with twelve decimal places, as 1.500000000000",
    r"^(0|[1-9][0-9]{0,24})$": "a whole number as text, without zeros before it",
    r"^(0|[1-9][0-9]{0,17})$": "a whole number as text, without zeros before it",
    r"^(0|[1-9][0-9]{0,8})$": "a whole number as text, without zeros before it",
    r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$": f"{_WORD} . _ : / - alone, a letter or digit first",
    r"^[a-z0-9][a-z0-9._/:-]*$": "an image's reference, as registry.example/image:tag",
    r"^(\*|administrative|[a-z_]+\.(\*|[a-z_]+))$": (
        "an action as runtime.launch, an area as runtime.*, administrative, or *"
    ),
    r"^(user|service)-[A-Za-z0-9_.-]+$": "an id that begins with user- or service-",
    r"^(user|service|group)-[A-Za-z0-9_.-]+$": "an id that begins with user-, service- or group-",
    r"^user-[A-Za-z0-9_.-]+$": "an id that begins with user-",
    r"^user-[A-Za-z0-9_.-]{1,92}$": "an id that begins with user-",
    r"^service-[A-Za-z0-9_.-]+$": "an id that begins with service-",
    r"^(-|organization-[0-9a-f-]+)?$": "the id of an organization, - for the platform, or nothing",
    r"^token-[0-9a-f-]+$": "an id that begins with token-",
    r"^gpuaas_session_[0-9A-Za-z]+$": "the token of a session, which begins with gpuaas_session_",
    r"^((node|runtime)-[0-9a-f-]{36})?$": "an id that begins with node- or runtime-, or empty",
    r"^(operator|system-[a-z0-9_.-]{1,50})$": "operator, or a name that begins with system-",
    r"[^\s]": "a text of more than spaces",
    r"^([0-9]{6}|[A-Za-z2-7 -]{20,30})$": "six digits, or a recovery code",
    r"^[!#-\[\]-~]+$": 'printable ASCII without spaces, " and \\',
    r"^[!-~]+$": "printable ASCII without spaces",
    r"^[!-~]*$": "printable ASCII without spaces",
    r"^/[A-Za-z0-9._/-]+$": f"a path from /, of {_WORD} . _ / -, as /data",
    r"^[^@ ]+@[^@ ]+$": "an address of mail, as ada@example.org",
    r"^[a-z0-9-]+(\.[a-z0-9-]+)+$": "a domain in lower case, as example.org",
    r"^https?://[!-~]+$": "a URL that begins with https:// (or http://), without spaces",
    r"^[a-z0-9_]+(\.[a-z0-9_]+)+$": "the code of a refusal, as quota.exceeded",
    r"^([A-Za-z0-9_.:-]+|\*)$": "a model's name, as A10, or * for all",
    r"^(\*|[A-Za-z0-9_.-]+)$": "a meter's name, as gpu.time, or * for all",
}


def form(pattern: str) -> str:
    """The pattern in words; empty for one that has none."""
    listed = _ONE_OF.fullmatch(pattern)
    if listed is not None:
        return f"one of {listed[1].replace('|', ', ')}"
    known = _ID.fullmatch(pattern)
    if known is not None:
        kinds = [f"{one}-" for one in (known["many"] or known["one"]).split("|")]
        words = " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
        other = {None: "", "-": ", or - for the platform"}
        more = other.get(known["word"], f", or {known['word']}")
        return f"a whole id, {words} and 36 characters{more}"
    return FORMS.get(pattern, "")


def told(detail: str) -> str:
    """The form in words that a fault of msgspec's is about; empty where it is about none."""
    if found := _TOLD.fullmatch(detail):
        return form(ast.literal_eval(found[1]))  # it is told as Python writes it
    if found := _BOUND.fullmatch(detail):
        return _BOUNDS[found[1]].format(found[3], "more" if found[2] == ">=" else "less")
    found = _KIND.fullmatch(detail)
    return "" if found is None else _KINDS[found[1]]
