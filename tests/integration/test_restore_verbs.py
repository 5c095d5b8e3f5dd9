"""The documented restore, through the verbs, on the embedded stack: a file-level copy of the cluster."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.cli import main
from api.demo_http import Http
from api.supervisor import Stack, running
from api.tokens import developer_token
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.note import parse_note

pytestmark = pytest.mark.slow


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that the servers' account can enter, and an environment that names it alone."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-restore-"))
    path.chmod(0o711)
    for name in ("GPUAAS_DATABASE_URL", "GPUAAS_OWNER_DATABASE_URL", "GPUAAS_NATS_URL"):
        monkeypatch.delenv(name, raising=False)
    _use(monkeypatch, path)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _use(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("GPUAAS_DATA", str(home / "data"))
    monkeypatch.setenv("GPUAAS_SIGNER_STATE", str(home / "signer"))


def _quiet(_: str) -> None:
    return


def _signed(stack: Stack, http: Http) -> None:
    """Returns once a checkpoint covers everything that `http` was told of."""
    deadline = time.monotonic() + 60
    while True:
        note = parse_note(http.raw("/v1/checkpoint"))
        if parse_checkpoint(note.text).size > http.position:
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _organizations(names: str) -> set[str]:
    """Starts the stack, creates one organization per letter, and says which ones it lists."""
    with running(_quiet, processes=("signer", "worker", "serve")) as stack:
        http = Http(stack.url, developer_token(stack.settings), stack.require_running)
        for name in names:
            http.post("/v1/organizations", name=name)
        if not names:
            http.post("/v1/tokens", subject="a", role="auditor")
        _signed(stack, http)
        assert main(["fsck"]) == 1, "a stack that runs holds the data directory"
        return {str(one["name"]) for one in http.get("/v1/organizations")["items"]}


def test_a_restored_cluster_comes_back_through_the_verbs(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fsck names what is missing, restore puts it back, fsck is content, the stack signs on, a
    rebuild makes the same views. Words younger than the copy are gone, as documented.
    """
    assert _organizations("ab") == {"a", "b"}
    assert "stack.locked" in capsys.readouterr().err
    cluster, copy = home / "data" / "postgres", home / "copy"
    subprocess.run(["cp", "-a", str(cluster), str(copy)], check=True)
    assert _organizations("cd") == {"a", "b", "c", "d"}
    shutil.rmtree(cluster)
    copy.rename(cluster)
    key = (home / "signer" / "vkey").read_text().strip()
    assert main(["fsck"]) == 1
    assert main(["restore", "--key", key]) == 0
    assert "4 entries came back" in capsys.readouterr().out
    assert main(["fsck"]) == 0
    assert _organizations("") == {"a", "b", "None"}
    assert main(["rebuild"]) == 0
    assert "equal, swapped in" in capsys.readouterr().out
    _continue(home, monkeypatch, capsys, key)


def _continue(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    """The same log given up: a new one elsewhere names it; on the live one it is refused."""
    verb = ["continue-log", "--note", str(home / "signer" / "note"), "--first-lost"]
    assert main([*verb, "3", "--key", key]) == 1
    assert "log.already_open" in capsys.readouterr().err
    other = home / "other"
    other.mkdir(mode=0o711)
    _use(monkeypatch, other)
    for lost in ("9" * 23, "-1"):
        assert main([*verb, lost, "--key", key]) == 1
        assert "restore.range_invalid" in capsys.readouterr().err
    assert main([*verb, "3", "--key", key.replace("+", "x+", 1)]) == 1
    assert main(["fsck"]) == 1
    assert "config.missing" in capsys.readouterr().err
    assert not (other / "data").exists()
    assert main([*verb, "3", "--key", key]) == 0
    opened = capsys.readouterr().out
    assert "publish its vkey" in opened
    assert key not in opened
    assert main([*verb, "3", "--key", key]) == 0
    assert capsys.readouterr().out == opened
