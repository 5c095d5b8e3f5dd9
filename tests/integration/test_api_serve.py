"""The API process as it runs: granian, admission, ingest; a port, a token, a clean stop."""

import asyncio
import signal
from pathlib import Path

import httpx
import msgspec
import pytest

from api import claims
from api.admission.writer import Writer
from api.authorization import calls, use, using
from api.gateway import tail
from api.serve import serving
from api.tokens import developer_token
from tests.api_stage import Stage, play, settings_for
from tests.conftest import Database
from tests.integration import served as child
from tests.integration.served import served

pytestmark = pytest.mark.slow


def test_serves_and_stops(database: Database, nats_url: str, tmp_path: Path) -> None:
    """It answers once started, acts once per key over real sockets, and ends by SIGTERM with 0."""
    with served(database, nats_url, tmp_path) as api:
        with httpx.Client(base_url=api.url, timeout=10) as client:
            token = developer_token(api.settings)
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k-1"}
            answers = [
                client.post("/v1/organizations", json={"name": "Acme"}, headers=headers)
                for _ in range(3)
            ]
            assert [answer.status_code for answer in answers] == [201] * 3, answers[0].text
            assert len({answer.text for answer in answers}) == 1
            assert client.get("/v1/capacity", headers=headers).json()["models"] == []
        api.child.send_signal(signal.SIGTERM)
        assert api.child.wait(15) == 0, api.said()


@pytest.mark.parametrize(
    "part",
    [
        (calls.Calls, "seal"), (using.GlassUse, "_end"), (use.KeyUse, "_run"),
        (claims.Claims, "_loop"), (tail.Tail, "follow"),
    ],
    ids=lambda part: part[0].__name__,
)  # fmt: skip
def test_a_part_that_breaks_ends_it(
    database: Database,
    nats_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: tuple[type, str],
) -> None:
    """Nothing that runs beside the requests ends unnoticed: what counts calls or the use of keys,
    what hears who may no more, what holds keys of requests.
    """

    async def wrong(*_: object) -> None:
        raise ValueError("a fault of ours")

    async def scene() -> None:
        await child._opened(database.app_url)
        settings = msgspec.structs.replace(
            settings_for(database, nats_url, tmp_path), http_port=child._free_port()
        )
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(60, stop.set)
        try:
            await serving(settings, stop)
        finally:
            assert not stop.is_set(), "nobody noticed"

    monkeypatch.setattr(calls, "MINUTE_S", 0.05)
    monkeypatch.setattr(using, "_EVERY_S", 0.05)
    monkeypatch.setattr(*part, wrong)
    with pytest.raises(ValueError, match=r"a fault of ours"):
        asyncio.run(scene())


def test_a_writer_that_breaks_is_elected_anew(
    database: Database,
    nats_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault in one decision ends no reads; launches go on once it is over, and the log names the
    place of each.
    """
    real, faults, over = Writer._run, [ValueError("a fault of ours") for _ in "12"], asyncio.Event()

    async def deciding(writer: Writer) -> None:
        if faults:
            raise faults.pop()
        over.set()
        await real(writer)

    async def scene(stage: Stage) -> None:
        assert (await stage.get("/v1/organizations")).status_code == 200
        async with asyncio.timeout(20):
            await over.wait()
        assert await stage.services.admission.elected(20)
        assert caplog.text.count("in deciding") == 2
        assert caplog.text.count("ValueError: a fault of ours") == 2

    monkeypatch.setattr(Writer, "_run", deciding)
    play(database, nats_url, tmp_path, scene)
