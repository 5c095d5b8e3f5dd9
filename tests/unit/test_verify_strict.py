"""One value has one encoding, and all readers agree on what it is."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuaas_verify import bulk, facts, quick, strict
from gpuaas_verify.entry import Entry, encode_entry, parse_entry, parse_plainly
from gpuaas_verify.errors import Invalid
from tests.bundles import small_log

TEXT = st.text(max_size=8).filter(lambda text: strict.FORBIDDEN.search(text) is None)
SCALAR = st.none() | st.booleans() | st.integers(-(10**38) + 1, 10**38 - 1) | TEXT
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
OBJECT = st.dictionaries(TEXT, VALUE, max_size=4)
# Pieces from which almost-JSON is glued: spellings that other readers take for the same.
SCRAP = st.sampled_from([
    *'{}[],:"01', "\\", "-0", "01", "1.0", "1e2", "null", "true", "NaN", "-Infinity", " ", "\n", "\t",
    '"a":', '"a"', '{"a":1}', '"a":-0', '"a":1,"a":2', '":"', "\\u0041", '\\"',
    "\x7f", "é", "9" * 38, "9" * 39, "\ufffe", "\x00",
])  # fmt: skip


def verdict(read: Any, raw: bytes) -> Any:
    """What a reader gives, or that it refuses."""
    try:
        return read(raw)
    except Invalid:
        return "refused"


@given(OBJECT)
def test_an_encoding_is_read_back_by_both_readers(value: dict[str, Any]) -> None:
    """Encode and decode are inverse, and the standard library's bytes are ours."""
    raw = strict.encode(value)
    assert raw == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert strict.decode(raw) == strict.decode_plainly(raw) == value


@settings(max_examples=400)
@given(OBJECT, st.lists(st.tuples(st.integers(0, 200), SCRAP), max_size=3))
def test_the_fast_reader_accepts_what_the_plain_one_accepts(
    value: dict[str, Any], edits: list[tuple[int, str]]
) -> None:
    """Whatever is spliced into an encoding, both readers say the same."""
    text = strict.encode(value).decode()
    for place, scrap in edits:
        at = place % (len(text) + 1)
        text = text[:at] + scrap + text[at + (place & 1) :]
    raw = text.encode("utf-8", "surrogatepass")
    assert verdict(strict.decode, raw) == verdict(strict.decode_plainly, raw)


@settings(max_examples=300)
@given(st.lists(SCRAP, max_size=12))
def test_both_readers_agree_on_scraps(scraps: list[str]) -> None:
    """The same on text that was never an encoding."""
    raw = ("{" + "".join(scraps) + "}").encode("utf-8", "surrogatepass")
    assert verdict(strict.decode, raw) == verdict(strict.decode_plainly, raw)


WRONG = {
    "nothing": b"",
    "white space": b'{"a": 1}',
    "newline at the end": b'{"a":1}\n',
    "repeated key": b'{"a":1,"a":1}',
    "repeated key deep": b'{"a":{"b":1,"b":2}}',
    "needless escape": b'{"a":"\\u0041"}',
    "escaped slash": b'{"a":"\\/"}',
    "escaped non-ASCII": b'{"a":"\\u00e9"}',
    "minus zero": b'{"a":-0}',
    "minus zero in a list": b'{"a":[-0,-0]}',
    "leading zero": b'{"a":01}',
    "float": b'{"a":1.0}',
    "exponent": b'{"a":1e3}',
    "not a number": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "39 digits": b'{"a":1' + b"0" * 38 + b"}",
    "39 digits deep": b'{"a":[{"b":-1' + b"0" * 38 + b"}]}",
    "five thousand digits": b'{"a":' + b"1" * 5000 + b"}",
    "depth 17": b'{"a":' * 16 + b"{}" + b"}" * 16,
    "very deep": b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "array": b"[1]",
    "string": b'"a"',
    "two objects": b"{}{}",
    "not UTF-8": b'{"a":"\xff"}',
    "surrogate": b'{"a":"\xed\xa0\x80"}',
    "escaped surrogate": b'{"a":"\\ud800"}',
    "NUL": b'{"a":"\x00"}',
    "escaped NUL": b'{"a":"\\u0000"}',
    "DEL": b'{"a":"\x7f"}',
    "C1 control": '{"a":"\x85"}'.encode(),
    "noncharacter": '{"a":"\ufffe"}'.encode(),
    "noncharacter of the last plane": '{"a":"\U0010ffff"}'.encode(),
    "noncharacter in a key": '{"\ufdd0":1}'.encode(),
    "byte order mark": b"\xef\xbb\xbf{}",
    "too long": b'{"a":"' + b"a" * 65_528 + b'"}',
}


