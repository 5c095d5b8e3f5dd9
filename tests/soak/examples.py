"""One example of each act on the living stack: `tests/acting_calls.py` as anybody would send it.

What is made up meets the state that some acts want (an invoice overpaid, a factor confirmed) by
chance only; these meet it once, in the same count and under the same checks.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx

from api.config import Settings
from api.tokens import issue
from tests.acting_calls import CALLS
from tests.acting_recipes import TERMINAL, Call, Recipe, after, member
from tests.acting_world import World as Acting
from tests.acting_world import now_us
from tests.api_stage import Stage
from tests.soak.run import Soak

_PATIENCE_S: Final = 60
# What an issuer of identities would say, a node that is silent, or somebody else's address.
_NOT_HERE: Final = re.compile(
    r"/v1/(volumes/\{volume_id\}/lost|sessions/\{session_id\}/end|identities.*|webhooks.*)$"
)


class _Outside(Stage):
    """A caller of processes: a stage without the services."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self.client = client
        self.operator = self.token("platform-operator", None)
        self.keys = {}

    def token(self, role: str, org: str | None, subject: str = "user-1", seconds: int = 600) -> str:
        return issue(self._settings, subject, role, org, now_us(), seconds)

    async def views(self) -> None:
        """The worker keeps them."""


class Living(Acting):
    """Where a SIMULATED node does what the in-process world says for one."""

    def __init__(self, issuer: str, invoices: tuple[str, str]) -> None:
        super().__init__(issuer)
        self.invoice, self.over_paid = invoices

    async def furnish_on(self, stage: Stage) -> None:
        self.stage = stage
        await self.furnish_tenant()
        path = f"/v1/invoices/{self.over_paid}"
        paid = {"minor": 4, "paid_at": "2025-01-01T00:00:00Z", "reference": "b-0"}
        await self.made(f"{path}/payments", paid)
        await self.made(f"{path}/credit-notes", {})

        async def credited() -> bool:
            notes = await self.stage.get(f"/v1/credit-notes?invoice={self.over_paid}")
            return bool(notes.json()["items"])

        await _until(credited)

    async def make_usable(self, **more: Any) -> str:
        return await self._becomes("runtimes", await self.make_runtime(**more), "usable")

    async def make_volume(self) -> str:
        body = {"project": self.project, "name": "v", "size_mib": 64, "models": ["T4"]}
        return await self._becomes("volumes", await self.new("/v1/volumes", body), "ready")

    async def make_snapshot(self) -> tuple[str, str]:
        made = await self.make_volume()
        name = (await self.made(f"/v1/volumes/{made}/snapshot"))["snapshot"]

        async def taken() -> bool:
            found = (await self.stage.get(f"/v1/volumes/{made}")).json()
            return name in {one["id"] for one in found["snapshots"]}

        await _until(taken)
        return made, str(name)

    async def _becomes(self, collection: str, made: str, state: str) -> str:
        async def is_so() -> bool:
            found = (await self.stage.get(f"/v1/{collection}/{made}")).json()
            return bool(found.get("volume", found).get("state") == state)

        await _until(is_so)
        return made


async def _until(held: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not await held():
        assert time.monotonic() < deadline, held
        await asyncio.sleep(0.1)


_MORE: Final[dict[str, Recipe]] = {
    "/v1/terminals/{session_id}/tickets": after(member(TERMINAL), "/v1/terminals/{}/tickets"),
}
EXAMPLES: Final[dict[str, Recipe]] = {
    route: recipe
    for route, recipe in {**CALLS, **_MORE}.items()
    if _NOT_HERE.fullmatch(route) is None
}


def exemplify(soak: Soak) -> None:
    """Each act once, and what is downloaded whole."""
    asyncio.run(_each(soak))
    soak.example("GET /v1/bundle", Call("/v1/bundle"))


async def _each(soak: Soak) -> None:
    world = soak.world
    async with httpx.AsyncClient(base_url=world.url, timeout=30) as client:
        stage = _Outside(world.settings, client)
        acting = Living(world.receiver, world.invoices)
        await acting.furnish_on(stage)
        for route, recipe in EXAMPLES.items():
            label = f"POST {route}"
            try:
                call = await recipe(acting)
            except AssertionError as error:
                soak.not_furnished(label, error)
            else:
                soak.example(label, call)
