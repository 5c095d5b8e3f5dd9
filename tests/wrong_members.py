"""Bundles, receipts and keys that are wrong in one thing only, the rest made to agree."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from gpuaas_verify import strict
from gpuaas_verify.merkle import complete_root, leaf_hash, root_hash
from gpuaas_verify.note import sign_note
from gpuaas_verify.source import frame, framed
from tests.bundles import (
    LOG_KEY,
    LOG_VKEY,
    ORIGIN,
    LogDraft,
    beating_log,
    enrolled,
    launched,
    priced,
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


def tree_cases() -> Iterator[Wrong]:
    """A full tile above full ones: 65,536 leaves, of which only the roots of their tiles are needed."""
    roots = [sha256(b"%d" % number).digest() for number in range(256)]
    whole = b"".join(roots)
    above = complete_root(whole)
    flipped = b"".join([*roots[:3], bytes(32), *roots[4:]])
    yield Wrong("a full upper tile", "valid", {}, kind="tree", data=(whole, whole, above))
    place = {"position": 3 << 8, "member": "tile/1/000"}
    name = "another full upper tile"
    yield Wrong(name, "tile.mismatch", place, kind="tree", data=(whole, flipped, above))


def book_cases() -> Iterator[Wrong]:
    """Rows that are sealed as they are and not what the entries give."""

    def dearer(log: LogDraft) -> None:
        row = strict.decode(log.rows[RATED][0])
        log.rows[RATED] = [strict.encode({**row, "line_amount_pico": 1})]
        log.drafts[10]["fact"]["root"] = root_hash([leaf_hash(log.rows[RATED][0])]).hex()

    place: dict[str, Any] = {"table": "rated_interval", "row": 0, "field": "line_amount_pico"}
    yield log_case("a row of another amount", "books.row_differs", dearer, **place)


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
    members = tree_members(beating_log(530).entries())
    name = "tile/1/000.p/2"
    changed = {**members, name: members[name][:32] + bytes(32)}
    place: dict[str, Any] = {"position": 256, "member": name}
    yield Wrong("another hash in a higher tile", "tile.mismatch", place, data=(tar_of(changed),))
    bundle = "tile/entries/001"
    partial = {**members, "tile/0/000.p/13": b""}
    wider: dict[str, Any] = {"member": "tile/0/000.p/13"}
    yield Wrong("a part of a full tile", "member.unexpected", wider, data=(tar_of(partial),))
    huge = {**members, bundle: bytes(256 * 65_537 + 1)}
    where: dict[str, Any] = {"member": bundle}
    yield Wrong("an entry bundle without bound", "entries.malformed", where, data=(tar_of(huge),))


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
        yield case(f"a row whose {name} is {value!r}", "malformed", with_field(name, value), name)
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

    yield case("a file superseded by another", "renamed", old, "supersedes", 13)
    here = "file/export.csv"
    gone: dict[str, Any] = {"position": 12, "member": here}
    yield member_case("no file", "file.missing", lambda m: m.pop(here), **gone)
    yield member_case("a file of other bytes", "file.bytes", setting({here: b"x" * 18}), **gone)
    yield member_case("a file of other size", "file.bytes", setting({here: b"x"}), **gone)
    sized = fact(12, bytes=19)
    yield log_case("a file sealed with another size", "file.bytes", sized, **gone)
    extra = "file/x.csv"
    yield member_case("a file unsealed", "member.unexpected", setting({extra: b""}), member=extra)


def header_cases() -> Iterator[Wrong]:
    for name, size in (("x" * 101, 1), ("y" * 156 + "/x", 1), ("", 1), ("x", -1), ("x", 8**11)):
        where, data = {"member": name}, (name.encode(), str(size).encode())
        yield Wrong(f"{len(name)} {size}", "tar.header", where, kind="header", data=data)


def directory_cases() -> Iterator[Wrong]:
    tar = small_log().tar()

    def case(name: str, code: str, *spoiled: bytes, **place: Any) -> Wrong:
        return Wrong(name, code, place, kind="directory", data=(tar, *spoiled))

    yield case("a directory", "valid")
    link: dict[str, Any] = {"member": "checkpoint"}
    yield case("a link to a checkpoint", "member.not_regular", b"link checkpoint", **link)
    yield case("a link beside", "member.not_regular", b"file x", b"link x", member="x")
    yield case("a linked folder", "member.not_regular", b"link bulk", member="bulk")
    yield case("a pipe", "member.not_regular", b"pipe x", member="x")
    yield case("a file beside", "member.unexpected", b"file x", member="x")
    endless = "file/" + "x" * 120
    yield case("a long name", "member.unexpected", b"file " + endless.encode(), member=endless)


def member_cases() -> list[Wrong]:
    makers = (
        tar_cases, tile_cases, tree_cases, book_cases, seal_cases, row_cases, file_cases, header_cases, directory_cases,
    )  # fmt: skip
    return [wrong for make in makers for wrong in make()]
