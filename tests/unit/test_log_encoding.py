"""What append accepts is what the verifier accepts; what it refuses never reaches a lock."""

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DomainError
from domain.facts import TAGS
from domain.log import Heartbeat
from domain.organization import Suspended
from domain.quota import LimitSet
from domain.sealing import FileSealed, TransfersSealed
from evidence import batch as batches
from evidence.append import Append, Bulk, Write
from evidence.encoding import check_strict, encode_append
from evidence.ids import STREAM, new_id
from evidence.private import PrivateValue, private_value
from gpuaas_verify import strict
from gpuaas_verify.entry import parse_entry, parse_plainly
from gpuaas_verify.errors import Invalid

STREAM_ID = new_id("organization")
CAUSE = "cmd:" + "0" * 64


def append_of(*facts: msgspec.Struct, **changed: Any) -> Append:
    write = Write(STREAM_ID, STREAM_ID, 0, facts)
    return Append(**({"writes": (write,), "actor": "system-test", "cause": CAUSE} | changed))


def entries_of(append: Append) -> list[bytes]:
    """The append's entries as they would be stored at the beginning of a log."""
    place = batches.Place()
    place.move(0, bytes(32), 0)
    pending = batches.Pending(encode_append(append), lambda _answer: None)
    return batches.decide([pending], place, 1_700_000_000_000_000, assume=True).entries


def allowed(*values: object) -> bool:
    try:
        for value in values:
            strict.check_value(value)
    except Invalid:
        return False
    return True


@given(st.text(st.characters(), max_size=40), st.integers(-(10**39), 10**39))
def test_append_and_verifier_agree_on_any_text_and_number(text: str, number: int) -> None:
    """A fact is accepted exactly when section 1 allows its values, and its entry then parses."""
    fact = Suspended(text, number)
    if not allowed(text, number):
        with pytest.raises(DomainError, match=r"entry\.refused"):
            entries_of(append_of(fact))
        return
    (raw,) = entries_of(append_of(fact))
    assert parse_entry(raw) == parse_plainly(raw)
    assert parse_entry(raw).fact == {"reason": text, "decided_us": number}
    assert strict.encode(parse_entry(raw)._asdict()) == raw


FORBIDDEN = [
    "\x00",
    "\n",
    "\x1f",
    "\x7f",
    "\x80",
    "\x9f",
    "\ud800",
    "\ufdd0",
    "\ufffe",
    "\U0010ffff",
]


@pytest.mark.parametrize("character", FORBIDDEN)
@pytest.mark.parametrize("around", ["{}", 'a"{}', "a\\{}", "\N{SNOWMAN}{}"])
def test_forbidden_characters_are_refused(character: str, around: str) -> None:
    """Control characters, surrogates and noncharacters are refused, alone or among escapes."""
    with pytest.raises(DomainError, match=r"entry\.refused"):
        encode_append(append_of(Suspended(around.format(character), 1)))


@pytest.mark.parametrize(
    "text", ['say "no"', "back\\slash", "\\n", '\\"', "\N{SNOWMAN}", " ", "9" * 50]
)
def test_mandatory_escapes_and_plain_text_pass(text: str) -> None:
    """Quotation marks, backslashes, non-ASCII and digits in text are nobody's problem."""
    (raw,) = entries_of(append_of(Suspended(text, 1)))
    assert parse_entry(raw).fact["reason"] == text


@pytest.mark.parametrize(
    "fact",
    [
        Suspended("x", 1.5),  # type: ignore[arg-type]
        Suspended("x", 1.0),  # type: ignore[arg-type]
        Suspended("x", float("nan")),  # type: ignore[arg-type]
        Suspended("x", 1e20),  # type: ignore[arg-type]
        Suspended("x", True),
        Suspended("x", 10**38),
        Suspended("x", -(10**38)),
        Suspended(1, 1),  # type: ignore[arg-type]
        Suspended("x", {1}),  # type: ignore[arg-type]
        FileSealed("a.tar", "0" * 64, 1, 1, float("nan")),  # type: ignore[arg-type]
        FileSealed("a.tar", "0" * 64, 1, 1, float("inf")),  # type: ignore[arg-type]
    ],
)
def test_values_of_another_type_are_refused(fact: msgspec.Struct) -> None:
    """A float, a huge integer, a wrong type, or what an encoder would turn into null."""
    with pytest.raises(DomainError, match=r"entry\.refused"):
        encode_append(append_of(fact))


def test_the_largest_integer_passes() -> None:
    """|n| < 10^38 is allowed to the last number."""
    for number in (10**38 - 1, 1 - 10**38):
        (raw,) = entries_of(append_of(Suspended("x", number)))
        assert parse_entry(raw).fact["decided_us"] == number


def test_no_fact_has_a_field_for_a_float() -> None:
    """Decoding by type refuses floats because no type of the catalogue takes one."""
    loose = (msgspec.inspect.FloatType, msgspec.inspect.AnyType, msgspec.inspect.RawType)

    def walk(node: Any) -> None:
        assert not isinstance(node, loose), node
        for name in getattr(node, "__struct_fields__", ()):
            inner = getattr(node, name)
            for each in inner if isinstance(inner, tuple) else (inner,):
                if isinstance(each, msgspec.inspect.Type | msgspec.inspect.Field):
                    walk(each)

    for kind in TAGS.values():
        walk(msgspec.inspect.type_info(kind))
    with pytest.raises(AssertionError):
        walk(msgspec.inspect.type_info(dict[str, float]))


