"""gpuaas-verify: exit 0 valid, 1 invalid, 2 usage or unreadable; never a traceback."""

import argparse
import gc
import io
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gpuaas_verify.bundle import Report, Scope, Trust, verify_path
from gpuaas_verify.errors import Invalid, Unreadable
from gpuaas_verify.note import COSIGNATURE, ED25519, MAX_NOTE_BYTES, MAX_VKEY_CHARS, Vkey
from gpuaas_verify.pool import COLLECT_EVERY, cores
from gpuaas_verify.proof import NOT_SHOWN, ProofReport, verify_proof
from gpuaas_verify.receipt import MAX_PROOF_BYTES, verify_receipt
from gpuaas_verify.strict import MAX_BYTES

VALID, INVALID, UNREADABLE = 0, 1, 2


def _read(path: Path, limit: int) -> bytes:
    """The file's bytes. Raises: Unreadable when they are more than the limit; OSError."""
    with path.open("rb") as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise Unreadable(f"{path} is longer than {limit} bytes")
    return raw


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("a path has at least one character")
    return Path(text)


def _key(text: str, algorithm: int) -> Vkey:
    """The key, given as itself or as the name of a file that holds it."""
    try:
        if "+" not in text and Path(text).is_file():
            text = _read(Path(text), MAX_VKEY_CHARS).decode("utf-8").removesuffix("\n")
        key = Vkey.parse(text)
    except (Invalid, UnicodeDecodeError) as error:
        raise Unreadable(f"not a verifier key: {error}") from error
    if key.algorithm != algorithm:
        wanted = "a log's key (type 1)" if algorithm == ED25519 else "a witness's key (type 4)"
        raise Unreadable(f"{key.name} is not {wanted}")
    return key


def _shared_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key",
        action="append",
        required=True,
        metavar="VKEY",
        help="the log's verifier key, or a file with it",
    )
    parser.add_argument(
        "--witness", action="append", default=[], metavar="VKEY", help="a witness's verifier key"
    )
    parser.add_argument(
        "--quorum", type=int, default=0, metavar="K", help="how many witnesses must have signed"
    )
    parser.add_argument("--json", action="store_true", help="the whole report as JSON")


def _bundle_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpuaas-verify",
        description="Verifies a GPUaaS bundle offline. An entry: gpuaas-verify receipt --help."
        " An invoice: gpuaas-verify invoice --help",
    )
    parser.add_argument("bundle", type=_path, help="bundle.tar, or the same tree as a directory")
    _shared_options(parser)
    parser.add_argument(
        "--known", action="append", default=[], type=_path, metavar="NOTE",
        help="a checkpoint of this log kept from earlier: shows a rewritten history",
    )  # fmt: skip
    parser.add_argument(
        "--max-age", type=int, metavar="S", help="refuse a log whose last entry is older, seconds"
    )
    _jobs_option(parser)
    return parser


def _jobs_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=cores(), metavar="N", help="processes to use")


def _invoice_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpuaas-verify invoice",
        description="Recomputes an invoice, or one line of it, offline from what it rests on.",
    )
    parser.add_argument("proof", type=_path, help="the invoice's proof, or a line's")
    _shared_options(parser)
    _jobs_option(parser)
    return parser


def _receipt_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpuaas-verify receipt", description="Verifies one entry and its tlog-proof offline."
    )
    parser.add_argument("entry", type=_path, help="the entry's bytes")
    parser.add_argument("proof", type=_path, help="the .tlog-proof")
    _shared_options(parser)
    return parser


def _trust(given: argparse.Namespace, known: tuple[bytes, ...] = ()) -> Trust:
    witnesses = tuple(_key(text, COSIGNATURE) for text in given.witness)
    different = len({witness.public for witness in witnesses})
    if not 0 <= given.quorum <= different:
        raise Unreadable(f"--quorum {given.quorum} of {different} witnesses")
    max_age_s = getattr(given, "max_age", None)
    if max_age_s is not None and max_age_s < 0:
        raise Unreadable("--max-age is not negative")
    return Trust(
        keys=tuple(_key(text, ED25519) for text in given.key),
        known=known,
        witnesses=witnesses,
        quorum=given.quorum,
        max_age_s=max_age_s,
        now_us=time.time_ns() // 1_000,
    )


