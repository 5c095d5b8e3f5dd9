"""One organization of two departments and three projects with things everywhere, and its readers."""

import time
import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from api.authorization.cedar import PLATFORM
from api.edge import instant
from contracts.signing import public_hex
from domain import runtime
from domain.binding import Binding, Guardrail
from domain.words import Attested
from evidence.append import Append, Write
from tests.api_stage import Stage
from tests.authority_oracle import Asked, decided
from tests.ssh_world import Key

HOUR_US = 3_600_000_000
KINDS = ("runtime-", "volume-", "network-")


class Scoped:
    """`above`: of each scope and resource what it lies in, nearest first, up to the platform."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.above: dict[str, tuple[str, ...]] = {}
        self.bindings: list[Binding] = []
        self.guardrails: list[Guardrail] = []

    async def furnish(self, key: Key) -> None:
        """One of nearly everything in each project, department and in the organization."""
        tenant = await self.stage.tenant()
        self.org, self.account = tenant["org"], tenant["account"]
        self.first, other = tenant["department"], await self._department("E")
        self.other = other
        self.above |= {self.org: (PLATFORM,)}
        for department in (self.first, self.other):
            self.above[department] = (self.org, PLATFORM)
        self.projects = [tenant["project"]]
        for department in (self.first, self.other):
            body = {"department": department, "account": self.account, "name": "Q"}
            self.projects.append((await self.made("/v1/projects", body))["id"])
        for project, of in zip(self.projects, (self.first, self.first, self.other), strict=True):
            self.above[project] = (of, self.org, PLATFORM)
        for _ in range(2):
            await self.stage.node(gpus=8)
        await self._things(key)
        await self._limits()
        await self._people()

    async def made(self, path: str, body: dict[str, Any], token: str | None = None) -> Any:
        answer = await self.stage.post(path, body, token=token)
        assert answer.status_code in (200, 201), (path, answer.text)
        return answer.json()

    async def _department(self, name: str) -> str:
        body = {"organization": self.org, "name": name}
        return str((await self.made("/v1/departments", body))["id"])

    async def _things(self, key: Key) -> None:
        await self.made("/v1/meters", {"meter": "x", "unit": "token", "source": "readings"})
        for number, project in enumerate(self.projects):
            of, named = {"project": project}, {"project": project, "name": "n"}
            for path, body in (
                ("/v1/runtimes", {**named, "gpu_milli": 100}),
                ("/v1/runtimes", {**named, "gpu_milli": 100}),
                ("/v1/networks", {**named, "egress": []}),
                ("/v1/volumes", {**named, "size_mib": 64}),
            ):
                self.above[(await self.made(path, body))["id"]] = (project, *self.above[project])
            public = public_hex(Ed25519PrivateKey.generate())
            await self.made("/v1/sources", {**of, "key": public, "meters": ["x"]})
            until = instant(time.time_ns() // 1000 + HOUR_US)
            await self.made("/v1/reservations", {**of, "model": "T4", "devices": 1, "until": until})
            runtime = self.of("runtime-")[2 * number]
            path = f"/v1/runtimes/{runtime}/ssh-certificates"
            admin = self.stage.token("admin", self.org)
            await self.made(path, {"public_key": key.public}, admin)

    async def _limits(self) -> None:
        for scope in (self.org, self.first, self.other, *self.projects):
            await self.made("/v1/quotas", {"scope": scope, "model": "T4", "limit_milli": 90_000})
            await self.made("/v1/storage-quotas", {"scope": scope, "limit_mib": 9_000})
            sure = {self.org: 8_000, self.first: 4_000, self.other: 4_000}.get(scope, 2_000)
            share = {"guaranteed_milli": sure, "lendable_milli": 0, "limit_milli": 9_000}
            await self.made("/v1/quotas/shares", {"scope": scope, "model": "T4", **share})
            amount = {"amount": "900.000000000000", "currency": "USD"}
            budget = {"scope": scope, "account": self.account, "amount": amount, "mode": "soft"}
            await self.made("/v1/budgets", budget)
            invited = {"organization": self.org, "email": "a@b.c", "role": "viewer", "scope": scope}
            await self.made("/v1/invitations", invited)
        for scope in self.projects[1:]:
            claim = {"model": "T4", "gpu_milli": 1_000, "notice_s": 0, "hold_s": 600}
            await self.made("/v1/quotas/claims", {"scope": scope, **claim})

    async def _people(self) -> None:
        of = {"organization": self.org, "name": "x"}
        centre = await self.made("/v1/cost-centres", {"department": self.first, "name": "c"})
        for project in self.projects:
            path = f"/v1/projects/{project}/attribution"
            await self.made(path, {"cost_centre": centre["id"]})
        await self.made("/v1/groups", of)
        await self.made("/v1/service-accounts", of)
        hook = {"organization": self.org, "url": "https://1.1.1.1/a"}
        await self.made("/v1/webhooks", hook)
        boss = await self.reader("boss", "owner", self.org)
        await self.made("/v1/api-keys", {"name": "k"}, boss.token)

    async def reader(self, name: str, role: str, scope: str) -> "Reader":
        """A member with one binding."""
        who = f"user-{name}"
        await self.made("/v1/members", {"principal": who, "organization": self.org})
        bound = {"principal": who, "role": role, "scope": scope}
        made = await self.made("/v1/role-bindings", bound)
        self.bindings.append(Binding(made["id"], who, role, scope))
        return Reader(who, self.stage.token("user", self.org, who))

    async def runs(self, name: str) -> None:
        """The runtime is usable, as its node's words would say."""
        log, at = self.stage.services.log, time.time_ns() // 1000
        last = (await log.read_stream(name))[-1]
        node = Attested("node-1", "0" * 64, "0" * 32, 1, "e30=", "AA==")
        facts = (runtime.Starting(1, at), runtime.Usable(1, at, at, node))
        write = Write(name, last.org, last.version, facts)
        await log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))

    async def forbid(self, scope: str, *actions: str) -> None:
        rail = await self.made("/v1/guardrails", {"actions": actions, "scope": scope})
        self.guardrails.append(Guardrail(rail["id"], actions, scope))

    def of(self, kind: str) -> list[str]:
        return [name for name in self.above if name.startswith(kind)]

    def shows(self, who: str, action: str, scope: str, resource: str = "") -> bool:
        """Whether the oracle lets `who` do the action on a thing there."""
        place = (scope, *self.above[scope])
        if resource in self.above:
            assert self.above[resource] == place, "a resource lies in its project"
            place = (resource, *place)
        asked = Asked(
            who, frozenset(), action, place, 1, False, "", False, None,
        )  # fmt: skip
        return decided(tuple(self.bindings), tuple(self.guardrails), asked)[0]


class Reader(Struct, frozen=True):
    who: str
    token: str
