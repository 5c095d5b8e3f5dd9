"""A whole API over a real log and NATS in the test's own loop, without sockets for HTTP."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar

from api.app import create_app
from api.config import Settings
from api.edge import instant
from api.services import Services, opened
from api.tokens import issue
from contracts import enrolment
from contracts.enrolment import EnrolRequest
from contracts.signing import public_hex
from domain.bounds import BOUNDS, Bounds
from domain.instants import KEEPING, Keeping
from domain.log import Opened
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write
from projections.views import step
from tests.conftest import Database

MONTH = "2999-01-01T00:00:00Z"


def settings_for(database: Database, nats_url: str, data: Path) -> Settings:
    """Of a stage on which nobody signs: appends do not wait for signatures, however long it runs."""
    return Settings(
        data=data,
        signer_state=data / "signer",
        database_url=database.app_url,
        owner_database_url=database.owner_url,
        nats_url=nats_url,
        nats_node_url="nats://node:secret@127.0.0.1:4222",
        http_host="127.0.0.1",
        http_port=1,
        log_name="test",
        embedded=True,
        unsigned_bound_s=3600,
        glass_age_s=0,
    )


class Stage:
    """An API and a caller of it; `views()` brings the projections up to the head."""

    def __init__(self, services: Services, client: httpx.AsyncClient) -> None:
        self.services = services
        self.client = client
        self.operator = self.token("platform-operator", None)
        self.keys: dict[str, Ed25519PrivateKey] = {}  # of the nodes it enrolled

    def token(self, role: str, org: str | None, subject: str = "user-1", seconds: int = 600) -> str:
        now = time.time_ns() // 1000
        return issue(self.services.settings, subject, role, org, now, seconds)

    async def post(
        self,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        key: str | None = None,
        **headers: str,
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {token or self.operator}", **_named(headers)}
        sent["Idempotency-Key"] = key or uuid.uuid4().hex
        if isinstance(body, bytes):
            sent["Content-Type"] = "application/json"
            return await self.client.post(path, content=body, headers=sent)
        return await self.client.post(path, json=body, headers=sent)

    async def get(self, path: str, *, token: str | None = None, **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {token or self.operator}", **_named(headers)}
        return await self.client.get(path, headers=sent)

    async def views(self) -> None:
        await asyncio.to_thread(self._step)

    def _step(self) -> None:
        with psycopg.connect(self.services.settings.database_url) as conn:
            while step(conn, 1000):
                pass

    async def size(self) -> int:
        return (await self.services.log.head()).size

    async def node(self, model: str = "T4", gpus: int = 8) -> str:
        """An invited and enrolled node."""
        invited = (await self.post("/v1/nodes", {"name": "n", "model": model})).json()
        key = Ed25519PrivateKey.generate()
        request = EnrolRequest(
            token=invited["token"],
            key=public_hex(key),
            model=model,
            simulated=True,
            gpus=tuple(
                enrolment.Gpu(index, f"GPU-{invited['id']}-{index}") for index in range(gpus)
            ),
            serial="s",
            proof="",
        )
        signed = enrolment.signed_request(key, request)
        answer = await self.client.post(
            "/v1/enrol",
            content=msgspec.json.encode(signed),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 200, answer.text
        self.keys[invited["id"]] = key
        return str(invited["id"])

    async def tenant(self, model: str = "T4") -> dict[str, str]:
        """An organization ready to launch: department, account, project, price."""
        org = (await self.post("/v1/organizations", {"name": "Org"})).json()["id"]
        department = (
            await self.post("/v1/departments", {"organization": org, "name": "D"})
        ).json()["id"]
        account = (
            await self.post(
                "/v1/accounts", {"organization": org, "currency": "USD", "zone": "Europe/Berlin"}
            )
        ).json()["id"]
        body = {"department": department, "account": account, "name": "P"}
        project = (await self.post("/v1/projects", body)).json()["id"]
        await self.price(model, account)
        return {"org": org, "department": department, "account": account, "project": project}

    async def price(
        self, model: str, account: str = "default", state: str = "usable", region: str = "-"
    ) -> httpx.Response:
        """The entry, in effect; published further ahead where the machine was too busy for less."""
        answer, soon = await self._price(model, account, (state, region), 100_000)
        if answer.json().get("code") == "price.too_late":
            answer, soon = await self._price(model, account, (state, region), 3_000_000)
        assert answer.status_code == 201, answer.text
        await asyncio.sleep(max(0, soon + 50_000 - time.time_ns() // 1000) / 1_000_000)
        return answer

    async def _price(
        self, model: str, account: str, of: tuple[str, str], ahead_us: int
    ) -> tuple[httpx.Response, int]:
        soon = time.time_ns() // 1000 + ahead_us
        body = {
            "account": account,
            "model": model,
            "state": of[0],
            "region": of[1],
            "price": {"amount": "3.490000000000", "currency": "USD"},
            "effective_from": instant(soon),
        }
        return await self.post("/v1/prices", body), soon


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


async def open_log(log: EventLog) -> None:
    opened_fact = Opened(
        format="gpuaas-log/1", origin="test/0011223344556677", vkey="test+00000000+AA=="
    )
    write = Write(new_id("log"), "-", 0, (opened_fact,))
    await log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))


@asynccontextmanager
async def staged(
    database: Database,
    nats_url: str,
    data: Path,
    *,
    elect: bool = True,
    keeping: Keeping = KEEPING,
    bounds: Bounds = BOUNDS,
) -> AsyncIterator[Stage]:
    settings = settings_for(database, nats_url, data)
    settings = msgspec.structs.replace(settings, keeping=keeping, bounds=bounds)
    async with opened(settings) as services:
        if not (await services.log.head()).size:
            await open_log(services.log)
        assert not elect or await services.admission.elected(5)

        async with _application(settings, services) as app:
            transport = httpx.ASGITransport(app=cast("Any", app), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                yield Stage(services, client)


class _Application:
    """The API without services of its own, for one stage after the other: to build its routes takes
    longer than many a test that plays on it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.services: Services | None = None
        self.app = create_app(settings, open_services=self._ready)

    @asynccontextmanager
    async def _ready(self) -> AsyncIterator[Services]:
        assert self.services is not None
        yield self.services
        self.services = None


_FREE: list[_Application] = []


@asynccontextmanager
async def _application(settings: Settings, services: Services) -> AsyncIterator[Litestar]:
    """One that nobody else plays on meanwhile, with all state of its own new."""
    ours = next((one for one in _FREE if one.settings.rate == settings.rate), None)
    if ours is None:
        ours = _Application(settings)
    else:
        _FREE.remove(ours)
    ours.services = services
    async with ours.app.lifespan():
        yield ours.app
    _FREE.append(ours)


def play(
    database: Database, nats_url: str, data: Path, scene: Callable[[Stage], Awaitable[None]]
) -> None:
    """Runs one scene on a fresh stage."""

    async def run() -> None:
        async with staged(database, nats_url, data) as stage:
            await scene(stage)

    asyncio.run(run())
