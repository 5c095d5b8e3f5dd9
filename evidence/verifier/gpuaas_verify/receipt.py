"""A receipt: one entry and a c2sp.org/tlog-proof@v1 without `extra` (EVIDENCE.md section 7)."""

from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple

from gpuaas_verify import attest
from gpuaas_verify.bundle import Report, Trust, check_signed
from gpuaas_verify.checkpoint import parse_decimal
from gpuaas_verify.claims import ABSENT, CHECKED, UNCHECKED
from gpuaas_verify.entry import parse_entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.facts import OPENED, check_fact, check_opened_key, check_origin
from gpuaas_verify.merkle import HASH_BYTES, MAX_PROOF, leaf_hash, verify_inclusion
from gpuaas_verify.note import MAX_NOTE_BYTES, strict_b64

HEAD = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 4_096


class Proof(NamedTuple):
    """`note` is the signed checkpoint, verbatim."""

    position: int
    hashes: tuple[bytes, ...]
    note: bytes


def format_proof(index: int, hashes: Sequence[bytes], note: bytes) -> bytes:
    """The bytes of a `.tlog-proof` file."""
    lines = [HEAD, f"index {index}", *(b64encode(item).decode() for item in hashes)]
    return "\n".join(lines).encode() + b"\n\n" + note


def parse_proof(raw: bytes) -> Proof:
    """The proof, nothing in it checked yet. Raises: Invalid `proof.malformed`."""
    code = "proof.malformed"
    if len(raw) > MAX_PROOF_BYTES:
        raise Invalid(code, f"longer than {MAX_PROOF_BYTES} bytes")
    head, blank, note = raw.partition(b"\n\n")
    if not blank or not head.isascii():
        raise Invalid(code, "a proof is lines, a blank line and a checkpoint")
    lines = head.decode("ascii").split("\n")
    if lines[0] != HEAD or len(lines) < 2 or not lines[1].startswith("index "):
        raise Invalid(code, f"not {HEAD} with an index and no extra")
    index = parse_decimal(lines[1].removeprefix("index "))
    if index is None or len(lines) > 2 + MAX_PROOF:
        raise Invalid(code, "the index is not a decimal number, or the proof too long")
    hashes = tuple(strict_b64(line, code) for line in lines[2:])
    if any(len(item) != HASH_BYTES for item in hashes):
        raise Invalid(code, "a hash is not 32 bytes")
    return Proof(index, hashes, note)


def verify_receipt(entry_bytes: bytes, proof_bytes: bytes, trust: Trust) -> Report:
    """The report on a receipt: the entry is the one at `index` in the log that was signed."""
    report = Report(stages=("proof", "note", "witnesses", "entry", "attestation", "inclusion"))
    try:
        _verify(entry_bytes, proof_bytes, trust, report)
    except Invalid as error:
        report.fail(error)
    return report


def _verify(entry_bytes: bytes, proof_bytes: bytes, trust: Trust, report: Report) -> None:
    proof = parse_proof(proof_bytes)
    report.add("proof", CHECKED)
    checkpoint = check_signed(proof.note, trust, report)
    report.checkpoint = checkpoint
    entry = parse_entry(entry_bytes)
    if entry.position != proof.position:
        detail = f"the proof is for index {proof.position}"
        raise Invalid("entry.position", detail, position=entry.position, field="position")
    try:
        known = check_fact(entry)
        if entry.tag == OPENED:
            check_origin(entry, checkpoint.origin)
            check_opened_key(entry, trust.keys)
    except Invalid as error:
        raise error.at(position=entry.position) from None
    report.add("entry", CHECKED, 1, "" if known else f"{entry.tag} is not interpreted")
    if entry.tag in attest.SAID:
        attest.check_words(entry)
        # Whose key it is, only the node's earlier entries can tell: the full bundle has them.
        report.add("attestation", UNCHECKED, 1, "signed by the key it names; enrolment not shown")
    else:
        report.add("attestation", ABSENT)
    leaf = leaf_hash(entry_bytes)
    verify_inclusion(proof.position, checkpoint.size, leaf, proof.hashes, checkpoint.root)
    report.add("inclusion", CHECKED, 1)
