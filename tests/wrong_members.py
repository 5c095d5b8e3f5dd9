"""Bundles, receipts and keys that are wrong in one thing only, the rest made to agree."""

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
from gpuaas_verify.source import frame, framed
from tests.bundles import (
    LOG_KEY,
    LOG_VKEY,
    ORIGIN,
    START_US,
    LogDraft,
    enrolled,
    launched,
    opened,
    priced,
    private_key,
    public_key,
    salted,
    small_log,
    stopped,
    tar_of,
    tree_members,
    uid,
)
from tests.wrong_logs import Edit, Wrong, fact, log_case, put

type Members = dict[str, bytes]
RATED, TRANSFER = "bulk/rated_interval/0", "bulk/transfer/0"
WITNESS_KEY = private_key("witness")
WITNESS = Vkey("witness.example", public_key(WITNESS_KEY), COSIGNATURE)
OTHER_KEY = Vkey(ORIGIN, public_key(private_key("other")))


def member_case(name: str, code: str, edit: Callable[[Members], object], **place: Any) -> Wrong:
    members = small_log().members()
    edit(members)
    return Wrong(name, code, place, data=(tar_of(members),))


def setting(changes: Members) -> Callable[[Members], object]:
    return lambda members: members.update(changes)


def tar_cases() -> Iterator[Wrong]:
    tar = small_log().tar()

    def case(name: str, code: str, data: bytes, member: str | None = None) -> Wrong:
        place: dict[str, Any] = {} if member is None else {"member": member}
        return Wrong(name, f"tar.{code}", place, data=(data,))

    first, last = RATED, "tile/entries/000.p/13"
    size = len(small_log().members()[RATED])
    padded = 512 + size
    yield case("nothing", "truncated", b"", "")
    yield case("no end", "truncated", tar[:-1024], last)
    yield case("an end too short", "end", tar[:-1], last)
    yield case("an end too long", "end", tar + b"\0", last)
    yield case("cut inside a member", "truncated", tar[:600], first)
    yield case("another mode", "header", tar[:100] + b"0000600\0" + tar[108:], first)
    yield case("a name that is not ASCII", "header", b"\xff" + tar[1:])
    yield case("a size that is no number", "header", tar[:124] + b"x" + tar[125:])
    yield case("padding", "padding", tar[:padded] + b"x" + tar[padded + 1 :], first)
    doubled = tar[:1024] + tar
    yield case("a member twice", "order", doubled, first)
    prefixed = tar[:345] + b"y" + tar[346:]
    yield case("a name split otherwise", "header", prefixed, f"y/{first}")
    endless = b"x" * 100 + tar[100:345] + b"y" * 155 + tar[500:]
    yield case("a name too long", "header", endless, "y" * 155 + "/" + "x" * 100)


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
        "long": good + b"x" * 70_000,
        "not UTF-8": b"\xff" + good,
        "a tab": good.replace(b"13", b"1\t3", 1),
        "without blank line": good.replace(b"\n\n", b"\n"),
        "without text": b"\n\n" + good.partition(b"\n\n")[2],
        "without last newline": good[:-1],
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
    yield case("a note signed with other bytes", "note.bad_signature", bad_signature(text))
    short = (text + "\n" + signature_line(LOG_VKEY, b"x")).encode()
    yield case("a note with a short signature", "note.bad_signature", short)
    stranger = sign_note(text, OTHER_KEY, private_key("other").sign)
    yield case("a note of a stranger", "note.unknown_signature", stranger)
    yield case("a line of a stranger", "note.unknown_signature", good + stranger.split(b"\n\n")[1])
    yield case("a line twice", "note.repeated_signature", good + good.split(b"\n\n")[1])
    yield case("a note another known key did not sign", "note.bad_signature", forged(text), keys=2)
    checkpoints = {
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


def tile_cases() -> Iterator[Wrong]:
    tile, entries = "tile/0/000.p/13", "tile/entries/000.p/13"
    small = small_log().members()

    def case(name: str, code: str, edit: Callable[[Members], object], **place: Any) -> Wrong:
        return member_case(name, code, edit, **place)

    yield case("no checkpoint", "note.missing", lambda m: m.pop("checkpoint"), member="checkpoint")
    yield case("no tile", "tile.missing", lambda m: m.pop(tile), member=tile)
    yield case("no entry bundle", "tile.missing", lambda m: m.pop(entries), member=entries)
    longer = {tile: small[tile] + bytes(32)}
    yield case("a tile too long", "tile.size", setting(longer), member=tile)
    for name in (
        "x", "file", "bulk", "tile", "checkpoint2", "tile/0/000", "tile/0/001.p/13", "tile/1/000.p/1", "tile/0/x000/000.p/13",
        "tile/0/000.p/12", "tile/entries/000", "tile/00/000.p/13", "tile/0/000.p/013",
    ):  # fmt: skip
        code = "member.unexpected"
        yield case(f"member {name}", code, setting({name: b""}), member=name)
    flipped = {tile: small[tile][:64] + bytes(32) + small[tile][96:]}
    place = {"position": 2, "member": entries}
    yield case("another leaf in a tile", "leaf.mismatch", setting(flipped), **place)
    raws = small_log().entries()
    for what, data, code, position in (
        ("an entry more", frame([*raws, b"x"]), "entries.count", 13),
        ("an entry less", frame(raws[:-1]), "entries.count", 12),
        (
            "an entry without bytes",
            frame(raws[:5]) + bytes(2) + frame(raws[5:]),
            "entries.malformed",
            5,
        ),
        ("an entry cut off", frame(raws)[:-1], "entries.malformed", 12),
        ("half a length", frame(raws) + b"\0", "entries.malformed", 13),
    ):
        changed = {entries: data}
        yield case(what, code, setting(changed), position=position, member=entries)
    other = tree_members(raws[:12])["checkpoint"].split(b"\n")[2]
    text = f"{ORIGIN}\n13\n{other.decode()}\n"
    note = {"checkpoint": sign_note(text, LOG_VKEY, LOG_KEY.sign)}
    yield case("another root", "checkpoint.root", setting(note), field="root")
    yield from high_tile_cases()


def high_tile_cases() -> Iterator[Wrong]:
    log = opened()
    for version in range(2, 531):
        log.add(uid("log", 0), "log.heartbeat", {})
        log.drafts[-1]["version"] = version
    members = tree_members(log.entries())
    name = "tile/1/000.p/2"
    changed = {**members, name: members[name][:32] + bytes(32)}
    place: dict[str, Any] = {"position": 256, "member": name}
    yield Wrong("another hash in a higher tile", "tile.mismatch", place, data=(tar_of(changed),))
    bundle = "tile/entries/001"
    huge = {**members, bundle: bytes(256 * 65_537 + 1)}
    where: dict[str, Any] = {"member": bundle}
    yield Wrong("an entry bundle without bound", "entries.malformed", where, data=(tar_of(huge),))


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
    yield Wrong("a note of another log", "unreadable", {}, data=tar, known=(elsewhere,))
    yield Wrong("a known note that is none", "unreadable", {}, data=tar, known=(b"x",))
    old: dict[str, Any] = {"position": 12, "field": "at_us"}
    late: dict[str, Any] = {"max_age_s": 60, "now_us": START_US + 62_000_000}
    yield Wrong("an old log", "checkpoint.stale", old, data=tar, **late)


def two_rows(log: LogDraft) -> None:
    priced(log)
    enrolled(log)
    for number in (3, 30):
        launched(log, uid("runtime", number))
        stopped(log, uid("runtime", number))
    log.seal_books()


def seal_cases() -> Iterator[Wrong]:
    def case(name: str, code: str, edit: Edit, field: str, position: int = 11) -> Wrong:
        return log_case(name, f"seal.{code}", edit, position=position, field=field)

    yield case("a seal of another table", "table", fact(11, table="rated_interval"), "table")
    yield case("a seal of no table", "table", fact(11, table="x"), "table")
    yield case("a seal by a user", "actor", put(11, actor="user-1"), "actor")
    yield case("a seal that leaves a gap", "gap", fact(11, first_row=1), "first_row")
    yield case("a seal of nothing", "gap", fact(11, count=0), "first_row")
    yield case("a first seal with one before", "prev", fact(11, prev_seal=10), "prev_seal")
    yield case("a seal through itself", "through", fact(11, through=11), "through")
    yield case("a seal through nothing", "through", fact(11, through=-1), "through")
    for name, code, edit, where in (
        ("a root of other rows", "root", fact(11, root="00" * 32), "root"),
        ("another sum", "sum", fact(11, amount_sum_pico=1), "amount_sum_pico"),
    ):
        place: dict[str, Any] = {"position": 11, "table": "transfer", "row": 0, "field": where}
        yield log_case(name, f"seal.{code}", edit, **place)
    more = fact(11, count=2)
    where2: dict[str, Any] = {"table": "transfer", "row": 1}
    yield log_case("more sealed than there is", "seal.count", more, **where2)
    members = small_log().members()
    rows = [*framed(iter((members[TRANSFER],)), "", ""), b"{}"]
    twice = {TRANSFER: frame(rows)}
    yield member_case("a row more", "seal.count", setting(twice), **where2)
    gone: dict[str, Any] = {"position": 11, "member": TRANSFER}
    yield member_case("no rows", "seal.missing", lambda m: m.pop(TRANSFER), **gone)
    extra = "bulk/transfer/1"
    yield member_case("rows unsealed", "member.unexpected", setting({extra: b""}), member=extra)

    def again(**changes: Any) -> Callable[[LogDraft], None]:
        def edit(log: LogDraft) -> None:
            rows = [salted({**strict.decode(log.rows[TRANSFER][0]), "row": 1})]
            log.seal("transfer", rows, through=12)
            log.drafts[-1]["fact"].update(changes.pop("fact", {}))
            log.drafts[-1].update(changes)

        return edit

    yield case(
        "a seal that forgets the last", "prev", again(fact={"prev_seal": None}), "prev_seal", 13
    )
    yield case("a seal that repeats rows", "gap", again(fact={"first_row": 0}), "first_row", 13)
    yield case("a seal not beyond the last", "through", again(fact={"through": 9}), "through", 13)
    stream = {"stream": uid("ledger", 99), "version": 1}
    yield case("a seal in another stream", "stream", again(**stream), "stream", 13)


def with_field(name: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {**row, name: value}


def row_cases() -> Iterator[Wrong]:
    """Rows that their seal agrees with, and that are wrong themselves."""

    def case(
        name: str, code: str, change: Callable[[dict[str, Any]], Any], field: str = ""
    ) -> Wrong:
        def edit(log: LogDraft) -> None:
            del log.drafts[11:]
            log.files.clear()
            row = log.rows.pop(TRANSFER)[0]
            changed = change(strict.decode(row))
            raw = changed if isinstance(changed, bytes) else strict.encode(changed)
            log.seal("transfer", [row], through=9)
            log.rows[TRANSFER] = [raw]
            log.drafts[-1]["fact"]["root"] = root_hash([leaf_hash(raw)]).hex()

        place: dict[str, Any] = {"table": "transfer", "row": 0}
        if field:
            place["field"] = field
        return log_case(name, f"row.{code}", edit, **place)

    yield case("a row with white space", "malformed", lambda row: strict.encode(row) + b" ")
    yield case("a row with a field more", "malformed", lambda row: {**row, "x": 1})
    yield case("a row in another order", "malformed", lambda row: {"salt": row["salt"], **row})
    wrong: dict[str, Any] = {"amount_pico": "1", "id": 1, "price": "1", "salt": "00"}
    for name, value in wrong.items():
        yield case(
            f"a row whose {name} is {value!r}",
            "malformed",
            lambda row, n=name, v=value: {**row, n: v},
            name,
        )
    yield case("a row of another number", "number", lambda row: {**row, "row": 1}, "row")
    empty = {TRANSFER: bytes(2)}
    yield member_case("a row without bytes", "row.malformed", setting(empty), member=TRANSFER)
    cut = {TRANSFER: b"\xff\xff{}"}
    yield member_case("a row cut off", "row.malformed", setting(cut), member=TRANSFER)


def file_cases() -> Iterator[Wrong]:
    def case(name: str, code: str, edit: Edit, field: str, position: int = 12) -> Wrong:
        return log_case(name, f"file.{code}", edit, position=position, field=field)

    def renamed(name: str) -> Callable[[LogDraft], None]:
        def edit(log: LogDraft) -> None:
            log.drafts[12]["fact"]["name"] = name

        return edit

    yield case("a file sealed by a user", "actor", put(12, actor="user-1"), "actor")
    for name in ("../x", "A", "", ".x", "x" * 101):
        yield case(f"a file named {name[:9]}", "malformed", renamed(name), "name")
    yield case("a file of -1 bytes", "malformed", fact(12, bytes=-1), "name")
    yield case("a file as of later", "malformed", fact(12, as_of_size=13), "as_of_size")
    yield case("a file as of -1", "malformed", fact(12, as_of_size=-1), "as_of_size")
    yield case("a file that supersedes none", "supersedes", fact(12, supersedes=3), "supersedes")

    def again(log: LogDraft, supersedes: int | None) -> None:
        log.seal_file("export.csv", b"other", supersedes)

    twice: Edit = lambda log: again(log, None)  # noqa: E731
    yield case("a file sealed twice", "repeated", twice, "name", 13)

    def thrice(log: LogDraft) -> None:
        again(log, 12)
        log.seal_file("other.csv", b"other", 12)

    yield case("a file superseded twice", "supersedes", thrice, "supersedes", 14)

    def old(log: LogDraft) -> None:
        log.seal_file("other.csv", b"other", 12)

    here = "file/export.csv"
    yield log_case("a superseded file", "member.unexpected", old, member=here)
    gone: dict[str, Any] = {"position": 12, "member": here}
    yield member_case("no file", "file.missing", lambda m: m.pop(here), **gone)
    yield member_case("a file of other bytes", "file.bytes", setting({here: b"x" * 18}), **gone)
    yield member_case("a file of other size", "file.bytes", setting({here: b"x"}), **gone)
    sized = fact(12, bytes=19)
    yield log_case("a file sealed with another size", "file.bytes", sized, **gone)
    extra = "file/x.csv"
    yield member_case("a file unsealed", "member.unexpected", setting({extra: b""}), member=extra)


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
        "with index 03": good.replace(b"index 3", b"index 03"),
        "with a short hash": good.replace(b"index 3\n", b"index 3\neA==\n"),
        "with a hash in no base64": good.replace(b"index 3\n", b"index 3\n*\n"),
        "with 65 hashes": good.replace(
            b"index 3\n", b"index 3\n" + 65 * (good.split(b"\n")[2] + b"\n")
        ),
    }.items():
        yield case(f"a proof {name}", "proof.malformed", raws[3], data)
    here = {"position": 3, "field": "position"}
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
    long = raws[3].replace(b'"region":"-"', b'"region":"' + b"x" * (65_537 - len(raws[3])) + b'"')
    yield case("an entry of 65,536 bytes", "json.not_canonical", long, good)
    hidden = strict.encode({**parse_entry(raws[3])._asdict(), "tag": "gpuaas.price.x.v1"})
    yield case("an unknown tag", "entry.unknown_tag", hidden, good, position=3, field="tag")
    moved = sign_note(Checkpoint("o/1", 13, root_hash(leaves)).format(), LOG_VKEY, LOG_KEY.sign)
    first = format_proof(0, inclusion_proof(0, 13, nodes_of(leaves)), moved)
    where: dict[str, Any] = {"position": 0, "field": "origin"}
    yield case("an origin not of entry 0", "checkpoint.origin", raws[0], first, **where)
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


def member_cases() -> list[Wrong]:
    makers = (
        tar_cases, note_cases, key_cases, tile_cases, known_cases, seal_cases, row_cases, file_cases, receipt_cases,
        consistency_cases, json_cases,
    )  # fmt: skip
    return [wrong for make in makers for wrong in make()]
