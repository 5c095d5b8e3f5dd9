"""Two tenants, every route of the document: a foreign id and a missing one cannot be told apart.

And every route by which evidence is read: who read it is told to its own tenant.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from msgspec import Struct

from api.authorization.reading import COUNTED
from contracts.authorization.registry import ACTIONS
from tests.acting_calls import CALLS
from tests.acting_world import MEMBER, Act, World, prepared, usd
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.issuer_stage import issuer
from tests.routes import ROUTES, Named, body_schema, is_public, missing

pytestmark = pytest.mark.slow

# What a caller can make of each kind, by the route that makes it (tests/acting_calls.py).
_MADE: Final = {
    "access": "/v1/runtimes/{runtime_id}/ssh-certificates",
    "binding": "/v1/role-bindings",
    "break_glass": "/v1/break-glass",
    "cost_centre": "/v1/cost-centres",
    "group": "/v1/groups",
    "guardrail": "/v1/guardrails",
    "identity": "/v1/identities",
    "incident": "/v1/incidents",
    "invitation": "/v1/invitations",
    "issuer": "/v1/issuers",
    "network": "/v1/networks",
    "reservation": "/v1/reservations",
    "runtime": "/v1/runtimes",
    "service": "/v1/service-accounts",
    "source": "/v1/sources",
    "suspense": "/v1/suspense",
    "terminal": "/v1/runtimes/{runtime_id}/terminals",
    "token": "/v1/api-keys",
    "webhook": "/v1/webhooks",
}
# No tenant owns them: their ids may be read by others.
_PLATFORMS: Final = frozenset({"incident", "node", "seller", "suspense"})
# Words that a request needs, and no ids.
_WORDS: Final = {
    "number": "0",
    "form": "focus.csv",
    "start": "2025-01-01T00:00:00Z",
    "end": "2025-02-01T00:00:00Z",
}
# Routes that name nothing that one tenant has and another has not, and what they are about.
_NAMELESS: Final = {
    "of the release or the deployment": {
        "get /v1/authorization/actions", "get /v1/effects", "get /v1/metrics", "get /v1/ssh/ca",
    },
    "of whoever asks": {
        "get /v1/events", "get /v1/identities", "get /v1/me", "get /v1/mfa",
        "post /v1/identities", "post /v1/mfa/recovery-codes", "post /v1/mfa/totp",
        "post /v1/mfa/totp/confirm", "post /v1/mfa/verify",
    },
    "of the platform": {
        "get /v1/bundle", "get /v1/capacity", "get /v1/images", "get /v1/images/{image_id}", "post /v1/images",
        "get /v1/incidents", "post /v1/incidents", "get /v1/meters", "get /v1/meters/{meter_id}", "post /v1/meters",
        "get /v1/nodes", "post /v1/nodes", "get /v1/organizations", "post /v1/organizations",
        "get /v1/price-books", "get /v1/price-books/{name}", "get /v1/readings/quarantined",
        "get /v1/sellers", "post /v1/sellers", "get /v1/suspense", "post /v1/suspense",
    },
}  # fmt: skip
# What may be told apart: (route, kind), and why.
_OPEN: Final = {
    ("get /v1/sellers/{seller_id}", "seller"): "what stands on an invoice is no secret",
    ("get /v1/sellers/{seller_id}/rates", "seller"): "whoever pays reads the platform's rates",
    ("post /v1/accounts/{account_id}/tax", "seller"): "whoever pays names who invoices them",
}
# What the platform itself is not told apart of them, and why.
_UNSEEN: Final = {
    "get /v1/identities/{identity_id}": "whose it is reads it, and nobody else",
    "get /v1/images/{image_id}": "it names nothing of a tenant",
    "get /v1/meters/{meter_id}": "it names nothing of a tenant",
    "get /v1/price-books/{name}": "it names nothing of a tenant",
    "get /v1/runtimes/{runtime_id}/logs": "no node is there to be asked for them",
    "get /v1/terminals/{session_id}/recording": "nothing was recorded",
}
# Of each answer its own, or of how much its caller has asked.
_OWN: Final = re.compile("correlation|date$|ratelimit")


class Sent(Struct, frozen=True):
    """A request; `used`: the kinds of what it names."""

    method: str
    path: str
    body: Any
    used: frozenset[str]


def _name(route: tuple[str, str, Any]) -> str:
    return f"{route[1]} {route[0]}"


def _request(route: tuple[str, str, Any], known: dict[str, str]) -> Sent:
    plain, method, operation = route
    ids = Named(known | _WORDS)
    path = ids.path(plain, operation)
    if plain == "/v1/events":
        path += ("&" if "?" in path else "?") + "follow=false"
    schema = None if method == "get" else body_schema(operation)
    body = None if schema is None else ids.body(schema)
    return Sent(method, path, body, frozenset(ids.used - set(_WORDS)))


async def _sent(stage: Stage, asked: Sent, token: str, **more: str) -> httpx.Response:
    """`more`: header fields."""
    if asked.method == "get":
        return await stage.get(asked.path, token=token, **more)
    return await stage.post(asked.path, asked.body, token=token, **more)


async def _head(stage: Stage, asked: Sent, token: str) -> httpx.Response:
    return await stage.client.head(asked.path, headers={"Authorization": f"Bearer {token}"})


def _said(answer: httpx.Response, known: dict[str, str]) -> str:
    """What the answer says, whatever ids were asked with."""
    headers = {k: v for k, v in sorted(answer.headers.items()) if not _OWN.search(k)}
    text = f"{answer.status_code} {json.dumps(headers)} {answer.text}"
    for one in sorted((one for one in known.values() if "-" in one), key=len, reverse=True):
        text = text.replace(one, "ID")
    text = re.sub('"content-length": "[0-9]+"', "", text)
    return re.sub(r'"correlation_id":"[0-9a-f]+"', "", text)


async def _theirs(w: World) -> dict[str, str]:
    """An organization's things, one of each kind that a route of the document names."""
    stage, user = w.stage, "user-theirs"
    known = {
        "organization": w.org,
        "department": w.department,
        "account": w.account,
        "project": w.project,
        "user": user,
        "node": w.host,
        "seller": w.seller,
        "invoice": w.invoice,
        "volume": await w.make_volume(),
        "period": (await w.make_period())[0],
        "signed_in": await w.make_session(),
    }
    await w.made("/v1/members", {"principal": user, "organization": w.org})
    for kind, route in _MADE.items():
        call = await CALLS[route](w)
        made = await w.made(call.path, call.body, call.token or None)
        known[kind] = str(made.get("id") or made["grant"])
    await w.made("/v1/budgets", {"scope": w.project, "amount": usd(1000)})
    refused = await stage.get("/v1/audit", token=w.token(MEMBER, user))
    assert refused.status_code == 403, refused.text
    await stage.services.calls.seal()
    await stage.views()
    known["position"] = str(await stage.size() - 1)
    of = f"?organization={w.org}"
    audited = (await stage.get(f"/v1/audit{of}")).json()["items"]
    known["counted"] = next(one["proof"] for one in audited if one["proof"]).rpartition("/")[2]
    known["operation"] = (await stage.get(f"/v1/operations{of}")).json()["items"][0]["id"]
    billed = (await stage.get(f"/v1/invoices/{w.invoice}")).json()["account"]
    posted = (await stage.get(f"/v1/accounts/{billed}/transfers")).json()["items"]
    known["transfer"] = str(posted[0]["row"])
    known["credit_note"] = (await stage.get("/v1/credit-notes")).json()["items"][0]["id"]
    return known


