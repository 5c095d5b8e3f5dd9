"""Notes, keys, receipts, proofs and JSON that are wrong in one thing only, the rest made to agree."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from gpuaas_verify import strict
from gpuaas_verify.checkpoint import Checkpoint
from gpuaas_verify.entry import parse_entry
from gpuaas_verify.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, nodes_of, root_hash
from gpuaas_verify.note import COSIGNATURE, Vkey, cosign, sign_note, signature_line
from gpuaas_verify.receipt import format_proof
from tests.bundles import (
    LOG_KEY,
    LOG_VKEY,
    ORIGIN,
    START_US,
    private_key,
    public_key,
    small_log,
    tar_of,
    tree_members,
)
from tests.wrong_logs import Wrong, put

WITNESS_KEY = private_key("witness")
WITNESS = Vkey("witness.example", public_key(WITNESS_KEY), COSIGNATURE)
OTHER_KEY = Vkey(ORIGIN, public_key(private_key("other")))


def note_cases() -> Iterator[Wrong]:
    members = small_log().members()
    good = members["checkpoint"]
    text = good.decode().partition("\n\n")[0] + "\n"
    root = text.split("\n")[2]

    def case(name: str, code: str, note: bytes, keys: int = 1, **more: Any) -> Wrong:
        data = tar_of({**members, "checkpoint": note})
        place = more.pop("place", {})
        chosen = (LOG_VKEY.format(), OTHER_KEY.format())[:keys]
        return Wrong(name, code, place, data=(data,), keys=chosen, **more)

    def signed(text: str) -> bytes:
        return sign_note(text, LOG_VKEY, LOG_KEY.sign)

    malformed = {
        "not UTF-8": b"\xff" + good,
        "a tab": good.replace(b"13", b"1\t3", 1),
        "without blank line": good.replace(b"\n\n", b"\n"),
        "without text": b"\n\n" + good.partition(b"\n\n")[2],
        "without last newline": good[:-1],
        "with another last byte": good[:-1] + b"x",
        "with a word more in a line": good[:-1] + b" x\n",
        "of many lines": good + good.partition(b"\n\n")[2] * 40,
        "with another dash": good.replace("—".encode(), b"-"),
        "of an unnamed key": good.replace("— ".encode() + ORIGIN.encode(), "— ".encode()),
        "of a key with plus": good.replace("— ".encode(), "— +".encode()),
        "with base64 spelled otherwise": respelled(good),
        "with no base64": good[:-9] + b"*" + good[-8:],
        "with a signature of 4 bytes": signature_only(text, b""),
    }
    for name, note in malformed.items():
        yield case(f"a note {name}", "note.malformed", note)
    huge: dict[str, Any] = {"member": "checkpoint"}
    yield case("a note of 70,000 bytes", "note.oversized", good + b"x" * 70_000, place=huge)
    yield case("a note signed with other bytes", "note.bad_signature", bad_signature(text))
    short = (text + "\n" + signature_line(LOG_VKEY, b"x")).encode()
    yield case("a note with a short signature", "note.bad_signature", short)
    stranger = sign_note(text, OTHER_KEY, private_key("other").sign)
    yield case("a note of a stranger", "note.unknown_signature", stranger)
    yield case("a line of a stranger", "note.unknown_signature", good + stranger.split(b"\n\n")[1])
    yield case("a line twice", "note.repeated_signature", good + good.split(b"\n\n")[1])
    yield case("a note another known key did not sign", "note.bad_signature", forged(text), keys=2)
    checkpoints = {
        "two lines": (text.rpartition(root)[0], None),
        "an extension line": (text + "x\n", None),
        "no origin": ("\n" + text.partition("\n")[2], "origin"),
        "a long origin": ("x" * 256 + "\n" + text.partition("\n")[2], "origin"),
        "a size with zero": (text.replace("\n13\n", "\n013\n"), "size"),
        "a size with plus": (text.replace("\n13\n", "\n+13\n"), "size"),
        "a size in other digits": (text.replace("\n13\n", "\n1\u0663\n"), "size"),
        "a size without bound": (text.replace("\n13\n", f"\n{1 << 62}\n"), "size"),
        "a short root": (text.replace(root, b64encode(b"x").decode()), "root"),
        "a root with white space": (text.replace(root, root + " "), None),
        "a root of an empty log": (text.replace("\n13\n", "\n0\n"), "root"),
    }
    for name, (changed, field) in checkpoints.items():
        place = {} if field is None else {"field": field}
        yield case(
            f"a checkpoint with {name}", "checkpoint.malformed", signed(changed), place=place
        )
    empty = signed(Checkpoint(ORIGIN, 0, EMPTY_ROOT).format())
    yield case("an empty log", "checkpoint.empty", empty)
    yield from witness_cases(text, good, case)


def respelled(note: bytes) -> bytes:
    """The signature's last character changed in the bits that carry nothing."""
    head, _, tail = note.rpartition(b"=")
    del tail
    letter = head.rstrip(b"=")[-1:]
    return note.replace(letter + b"=", bytes([letter[0] + 1]) + b"=")


