"""Proofs of an invoice that are wrong in one thing only, the rest put together and signed as it should be."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gpuaas_verify import strict
from gpuaas_verify.note import Vkey
from gpuaas_verify.source import frame, framed
from tests import proof_world as pw
from tests.bundles import HOUR_US, LOG_VKEY, ORIGIN, START_US, private_key, public_key, tar_of, uid
from tests.proof_world import BRIEF, World, chosen, members, world

type Change = Callable[[dict[str, bytes]], object]
type Edit = Callable[[World], object]
type Select = Callable[[World, list[int]], object]


@dataclass(frozen=True)
class WrongProof:
    name: str
    code: str
    place: dict[str, Any]
    data: bytes
    keys: tuple[str, ...] = field(default=(LOG_VKEY.format(),))


def bytes_cases() -> Iterator[WrongProof]:
    yield from _of_container()
    yield from _of_tree()
    yield from _of_file()
    yield from _of_entries()


def member(name: str, code: str, change: Change, **place: Any) -> WrongProof:
    """The right log's proof, its members changed."""
    found = members(world())
    change(found)
    return WrongProof(name, code, place, tar_of(found))


def put(name: str, data: bytes) -> Change:
    return lambda found: found.__setitem__(name, data)


def entries(change: Callable[[list[bytes]], object]) -> Change:
    def act(found: dict[str, bytes]) -> None:
        items = list(framed(iter((found["entries"],)), "", ""))
        change(items)
        found["entries"] = frame(items)

    return act


def logged(
    name: str, code: str, edit: Edit, *, base: Edit | None = None, line: int | None = None,
    select: Select | None = None, taxed: bool = False, **place: Any,
) -> WrongProof:  # fmt: skip
    """A log that `edit` changes when it is whole, and its proof; `select` changes what is chosen. Places may be
    functions of the log.
    """
    made = world(base, taxed=taxed)
    edit(made)
    positions = chosen(made) if line is None else pw.of_line(made)
    if select is not None:
        select(made, positions)
    found = {key: value(made) if callable(value) else value for key, value in place.items()}
    return WrongProof(name, code, found, pw.proof(made, sorted(positions), line))


def nothing(_made: World) -> None:
    """The log stays as it is."""


def fact(at: str, /, **changes: Any) -> Edit:
    return lambda made: made.log.drafts[made.at[at]]["fact"].update(changes)


def draft(at: str, /, **changes: Any) -> Edit:
    return lambda made: made.log.drafts[made.at[at]].update(changes)


def with_stream(stream: str) -> Select:
    return lambda made, positions: positions.extend(
        draft["position"] for draft in made.log.drafts if draft["stream"] == stream
    )


def at(name: str) -> Callable[[World], int]:
    return lambda made: made.at[name]


def without(*names: str) -> Select:
    def select(made: World, positions: list[int]) -> None:
        for name in names:
            positions.remove(made.at[name])

    return select


def with_(*names: str) -> Select:
    return lambda made, positions: positions.extend(made.at[name] for name in names)


def _of_container() -> Iterator[WrongProof]:
    yield WrongProof("a tar that ends", "tar.truncated", {"member": ""}, b"")
    for name in members(world()):
        yield member(f"no {name}", "proof.missing", _without_member(name), member=name)
    yield member("one more", "member.unexpected", put("extra", b""), member="extra")
    long = put("proof.json", b" " * 2000)
    yield member("a long head", "proof.oversized", long, member="proof.json")
    said: dict[str, Any] = {"format": "gpuaas-invoice-proof/2", "number": pw.NUMBER, "line": None}
    for name, changed, where in (
        ("another format", {"format": "gpuaas-invoice-proof/3"}, "format"),
        ("more in the head", {"more": 1}, "format"),
        ("another invoice", {"number": "INV-2"}, "number"),
        ("a line before the first", {"line": -1}, "line"),
        ("a line too many", {"line": 5}, "line"),
        ("true for a line", {"line": True}, "line"),
    ):
        data = put("proof.json", strict.encode({**said, **changed}))
        yield member(name, "proof.head", data, member="proof.json", field=where)
    yield member("a head that is spaced", "json.not_canonical", put("proof.json", b"{ }"))
    keys = (Vkey(ORIGIN, public_key(private_key("stranger"))).format(),)
    yield WrongProof("another's note", "note.unknown_signature", {}, pw.proof(world()), keys)


def _without_member(name: str) -> Change:
    return lambda found: found.pop(name)


