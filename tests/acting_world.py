"""A platform in which every act of the API can be done, made through the API wherever it can be.

What only a node, the rater or a bank would say is appended as they would; nobody signed it.
"""

import asyncio
import itertools
import time
import uuid
from typing import Any

import httpx
import psycopg
from msgspec import Struct

from api.authorization.keys import hash_of, minted
from api.authorization.sessions import PREFIX
from api.edge import instant
from domain import node, runtime, session, volume
from domain.words import Attested
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.log import EventLog
from projections.crediting import credit_due
from projections.invoicing import finalize_due
from projections.months import period_id
from projections.rater import Rater
from tests.api_stage import Stage
from tests.conftest import Database
from tests.integration.projections_world import T0
from tests.integration.tax_world import TaxedPlatform
from tests.issuer_stage import Issuer

USER = "user-1"
MEMBER = "member"
MIB = volume.MIB
_INVOICED = 2


def usd(amount: int) -> dict[str, str]:
    return {"amount": f"{amount}.000000000000", "currency": "USD"}


def now_us() -> int:
    return time.time_ns() // 1000


def word(node_id: str) -> Attested:
    """As if the node had signed it."""
    return Attested(node_id, "0" * 64, "0" * 32, 1, "e30=", "AA==")


class Act(Struct):
    """One that this world asked for, by its own key; `answer` is None while it is withheld."""

    path: str
    body: Any
    token: str | None
    key: str
    answer: httpx.Response | None = None

    async def ask(self, stage: Stage) -> httpx.Response:
        return await stage.post(self.path, self.body, token=self.token, key=self.key)


