"""A database of another version, and a signer whose state is gone or old: refused,
nothing changed.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import psycopg
import pytest

from api.supervisor import Stack, running
from api.tokens import developer_token
from domain.errors import DomainError
from evidence.fsck import check
from evidence.storage import Storage
from evidence.tail import published_size
from gpuaas_verify.note import Vkey
from tests.conftest import Database
from tests.integration.replay_runs import environment
from tests.integration.test_outage_stack import gpuaas, require_refused

pytestmark = pytest.mark.slow
_PATIENCE_S = 20


def settings_of(database: Database, nats_url: str, folder: Path) -> dict[str, str]:
    return {
        **environment(),
        "GPUAAS_DATA": str(folder / "data"),
        "GPUAAS_SIGNER_STATE": str(folder / "signer"),
        "GPUAAS_DATABASE_URL": database.app_url,
        "GPUAAS_OWNER_DATABASE_URL": database.owner_url,
        "GPUAAS_NATS_URL": nats_url,
    }


_NEWER = (
    "INSERT INTO gpuaas_migration (number, name, sha256) VALUES (9000, '9000_later.sql', 'x')",
    "9000_later.sql, which this version does not know: it was written by a newer one",
)
_EDITED = (
    "UPDATE gpuaas_migration SET sha256 = repeat('0', 64) WHERE number = 1",
    "was applied with other content",
)
_OLDER = ("DELETE FROM gpuaas_migration WHERE number = 1", "run `gpuaas migrate`")


@pytest.mark.parametrize(("change", "words"), [_NEWER, _EDITED], ids=["newer", "edited"])
def test_a_database_of_another_version(
    database: Database, nats_url: str, tmp_path: Path, change: str, words: str
) -> None:
    """Every verb that would write says which migration differs and leaves database and
    disk alone.
    """
    with psycopg.connect(database.owner_url, autocommit=True) as conn:
        conn.execute(change)
        before = conn.execute("SELECT * FROM gpuaas_migration ORDER BY number").fetchall()
        env = settings_of(database, nats_url, tmp_path)
        for verb in ("migrate", "up", "worker"):
            require_refused(gpuaas(env, verb), words)
        assert conn.execute("SELECT * FROM gpuaas_migration ORDER BY number").fetchall() == before
        assert conn.execute("SELECT count(*) FROM log.entry").fetchone() == (0,)
    assert not (tmp_path / "signer").exists(), "no key was made"


def test_a_database_that_was_not_migrated(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Serving on it is refused with the verb that helps."""
    with psycopg.connect(database.owner_url, autocommit=True) as conn:
        conn.execute(_OLDER[0])
    env = settings_of(database, nats_url, tmp_path)
    require_refused(gpuaas(env, "serve"), _OLDER[1])


# ---------------------------------------------------------------- the signer's folder
@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a stack in it that ran for a moment and was stopped."""
    folder = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    folder.chmod(0o711)
    monkeypatch.setenv("GPUAAS_DATA", str(folder / "data"))
    monkeypatch.setenv("GPUAAS_SIGNER_STATE", str(folder / "signer"))
    monkeypatch.setenv("GPUAAS_UNSIGNED_BOUND_S", "1")
    try:
        with started() as stack:
            create(stack, "first")
            until(lambda: signed(stack) >= 2, "a signature")
        yield folder
    finally:
        shutil.rmtree(folder)


def started() -> AbstractContextManager[Stack]:
    return running(lambda _: None, processes=("signer", "worker", "serve"))


def signed(stack: Stack) -> int:
    return published_size(Storage(stack.settings.storage))


def until(ready: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline, f"waited {_PATIENCE_S} s for {what}"
        time.sleep(0.05)


def create(stack: Stack, key: str) -> httpx.Response:
    headers = {
        "Authorization": f"Bearer {developer_token(stack.settings)}",
        "Idempotency-Key": key,
    }
    return httpx.post(f"{stack.url}/v1/organizations", json={"name": key}, headers=headers)


def reasons(stack: Stack) -> str:
    return str(httpx.get(f"{stack.url}/v1/readiness").json()["reasons"])


def require_sound(stack: Stack) -> None:
    vkey = Vkey.parse((stack.settings.storage / "vkey").read_text().strip())
    with psycopg.connect(stack.settings.database_url, autocommit=True) as conn:
        assert not check(conn, Storage(stack.settings.storage), vkey).findings


def test_a_signer_without_its_state(deployment: Path) -> None:
    """State or whole folder gone: the stack refuses to start and makes no second key; back, it
    runs.
    """
    folder, kept = deployment / "signer", deployment / "kept"
    checkpoint = deployment / "data" / "evidence" / "checkpoint"
    before = checkpoint.read_bytes()
    shutil.copytree(folder, kept)
    for whole in (False, True):
        if whole:
            shutil.rmtree(folder)
        else:
            (folder / "state").unlink()
        with pytest.raises(DomainError, match=r"signer\.state_missing: there is a log"), started():
            pytest.fail("it started")
        assert not (folder / "state").exists()
        assert checkpoint.read_bytes() == before
    shutil.rmtree(folder, ignore_errors=True)
    kept.rename(folder)
    with started() as stack:
        assert create(stack, "second").status_code == 201
        until(lambda: signed(stack) >= 3, "a signature")
        require_sound(stack)


def test_a_signer_that_was_rolled_back(deployment: Path) -> None:
    """An old copy signs nothing: readiness says why, appends stop; the right one heals it."""
    folder, old = deployment / "signer", deployment / "old"
    shutil.copytree(folder, old)
    with started() as stack:
        before = signed(stack)
        create(stack, "second")
        until(lambda: signed(stack) > before, "a signature")
    size = signed(stack)  # it may have signed more before it ended
    folder.rename(deployment / "right")
    old.rename(folder)
    with started() as stack:
        until(lambda: create(stack, f"k{time.monotonic_ns()}").status_code == 503, "a refusal")
        until(lambda: "signer.rolled_back" in reasons(stack), "the reason")
        assert signed(stack) == size
    shutil.rmtree(folder)
    (deployment / "right").rename(folder)
    with started() as stack:
        until(lambda: create(stack, f"k{time.monotonic_ns()}").status_code == 201, "an append")
        until(lambda: signed(stack) > size + 1, "a signature")
        until(lambda: "signer" not in reasons(stack), "readiness")
        require_sound(stack)
