import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from msgspec import UNSET, Struct

from domain import (
    account,
    department,
    image,
    invoice,
    log,
    meter,
    node,
    organization,
    period,
    pricebook,
    project,
    quota,
    runtime,
    sealing,
    seller,
    wallet_facts,
)
from domain.crediting import Part
from domain.errors import DomainError
from domain.facts import TAGS, decode_fact, encode_fact, tag_of
from domain.network import Rule
from domain.price_facts import Tier
from domain.wallet_facts import Held
from domain.words import Attested, Continues, Gpu, Private, Share
from gpuaas_verify.facts import SHAPES

PAGE = Path(__file__).parents[2] / "contracts" / "facts.md"
ATTESTED = Attested(node="node-1", key="00", boot="11", seq=3, body="e30=", sig="aa")


def rows() -> dict[str, str]:
    found = re.findall(r"^\| `([a-z0-9_.]+)` \| [^|]* \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {f"gpuaas.{tag}": fields for tag, fields in found}


def names(cell: str) -> tuple[str, ...]:
    bare = re.sub(r"`[^`]*`|\([^)]*\)|\[[^\]]*\]", "", cell)
    words = [part.split()[0].rstrip("?") for part in bare.split(",") if part.split()]
    return tuple(words)


def test_every_tag_of_the_page_has_a_struct_and_none_is_missing() -> None:
    """The catalogue and the code name the same tags."""
    assert set(TAGS) == set(rows())


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_fields_stand_in_the_order_of_the_page(tag: str) -> None:
    """Keys are exactly those of facts.md, in this order: the order is part of the bytes."""
    assert TAGS[tag].__struct_fields__ == names(rows()[tag])


def test_a_stored_fact_has_no_tag_key() -> None:
    """The envelope's tag decides; a fact must not carry a second one."""
    fact = node.Cordoned(decided_us=7)
    assert encode_fact(fact) == b'{"decided_us":7}'
    assert tag_of(fact) == "gpuaas.node.cordoned.v1"
    assert encode_fact(log.Heartbeat()) == b"{}"


def sample(kind: type[Struct]) -> Struct:
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        text = str(field.type)
        values[field.name] = (
            Private("ab") if "Private" in text
            else ATTESTED if "Attested" in text
            else (Share(0, 500), Share(1, 500)) if "Share" in text
            else (Part(0, 7),) if "Part" in text
            else (Gpu(0, "GPU-ä"),) if "Gpu" in text
            else (Rule("10.0.0.0/8", "tcp", 1, 9),) if "Rule" in text
            else (Tier(5, 7), Tier(None, 0)) if "Tier" in text
            else (Held("runtime-1", 7),) if "wallet_facts.Held" in text
            else UNSET if "Unset" in text
            else (0, 3) if "tuple[int" in text
            else ("a", "b") if "tuple" in text
            else True if "bool" in text
            else 10**37 if "int" in text
            else "wörd"
        )  # fmt: skip
    return kind(**values)


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_a_fact_comes_back_as_it_was(tag: str) -> None:
    """decode(encode(fact)) = fact for every tag, wide integers and raw non-ASCII included."""
    fact = sample(TAGS[tag])
    assert decode_fact(tag, encode_fact(fact)) == fact


def test_optional_continues_is_absent_or_present_never_null() -> None:
    """`?` means absent: null is not a value of it."""
    tag = "gpuaas.log.opened.v1"
    bare = log.Opened(format="gpuaas-log/1", origin="o", vkey="v")
    assert b"continues" not in encode_fact(bare)
    after = log.Opened(format="f", origin="o", vkey="v", continues=Continues("p", "n", 4, 2))
    assert decode_fact(tag, encode_fact(after)) == after
    with pytest.raises(DomainError, match=r"fact\.malformed"):
        decode_fact(tag, encode_fact(bare)[:-1] + b',"continues":null}')


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'{"since_us":1,"since_us":2}',
        b'{"since_us": 1}',
        b'{"since_us":1}\n',
        b'{"since_us":1.0}',
        b'{"since_us":true}',
        b'{"since_us":"1"}',
        b'{"since_us":null}',
        b'{"since_us":01}',
        b'{"since_us":-0}',
        b'{"since_us":1e3}',
        b"{}",
        b'{"since_us":1,"why":2}',
        b'{"type":"gpuaas.node.reachable.v1","since_us":1}',
        b'{"type":"gpuaas.node.unreachable.v1","since_us":1}',
        b'{"since_us":1,"type":"gpuaas.node.reachable.v1"}',
        b'{"since\\u005fus":1}',
        b'{"since_us":1',
        b'\xff{"since_us":1}',
        b'{"since_us":' + b"9" * 5000 + b"}",
        b"[" * 100_000,
    ],
)
def test_bytes_that_are_not_the_canonical_fact_are_refused(raw: bytes) -> None:
    """Unknown, doubled, missing or mistyped keys, and any other spelling of the same value."""
    with pytest.raises(DomainError, match=r"fact\.malformed"):
        decode_fact("gpuaas.node.reachable.v1", raw)


def test_an_unknown_tag_is_refused_by_name() -> None:
    """A reader never guesses what a tag means."""
    with pytest.raises(DomainError) as refused:
        decode_fact("gpuaas.node.exploded.v1", b"{}")
    assert refused.value.code == "fact.unknown_tag"


def test_null_is_a_value_where_the_page_says_so() -> None:
    """`supersedes`, `prev_seal` and `index` are null when there is none."""
    sealed = sealing.FileSealed(name="a", sha256="b", bytes=1, as_of_size=2, supersedes=None)
    assert encode_fact(sealed).endswith(b'"supersedes":null}')


# `access` is left out: grants, host certificates and sessions are streams apart of one kind.
EVENTS: dict[str, Any] = {
    "account": account.Event,
    "department": department.Event,
    "image": image.Event,
    "invoice": invoice.Event,
    "meter": meter.Event,
    "node": node.Event,
    "organization": organization.Event,
    "period": period.Event,
    "pricebook": pricebook.Event,
    "project": project.Event,
    "quota": quota.Event,
    "runtime": runtime.Event,
    "seller": seller.Event,
    "wallet": wallet_facts.Event,
}


def members(event: Any) -> Iterator[type[Struct]]:
    kind = getattr(event, "__value__", event)
    for part in get_args(kind) or (kind,):
        yield from members(part) if hasattr(part, "__value__") else (part,)


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_a_decider_knows_every_fact_that_its_stream_may_hold(kind: str) -> None:
    """Or a stream that holds one could never be folded again."""
    allowed = {TAGS[tag] for tag, shape in SHAPES.items() if kind in shape.kinds}
    assert allowed <= set(members(EVENTS[kind]))
