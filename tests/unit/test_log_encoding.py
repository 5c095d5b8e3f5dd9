"""What append accepts is what the verifier accepts; what it refuses never reaches a lock."""

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.errors import DomainError
from domain.facts import TAGS, decode_fact, encode_fact, tag_of
from domain.log import Heartbeat, Opened
from domain.node import Allocated, Anchored
from domain.organization import Created, Suspended
from domain.quota import LimitSet
from domain.runtime import Starting
from domain.sealing import FileSealed
from domain.words import Attested, Continues, Private, Share
from evidence import batch as batches
from evidence.append import Append, Bulk, Write
from evidence.encoding import check_strict, encode_append, fact_bytes
from evidence.ids import STREAM, new_id
from evidence.private import PrivateValue, private_value
from gpuaas_verify import facts, quick, strict
from gpuaas_verify.entry import parse_entry, parse_plainly
from gpuaas_verify.errors import Invalid
from tests import rows

STREAM_ID = new_id("organization")
CAUSE = "cmd:" + "0" * 64
FACT = Suspended("x", 1)


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
        fact_bytes(fact)


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
        {"writes": (Write(STREAM_ID, STREAM_ID, -1, (FACT,)),)},
        {"writes": (Write(STREAM_ID, STREAM_ID, 1 << 31, (FACT,)),)},
        {"writes": (Write("log-1", "-", 0, (FACT,)),)},
        {"writes": (Write(STREAM_ID.upper(), "-", 0, (FACT,)),)},
        {"writes": (Write(STREAM_ID, "acme", 0, (FACT,)),)},
        {"writes": (Write(STREAM_ID, STREAM_ID, 0, (FACT,)),) * 2},
        {"reads": (("log-1", 0),)},
        {"reads": ((STREAM_ID, -1),)},
        {"private": (PrivateValue("0" * 64, STREAM_ID, bytes(32), "x"),)},
        {"private": (PrivateValue("0" * 64, STREAM_ID, bytes(31), "x"),)},
    ],
)
def test_envelopes_out_of_form_are_refused(changed: dict[str, Any]) -> None:
    """Every field the caller names has the form of section 1, or nothing is appended."""
    with pytest.raises(DomainError, match=r"entry\.refused"):
        encode_append(append_of(FACT, **changed))


def sealed(bulk: Bulk, *, actor: str = "system-test", **changed: Any) -> Append:
    fact = replace(rows.seal(bulk), **changed)
    return append_of(writes=(Write(new_id("ledger"), "-", 0, (fact,)),), bulk=(bulk,), actor=actor)


def changed_row(old: bytes, new: bytes) -> Bulk:
    """One row with other bytes; its seal is true of them."""
    return Bulk("transfer", 0, (rows.transfer(0).replace(old, new),))


ONE = rows.transfers(0, 1)


@pytest.mark.parametrize(
    "append",
    [
        sealed(ONE, count=2),
        sealed(ONE, first_row=1),
        sealed(ONE, root="0" * 64),
        sealed(ONE, amount_sum_pico=6),
        sealed(ONE, table="rated_interval"),
        sealed(ONE, actor="user-1"),
        sealed(Bulk("transfer", 0, (rows.transfer(0), rows.transfer(0)))),
        sealed(Bulk("transfer", 1, (rows.transfer(0),))),
        sealed(Bulk("transfer", 0, ())),
        sealed(changed_row(b'"cause":1', b'"cause":1.5')),
        sealed(changed_row(b'"cause":1', b'"cause": 1')),
        sealed(changed_row(b'"cause":1', b'"cause":"1"')),
        sealed(changed_row(b'"cause":1,', b"")),
        sealed(changed_row(b'"account":"a"', b'"account":"\x00"')),
        sealed(changed_row(b"}", b"")),
        replace(sealed(ONE), bulk=()),
        replace(sealed(ONE), bulk=(ONE, ONE)),
        append_of(FACT, bulk=(ONE,)),
    ],
)
def test_rows_that_no_view_could_apply_are_refused(append: Append) -> None:
    """Rows are whole rows of their table, strict, numbered, and their one seal is true of them."""
    with pytest.raises(DomainError, match=r"entry\.refused"):
        encode_append(append)


def test_rows_come_with_their_seal() -> None:
    """A run of good rows with its seal is taken as it is; one row too long is told by its length."""
    assert encode_append(sealed(ONE)).bulk == (ONE,)
    with pytest.raises(DomainError, match=r"entry\.oversized"):
        encode_append(sealed(changed_row(b'"resource":"r"', b'"resource":"%b"' % (b"r" * 65_536))))


def test_private_words_never_enter_the_entry() -> None:
    """The fact carries SHA-256(salt || text); forbidden characters are refused there too."""
    words, value = private_value(STREAM_ID, "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}")
    assert words.private == hashlib.sha256(value.salt + value.text.encode()).hexdigest()
    assert private_value(STREAM_ID, value.text)[0] != words
    encode_append(append_of(FACT, private=(value,)))
    with pytest.raises(DomainError, match=r"entry\.refused"):
        private_value(STREAM_ID, "a\x00b")


def test_salts_and_ids_are_fresh() -> None:
    """No salt and no id comes twice, and every id has the form of a stream."""
    suffixes = [encode_append(append_of(FACT)).suffixes[0] for _ in range(2000)]
    assert len({suffix[9:41] for suffix in suffixes}) == 2000
    made = [new_id("runtime") for _ in range(2000)]
    assert len(set(made)) == 2000
    assert all(STREAM.fullmatch(each) and each[22] == "7" for each in made)


