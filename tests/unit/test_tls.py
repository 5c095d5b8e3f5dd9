"""Pairs of certificate and key, as settings name them and files hold them."""

import shutil
from pathlib import Path

import pytest

from api import cli
from api.config import apps_url
from api.fleet.node_ca import node_ca, server_certificate, written
from api.tls import Pair, believing, pair_of
from domain.errors import DomainError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`server.pem` with its key and CA, and what is wrong in one way each."""
    written(tmp_path, ("127.0.0.1",), tmp_path)
    written(tmp_path, ("127.0.0.1",), tmp_path / "other")
    old = server_certificate(node_ca(tmp_path / "node-ca.pem"), ("x",), 1)
    for name, content in zip(("old.pem", "old-key.pem"), old, strict=True):
        (tmp_path / name).write_bytes(content)
    shutil.copyfile(tmp_path / "other" / "server-key.pem", tmp_path / "foreign-key.pem")
    (tmp_path / "noise.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n")
    return tmp_path


@pytest.mark.parametrize(
    ("certificate", "key", "code"),
    [
        ("server.pem", "server-key.pem", ""),
        ("missing.pem", "server-key.pem", "tls.unreadable"),
        ("server.pem", "missing.pem", "tls.unreadable"),
        (".", "server-key.pem", "tls.unreadable"),
        ("noise.pem", "server-key.pem", "tls.unreadable"),
        ("server.pem", "noise.pem", "tls.unreadable"),
        ("server.pem", "server.pem", "tls.unreadable"),
        ("server.pem", "foreign-key.pem", "tls.mismatched"),
        ("old.pem", "old-key.pem", "tls.expired"),
    ],
)
def test_a_wrong_pair_starts_nothing_and_names_its_file(
    folder: Path,
    certificate: str,
    key: str,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence from `gpuaas serve` and `gpuaas up`, before any server or folder is touched."""
    pair = Pair(folder / certificate, folder / key)
    if not code:
        pair.serving()
        return
    monkeypatch.setenv("GPUAAS_DATA", str(folder / "data"))
    monkeypatch.setenv("GPUAAS_DATABASE_URL", "postgresql://a:b@127.0.0.1:9/c")
    monkeypatch.setenv("GPUAAS_NATS_URL", "nats://127.0.0.1:9")
    monkeypatch.setenv("GPUAAS_TLS_CERTIFICATE", str(pair.certificate))
    monkeypatch.setenv("GPUAAS_TLS_KEY", str(pair.key))
    for verb in ("serve", "gateway", "up"):
        assert cli.main([verb]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"gpuaas: {code}: {folder}"), said
        assert said.count("\n") == 1
    assert not (folder / "data").exists()


def test_half_a_pair_is_no_setting() -> None:
    """Nobody serves plain HTTP because one of two variables was forgotten."""
    assert pair_of({}) is None
    for name in ("GPUAAS_TLS_CERTIFICATE", "GPUAAS_TLS_KEY"):
        with pytest.raises(DomainError, match=r"config\.missing"):
            pair_of({name: "x"})


def test_apps_are_https_where_we_speak_tls() -> None:
    """A cookie without Secure never belongs to a server that speaks TLS."""
    assert apps_url("", 1, secure=True) == "https://apps.localhost:1"
    assert apps_url("https://apps.example.org", 1, secure=False) == "https://apps.example.org"
    with pytest.raises(DomainError, match=r"config\.malformed"):
        apps_url("http://apps.example.org", 1, secure=True)


def test_a_ca_that_is_none_is_refused(folder: Path) -> None:
    """A caller never falls back to the system's CAs."""
    believing(folder / "ca.pem")
    for name in ("missing.pem", "noise.pem", "server-key.pem"):
        with pytest.raises(DomainError, match=r"tls\.unreadable"):
            believing(folder / name)


def test_the_verb_makes_a_pair_that_only_its_owner_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Certificate, key (0600) and the CA that callers name; again, it makes a new pair."""
    monkeypatch.setenv("GPUAAS_DATA", str(tmp_path / "data"))
    out = tmp_path / "out"
    verb = ["certificate", "--name", "api.example.org", "--name", "127.0.0.1", "--out", str(out)]
    assert cli.main(verb) == 1
    (tmp_path / "data").mkdir()
    assert cli.main(verb) == 0
    assert str(out / "server-key.pem") in capsys.readouterr().out
    assert (out / "server-key.pem").stat().st_mode & 0o777 == 0o600
    first = (out / "server.pem").read_bytes()
    assert cli.main(verb) == 0
    assert (out / "server.pem").read_bytes() != first
    Pair(out / "server.pem", out / "server-key.pem").checked()
