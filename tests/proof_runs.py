"""Proofs of a replayed trace's invoices, and many changes of one of them, on a server of their own."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg

from api.embedded.postgres import Postgres
from evidence.proofs import signed
from evidence.storage import Storage
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.note import Vkey, parse_note
from projections import billing_read
from projections.proving import prove
from projections.views import step
from tests import proof_notes as notes
from tests import proof_pools as pools
from tests import proof_prepaid as prepaid
from tests import proof_readings as readings
from tests.bench.bench_log import fresh_database
from tests.bundles import ACCOUNT, LOG_VKEY, ORG, START_US, uid
from tests.integration.replay_runs import Inputs, run
from tests.proof_changes import HELD, NOTED, READ, Change, Kept, Log, members_of, require_refused
from tests.proof_world import PROJECT, World, proof, world

_EVERY = 1_000


def proofs_of(url: str, out: Path) -> list[bytes]:
    """Of every invoice of the replay in `out`, the shortest first."""
    storage = Storage(out / "evidence")
    found = []
    with psycopg.connect(url, autocommit=True) as conn:
        while step(conn, 1000):
            pass
        for invoice in billing_read.invoices(conn):
            note, _ = signed(storage, invoice.from_position)
            file = io.BytesIO()
            prove(conn, storage, note, invoice, None, file)
            found.append(file.getvalue())
    return sorted(found, key=len)


def proof_changes(inputs: Inputs, folder: Path, count: int, seed: int) -> Iterator[str]:
    """A line each thousand; the sums by verdict at the end."""
    out = folder / "proofs" / "out"
    out.parent.mkdir(mode=0o711)
    with closing(Postgres(folder)) as server, fresh_database(server) as urls:
        run(inputs, out, urls["app"])
        small, other, *_ = proofs_of(urls["app"], out)
    vkey = Vkey.parse((out / "log.vkey").read_text().strip())
    size = parse_checkpoint(parse_note(members_of(small)["checkpoint"]).text).size
    log = Log(out / "bundle.tar", size)
    traced = Kept(other, log, Kept(small, log))
    by_hand = [(kept, LOG_VKEY, more) for kept, more in kept_by_hand(folder)]
    verdicts: Counter[str] = Counter()
    number, shared = 0, count // 10
    many = count - shared * len(by_hand)
    for kept, key, more in ((traced, vkey, ()), *by_hand):
        for said in require_refused(kept, key, many, seed, more):
            number += 1
            verdicts[said.split(": ")[1]] += 1
            if number % _EVERY == 0:
                yield f"{number} changes, the last of a proof of {len(kept.items)} entries, refused"
        many = shared
    yield f"{count} changes refused: {dict(verdicts)}"


def by_hand_changes(folder: Path, count: int, seed: int) -> Iterator[str]:
    """As many of each proof that is chosen by hand; the sums by verdict at the end."""
    for kept, more in kept_by_hand(folder):
        said = [one.split(": ")[1] for one in require_refused(kept, LOG_VKEY, count, seed, more)]
        yield f"{len(said)} changes refused: {dict(Counter(said))}"


def kept_by_hand(folder: Path) -> Iterator[tuple[Kept, tuple[Change, ...]]]:
    """The proofs that are chosen by hand, each with the changes that only it has, beside it one of
    another log: pools, commitments and re-ratings; a credit note; readings, moved to other prices; what
    is prepaid; and readings of a project that moved meanwhile.
    """
    plain = world()
    other = Kept(proof(plain), _logged(folder, "plain", plain))
    for name, one, proved, more in (
        ("pools", pools.pooled(), pools.proof, ()),
        ("notes", notes.noted(), lambda made: notes.proof(made, 1), NOTED),
        ("readings", readings.read(), readings.proof, READ),
        ("prepaid", prepaid.prepaid(), prepaid.proof, HELD),
        ("moved", readings.read(_moved), readings.proof, READ),
    ):
        spare = frozenset({one.at["h100 before"]} if name == "prepaid" else ())
        yield Kept(proved(one), _logged(folder, name, one), other, spare), more


def _moved(made: World) -> None:
    fact = {"department": uid("department", 9), "account": ACCOUNT, "moved_us": START_US}
    made.log.add(PROJECT, "project.moved", fact, org=ORG)


def _logged(folder: Path, name: str, made: World) -> Log:
    bundle = folder / f"{name}.tar"
    bundle.write_bytes(made.log.tar())
    return Log(bundle, len(made.log.drafts))