def test_big_amounts_survive() -> None:
    """A total beyond 64 bits is stored and read as it is."""
    fact = LimitSet(STREAM_ID, "*", 1 << 80, 1)
    append = append_of(writes=(Write(new_id("quota"), STREAM_ID, 0, (fact,)),))
    assert parse_entry(entries_of(append)[0]).fact["limit_milli"] == 1 << 80


KINDS = sorted({kind for shape in facts.SHAPES.values() for kind in shape.kinds})


def verdict(fact: msgspec.Struct, stream: str, org: str) -> str:
    """The code an append of the fact there is refused with; empty when it is accepted."""
    try:
        encode_append(append_of(writes=(Write(stream, org, 0, (fact,)),)))
    except DomainError as error:
        return error.code
    return ""


@pytest.mark.parametrize("fact", [FACT, Heartbeat(), Starting(1, 1), LimitSet("*", "*", 1, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_verifier_finds_in_the_wrong_stream_is_never_stored(
    fact: msgspec.Struct, kind: str
) -> None:
    """Else one append would stop every signature after it; asked twice, as answers are kept."""
    tag, stream = tag_of(fact), new_id(kind)
    for org in ("-", STREAM_ID, stream if kind == "organization" else STREAM_ID) * 2:
        try:
            facts.check_owner(facts.SHAPES[tag], tag, stream, org)
        except Invalid:
            assert verdict(fact, stream, org) == "entry.refused"
        else:
            assert verdict(fact, stream, org) == ""


SAID = Attested("node-1", "0" * 64, "0" * 32, 1, "e30=", "e30=")
ALLOCATED = Allocated("a", "runtime-1", "organization-1", (Share(0, 1000),), 1, 1)
MISSHAPEN = [
    FileSealed("a.tar", "0" * 63, 1, 1, None),
    FileSealed("a.tar", "A" * 64, 1, 1, None),
    FileSealed("a.tar", "0" * 63, 1, 1, 4),
    Created(Private("0" * 65), 1),
    Created(Private("x"), 1),
    Anchored("b", 1, 1, replace(SAID, key="0" * 62)),
    Anchored("b", 1, 1, replace(SAID, boot="0" * 64)),
    Anchored("b", 1, 1, replace(SAID, seq=-1)),
    replace(ALLOCATED, devices=(Share(0, 0),)),
    replace(ALLOCATED, devices=(Share(0, 1001),)),
    replace(ALLOCATED, devices=(Share(-1, 1),)),
    replace(ALLOCATED, devices=(Share(1, 1), Share(0, 1))),
    replace(ALLOCATED, devices=(Share(1, 1), Share(1, 1))),
]


@pytest.mark.parametrize("fact", MISSHAPEN)
def test_a_fact_the_verifier_would_find_misshapen_is_never_stored(fact: msgspec.Struct) -> None:
    """A digest, a key or a share that has not its form is refused before the lock."""
    with pytest.raises(DomainError, match=r"entry\.refused"):
        fact_bytes(fact)


@pytest.mark.parametrize(
    "fact",
    [
        FileSealed("a.tar", "0" * 64, 1, 1, None),
        FileSealed("a.tar", "0" * 64, 1, 1, 4),
        Created(Private("0" * 64), 1),
        Anchored("b", 1, 1, SAID),
        ALLOCATED,
        replace(ALLOCATED, devices=(Share(0, 1), Share(7, 1000))),
        Opened("gpuaas-log/1", "o", "v"),
        Opened("gpuaas-log/1", "o", "v", Continues("o", "n", 1, 1)),
    ],
)
def test_well_shaped_facts_pass(fact: msgspec.Struct) -> None:
    """The refusals above are about the one wrong field."""
    tag, raw = fact_bytes(fact)
    assert decode_fact(tag, raw) == fact


def test_only_the_first_entry_opens_a_log() -> None:
    """A second opening, or one behind another fact, could never be signed."""
    opened, log = Opened("gpuaas-log/1", "o", "v"), new_id("log")
    append = append_of(writes=(Write(log, "-", 0, (opened,)),))
    assert len(entries_of(append)) == 1
    place = batches.Place()
    place.move(1, bytes(32), 0)
    pending = batches.Pending(encode_append(append), lambda _answer: None)
    batch = batches.decide([pending], place, 1, assume=False)
    assert [str(answer).split(":")[0] for _, answer in batch.answers] == ["entry.refused"]
    with pytest.raises(DomainError, match=r"entry\.refused"):
        encode_append(append_of(writes=(Write(log, "-", 0, (Heartbeat(), opened)),)))


REGULAR = sorted(tag for tag in TAGS if quick.form_of(tag))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_has_its_tags_form_can_be_applied(data: st.DataObject) -> None:
    """Append decodes no fact that the form recognises: then every such fact must decode."""
    form = quick.form_of(data.draw(st.sampled_from(REGULAR)))
    assert form is not None
    tag = next(tag for tag in REGULAR if quick.form_of(tag) is form)
    raw = data.draw(st.from_regex(form, fullmatch=True)).encode()[:-1]
    assert encode_fact(decode_fact(tag, raw)) == raw
