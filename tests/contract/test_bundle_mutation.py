"""Nothing in a bundle can be changed, and no history rewritten, without being refused."""

import contextlib
import io
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gpuaas_verify import attest, note
from gpuaas_verify.bundle import Report, Scope, Trust, verify_source
from gpuaas_verify.errors import Invalid
from gpuaas_verify.source import frame, framed
from gpuaas_verify.tarball import TarSource
from tests.bundles import (
    LOG_VKEY,
    LogDraft,
    beating_log,
    enrolled,
    launched,
    opened,
    priced,
    small_log,
    stopped,
    tar_of,
    tree_members,
    uid,
)

TRUST = Trust((LOG_VKEY,))
ENTRIES = "tile/entries/000.p/13"
TABLES = ("rated_interval", "transfer")


def judge(tar: bytes, trust: Trust = TRUST) -> Invalid | None:
    """The first failure of a bundle, None when it is valid."""
    report = Report()
    try:
        source = TarSource(io.BytesIO(tar))
    except Invalid as error:
        return error
    try:
        verify_source(source, trust, Scope(), report)
    finally:
        source.close()
    return report.error


def refused(tar: bytes, trust: Trust = TRUST) -> Invalid:
    error = judge(tar, trust)
    assert error is not None, "accepted"
    return error


def require_changes_refused(tar: bytearray, changes: int, seed: int) -> None:
    """Single-bit changes at random places of a valid bundle: none is judged valid."""
    chance = random.Random(seed)
    for _ in range(changes):
        at, bit = chance.randrange(len(tar)), 1 << chance.randrange(8)
        tar[at] ^= bit
        assert judge(bytes(tar)) is not None, f"bit {bit} of byte {at}"
        tar[at] ^= bit


def with_member(name: str, data: bytes) -> bytes:
    return tar_of({**small_log().members(), name: data})


def items_of(member: bytes) -> list[bytes]:
    return list(framed(iter((member,)), "", ""))


def other_log() -> LogDraft:
    """A log as real as the small one, of other facts, salts and moments."""
    log = small_log()
    for draft in log.drafts:
        draft["salt"] = draft["salt"][::-1]
        draft["at_us"] += 1_000_000
    return log


def test_the_bundle_the_others_are_changed_from_is_valid() -> None:
    """Otherwise every refusal below would prove nothing."""
    assert judge(small_log().tar()) is None
    assert judge(other_log().tar()) is None


def flips(tar: bytes, bits: range, step: int) -> Iterator[int]:
    """Bit numbers whose flip was accepted."""
    data = bytearray(tar)
    for bit in range(bits.start, bits.stop, step):
        data[bit >> 3] ^= 1 << (bit & 7)
        if judge(bytes(data)) is None:
            yield bit
        data[bit >> 3] ^= 1 << (bit & 7)