def _of_tree() -> Iterator[WrongProof]:
    made = world()
    where: dict[str, Any] = {"member": "entries"}
    positions = chosen(made)
    second, third, last = positions[1], positions[2], positions[-1]
    swapped = entries(lambda items: items.insert(1, items.pop(2)))
    yield member("two swapped", "leaf.mismatch", swapped, position=third, **where)
    yield member(
        "repeated", "proof.order", entries(lambda i: i.insert(1, i[0])), position=0, **where
    )
    yield member("no entry", "proof.order", entries(lambda i: i.insert(1, b"x")), **where)
    yield member("dropped", "leaf.mismatch", entries(lambda i: i.pop(1)), position=third, **where)
    yield member("the last dropped", "proof.hashes", entries(lambda i: i.pop()), member="leaves")
    cut = put("entries", members(made)["entries"][:-1])
    yield member("cut off", "entries.malformed", cut, **where)
    digits = entries(
        lambda i: i.__setitem__(1, i[1].replace(b'"minor_digits":2', b'"minor_digits":3'))
    )
    yield member("changed", "leaf.mismatch", digits, position=second, **where)
    beyond = entries(lambda i: i.append(i[-1].replace(b'{"position":', b'{"position":9')))
    yield member("beyond the tree", "proof.order", beyond, position=int(f"9{last}"), **where)
    leaves, hashes = members(made)["leaves"], members(made)["hashes"]
    yield member("half a leaf", "proof.hashes", put("leaves", leaves[:-1]), member="leaves")
    yield member("half a hash", "proof.hashes", put("hashes", hashes[:-1]), member="hashes")
    yield member("more leaves", "proof.hashes", put("leaves", leaves + bytes(32)), member="leaves")
    yield member("more hashes", "proof.hashes", put("hashes", hashes + bytes(32)), member="hashes")
    fewer = put("leaves", leaves[:-32])
    yield member("fewer leaves", "leaf.mismatch", fewer, position=last, **where)
    yield member("fewer hashes", "proof.hashes", put("hashes", hashes[:-32]), member="hashes")
    other = put("hashes", hashes[:-32] + bytes(32))
    yield member("other hashes", "checkpoint.root", other, field="root")
    salted = world(lambda made: made.log.drafts[1].update(salt="5a" * 16))
    note = put("checkpoint", members(salted)["checkpoint"])
    yield member("the note of another tree", "checkpoint.root", note, field="root")
    yield logged("no invoice", "proof.invoice", nothing, select=without("invoice"), **where)

    def twice(made: World) -> None:
        made.log.drafts[-1] = {
            **made.log.drafts[made.at["invoice"]],
            "position": len(made.log.drafts) - 1,
        }

    yield logged("two invoices", "proof.invoice", twice, select=with_("beat"), **where)


def refiled(made: World, data: bytes, **changes: Any) -> None:
    """The invoice of another file, which it seals."""
    del made.log.drafts[made.at["invoice"] :]
    pw.finish(made, data, **changes)


def _of_file() -> Iterator[WrongProof]:
    def case(name: str, code: str, data: bytes, **more: Any) -> WrongProof:
        place = {"position": at("invoice"), "member": "invoice.json", **more}
        return logged(name, f"proof.{code}", lambda made: refiled(made, data), **place)

    right = world().log.files[pw.FILE]
    place: dict[str, Any] = {"position": world().at["invoice"], "member": "invoice.json"}
    for name, data in (
        ("a changed file", right.replace(b"USD", b"EUR")),
        ("a longer file", right + b" "),
    ):
        yield member(name, "proof.file", put("invoice.json", data), **place)
    yield case("a file of nothing", "file", b"")
    yield case("a deep file", "file", b"[" * 100_000)
    yield case("a list for a file", "format", b"[]")
    yield case("another format of file", "format", right.replace(b"invoice/1", b"invoice/9"))
    lines = right[right.index(b'"lines":') : right.index(b',"total_pico"')]
    yield case("no lines", "file", right.replace(lines, b'"lines":{}'))
    yield case(
        "simulated is a number", "file", right.replace(b'"simulated":true', b'"simulated":1')
    )
    yield case(
        "a line that is none",
        "file",
        right.replace(b'"lines":[', b'"lines":[1,'),
        table="lines",
        row=0,
    )
    true = right.replace(b'"shown_minor":2400', b'"shown_minor":true')
    yield case("true for an amount", "file", true, table="lines", row=0)
    wrong = fact("invoice", number="INV-2")
    data = strict.encode({"format": "gpuaas-invoice-proof/2", "number": pw.NUMBER, "line": None})
    assert data == members(world())["proof.json"]
    yield logged(
        "the fact has another number", "proof.head", wrong, member="proof.json", field="number"
    )
    wrong = fact("invoice", more=1)
    yield logged("a fact of other fields", "fact.malformed", wrong, field="fact")


def _of_entries() -> Iterator[WrongProof]:
    first = at("first")
    yield logged(
        "no entry 0", "proof.missing", nothing, select=lambda _, p: p.remove(0), position=0
    )
    other = fact("opened", origin="log.test.example/1123456789abcdef")
    yield logged("another origin", "checkpoint.origin", other, position=0, field="origin")
    vkey = Vkey(ORIGIN, public_key(private_key("stranger"))).format()
    key = fact("opened", vkey=vkey)
    yield logged("another key", "entry.opened_key", key, position=0, field="vkey")
    wrong = draft("storage", prev="00" * 32)
    both = with_("other")
    where: dict[str, Any] = {"position": at("storage"), "field": "prev"}
    yield logged("not after its neighbour", "entry.prev", wrong, select=both, **where)
    late = draft("account", at_us=1 << 61)
    there = chosen(world())[chosen(world()).index(world().at["account"]) + 1]
    yield logged("time runs back", "entry.at_us", late, position=there, field="at_us")
    later = draft("first", cause="pos:999")
    yield logged("caused by what came later", "entry.malformed", later, field="cause")
    yield logged("no such actor", "entry.malformed", draft("first", actor="me"), field="actor")
    yield logged("another stream", "entry.wrong_stream", draft("first", stream=uid("node", 1)), position=first,
                  field="stream")  # fmt: skip
    yield logged(
        "a fact of other keys",
        "fact.malformed",
        fact("first", more=1),
        position=first,
        field="fact",
    )
    usable = f"{BRIEF} usable"

    def unsigned(made: World) -> None:
        made.log.drafts[made.at[usable]]["fact"]["attested"]["sig"] = "AA=="

    yield logged("not signed", "attest.bad_signature", unsigned, position=at(usable), field="sig")
    early = fact("node", key=public_key(private_key("stranger")).hex())
    yield logged(
        "the node had another key",
        "attest.wrong_key",
        early,
        position=at("node anchor"),
        field="key",
    )
    later = fact(usable, usable_us=START_US + 3 * HOUR_US)
    yield logged(
        "another instant", "attest.wrong_instant", later, position=at(usable), field="usable_us"
    )