def _bundle(arguments: Sequence[str]) -> tuple[Report, bool]:
    given = _bundle_parser().parse_args(arguments)
    if given.jobs < 1:
        raise Unreadable("--jobs is at least 1")
    known = tuple(_read(path, MAX_NOTE_BYTES) for path in given.known)
    report = verify_path(given.bundle, _trust(given, known), Scope(jobs=given.jobs))
    return report, given.json


def _receipt(arguments: Sequence[str]) -> tuple[Report, bool]:
    given = _receipt_parser().parse_args(arguments)
    # One byte more than an entry may have: the parser says so, with its code.
    entry, proof = _read(given.entry, MAX_BYTES + 1), _read(given.proof, MAX_PROOF_BYTES)
    return verify_receipt(entry, proof, _trust(given)), given.json


def _invoice(arguments: Sequence[str]) -> tuple[Report, bool]:
    given = _invoice_parser().parse_args(arguments)
    if given.jobs < 1:
        raise Unreadable("--jobs is at least 1")
    gc.set_threshold(COLLECT_EVERY)
    return verify_proof(given.proof, _trust(given), given.jobs), given.json


def _amount(minor: int, digits: int) -> str:
    whole, part = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}{f'.{part:0{digits}d}' if digits else ''}"


def _tell_invoice(report: ProofReport) -> None:
    said = report.invoice
    if not said:
        return
    digits, currency = said["minor_digits"], said["currency"]
    print(f"invoice {said['number']}: {_amount(said['total_minor'], digits)} {currency}")
    note = report.credit_note
    if note:
        print(f"credit note {note['number']}: {_amount(note['total_minor'], digits)} {currency}")
    for number, line in report.told:
        project, sku, price, service = line.key
        print(
            f"  line {number}: {project} {sku} price {price} {service}:"
            f" {line.quantity} units, {line.amount_pico} pico, recomputed, equal;"
            f" rests on {len(line.resources)}"
        )
        if len(report.told) == 1:
            print("".join(f"    {one}\n" for one in line.resources), end="")
    print(f"  not shown: {NOT_SHOWN}")


def _tell(report: Report) -> None:
    if report.checkpoint is not None:
        print(f"log {report.checkpoint.origin}, {report.checkpoint.size} entries")
    for claim in report.claims:
        number = f" {claim.count}" if claim.count else ""
        detail = f"  {claim.detail}" if claim.detail else ""
        print(f"  {claim.name:<13} {claim.state}{number}{detail}")
    for tag, count in sorted(report.unknown_tags.items()):
        print(f"  checked in the chain, not interpreted: {count} x {tag}")
    if isinstance(report, ProofReport):
        _tell_invoice(report)
    for note in report.notes:
        print(f"  note: {' / '.join(note.split())}")
    print("VALID" if report.error is None else f"INVALID {report.error}")


def run(arguments: Sequence[str]) -> int:
    """The exit status; the report is printed. Raises: SystemExit on usage, as argparse does."""
    try:
        if arguments[:1] == ["receipt"]:
            report, as_json = _receipt(arguments[1:])
        elif arguments[:1] == ["invoice"]:
            report, as_json = _invoice(arguments[1:])
        else:
            report, as_json = _bundle(arguments)
        if as_json:
            print(json.dumps(report.as_json(), indent=1))
        else:
            _tell(report)
        sys.stdout.flush()
    except (Unreadable, OSError) as error:
        print(f"gpuaas-verify: {error}", file=sys.stderr)
        return UNREADABLE
    return VALID if report.valid else INVALID


def main() -> int:
    """The process's outermost call: whatever happens, one sentence and no traceback."""
    if sys.__stdout__ is None:
        print("gpuaas-verify: no standard output to give a verdict on", file=sys.stderr)
        return UNREADABLE
    for stream in (sys.stdout, sys.stderr):
        # A member's name may be bytes that no terminal can show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(sys.argv[1:])
    except KeyboardInterrupt:
        print("gpuaas-verify: interrupted, no verdict", file=sys.stderr)
    except Exception as error:  # noqa: BLE001 - a verifier never shows a traceback
        print(f"gpuaas-verify: no verdict: {type(error).__name__}: {error}", file=sys.stderr)
    return UNREADABLE
