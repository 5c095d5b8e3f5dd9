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
from tests import proof_pools as pools
from tests.bench.bench_log import fresh_database
from tests.bundles import LOG_VKEY
from tests.integration.replay_runs import Inputs, run
from tests.proof_changes import Kept, Log, members_of, require_refused
from tests.proof_world import proof, world

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
    pooled, its_key = pooled_kept(folder)
    verdicts: Counter[str] = Counter()
    number, shared = 0, count // 5
    for kept, key, many in ((traced, vkey, count - shared), (pooled, its_key, shared)):
        for said in require_refused(kept, key, many, seed):
            number += 1
            verdicts[said.split(": ")[1]] += 1
            if number % _EVERY == 0:
                yield f"{number} changes, the last of a proof of {len(kept.items)} entries, refused"
    yield f"{count} changes refused: {dict(verdicts)}"


def pooled_kept(folder: Path) -> tuple[Kept, Vkey]:
    """The proof of pools, commitments and re-ratings that is chosen by hand; beside it one of another
    log.
    """
    made, plain = pools.pooled(), world()
    logs = []
    for number, one in enumerate((made, plain)):
        bundle = folder / f"pooled-{number}.tar"
        bundle.write_bytes(one.log.tar())
        logs.append(Log(bundle, len(one.log.drafts)))
    return Kept(pools.proof(made), logs[0], Kept(proof(plain), logs[1])), LOG_VKEY