def test_one_bit_of_every_fifth_byte_cannot_change() -> None:
    """Headers, padding and end included; which bit differs from byte to byte."""
    tar = small_log().tar()
    # 41 and 8 have no common divisor: one hit after the other is of another bit.
    assert list(flips(tar, range(len(tar) * 8), 41)) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_no_single_bit_can_change(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every single-bit change of the whole tar is refused, in process.

    What is signed changes in a few of the changes only: each signature is verified once for the
    same key, words and bytes.
    """
    monkeypatch.setattr(note, "_verifies", cache(note._verifies))
    monkeypatch.setattr(attest, "_public", cache(Remembering))
    tar = small_log().tar()
    end = len(tar) * 8
    assert list(flips(tar, range(end * part // 8, end * (part + 1) // 8), 1)) == []


class Remembering:
    """A public key that tells again what it found of the same signature and body."""

    def __init__(self, key: str) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        self._found: dict[tuple[bytes, bytes], bool] = {}

    def verify(self, signature: bytes, body: bytes) -> None:
        """Raises: InvalidSignature."""
        asked = (signature, body)
        if asked not in self._found:
            with contextlib.suppress(InvalidSignature):
                self._found[asked] = False
                self._key.verify(signature, body)
                self._found[asked] = True
        if not self._found[asked]:
            raise InvalidSignature


# The peak of this program alone: what wait4 tells of a child includes the test's own memory at the
# fork.
MEASURED = """
import sys
from gpuaas_verify.cli import run
status = run(sys.argv[1:])
with open("/proc/self/status") as lines:
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
sys.exit(status)
"""


@pytest.mark.slow
def test_no_random_change_of_a_large_log_is_accepted(tmp_path: Path) -> None:
    """More than 65,536 entries, so three levels of tiles: valid, small in memory, and refused after
    any of 6 single bits changed. Its entries are heartbeats; changes of every kind of member, to a
    bundle of a real trace: test_large_bundle.py.
    """
    path = tmp_path / "bundle.tar"
    tar = bytearray(tar_of(tree_members(beating_log(66_000).entries())))
    path.write_bytes(tar)
    command = [sys.executable, "-c", MEASURED, str(path), "--key", LOG_VKEY.format(), "--jobs", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # All the work in one process; what two use together is below twice that.
    assert int(done.stdout.split()[-1]) < 100 * 1024
    require_changes_refused(tar, 6, seed=7)
    # The hash of the first full tile above the lowest two levels, where only a large log has one.
    at = bytes(tar).index(b"tile/2/000.p/1\0") + 512
    tar[at] ^= 1
    error = judge(bytes(tar))
    assert error is not None
    assert (error.code, error.position) == ("tile.mismatch", 0)


def test_no_length_but_its_own() -> None:
    """A tar cut anywhere, or with a byte more, is refused."""
    tar = small_log().tar()
    assert [at for at in range(0, len(tar), 37) if judge(tar[:at]) is None] == []
    assert judge(tar + b"\0") is not None
    assert judge(tar + bytes(512)) is not None


@pytest.mark.parametrize("name", sorted(small_log().members()))
def test_no_member_dropped_emptied_cut_or_foreign(name: str) -> None:
    """Each kind of member: missing, empty, one byte short, one byte long, or another log's."""
    members = small_log().members()
    for data in (b"", members[name][:-1], members[name] + b"\0"):
        refused(with_member(name, data))
    foreign = other_log().members()[name]
    if foreign != members[name]:
        refused(with_member(name, foreign))
    del members[name]
    refused(tar_of(members))


@pytest.mark.parametrize("name", sorted(small_log().members()))
def test_no_member_doubled_swapped_or_renamed(name: str) -> None:
    """Twice the same name, contents exchanged with another member's, or a name that is
    not implied.
    """
    members = small_log().members()
    tar = small_log().tar()
    start = tar.index(name.encode() + b"\0")
    whole = tar[start : start + 512 + -(-len(members[name]) // 512) * 512]
    assert refused(tar[:start] + whole + tar[start:]).code == "tar.order"
    for other in members:
        if other != name:
            refused(tar_of({**members, name: members[other], other: members[name]}))
    refused(tar_of({**members, f"{name}x": members[name]}))


SIZE = len(small_log().drafts)


def unsigned(change: Callable[[list[bytes]], None]) -> Invalid:
    """The verdict when an entry bundle changes and nothing else does."""
    entries = small_log().entries()
    change(entries)
    return refused(with_member(ENTRIES, frame(entries)))


def resigned(change: Callable[[list[bytes]], None]) -> Invalid:
    """The verdict when the entries change and tiles, root and signature are made to agree."""
    members = {name: data for name, data in small_log().members().items() if "/" in name}
    members = {name: data for name, data in members.items() if not name.startswith("tile/")}
    entries = small_log().entries()
    change(entries)
    return refused(tar_of({**members, **tree_members(entries)}))


@pytest.mark.parametrize("judged", [unsigned, resigned])
@pytest.mark.parametrize("at", range(SIZE))
def test_no_entry_dropped_doubled_swapped_cut_or_foreign(
    judged: Callable[[Callable[[list[bytes]], None]], Invalid], at: int
) -> None:
    """The first bad position is named, whether or not the key holder signs the changed tree.

    Dropping the last entry and signing again leaves rows or files that nothing binds.
    """

    def drop(entries: list[bytes]) -> None:
        del entries[at]

    def double(entries: list[bytes]) -> None:
        entries.insert(at, entries[at])

    def cut(entries: list[bytes]) -> None:
        entries[at] = entries[at][:-1]

    def take(entries: list[bytes]) -> None:
        entries[at] = other_log().entries()[at]

    dropped = judged(drop)
    if at == SIZE - 1 and judged is resigned:
        assert dropped.code == "member.unexpected"
    else:
        assert dropped.position == at
    assert judged(double).position == at + 1
    assert judged(cut).position == at
    # The bytes are another's: named by their hash, or by the hash chain where the tree agrees.
    taken = judged(take)
    assert taken.position == (at if judged is unsigned else max(at, 1))


@pytest.mark.parametrize("judged", [unsigned, resigned])
def test_no_two_entries_swapped(
    judged: Callable[[Callable[[list[bytes]], None]], Invalid],
) -> None:
    """The first of the two positions is named."""
    for one, other in pairwise(range(SIZE)):

        def swap(entries: list[bytes], one: int = one, other: int = other) -> None:
            entries[one], entries[other] = entries[other], entries[one]

        assert judged(swap).position == one


def with_rows(change: Callable[[list[bytes]], None], table: str) -> Invalid:
    log = two_rows()
    name = f"bulk/{table}/0"
    members = log.members()
    rows = items_of(members[name])
    change(rows)
    return refused(tar_of({**members, name: frame(rows)}))


def two_rows() -> LogDraft:
    """As the small log, with two runtimes stopped before the seals: two rows in each table."""
    log = opened()
    priced(log)
    enrolled(log)
    for number in (3, 30):
        launched(log, uid("runtime", number))
        stopped(log, uid("runtime", number))
    log.seal_books()
    log.seal_file("export.csv", b"runtime,hours\n3,1\n")
    return log


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("at", [0, 1])
def test_no_row_dropped_doubled_swapped_cut_or_foreign(table: str, at: int) -> None:
    """The table and the first bad row are named; a row that is whole but another's breaks its
    seal's root.
    """
    assert judge(two_rows().tar()) is None

    def drop(rows: list[bytes]) -> None:
        del rows[at]

    def double(rows: list[bytes]) -> None:
        rows.insert(at, rows[at])

    def cut(rows: list[bytes]) -> None:
        rows[at] = rows[at][:-1]

    def swap(rows: list[bytes]) -> None:
        rows[0], rows[1] = rows[1], rows[0]

    def salt(rows: list[bytes]) -> None:
        start = rows[at].index(b'"salt":"') + 8
        rows[at] = rows[at][:start] + b"0" * 32 + rows[at][start + 32 :]

    places = {drop: at, double: at + 1, cut: at, swap: 0, salt: 0}
    for change, row in places.items():
        error = with_rows(change, table)
        assert (error.table, error.row) == (table, row), change.__name__
    assert with_rows(salt, table).code == "seal.root"


@pytest.mark.parametrize("at", [10, 11, 12])
def test_no_seal_dropped_from_a_history_signed_anew(at: int) -> None:
    """Rows or a file that no seal binds are not carried along."""

    def drop(log: LogDraft) -> None:
        del log.drafts[at]
        for position, draft in enumerate(log.drafts):
            draft["position"] = position

    assert refused(small_log(drop).tar()).code in {"member.unexpected", "books.row_missing"}


def test_a_rewritten_history_signed_with_the_real_key_needs_an_older_note() -> None:
    """Alone it is valid, which no bundle can help; with a note kept from before it is a fork."""
    kept = small_log().members()["checkpoint"]
    rewritten = other_log().tar()
    assert judge(rewritten) is None
    error = refused(rewritten, Trust((LOG_VKEY,), known=(kept,)))
    assert error.code == "checkpoint.fork"
    assert judge(small_log().tar(), Trust((LOG_VKEY,), known=(kept,))) is None


def test_an_earlier_note_is_a_prefix_or_a_fork() -> None:
    """Any smaller size that was signed must be a prefix; a larger one is a rollback."""
    entries = small_log().entries()
    for size in range(1, SIZE + 1):
        kept = tree_members(entries[:size])["checkpoint"]
        assert judge(small_log().tar(), Trust((LOG_VKEY,), known=(kept,))) is None
        error = refused(other_log().tar(), Trust((LOG_VKEY,), known=(kept,)))
        assert error.code == "checkpoint.fork"

    def shorter(log: LogDraft) -> None:
        log.drafts.pop()
        log.files.clear()

    kept = small_log().members()["checkpoint"]
    error = refused(small_log(shorter).tar(), Trust((LOG_VKEY,), known=(kept,)))
    assert error.code == "checkpoint.rollback"
