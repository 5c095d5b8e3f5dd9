"""An app that sells tokens: it meters them itself and bills through public contracts only.

It knows `contracts` and an HTTP client. What the platform is made of, it does not know.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.signing import public_hex
from contracts.usage import Batch, Complete, Reading, Reporter

METER = "llm.tokens"


def instant(us: int) -> str:
    """As the API takes it."""
    when = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{us % 1_000_000:06d}Z"


async def granted(asked: Awaitable[httpx.Response]) -> Any:
    """The body of an answer that must be a success."""
    answer = await asked
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


class TokenMeter:
    """One app, one key, one project that pays."""

    def __init__(self, client: httpx.AsyncClient, operator: str) -> None:
        self.client = client
        self.operator = operator
        self.key = Ed25519PrivateKey.generate()
        self.reporter: Reporter | None = None
        self.project = ""
        self.since = 0

    async def act(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """The answer to an operator's request."""
        headers = {
            "Authorization": f"Bearer {self.operator}",
            "Idempotency-Key": uuid.uuid4().hex,
        }
        return await self.client.post(path, json=body, headers=headers)

    async def open(
        self, project: str, *, per_million: str = "2.500000000000", aggregation: str = "sum",
        meter: str = METER, dimensions: tuple[str, ...] = ("direction", "model"),
    ) -> str:  # fmt: skip
        """Meter, key and price are registered, the price in effect from `self.since`; the source."""
        self.project = project
        new = {
            "meter": meter, "unit": "token", "source": "readings", "divisor": 1_000_000,
            "aggregation": aggregation, "dimensions": [*dimensions],
        }  # fmt: skip
        await granted(self.act("/v1/meters", new))
        source = {"project": project, "key": public_hex(self.key), "meters": [meter]}
        made = await granted(self.act("/v1/sources", source))
        self.reporter = Reporter(self.key, made["id"], 1)
        price = {
            "meter": meter, "model": "llama-3", "state": "read", "divisor": 1_000_000,
            "price": {"amount": per_million, "currency": "USD"},
        }  # fmt: skip
        if not await self._priced(price, 200_000):  # on a busy machine it takes longer
            assert await self._priced(price, 2_000_000)
        await asyncio.sleep(max(0, self.since - time.time_ns() // 1000) / 1_000_000)
        return str(made["id"])

    async def _priced(self, price: dict[str, Any], ahead_us: int) -> bool:
        self.since = time.time_ns() // 1000 + ahead_us
        price["effective_from"] = instant(self.since)
        return (await self.act("/v1/prices", price)).status_code == 201

    def tokens(self, count: int, at: int | None = None, **more: Any) -> Reading:
        """So many tokens, used at an instant: when the price took effect, unless told otherwise."""
        now = self.since if at is None else at
        said = {
            "meter": METER, "resource": self.project,
            "dimensions": {"direction": "out", "model": "llama-3"},
            "from_us": now, "to_us": now, "quantity": count,
        }  # fmt: skip
        return Reading(**{**said, **more})

    def batch(self, *readings: Reading) -> Batch:
        """The next numbers."""
        assert self.reporter is not None, "open it first"
        return self.reporter.batch(readings)

    def once(self, *readings: Reading) -> Batch:
        """What the next batch would be; no number is used up."""
        assert self.reporter is not None, "open it first"
        of = self.reporter
        return Reporter(self.key, of.source, of.epoch, of.sequence, of.head).batch(readings)

    async def send(self, batch: Batch) -> httpx.Response:
        """As often as one likes."""
        return await send(self.client, batch)

    async def tell_all(self, until_us: int) -> httpx.Response:
        """All that was taken is all until then: periods that end before wait for it no more."""
        assert self.reporter is not None, "open it first"
        return await complete(self.client, self.reporter.complete(until_us))

    async def end(self, until_us: int) -> httpx.Response:
        """Likewise, and its epoch is over; the next begins."""
        answer = await self.tell_all(until_us)
        if answer.status_code == 200:
            assert self.reporter is not None, "it told all"
            self.reporter = Reporter(self.key, self.reporter.source, self.reporter.epoch + 1)
        return answer


async def complete(client: httpx.AsyncClient, said: Complete) -> httpx.Response:
    """The answer to a word that all is told; no token goes with it."""
    headers = {"Content-Type": "application/json"}
    raw = msgspec.json.encode(said)
    return await client.post("/v1/readings/complete", content=raw, headers=headers)


async def send(client: httpx.AsyncClient, batch: Batch) -> httpx.Response:
    """The answer to a batch; no token goes with it."""
    headers = {"Content-Type": "application/json"}
    return await client.post("/v1/readings", content=msgspec.json.encode(batch), headers=headers)