async def _mine(stage: Stage, user: str) -> dict[str, str]:
    """Of who asks, whatever a route may need besides."""
    tenant = await stage.tenant()
    org, project = tenant["org"], tenant["project"]
    known = {"organization": org, "user": user}
    known |= {name: tenant[name] for name in ("department", "account", "project")}
    await stage.post("/v1/members", {"principal": user, "organization": org})
    for kind, path, body in (
        ("runtime", "/v1/runtimes", {"project": project, "name": "r", "gpu_milli": 100}),
        ("network", "/v1/networks", {"project": project, "name": "n", "egress": []}),
        ("group", "/v1/groups", {"organization": org, "name": "g"}),
        ("binding", "/v1/role-bindings", {"principal": user, "role": "owner", "scope": org}),
    ):
        answer = await stage.post(path, body)
        assert answer.status_code == 201, (path, answer.text)
        known[kind] = answer.json()["id"]
    return known


def _never(theirs: dict[str, str]) -> dict[str, str]:
    """Of each kind one that never was, of the same form."""
    said = {"user": "user-nobody", "counted": "99999", "position": "999999999", "transfer": "99999"}
    return {kind: said.get(kind) or missing(one.split("-")[0]) for kind, one in theirs.items()}


class Apart:
    """Asks for what is theirs and for what never was."""

    def __init__(self, stage: Stage, theirs: dict[str, str], mine: dict[str, str]) -> None:
        self.stage, self.theirs, self.mine = stage, theirs, mine
        self.words: frozenset[str] = frozenset()  # addresses of theirs
        self.never = _never(theirs)
        self.tokens = [
            stage.token("user", mine["organization"], "user-mine", 3600),
            stage.token("admin", mine["organization"], "user-b", 3600),
        ]
        self.broken: list[str] = []
        self.open: set[tuple[str, str]] = set()
        self.hidden = 0

    async def ask(
        self, route: tuple[str, str, Any], kind: str, foreign: dict[str, str], never: dict[str, str]
    ) -> None:
        one, other, name = _request(route, foreign), _request(route, never), (_name(route), kind)
        for token in self.tokens:
            said = await _sent(self.stage, one, token)
            gone = await _sent(self.stage, other, token)
            self.hidden += said.status_code == 404
            if one.method == "post" and said.status_code == gone.status_code in (200, 201):
                continue  # it acted on the caller's own
            what = (_said(said, foreign), _said(gone, never))
            if what[0] == what[1] and foreign is self.theirs and token == self.tokens[0]:
                what = await self._otherwise(one, other, token, foreign, never)
            if said.status_code >= 500 or said.status_code == 429:
                self.broken.append(f"{one} {what[0]}")
            elif what[0] != what[1] and name in _OPEN:
                self.open.add(name)
            elif what[0] != what[1]:
                self.broken.append(f"{one} {what[0]} {what[1]}")

    async def _otherwise(
        self, one: Sent, other: Sent, token: str, foreign: dict[str, str], never: dict[str, str]
    ) -> tuple[str, str]:
        """By HEAD; or with an ETag that theirs may be at."""
        if one.method == "get":
            said, gone = [await _head(self.stage, which, token) for which in (one, other)]
        else:
            said, gone = [
                await _sent(self.stage, which, token, If_Match='"1"') for which in (one, other)
            ]
        return _said(said, foreign), _said(gone, never)

    async def by_their_keys(self, acts: list[Act]) -> int:
        """How many of their requests the caller repeats: by the key that they were made with, and
        by one that nobody used, it comes to the same.
        """
        every = {re.sub(r"-[0-9a-f-]{36}", "", one.path): one for one in acts}
        for act in every.values():
            asked = Sent("post", act.path, act.body, frozenset())
            for token in self.tokens:
                said = await self.stage.post(act.path, act.body, token=token, key=act.key)
                gone = await _sent(self.stage, asked, token)
                if said.is_success and gone.is_success:
                    said = await self.stage.post(act.path, act.body, token=token, key=act.key)
                    assert act.answer is not None
                    if said.json().get("id", "") == act.answer.json().get("id"):
                        self.broken.append(f"{act.path} answers what they were answered")
                elif _said(said, self.theirs) != _said(gone, self.theirs):
                    self.broken.append(f"{act.path} {said.text} {gone.text}")
        return len(every)

    async def alone(self, route: tuple[str, str, Any]) -> bool:
        """Whether it names anything that could be theirs. All that it names is."""
        foreign, never = _request(route, self.theirs), _request(route, self.never)
        if (foreign.path, foreign.body) == (never.path, never.body):
            return False
        await self.ask(route, "+".join(sorted(foreign.used)), self.theirs, self.never)
        return True

    async def there(self, route: tuple[str, str, Any]) -> bool:
        """Whether the platform is told apart what is theirs and what never was."""
        foreign, never = _request(route, self.theirs), _request(route, self.never)
        one = await _sent(self.stage, foreign, self.stage.operator)
        other = await _sent(self.stage, never, self.stage.operator)
        return _said(one, self.theirs) != _said(other, self.never)

    async def beside(self, route: tuple[str, str, Any]) -> None:
        """One thing is theirs, all others are the caller's own."""
        used = _request(route, self.theirs).used
        for kind in sorted(used) if len(used) > 1 else ():
            foreign = self.mine | {kind: self.theirs[kind]}
            await self.ask(route, kind, foreign, self.mine | {kind: self.never[kind]})

    async def bare(self, route: tuple[str, str, Any]) -> None:
        secret = [one for kind, one in self.theirs.items() if kind not in _PLATFORMS and "-" in one]
        for token in self.tokens:
            answer = await _sent(self.stage, _request(route, {}), token)
            text = f"{answer.headers} {answer.text}"
            told = [one for one in (*secret, *self.words) if one in text]
            self.broken += [f"{_name(route)} names {one}" for one in told]