@pytest.mark.parametrize("name", WRONG)
def test_other_spellings_are_refused_by_both_readers(name: str) -> None:
    """Nothing but the one encoding of an allowed value is accepted."""
    for read in (strict.decode, strict.decode_plainly):
        with pytest.raises(Invalid) as error:
            read(WRONG[name])
        assert error.value.code == "json.not_canonical"


def test_the_bounds_themselves_are_allowed() -> None:
    """38 digits, depth 16, 65,535 bytes and an astral character are inside."""
    for raw in (
        b'{"a":' + b"9" * 38 + b"}",
        b'{"a":-' + b"9" * 38 + b"}",
        b'{"a":' * 15 + b"{}" + b"}" * 15,
        b'{"a":"' + b"a" * 65_527 + b'"}',
        '{"a":"\U0001f600 é"}'.encode(),
        b'{"a":"\\"\\\\","b":":"}',
    ):
        assert strict.encode(strict.decode(raw)) == raw


@pytest.mark.parametrize("value", [{"a": 1.5}, {1: 2}, {"a": (1,)}, {"a": b""}, {"a": "\x00"}])
def test_a_value_without_an_encoding_is_refused_before_it_is_written(value: Any) -> None:
    """check_value refuses what encode would spell in a way decode refuses."""
    with pytest.raises(Invalid):
        strict.check_value(value)


ENTRIES = small_log().entries()
PIECES = st.sampled_from(
    [b"0", b"-0", b"1", b" ", b'"', b"a", b"-", b"}", b"{", b",", b"null", b"\xc3\xa9"]
)


def fully(raw: bytes) -> Entry:
    entry = parse_plainly(raw)
    facts.check_fact(entry)
    return entry


@settings(max_examples=400)
@given(
    st.sampled_from(ENTRIES),
    st.lists(st.tuples(st.integers(0, 2_000), PIECES, st.integers(0, 3)), max_size=2),
)
def test_what_is_recognised_by_its_bytes_passes_the_full_check(
    raw: bytes, edits: list[tuple[int, bytes, int]]
) -> None:
    """The scan accepts nothing that decoding refuses, and sees the same fields."""
    for place, piece, cut in edits:
        at = place % len(raw)
        raw = raw[:at] + piece + raw[at + cut :]
    assert verdict(parse_entry, raw) == verdict(parse_plainly, raw)
    seen = quick.scan(raw)
    if seen is not None and (seen.after is None or int(seen.after) < int(seen.position)):
        entry = fully(raw)
        assert (int(seen.position), seen.prev, int(seen.at_us)) == entry[:3]
        assert (seen.stream, int(seen.version), seen.tag, seen.org) == entry[4:8]
        assert seen.cause == entry.cause
        assert seen.after is None or entry.cause == f"pos:{seen.after}"


def test_most_entries_are_recognised_by_their_bytes() -> None:
    """The fast way is taken: else the property above holds of nothing."""
    seen = [quick.scan(raw) is not None for raw in ENTRIES]
    assert seen.count(True) >= len(seen) // 2


@given(st.sampled_from(ENTRIES))
def test_an_entry_is_its_own_encoding(raw: bytes) -> None:
    """Parse and encode are inverse on real entries."""
    assert encode_entry(parse_entry(raw)) == raw


ROWS = [(name.split("/")[1], rows[0]) for name, rows in small_log().rows.items()]


@settings(max_examples=300)
@given(
    st.sampled_from(ROWS),
    st.lists(st.tuples(st.integers(0, 900), PIECES, st.integers(0, 3)), max_size=2),
)
def test_a_row_recognised_by_its_bytes_passes_the_full_check(
    row: tuple[str, bytes], edits: list[tuple[int, bytes, int]]
) -> None:
    """The same number and the same share of the sum, and nothing accepted that decoding refuses."""
    table, raw = row
    assert bulk.scan_row(raw, table) is not None
    for place, piece, cut in edits:
        at = place % len(raw)
        raw = raw[:at] + piece + raw[at + cut :]
    seen = bulk.scan_row(raw, table)
    if seen is not None:
        parsed = bulk.parse_row(raw, table, seen[0])
        assert seen[1] == bulk.TABLES[table].summand(parsed)
