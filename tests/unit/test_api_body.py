"""What a body may not be: each refusal has its own code, decided before anything is stored."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.body import _FORBIDDEN, _UNSEEN, _plain, _scan, check_word, decode, on_a_line
from contracts.http import BODY_LIMIT, DEPTH_LIMIT, OrganizationNew, RuntimeNew
from contracts.http_money import PriceNew
from domain.errors import DomainError

_PROJECT = "project-01890000-0000-7000-8000-000000000000"


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner) | st.dictionaries(st.text(max_size=3), inner)


def _refused(raw: bytes, kind: type = OrganizationNew) -> DomainError:
    with pytest.raises(DomainError) as caught:
        decode(raw, kind)
    return caught.value


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b'{"name":"a"', b'{"name":"a"}x', b"\xff\xfe", b'{"name":"\xff"}', b"{'name':1}"],
)
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    """Bytes that are no JSON text are refused as such."""
    assert _refused(raw).code == "request.malformed"


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"name":1}', "/name"),
        (b"[]", ""),
        (b"{}", ""),
        (b'{"name":"a","colour":"b"}', ""),
        (b'{"name":""}', "/name"),
        (b'{"name":null}', "/name"),
    ],
)
def test_wrong_shapes_are_invalid_and_say_where(raw: bytes, pointer: str) -> None:
    """Unknown fields, wrong types and lengths name the place as a JSON pointer."""
    error = _refused(raw)
    assert (error.code, error.facts["pointer"]) == ("request.invalid", pointer)


def test_a_number_is_never_taken_from_a_string() -> None:
    """No lax conversion: "2" is no integer, 2.0 and true are none either."""
    for value in (b'"2"', b"2.5", b"true", b"1e400", b"9" * 60):
        raw = b'{"project":"%s","name":"n","devices":%s}' % (_PROJECT.encode(), value)
        assert _refused(raw, RuntimeNew).code in {"request.invalid", "request.malformed"}


def test_twice_the_same_name_is_malformed() -> None:
    """A doubled key could say one thing to us and another to a proxy."""
    assert _refused(b'{"name":"a","name":"b"}').code == "request.malformed"


@pytest.mark.parametrize(
    "text", [b"a\\u0000b", b"a\\nb", b"a\\u007fb", b"a\xc2\x85b", b"a\\ud800b", b"a\\ufffeb"]
)
def test_control_characters_and_noncharacters_are_refused(text: bytes) -> None:
    """What no entry may hold stops at the edge (EVIDENCE.md section 1)."""
    assert _refused(b'{"name":"%s"}' % text).code in {"request.text", "request.malformed"}


@pytest.mark.parametrize(
    "code", [0x202E, 0x2066, 0x200E, 0x61C, 0xAD, 0x200B, 0x2060, 0xFEFF, 0xE0061]
)
def test_a_letter_that_nobody_sees_is_refused(code: int) -> None:
    """No name turns its neighbours about or looks like another one (Unicode TR 36), as it is
    written or escaped.
    """
    for name in (f"a{chr(code)}b", f"\u0645{chr(code)}", f"\U0001f468{chr(code)}"):
        for escaped in (True, False):
            body = json.dumps({"name": name}, ensure_ascii=escaped).encode()
            assert _refused(body).code == "request.text"


@pytest.mark.parametrize("name", [" ", "   ", "\u00a0", "\u3000 "])
def test_a_name_of_spaces_alone_is_none(name: str) -> None:
    """It would be an empty place in every list."""
    refused = _refused(json.dumps({"name": name}).encode())
    assert (refused.code, refused.facts["pointer"]) == ("request.invalid", "/name")


@pytest.mark.parametrize("name", ["a\u200db", "\u200ca", "\u0645\u200d\u200d", " \u200d"])
def test_a_joiner_is_refused_where_nothing_is_joined(name: str) -> None:
    """Between letters that it does not shape it is one that nobody sees."""
    assert _refused(json.dumps({"name": name}).encode()).code == "request.text"


@pytest.mark.parametrize(
    "name",
    [
        "\u0634\u0631\u06a9\u062a \u0646\u0631\u0645\u200c\u0627\u0641\u0632\u0627\u0631",  # Persian, with its joiner
        "\u05d0\u05d1\u05d2 123",  # Hebrew beside numbers
        "\u0915\u094d\u200d\u0937",  # Devanagari
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",  # emoji
        "Z\u00fcrich \u6771\u4eac e\u0301",
    ],
)
def test_names_of_every_script_are_taken_as_they_are(name: str) -> None:
    """Right to left, joined and composed: what is seen is no fault."""
    for escaped in (True, False):
        body = json.dumps({"name": name}, ensure_ascii=escaped).encode()
        assert decode(body, OrganizationNew).name == name


@given(st.text(st.sampled_from("a\u0645 \n\u200b\u200c\u200d\u202e\ufffe\ud800") | st.characters()))
def test_what_somebody_else_wrote_can_be_sent_on_a_line(text: str) -> None:
    """Whatever a bank lets a payer write: what is left of it is a text, and what was one is all
    left but for the width of its spaces.
    """
    line = on_a_line(text)
    assert on_a_line(line) == line
    if line:
        name = line[:200].rstrip()
        assert decode(json.dumps({"name": name}).encode(), OrganizationNew).name == name
    if _FORBIDDEN.search(text) is None and _UNSEEN.search(text) is None:
        assert line == " ".join(text.split())


def test_depth_is_counted_before_decoding() -> None:
    """Deeper than the limit is a 4xx whatever it would mean, brackets in strings do not count."""
    deep = b"[" * (DEPTH_LIMIT + 1)
    assert _refused(deep).code == "request.too_deep"
    assert _refused(b'{"a":' * 100_0 + b"1" + b"}" * 100_0).code == "request.too_deep"
    shallow = b'{"name":"%s"}' % (b"[" * 100)
    assert decode(shallow, OrganizationNew).name == "[" * 100
    escaped = b'{"name":"\\"%s"}' % (b"{" * 100)
    assert decode(escaped, OrganizationNew).name == '"' + "{" * 100


def test_size_is_bounded() -> None:
    """A body over the limit is refused before it is read as JSON."""
    assert _refused(b" " * (BODY_LIMIT + 1)).code == "request.too_large"


@pytest.mark.parametrize(
    "amount", ["1", "1.0", "1e3", "-1", "1.0000000000001", "0x1", "\u0661.000000000000"]
)
def test_money_is_exact_text(amount: str) -> None:
    """An amount has exactly twelve decimal places of ASCII digits: nothing is guessed
    or rounded.
    """
    price = {"amount": amount, "currency": "USD"}
    body = {"model": "T4", "price": price, "effective_from": "2030-01-01T00:00:00Z"}
    assert _refused(json.dumps(body).encode(), PriceNew).code == "request.invalid"


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text(), _nested, max_leaves=8))
def test_the_quick_look_never_clears_what_the_thorough_one_refuses(value: object) -> None:
    """Whatever JSON comes, in whatever writing: plain bodies are those without a fault."""
    for compact in (True, False):
        for escaped in (True, False):
            separators = (",", ":") if compact else None
            raw = json.dumps(value, ensure_ascii=escaped, separators=separators)
            _agree(raw.encode(errors="surrogatepass"))
            _agree(raw.replace(":", ":1,", 1).encode(errors="surrogatepass"))


@pytest.mark.parametrize("raw", [b'{"a":1,"a":1}', b'{"b":{"a":1,"a":2}}', b'["\x7f"]', b"[NaN]"])
def test_the_quick_look_sees_each_fault(raw: bytes) -> None:
    """A name twice, at any depth, a delete character and a constant are left to the
    thorough look.
    """
    assert not _plain(raw)


def _agree(raw: bytes) -> None:
    if _plain(raw):
        _scan(raw)


def test_a_word_is_refused_for_each_forbidden_character_and_for_no_other() -> None:
    """What is passed at a glance, ASCII that is printed, holds nothing of what no log may hold."""
    for code in (*range(0x300), 0xD800, 0xFDD0, 0xFFFD, 0xFFFE, 0x1F600, 0x10FFFF):
        word = f"a{chr(code)}b"
        if _FORBIDDEN.search(word):
            with pytest.raises(DomainError, match="control characters"):
                check_word(word)
        else:
            assert check_word(word) == word