def signature_only(text: str, blob: bytes) -> bytes:
    return (text + "\n" + signature_line(LOG_VKEY, blob)).encode()


def bad_signature(text: str) -> bytes:
    return sign_note(text, LOG_VKEY, lambda _: bytes(64))


def forged(text: str) -> bytes:
    good = sign_note(text, LOG_VKEY, LOG_KEY.sign).decode()
    return (good + signature_line(OTHER_KEY, bytes(64))).encode()


def witness_cases(text: str, good: bytes, case: Callable[..., Wrong]) -> Iterator[Wrong]:
    watched: dict[str, Any] = {"witnesses": (WITNESS.format(),)}

    def seen(time_s: int, sign: Callable[[bytes], bytes]) -> bytes:
        return good + cosign(text, WITNESS, time_s, sign).encode()

    right = seen(1_700_000_000, WITNESS_KEY.sign)
    yield case("no witness", "witness.quorum", good, quorum=1, **watched)
    yield case("one witness of two", "witness.quorum", right, quorum=2, **watched)
    alias = Vkey("other.example", WITNESS.public, COSIGNATURE)
    twice = right + cosign(text, alias, 1_700_000_000, WITNESS_KEY.sign).encode()
    names = (WITNESS.format(), alias.format())
    yield case("one witness by two names", "witness.quorum", twice, quorum=2, witnesses=names)
    names = (WITNESS.format(), WITNESS.format())
    yield case("one witness named twice", "witness.quorum", right, quorum=2, witnesses=names)
    yield case("a witness nobody named", "note.unknown_signature", right)
    wrong = seen(1_700_000_000, lambda _: bytes(64))
    yield case("a witness's wrong signature", "note.bad_signature", wrong, **watched)
    late = seen(1 << 63, WITNESS_KEY.sign)
    yield case("a witness out of time", "note.bad_signature", late, **watched)
    alone = (text + "\n" + cosign(text, WITNESS, 1, WITNESS_KEY.sign)).encode()
    yield case("a witness alone", "note.unsigned", alone, **watched)
    plain = good + signature_line(WITNESS, WITNESS_KEY.sign(text.encode())).encode()
    yield case("a witness that did not say when", "note.bad_signature", plain, **watched)


def capitals() -> str:
    """A vkey whose id has a letter, spelled with a capital."""
    public = public_key(LOG_KEY)
    keys = (Vkey(f"log{number}.example", public) for number in range(99))
    name, key_id, material = next(k for k in keys if k.id.hex()[0] == "a").format().split("+", 2)
    return f"{name}+{key_id.upper()}+{material}"


def key_cases() -> Iterator[Wrong]:
    good = LOG_VKEY.format()
    name, key_id, material = good.split("+", 2)
    raw = b64decode(material)
    for what, text in {
        "without parts": "x",
        "long": good + "A" * 2_000,
        "unnamed": f"+{key_id}+{material}",
        "with a control character": Vkey("lo\x01g", raw[1:]).format(),
        "with a name too long": Vkey("x" * 1_000, raw[1:]).format(),
        "with a space": good.replace("log", "lo g"),
        "of another id": f"{name}+00000000+{material}",
        "of an id in capitals": capitals(),
        "of another name": good.replace("log", "gol"),
        "of another type": Vkey(name, raw[1:], 2).format(),
        "too short": Vkey(name, raw[1:32]).format(),
        "in no base64": f"{name}+{key_id}+*",
        "in base64 spelled otherwise": good + "\n",
    }.items():
        yield Wrong(f"a key {what}", "vkey.malformed", {}, kind="vkey", keys=(text,))


