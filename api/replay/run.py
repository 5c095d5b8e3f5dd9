"""`gpuaas replay`: the platform driven by a recorded cluster trace, to invoices and a bundle."""

import argparse
import asyncio
import gc
import sys
import time
from pathlib import Path
from typing import Final

import psycopg

from api.replay.drive import Drive
from api.replay.elapsed import Elapsed
from api.replay.input import Trace, read_trace
from api.replay.nodes import SimulatedNode, node_secret
from api.replay.output import charges_csv, invoices_json, refused_csv, report_json
from api.replay.plan import Plan, plan
from api.replay.progress import Bar, say
from api.replay.stage import Place, await_signed, stage
from domain.errors import DomainError
from evidence import files
from evidence.bundle import StorageSource, write_tar
from evidence.log import EventLog
from evidence.reader import decode_entry, read_entries
from evidence.storage import Storage, replace_durably
from gpuaas_verify.files import member_name
from migrations.runner import SchemaMismatch

REPORT = "report.json"
# A trace is hundreds of thousands of objects that stay: the usual thresholds look at them for ever.
_COLLECT: Final = (20_000, 50, 50)


def run(args: argparse.Namespace) -> int:
    """0 with every output under `--out`; 2 with one sentence when the input is at fault.

    Nothing is written before the whole input is checked. Repeated with the same input it resumes
    or, when it was done, gives the same charges and totals again.

    Raises: DomainError for what is not the input's fault; a restart goes on from there.
    """
    gc.set_threshold(*_COLLECT)
    began = time.monotonic_ns()
    try:
        trace = read_trace(args.nodes, args.pods, args.prices, args.start, args.zone)
        _own(args.out, trace)
    except DomainError as fault:
        if fault.code != "replay.input":
            raise
        print(f"gpuaas: {fault}", file=sys.stderr)
        return 2
    try:
        with stage(args.out, args.database_url, say) as place:
            asyncio.run(_drive(trace, args.out, place, began))
            _bundle(args.out, place)
    except SchemaMismatch as error:
        raise DomainError("replay.database", str(error)) from error
    return 0


def _own(out: Path, trace: Trace) -> None:
    """The folder is this input's: a second input in it would mix two histories."""
    kept, digest = out / "input.sha256", trace.digest.hex()
    try:
        if kept.exists() and kept.read_text().strip() != digest:
            detail = f"{out} holds the replay of another input; choose another --out"
            raise DomainError("replay.input", detail)
        out.mkdir(parents=True, exist_ok=True)
        replace_durably(kept, f"{digest}\n".encode())
    except OSError as error:
        detail = f"--out {out} cannot be used: {error.strerror or error}"
        raise DomainError("replay.input", detail) from error


async def _drive(trace: Trace, out: Path, place: Place, began: int) -> None:
    elapsed = Elapsed(out, began)
    elapsed.keep()
    planned = plan(trace)
    secret = node_secret(out / "nodes.secret")
    nodes = [SimulatedNode(planned, secret, row.sn, row.gpus, row.model) for row in trace.nodes]
    storage = Storage(place.storage)
    log = await EventLog.open(place.database_url)
    try:
        with Bar(len(planned.steps)) as bar:

            def progress(done: int) -> None:
                bar.at(done)
                elapsed.keep()

            drive = Drive(planned, log, storage, nodes, _first_stream(place), progress)
            await drive.run()
        written = {
            "charges.csv": charges_csv(drive),
            "invoices.json": invoices_json(drive),
            "refused.csv": refused_csv(drive),
        }
        await _seal(drive, log, storage, planned, written, elapsed)
    finally:
        await log.close()
    say("signing")
    await_signed(place, drive.size)
    _write_out(out, storage, written)


def _first_stream(place: Place) -> str:
    with psycopg.connect(place.database_url) as conn:
        [(_, entry, _)] = read_entries(conn, 0, 1)
    return decode_entry(entry).stream


async def _seal(
    drive: Drive, log: EventLog, storage: Storage, planned: Plan, written: dict[str, bytes],
    elapsed: Elapsed,
) -> None:  # fmt: skip
    """The files in the log. A replay that was done before keeps the report of its first run."""
    names = [*written, REPORT]
    done = await log.outcome(planned.command("files"))
    entries = drive.size + len(names)
    report = report_json(drive, entries, elapsed.micros())
    staged = {**written, REPORT: report} if done is None else dict.fromkeys(names, b"")
    await drive.seal_files(
        tuple(files.stage(storage, name, data, drive.size) for name, data in staged.items())
    )


def _write_out(out: Path, storage: Storage, written: dict[str, bytes]) -> None:
    """The sealed files beside the bundle, byte for byte as the log binds them."""
    for name, data in written.items():
        if storage.need(member_name(name)) != data:
            raise DomainError("replay.diverged", f"{name} is not what an earlier run sealed")
    for name in (*written, REPORT):
        replace_durably(out / name, storage.need(member_name(name)))


def _bundle(out: Path, place: Place) -> None:
    say("writing the bundle")
    source = StorageSource(Storage(place.storage))
    write_tar(source, out / "bundle.tar")
    source.close()
    replace_durably(out / "log.vkey", f"{place.vkey}\n".encode())