@pytest.mark.parametrize("depth", [1, 15, 16, 40])
def test_depth_is_counted_as_in_the_entry(depth: int) -> None:
    """An entry is at most 16 deep and its fact stands one level down."""
    raw = b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}" if depth > 1 else b'{"a":1}'
    if depth <= 15:
        check_strict(raw, "test")
    else:
        with pytest.raises(DomainError, match=r"entry\.refused"):
            check_strict(raw, "test")


@pytest.mark.parametrize("spare", [0, 1, 400])
def test_an_entry_is_never_longer_than_its_limit(spare: int) -> None:
    """Whatever position it gets, an accepted entry has at most 65,535 bytes."""
    overhead = len(encode_append(append_of(Suspended("", 1))).suffixes[0])
    head = len('{"position":,"prev":"","at_us":') + 64 + 19 + 19
    room = strict.MAX_BYTES - overhead - head
    (raw,) = entries_of(append_of(Suspended("x" * (room - spare), 1)))
    assert len(raw) <= strict.MAX_BYTES
    with pytest.raises(DomainError, match=r"entry\.oversized"):
        encode_append(append_of(Suspended("x" * (room + spare + 1), 1)))


@pytest.mark.parametrize(
    "changed",
    [
        {"actor": "Jane Doe"},
        {"actor": "user-"},
        {"actor": "root-1"},
        {"cause": "cmd:" + "A" * 64},
        {"cause": "pos:01"},
        {"cause": ""},
        {"cause": "cmd:" + "0" * 64 + "\n"},
        {"writes": ()},
        {"writes": (Write(STREAM_ID, STREAM_ID, 0, ()),)},
        {"writes": (Write(STREAM_ID, STREAM_ID, -1, (Heartbeat(),)),)},
        {"writes": (Write(STREAM_ID, STREAM_ID, 1 << 31, (Heartbeat(),)),)},
        {"writes": (Write("log-1", "-", 0, (Heartbeat(),)),)},
        {"writes": (Write(STREAM_ID.upper(), "-", 0, (Heartbeat(),)),)},
        {"writes": (Write(STREAM_ID, "acme", 0, (Heartbeat(),)),)},
        {"writes": (Write(STREAM_ID, "-", 0, (Heartbeat(),)),) * 2},
        {"reads": (("log-1", 0),)},
        {"reads": ((STREAM_ID, -1),)},
        {"private": (PrivateValue("0" * 64, STREAM_ID, bytes(32), "x"),)},
        {"private": (PrivateValue("0" * 64, STREAM_ID, bytes(31), "x"),)},
    ],
)
def test_envelopes_out_of_form_are_refused(changed: dict[str, Any]) -> None:
    """Every field the caller names has the form of section 1, or nothing is appended."""
    with pytest.raises(DomainError, match=r"entry\.refused"):
        encode_append(append_of(Heartbeat(), **changed))


def sealed(rows: tuple[bytes, ...], first_row: int = 0, count: int | None = None) -> Append:
    number = len(rows) if count is None else count
    seal = TransfersSealed("transfer", first_row, number, "0" * 64, None, 0, 0)
    return append_of(seal, bulk=(Bulk("transfer", first_row, rows),))


def test_rows_come_numbered_strict_and_sealed() -> None:
    """A row begins with its number and salt, is strict, and its seal is in the same append."""
    row = b'{"row":0,"salt":"%b","amount_pico":1}' % (b"0" * 32)
    assert encode_append(sealed((row,))).bulk
    for append in (
        sealed((row,), count=2),
        sealed((row,), first_row=1),
        sealed((row, row)),
        sealed(()),
        sealed((row.replace(b":1}", b":1.5}"),)),
        sealed((row.replace(b":1}", b": 1}"),)),
        sealed((row[:-1],)),
        append_of(Heartbeat(), bulk=(Bulk("transfer", 0, (row,)),)),
    ):
        with pytest.raises(DomainError, match=r"entry\.refused"):
            encode_append(append)


def test_private_words_never_enter_the_entry() -> None:
    """The fact carries SHA-256(salt || text); forbidden characters are refused there too."""
    words, value = private_value(STREAM_ID, "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}")
    assert words.private == hashlib.sha256(value.salt + value.text.encode()).hexdigest()
    assert private_value(STREAM_ID, value.text)[0] != words
    encode_append(append_of(Heartbeat(), private=(value,)))
    with pytest.raises(DomainError, match=r"entry\.refused"):
        private_value(STREAM_ID, "a\x00b")


def test_salts_and_ids_are_fresh() -> None:
    """No salt and no id comes twice, and every id has the form of a stream."""
    suffixes = [encode_append(append_of(Heartbeat())).suffixes[0] for _ in range(2000)]
    assert len({suffix[9:41] for suffix in suffixes}) == 2000
    made = [new_id("runtime") for _ in range(2000)]
    assert len(set(made)) == 2000
    assert all(STREAM.fullmatch(each) and each[22] == "7" for each in made)


def test_big_amounts_survive() -> None:
    """A total beyond 64 bits is stored and read as it is."""
    fact = LimitSet(STREAM_ID, "*", 1 << 80, 1)
    assert parse_entry(entries_of(append_of(fact))[0]).fact["limit_milli"] == 1 << 80