def known_cases() -> Iterator[Wrong]:
    raws = small_log().entries()
    tar = (small_log().tar(),)
    rewritten = small_log(put(2, salt="00" * 16)).entries()
    fork = tree_members(rewritten[:3])["checkpoint"]
    yield Wrong("another root before", "checkpoint.fork", {}, data=tar, known=(fork,))
    same = tree_members(rewritten)["checkpoint"]
    yield Wrong("another root of this size", "checkpoint.fork", {}, data=tar, known=(same,))
    later = tree_members([*raws, b"x"])["checkpoint"]
    yield Wrong("a larger size before", "checkpoint.rollback", {}, data=tar, known=(later,))
    text = Checkpoint("other.example/0", 1, bytes(32)).format()
    elsewhere = sign_note(text, LOG_VKEY, LOG_KEY.sign)
    whole = small_log().members()["checkpoint"]
    repeated = whole + whole.split(b"\n\n")[1]
    empty = sign_note(Checkpoint(ORIGIN, 0, EMPTY_ROOT).format(), LOG_VKEY, LOG_KEY.sign)
    for name, note in (("whole", whole), ("with a line twice", repeated), ("of nothing", empty)):
        yield Wrong(f"a right known note {name}", "valid", {}, data=tar, known=(note,))
    yield Wrong("a note of another log", "unreadable", {}, data=tar, known=(elsewhere,))
    lie = Checkpoint(ORIGIN, 5, bytes(32)).format()
    for name, forger in (("of a stranger", OTHER_KEY), ("by another key", LOG_VKEY)):
        forged_note = sign_note(lie, forger, private_key("other").sign)
        yield Wrong(f"a known note {name}", "unreadable", {}, data=tar, known=(forged_note,))
    yield Wrong("a known note that is none", "unreadable", {}, data=tar, known=(b"x",))
    old: dict[str, Any] = {"position": 12, "field": "at_us"}
    late: dict[str, Any] = {"max_age_s": 60, "now_us": START_US + 62_000_000}
    yield Wrong("an old log", "checkpoint.stale", old, data=tar, **late)


def receipt_cases() -> Iterator[Wrong]:
    raws = small_log().entries()
    leaves = [leaf_hash(raw) for raw in raws]
    note = tree_members(raws)["checkpoint"]

    def proof(index: int) -> bytes:
        return format_proof(index, inclusion_proof(index, 13, nodes_of(leaves)), note)

    def case(name: str, code: str, entry: bytes, data: bytes, **place: Any) -> Wrong:
        return Wrong(name, code, place, kind="receipt", data=(entry, data))

    good = proof(3)
    for name, data in {
        "long": good + b"x" * 80_000,
        "without blank line": good.replace(b"\n\n", b"\n"),
        "not ASCII": good.replace(b"index", "índex".encode()),
        "of another version": good.replace(b"@v1", b"@v2"),
        "without index": b"c2sp.org/tlog-proof@v1\n\n" + note,
        "with extra": good.replace(b"index", b"extra eA==\nindex"),
        "without anything after": good.partition(b"\n\n")[0],
        "with a bare index": good.replace(b"index 3", b"3"),
        "with index 03": good.replace(b"index 3", b"index 03"),
        "with a short hash": good.replace(b"index 3\n", b"index 3\neA==\n"),
        "with a hash in no base64": good.replace(b"index 3\n", b"index 3\n*\n"),
        "with 65 hashes": good.replace(
            b"index 3\n", b"index 3\n" + 65 * (good.split(b"\n")[2] + b"\n")
        ),
    }.items():
        yield case(f"a proof {name}", "proof.malformed", raws[3], data)
    text = f"{ORIGIN}\n13\n" + "x\n" * 33_000
    endless = sign_note(text, LOG_VKEY, LOG_KEY.sign)
    long = format_proof(3, inclusion_proof(3, 13, nodes_of(leaves)), endless)
    yield case("a proof with an endless note", "note.malformed", raws[3], long)
    yield case("an entry that ends otherwise", "json.not_canonical", raws[3][:-1] + b"]", good)
    here: dict[str, Any] = {"position": 3, "field": "position"}
    yield case("a proof of another index", "entry.position", raws[3], proof(4), **here)
    dropped = good.replace(good.split(b"\n")[2] + b"\n", b"")
    yield case("a proof without a hash", "proof.inclusion", raws[3], dropped)
    zero = b64encode(bytes(32))
    changed = good.replace(good.split(b"\n")[2], zero)
    yield case("a proof with another hash", "proof.inclusion", raws[3], changed)
    outside = strict.encode({**parse_entry(raws[12])._asdict(), "position": 13})
    data = format_proof(13, [], note)
    yield case("a proof outside the tree", "proof.inclusion", outside, data)
    other = strict.encode({**parse_entry(raws[3])._asdict(), "salt": "00" * 16})
    yield case("another entry", "proof.inclusion", other, good)
    filler = b'"region":"' + b"x" * (65_537 - len(raws[3])) + b'"'
    oversized = raws[3].replace(b'"region":"-"', filler)
    yield case("an entry of 65,536 bytes", "json.not_canonical", oversized, good)
    hidden = strict.encode({**parse_entry(raws[3])._asdict(), "tag": "gpuaas.price.x.v1"})
    yield case("an unknown tag", "entry.unknown_tag", hidden, good, position=3, field="tag")
    moved = sign_note(Checkpoint("o/1", 13, root_hash(leaves)).format(), LOG_VKEY, LOG_KEY.sign)
    first = format_proof(0, inclusion_proof(0, 13, nodes_of(leaves)), moved)
    where: dict[str, Any] = {"position": 0, "field": "origin"}
    yield case("an origin not of entry 0", "checkpoint.origin", raws[0], first, **where)
    strange = small_log()
    strange.drafts[0]["fact"]["vkey"] = OTHER_KEY.format()
    strange_raws = strange.entries()
    hashes = [leaf_hash(raw) for raw in strange_raws]
    of_zero = inclusion_proof(0, 13, nodes_of(hashes))
    data = format_proof(0, of_zero, tree_members(strange_raws)["checkpoint"])
    where = {"position": 0, "field": "vkey"}
    yield case("entry 0 of another key", "entry.opened_key", strange_raws[0], data, **where)
    silent = parse_entry(raws[8])._asdict()
    silent["fact"] = {
        **silent["fact"],
        "attested": {**silent["fact"]["attested"], "sig": zero.decode()},
    }
    unsigned = strict.encode(silent)
    place: dict[str, Any] = {"position": 8, "field": "sig"}
    yield case("words unsigned", "attest.bad_signature", unsigned, proof(8), **place)