async def _reads_are_told(w: World, theirs: dict[str, str]) -> None:
    """Each counted read of evidence is a sealed row of the tenant's own, with what was read by whom
    and by which policies; what tells of reads alone is told of no further, however often it is asked.
    """
    stage, unsigned = w.stage, set()
    named = {one[0]: one for one in ROUTES if one[1] == "get"}
    [payer] = {one["organization"] for one in (await stage.get("/v1/invoices")).json()["items"]}
    desk = stage.token("platform-operator", None, "user-desk")
    for action in sorted(COUNTED):
        route = named[ACTIONS[action].route.partition(" ")[2]]
        org = payer if "/invoices/" in route[0] or "/credit-notes/" in route[0] else w.org
        for token in (stage.token("auditor", org, "user-auditor"), desk):
            answer = await stage.get(_of(route, theirs), token=token)
            assert answer.status_code in (200, 503), answer.text
            unsigned |= {action} if answer.status_code == 503 else set()
    assert unsigned == {"account.export"}, "nobody signs on a stage; test_exports.py"
    await stage.services.calls.seal()
    await stage.views()
    readers = {"user-auditor": "token:auditor", "user-desk": "token:operator"}
    shown = [
        one
        for org in (w.org, payer)
        for one in (await stage.get(f"/v1/audit?organization={org}&limit=500")).json()["items"]
        if one["outcome"] == "read" and one["actor"] in readers
    ]
    reads = {(one["actor"], one["action"]): one for one in shown}
    assert set(reads) == {(who, action) for who in readers for action in COUNTED - unsigned}
    for (who, action), one in reads.items():
        of = re.findall(r"\{(\w+)_id}", ACTIONS[action].route)
        assert (one["resource"] or "").startswith(theirs[of[0]] if of else ""), one
        assert one["authority"] == [readers[who]], one
    auditor = stage.token("auditor", payer, "user-auditor")
    await _told_no_further(stage, auditor, reads["user-desk", "invoice.read_pdf"])