class World:
    """One tenant with everything; each `make_*` is another new thing. `stage` may change. `acts`:
    what it asked for so far; the one at `withheld` it does not ask for.
    """

    stage: Stage

    def __init__(self, issuer: str, identities: Issuer | None = None) -> None:
        self.issuer_url = issuer
        self.identities = identities
        self.acts: list[Act] = []
        self.withheld = -1
        self.taxed = TaxedPlatform(_INVOICED)
        self.invoice = self.over_paid = self.seller = ""
        self.org = self.department = self.account = self.project = ""
        self.host = ""
        self._numbers = itertools.count(1)
        self._staff: set[str] = set()

    def number(self) -> int:
        """One that nothing in this world has yet."""
        return next(self._numbers)

    def token(self, role: str, subject: str = USER) -> str:
        return self.stage.token(role, self.org, subject, 3600)

    async def made(self, path: str, body: Any = None, token: str | None = None) -> dict[str, Any]:
        act = Act(path, body, token, uuid.uuid4().hex)
        self.acts.append(act)
        if len(self.acts) - 1 == self.withheld:
            return {}
        act.answer = answer = await act.ask(self.stage)
        assert answer.status_code in (200, 201), (path, body, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    async def new(self, path: str, body: Any = None, token: str | None = None) -> str:
        return str((await self.made(path, body, token))["id"])

    async def says(self, stream: str, *facts: Struct) -> None:
        """Facts that somebody else than the API decides, on a stream that is there."""
        log = self.stage.services.log
        recorded = await log.read_stream(stream)
        write = Write(stream, recorded[0].org, recorded[-1].version, facts)
        await log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))

    async def furnish(self, stage: Stage, database: Database) -> None:
        """Once, before anything is called."""
        self.stage = stage
        self.host = await self.stage.node(gpus=64)
        await self.furnish_tenant()
        await self._invoiced(database)

    async def furnish_tenant(self) -> None:
        """All but the invoices."""
        tenant = await self.stage.tenant()
        self.org, self.department = tenant["org"], tenant["department"]
        self.account, self.project = tenant["account"], tenant["project"]
        await self.made("/v1/members", {"principal": USER, "organization": self.org})
        owner = {"principal": USER, "role": "owner", "scope": self.org}
        await self.made("/v1/role-bindings", owner)
        await self.made("/v1/meters", self.meter("readings", "app.words"))
        await self._seller()
        await self.stage.views()
        soon = instant(now_us() + 10**9)
        entry = {"model": "T4", "currency": "USD", "effective_from": soon,
                 "tiers": [{"price": "1.000000000000"}]}  # fmt: skip
        await self.made("/v1/price-books/spring", {"entries": [entry]})

    @staticmethod
    def meter(source: str, name: str) -> dict[str, Any]:
        body = {"meter": name, "unit": "word", "source": source, "aggregation": "sum"}
        return body | {"dimensions": ["model"]}

    async def staff(self, who: str) -> str:
        """A token of somebody whom the platform has bound to support, once."""
        if who not in self._staff:
            body = {"principal": f"user-{who}", "organization": "-"}
            await self.made("/v1/members", body)
            bound = {"principal": f"user-{who}", "role": "support", "scope": "-"}
            await self.made("/v1/role-bindings", bound)
            self._staff.add(who)
        return self.stage.token("staff", None, f"user-{who}", 3600)

    async def _seller(self) -> None:
        new = {"name": "Verkauf AG", "vat_id": "DE123456789", "country": "DE", "prefix": "VK"}
        self.seller = await self.new("/v1/sellers", new)
        rate = {"treatment": "standard", "country": "DE", "category": "S", "rate_bp": 1900}
        await self.made(f"/v1/sellers/{self.seller}/rates", rate)

    async def _invoiced(self, database: Database) -> None:
        """An invoice of which everything is due, and one that was paid and then credited."""
        await self._reacted(database)
        first, second = [
            one["id"] for one in (await self.stage.get("/v1/invoices")).json()["items"]
        ]
        self.invoice, self.over_paid = first, second
        path = f"/v1/invoices/{second}"
        paid = {"minor": 400, "paid_at": "2025-01-01T00:00:00Z", "reference": "b-0"}
        await self.made(f"{path}/payments", paid)
        await self.made(f"{path}/credit-notes", {})
        await self._reacted(database)

    async def _reacted(self, database: Database) -> None:
        log, storage = self.stage.services.log, self.stage.services.storage
        now = T0 + self.taxed.period_us
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            rater, done = Rater(conn, log), 1
            while done:
                await rater.catch_up()
                done = await finalize_due(log, rater, storage, now)
                done += await credit_due(log, rater, storage, now)
        await self.stage.views()

    async def make_account(self) -> str:
        body = {"organization": self.org, "currency": "USD", "zone": "UTC"}
        return await self.new("/v1/accounts", body)

    async def make_period(self) -> tuple[str, int]:
        """One that is over, and its version; later where the machine was too busy for less."""
        body = {"organization": self.org, "currency": "USD", "zone": "UTC"}
        for ahead_us in (60_000, 3_000_000, 20_000_000):
            over = now_us() + ahead_us
            asked = body | {"first_period_end": instant(over)}
            answer = await self.stage.post("/v1/accounts", asked)
            if answer.status_code == 201:
                await asyncio.sleep(max(0, over + 1000 - now_us()) / 1_000_000)
                return period_id(answer.json()["id"], 1), 1
        raise AssertionError("the machine is too busy")

    async def make_project(self) -> str:
        body = {"department": self.department, "account": self.account, "name": "P"}
        return await self.new("/v1/projects", body)

    async def make_organization(self) -> str:
        return await self.new("/v1/organizations", {"name": f"O{self.number()}"})

    async def make_node(self) -> str:
        """Enrolled, of a model that nobody asks for."""
        return await self.stage.node("L4", 1)

    async def make_grant(self) -> tuple[str, str]:
        """An account with credit, and the payment that it came by."""
        account, reference = await self.make_account(), f"bank-{self.number()}"
        body = {"amount": usd(9), "reference": reference}
        await self.made(f"/v1/accounts/{account}/grants", body)
        return account, reference

    async def make_runtime(self, **more: Any) -> str:
        body = {"project": self.project, "name": "r", "gpu_milli": 100, **more}
        return await self.new("/v1/runtimes", body, self.token(MEMBER))

    async def make_usable(self, **more: Any) -> str:
        """A runtime that its node says it has started."""
        made = await self.make_runtime(**more)
        now = now_us()
        await self.says(made, runtime.Starting(1, now))
        await self.says(made, runtime.Usable(1, now, now, word(self.host)))
        return made

    async def make_volume(self) -> str:
        """That its node has made."""
        body = {"project": self.project, "name": "v", "size_mib": 64, "models": ["T4"]}
        made = await self.new("/v1/volumes", body)
        now = now_us()
        formatted = volume.Formatted(0, "ext4_loop", 64 * MIB, 1, now, now, word(self.host))
        await self.says(made, formatted)
        return made

    async def make_snapshot(self) -> tuple[str, str]:
        made = await self.make_volume()
        name = (await self.made(f"/v1/volumes/{made}/snapshot"))["snapshot"]
        await self.says(made, volume.Snapshotted(1, name, 4096, 7, 1, now_us(), word(self.host)))
        return made, name

    async def make_abandoned(self) -> str:
        """A volume of a node that is silent."""
        lies = await self.stage.node("L4", 1)
        body = {"project": self.project, "name": "v", "size_mib": 64, "node": lies}
        made = await self.new("/v1/volumes", body)
        await self.says(lies, node.Unreachable(now_us()))
        return made

    async def make_session(self) -> str:
        """Of somebody who signed in with a trusted issuer."""
        return (await self.signed_in(USER))[0]

    async def signed_in(self, who: str) -> tuple[str, str]:
        """A session of theirs, and its token."""
        issuer = await self.new("/v1/issuers", self.issuer())
        stream, now, token = new_id("token"), now_us(), minted(PREFIX)
        opened = session.Opened(
            issuer, who, self.org, hash_of(token), ("pwd",), "", now + 10**10, now
        )
        log = self.stage.services.log
        write = Write(stream, self.org, 0, (opened,))
        await log.append(Append((write,), who, f"cmd:{uuid.uuid4().hex * 2}"))
        return stream, token

    def issuer(self) -> dict[str, Any]:
        client = f"client-{self.number()}"
        return {"organization": self.org, "url": self.issuer_url, "client_id": client}

    async def make_shared(self) -> tuple[str, str]:
        """Two projects of an organization of its own, the second with shares to be claimed."""
        org = await self.make_organization()
        department = await self.new("/v1/departments", {"organization": org, "name": "D"})
        body = {"organization": org, "currency": "USD", "zone": "UTC"}
        account = await self.new("/v1/accounts", body)
        asked = {"department": department, "account": account, "name": "P"}
        project = await self.new("/v1/projects", asked)
        for scope, lent in ((org, 0), (department, 0), (project, 1000)):
            await self.made("/v1/quotas/shares", self.share(scope, lent))
        return org, project

    @staticmethod
    def share(scope: str, lent: int) -> dict[str, Any]:
        terms = {"guaranteed_milli": 4000, "lendable_milli": lent, "limit_milli": 4000}
        return {"scope": scope, "model": "T4", **terms}


async def prepared(database: Database, world: TaxedPlatform) -> None:
    """The log before the API opens it: accounts that were used and whose periods are closed."""
    log = await EventLog.open(database.app_url)
    await world.played(log)
    await log.close()