def consistency_cases() -> Iterator[Wrong]:
    """Proofs between two sizes, as a signer checks them: (size1, size2, root1, root2, hashes…)."""
    one, two = sha256(b"1").digest(), sha256(b"2").digest()

    def case(name: str, *data: bytes) -> Wrong:
        return Wrong(name, "proof.consistency", {}, kind="consistency", data=data)

    yield case("from nothing", b"0", b"2", one, two)
    yield case("backwards", b"2", b"1", one, two)
    yield case("the same size, another root", b"2", b"2", one, two)
    yield case("the same size, a proof", b"2", b"2", one, one, one)
    yield case("no proof", b"1", b"2", one, two)
    yield case("a hash of another size", b"1", b"2", one, two, b"x")
    yield case("a hash too many", b"1", b"2", one, two, two, two)
    yield case("to another root", b"1", b"2", one, two, two)


def json_cases() -> Iterator[Wrong]:
    for data in (
        b"", b'{"a": 1}', b'{"a":1}\n', b'{"a":1}\t', b'{"a":1}\r', b'{"a":1,"a":1}', b'{"a":"\\u0041"}', b'{"a":-0}',
        b'{"a":[-0]}', b'{"a":[1,-0]}', b'{"a":1.0}', b'{"a":NaN}', b'{"a":' + b"1" * 39 + b"}", b"[1]", b"1", b"{}{}",
        b'{"a":' * 16 + b"{}" + b"}" * 16, b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}", b'{"a":"\xff"}',
        b'{"a":"\x7f"}', '{"a":"\ufffe"}'.encode(), b'{"a":"' + b"a" * 65_528 + b'"}', b'{"a":"\\/"}',
        b'{"a":{"b":1,"b":1}}', b'{"a":[{"b":1,"b":1}]}', b'{"\x7f":1}', b'{"a":[' + b"1" * 39 + b"]}",
    ):  # fmt: skip
        name = f"JSON {data[:20]!r} of {len(data)}"
        yield Wrong(name, "json.not_canonical", {}, kind="json", data=(data,))


def value_cases() -> Iterator[Wrong]:
    for value in ("{1:2}", "{'a':1.5}", "{'a':(1,)}", "{'a':b''}", "{'a':'\\x00'}", f"[{10**38}]"):
        data = (value.encode(),)
        yield Wrong(f"the value {value}", "json.not_canonical", {}, kind="value", data=data)


def note_and_proof_cases() -> list[Wrong]:
    makers = (
        note_cases, key_cases, known_cases, receipt_cases, consistency_cases, json_cases, value_cases,
    )  # fmt: skip
    return [wrong for make in makers for wrong in make()]