def _of(route: tuple[str, str, Any], theirs: dict[str, str]) -> str:
    """A question of all that is theirs, or of the one thing that the route names."""
    whole = f"{route[0]}?organization={theirs['organization']}"
    return _request(route, theirs).path if "{" in route[0] else whole


async def _told_no_further(stage: Stage, auditor: str, read: dict[str, Any]) -> None:
    await stage.services.calls.seal()  # what was asked for until now
    size = await stage.size()
    here = f"?resource={read['resource']}&action=invoice.read_pdf"
    items = (await stage.get(f"/v1/audit{here}", token=auditor)).json()["items"]
    assert items[-1]["calls"] == read["calls"]
    lines = (await stage.get(f"/v1/audit/ocsf{here}", token=auditor)).text.splitlines()
    assert {json.loads(one)["activity_name"] for one in lines} == {"Read"}
    assert json.loads((await stage.get(read["proof"], token=auditor)).json()["row"])["calls"]
    await stage.services.calls.seal()
    assert await stage.size() == size


def test_no_route_tells_a_foreign_thing_from_a_missing_one(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Asked by another organization's owner, each route answers the same, headers too, for what is
    somebody else's and for what never was, alone (by HEAD, and with an ETag, too) and beside what is
    the caller's own; and nothing that it answers names anything of theirs. What they once asked,
    asked again by their Idempotency-Key, comes to what it comes to by any other. Every route but
    the nameless ones is asked with two requests that differ. Their own auditor is told who read
    which evidence.
    """

    async def scene(stage: Stage) -> None:
        await world.furnish(stage, database)
        theirs = await _theirs(world)
        await _reads_are_told(world, theirs)
        apart = Apart(stage, theirs, await _mine(stage, "user-mine"))
        acts = [one for one in world.acts if one.answer is not None]
        said = json.dumps([one.body for one in acts])
        apart.words = frozenset(re.findall(r'"([^"]+@example.org|https://8[^"]+)"', said))
        assert len(apart.words) > 1, "mail and webhooks of theirs"
        await stage.views()
        routes = [one for one in ROUTES if not is_public(one[2])]
        nameless = {_name(one) for one in routes if not await apart.alone(one)}
        shown = [one for one in routes if one[1] == "get" and "{" in one[0]]
        unseen = {_name(one) for one in shown if not await apart.there(one)}
        assert unseen == set(_UNSEEN), unseen
        for act in (apart.bare, apart.beside):
            for route in routes:
                await act(route)
        assert await apart.by_their_keys(acts) > 25
        assert not apart.broken, "\n".join(apart.broken)
        assert apart.open == set(_OPEN)
        table = {one for every in _NAMELESS.values() for one in every}
        assert nameless == table, (sorted(nameless - table), sorted(table - nameless))
        assert apart.hidden > 60, "most routes get as far as the thing they name"

    with issuer() as trusted:
        world = World(trusted.url)
        asyncio.run(prepared(database, world.taxed))
        play(database, nats_url, tmp_path, scene)
