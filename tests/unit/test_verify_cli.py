"""The command line: exit status, claims told, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpuaas_verify.bundle import STAGES, Scope, Trust, verify_path
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.cli import run
from gpuaas_verify.merkle import inclusion_proof, leaf_hash, nodes_of
from gpuaas_verify.note import cosign, parse_note, verify_note
from gpuaas_verify.receipt import format_proof
from gpuaas_verify.tarball import TarSource
from tests.bundles import (
    LOG_VKEY,
    LogDraft,
    beating_log,
    small_log,
    tar_of,
    tree_members,
    uid,
)
from tests.wrong_logs import put
from tests.wrong_notes import WITNESS, WITNESS_KEY

KEY = LOG_VKEY.format()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.tar"
    path.write_bytes(small_log().tar())
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    status = run([str(argument) for argument in (*arguments, "--json")])
    return status, json.loads(capsys.readouterr().out)


def test_a_valid_bundle_is_0_and_tells_every_claim(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every stage is told once, in order, and what nobody could check is not called checked."""
    status, report = told(capsys, bundle, "--key", KEY)
    assert (status, report["valid"], report["error"], report["size"]) == (0, True, None, 13)
    states = {claim["claim"]: claim["state"] for claim in report["claims"]}
    assert list(states) == list(STAGES)
    unsure = {name: state for name, state in states.items() if state != "checked"}
    assert unsure == {
        "witnesses": "absent",
        "known": "absent",
        "freshness": "unchecked",
        "invoices": "absent",
    }


def test_rows_that_wait_for_a_seal_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 does not hide that part of the book has no seal yet."""
    path = tmp_path / "bundle.tar"

    def unsealed(log: LogDraft) -> None:
        del log.drafts[10:]
        log.rows.clear()
        log.files.clear()

    path.write_bytes(small_log(unsealed).tar())
    status, report = told(capsys, path, "--key", KEY)
    claims = {claim["claim"]: claim for claim in report["claims"]}
    assert status == 0
    assert claims["books"]["state"] == "absent"
    assert (claims["unsealed"]["state"], claims["unsealed"]["count"]) == ("unchecked", 2)


def test_what_is_only_counted_is_told_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tag of an open area is checked in the chain like every entry; nobody is alarmed by it."""
    path = tmp_path / "bundle.tar"

    def opened(log: LogDraft) -> None:
        log.add(uid("access", 5), "access.of_tomorrow", {"x": 1})

    path.write_bytes(small_log(opened).tar())
    assert run([str(path), "--key", KEY]) == 0
    said = capsys.readouterr().out
    tag = "gpuaas.access.of_tomorrow.v1"
    assert f"\n  checked in the chain, not interpreted: 1 x {tag}\n" in said
    assert "not known" not in said


