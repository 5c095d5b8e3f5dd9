"""One entry of the log: its bytes, its eleven keys and their forms (EVIDENCE.md section 1)."""

import re
from typing import Any, NamedTuple

from gpuaas_verify import strict
from gpuaas_verify.checkpoint import MAX_SIZE
from gpuaas_verify.errors import Invalid

NO_PREV = "0" * 64
KEYS = (
    "position",
    "prev",
    "at_us",
    "salt",
    "stream",
    "version",
    "tag",
    "org",
    "actor",
    "cause",
    "fact",
)
MAX_AT_US = 1 << 62

_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_STREAM = rf"[a-z][a-z_]{{0,30}}-{_UUID}"
_FORMS = {
    "prev": r"[0-9a-f]{64}",
    "salt": r"[0-9a-f]{32}",
    "stream": _STREAM,
    "tag": r"gpuaas\.[a-z0-9_]+\.[a-z0-9_]+\.v[1-9][0-9]{0,8}",
    "org": rf"(?:organization-{_UUID}|-)",
    "actor": r"(?:user|service|node|system)-[A-Za-z0-9_.:-]{1,128}",
    "cause": rf"(?:cmd:[0-9a-f]{{64}}|pos:{_NUMBER})",
}
FIELD = {name: re.compile(form) for name, form in _FORMS.items()}
STREAM = re.compile(_STREAM)
_ENVELOPE = re.compile(
    "{"
    + ",".join(
        f'"{name}":"({_FORMS[name]})"' if name in _FORMS else f'"{name}":({_NUMBER})'
        for name in KEYS[:-1]
    )
    + ',"fact":'
)


class Entry(NamedTuple):
    position: int
    prev: str
    at_us: int
    salt: str
    stream: str
    version: int
    tag: str
    org: str
    actor: str
    cause: str
    fact: dict[str, Any]


def encode_entry(entry: Entry) -> bytes:
    """The entry's bytes; `parse_entry` gives the entry back when its fields have their forms."""
    return strict.encode(entry._asdict())


def parse_entry(raw: bytes) -> Entry:
    """The entry these bytes are. Raises: Invalid `entry.malformed` (with its field) or
    `json.not_canonical`.

    Checks what one entry alone can show; its place among the others is checked by `bundle` and the
    integrator.
    """
    if raw.isascii() and len(raw) <= strict.MAX_BYTES:
        text = raw.decode("ascii")
        envelope = _ENVELOPE.match(text)
        if envelope is not None and strict.plain(text[envelope.end() :]):
            found = strict.scan_object(text, envelope.end(), 2)
            if found is not None and found[1] == len(text) - 1 and text[-1] == "}":
                return _assemble(envelope, found[0])
    return parse_plainly(raw)


def _assemble(envelope: re.Match[str], fact: dict[str, Any]) -> Entry:
    position, prev, at_us, salt, stream, version, tag, org, actor, cause = envelope.groups()
    entry = Entry(
        int(position), prev, int(at_us), salt, stream, int(version), tag, org, actor, cause, fact
    )
    if not (entry.position < MAX_SIZE and entry.at_us < MAX_AT_US and 0 < entry.version < MAX_SIZE):
        check_fields(entry)
    if cause[0] == "p" and int(cause[4:]) >= entry.position:
        check_fields(entry)
    return entry


def parse_plainly(raw: bytes) -> Entry:
    """As `parse_entry`, field by field; says which one is wrong."""
    value = strict.decode_plainly(raw)
    if tuple(value) != KEYS:
        wrong = next((key for key in value if key not in KEYS), None)
        missing = next((key for key in KEYS if key not in value), None)
        raise Invalid(
            "entry.malformed", "not the eleven keys in their order", field=wrong or missing
        )
    entry = Entry(**value)
    check_fields(entry)
    return entry


def check_fields(entry: Entry) -> None:
    """Nothing when each field has its type and form. Raises: Invalid `entry.malformed` with the
    field.
    """
    bounds = (("position", 0, MAX_SIZE), ("at_us", 0, MAX_AT_US), ("version", 1, MAX_SIZE))
    for name, low, high in bounds:
        number = getattr(entry, name)
        if type(number) is not int or not low <= number < high:
            raise Invalid("entry.malformed", f"{name} is not an integer in its range", field=name)
    for name, form in FIELD.items():
        text = getattr(entry, name)
        if type(text) is not str or not form.fullmatch(text):
            raise Invalid("entry.malformed", f"{name} has not its form", field=name)
    if entry.cause.startswith("pos:") and int(entry.cause[4:]) >= entry.position:
        raise Invalid("entry.malformed", "a cause is a smaller position", field="cause")
    if type(entry.fact) is not dict:
        raise Invalid("entry.malformed", "fact is not an object", field="fact")
