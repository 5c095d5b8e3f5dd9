"""The API process as it runs: granian, admission, ingest; a port, a token, a clean stop."""

import signal
from pathlib import Path

import httpx
import pytest

from api.tokens import developer_token
from tests.conftest import Database
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