def test_an_invalid_bundle_is_1_and_names_the_place(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The claim that failed says why; what comes after it was not looked at."""
    bundle.write_bytes(small_log(put(3, salt="00")).tar())
    status, report = told(capsys, bundle, "--key", KEY)
    assert (status, report["valid"]) == (1, False)
    assert report["error"]["code"] == "entry.malformed"
    assert (report["error"]["position"], report["error"]["field"]) == (3, "salt")
    states = {claim["claim"]: claim["state"] for claim in report["claims"]}
    assert list(states) == list(STAGES)
    assert states["entries"] == "failed"
    assert states["books"] == "unchecked"
    assert run([str(bundle), "--key", KEY]) == 1
    assert "INVALID entry.malformed" in capsys.readouterr().out


def test_a_fork_shows_both_notes(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two notes of one key that cannot both be true are the evidence: as signed, each verifies."""
    kept = bundle.with_name("note")
    kept.write_bytes(small_log(put(2, salt="00" * 16)).members()["checkpoint"])
    status, report = told(capsys, bundle, "--key", KEY, "--known", kept)
    assert (status, report["error"]["code"]) == (1, "checkpoint.fork")
    notes = [note.encode() for note in report["notes"]]
    assert notes == [kept.read_bytes(), small_log().members()["checkpoint"]]
    told_sizes = set()
    for note in map(parse_note, notes):
        assert verify_note(note, [LOG_VKEY], exact=True)
        told_sizes.add(parse_checkpoint(note.text).size)
    assert len(told_sizes) == 1, "one size, two roots"


@pytest.mark.parametrize(
    "arguments",
    [
        ["{missing}", "--key", KEY],
        ["{bundle}", "--key", "nonsense"],
        ["{bundle}", "--key", WITNESS.format()],
        ["{bundle}", "--key", KEY, "--witness", KEY],
        ["{bundle}", "--key", KEY, "--quorum", "1"],
        ["{bundle}", "--key", KEY, "--known", "{missing}"],
        ["{bundle}", "--key", KEY, "--known", "{bundle}"],
        ["{bundle}", "--key", KEY, "--max-age", "-1"],
        ["{bundle}", "--key", KEY, "--jobs", "0"],
        ["receipt", "{missing}", "{missing}", "--key", KEY],
        ["receipt", "{bundle}", "{bundle}", "--key", "{bundle}"],
    ],
)
def test_a_request_that_makes_no_sense_is_2(
    bundle: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence on stderr, no verdict on stdout."""
    names = {"bundle": str(bundle), "missing": str(bundle.with_name("missing"))}
    assert run([argument.format(**names) for argument in arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("gpuaas-verify: ")
    assert output.err.count("\n") == 1


def test_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle without a key is not judged: trust comes from the caller only."""
    with pytest.raises(SystemExit) as error:
        run(["bundle.tar"])
    assert error.value.code == 2
    assert "--key" in capsys.readouterr().err


def test_the_installed_program_never_shows_a_traceback(bundle: Path) -> None:
    """Run as a program on a bundle, and on itself: the right status and no traceback."""
    for path, status in ((bundle, 0), (Path(sys.executable), 1)):
        command = [sys.executable, "-m", "gpuaas_verify", str(path), "--key", KEY]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status
        assert "Traceback" not in done.stdout + done.stderr


def test_keys_come_from_files_and_witnesses_count(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A vkey file as the platform writes it, and a quorum of one that is met."""
    key = bundle.with_name("log.vkey")
    key.write_text(KEY + "\n")
    members = small_log().members()
    note = members["checkpoint"]
    text = note.decode().partition("\n\n")[0] + "\n"
    members["checkpoint"] = note + cosign(text, WITNESS, 1_700_000_000, WITNESS_KEY.sign).encode()
    bundle.write_bytes(tar_of(members))
    arguments = (bundle, "--key", key, "--witness", WITNESS.format(), "--quorum", "1")
    status, report = told(capsys, *arguments)
    assert status == 0
    assert report["claims"][2] == {
        "claim": "witnesses",
        "state": "checked",
        "count": 1,
        "detail": "",
    }


def test_a_receipt_of_every_entry_is_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Entry and proof alone; whose key a node's is, the receipt says it cannot show."""
    raws = small_log().entries()
    leaves = [leaf_hash(raw) for raw in raws]
    note = tree_members(raws)["checkpoint"]
    entry, proof = tmp_path / "entry.json", tmp_path / "entry.tlog-proof"
    for index, raw in enumerate(raws):
        entry.write_bytes(raw)
        proof.write_bytes(
            format_proof(index, inclusion_proof(index, len(raws), nodes_of(leaves)), note)
        )
        status, report = told(capsys, "receipt", entry, proof, "--key", KEY)
        assert status == 0, report
        states = {claim["claim"]: claim["state"] for claim in report["claims"]}
        assert states["inclusion"] == "checked"
        assert states["attestation"] == ("unchecked" if index in {5, 8, 9} else "absent")


@pytest.mark.slow
def test_processes_give_the_verdict_of_one(tmp_path: Path) -> None:
    """A log long enough for worker processes, as a tar and as a directory: valid, and the same first failure."""
    log = beating_log(12_000)
    for changed in (None, 10_000):
        if changed is not None:
            log.drafts[changed]["at_us"] = 1
        path = tmp_path / f"bundle-{changed}.tar"
        path.write_bytes(tar_of(tree_members(log.entries())))
        folder = tmp_path / f"bundle-{changed}"
        with path.open("rb") as file:
            source = TarSource(file)
            for name in source.names():
                place = source.find(name)
                assert place is not None
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(source.read(place))
            source.close()
        verdicts = [
            verify_path(where, Trust((LOG_VKEY,)), Scope(jobs=jobs)).error
            for where in (path, folder)
            for jobs in (1, 2)
        ]
        for error in verdicts:
            found = None if error is None else (error.code, error.position, error.field)
            assert found == (None if changed is None else ("entry.at_us", changed, "at_us"))


def test_a_pipe_an_empty_path_and_a_closed_output_are_unreadable(
    bundle: Path, tmp_path: Path
) -> None:
    """Exit 2 and one sentence: nothing waits for a writer, judges another folder or tells nobody."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = f"{sys.executable} -m gpuaas_verify"
    for words, said in (
        (f"{pipe}", "neither a file nor a directory"),
        ("''", "a path has at least one character"),
        (f"{bundle} >&-", "no standard output"),
    ):
        done = subprocess.run(
            ["sh", "-c", f"{program} --key '{KEY}' {words}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
