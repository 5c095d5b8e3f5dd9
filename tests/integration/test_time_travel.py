"""What the auditor saw on 3 March: every question with `as_of`, asked while a story runs and again.

The routes come from the document, so that a new one cannot be left out.
"""

import hashlib
import json
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from api.authorization.cedar import PLATFORM
from api.authorization.persons import identity_stream
from api.edge import instant
from api.openapi import FILE, LONG, SEALED, UNVERSIONED
from domain import grant, issuer, linking, session
from domain import terminal as shell
from domain.authority import authority_stream
from evidence.append import Append, Write
from evidence.ids import new_id
from projections.rater import Rater
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.list_filters import require_filters
from tests.integration.projections_world import command
from tests.integration.tax_world import TaxedPlatform
from tests.integration.test_taxes import react

pytestmark = pytest.mark.slow

_DOCUMENT = json.loads(FILE.read_text())
_GETS = {path: item["get"] for path, item in sorted(_DOCUMENT["paths"].items()) if "get" in item}
_ROUTES = {
    path: names
    for path, one in _GETS.items()
    if "as_of" in (names := [parameter["name"] for parameter in one["parameters"]])
}
# Of what is signed; nobody signs on this stage. test_exports.py and test_invoice_proofs*.py ask.
_SIGNED = {path for path in _ROUTES if path.endswith("/proof") or "/exports/" in path}
# GETs that tell of no state of the log, or of an immutable part of it that a position names itself.
_TIMELESS = {
    "/v1/audit/calls/{number}": "one sealed row: its number names it for good",
    "/v1/authorization/actions": "a table of the release",
    "/v1/bundle": "the signed log as it is, up to a checkpoint",
    "/v1/checkpoint": "the newest signed state",
    "/v1/effects": "a table of the release",
    "/v1/enrol/ca": "a key of the deployment",
    "/v1/events": "resumed by Last-Event-ID: every position is there",
    "/v1/health": "of the process",
    "/v1/me": "whose token it is",
    "/v1/metrics": "of the process",
    "/v1/mfa": "what is kept beside the log, of oneself",
    "/v1/placement/explain": "of a launch that would be made now",
    "/v1/problems": "a table of the release",
    "/v1/problems/{code}": "a table of the release",
    "/v1/readiness": "of the processes",
    "/v1/receipts/{position}": "of one position",
    "/v1/runtimes/{runtime_id}/logs": "what the node holds: no fact",
    "/v1/sign-in": "where to sign in now",
    "/v1/schemas": "a table of the release",
    "/v1/schemas/{tag}": "a table of the release",
    "/v1/ssh/ca": "a key of the deployment",
    "/v1/terminals/{session_id}/recording": "bytes that the log binds once",
    "/v1/usage/running": "an estimate up to this moment; what was charged is `usage`, as of any",
    "/v1/webhooks/{webhook_id}/dead-letters": "deliveries are no facts",
}  # fmt: skip


def test_every_view_of_the_log_can_be_asked_as_of() -> None:
    """Each GET of the document takes `as_of`, or stands among the few that tell of no state."""
    assert sorted(set(_GETS) - set(_ROUTES) - set(_TIMELESS)) == []
    assert set(_TIMELESS) & set(_ROUTES) == set()


_NEVER = {
    "999999": "as_of.in_future",
    "1970-01-01T00:00:00Z": "as_of.before_log",
    "3%20March": "request.invalid",
    "-1": "request.invalid",
}


# One thing that is acted on where its id names no stream, and is no part of an authority.
_ELSEWHERE = {
    "/v1/credit-notes/{credit_note_id}": "never changes: `1`",
    "/v1/identities/{identity_id}": "a stream that its organization and it name",
    "/v1/operations/{operation_id}": "whether it is over: `1` or `2`; nothing acts on it",
}
_ONE = re.compile(r"/v1/[a-z-]+/{\w+}")


class Told(msgspec.Struct, frozen=True):
    """One answer, without what each answer has of its own."""

    status: int
    body: bytes
    etag: str | None


def _told(answer: httpx.Response) -> Told:
    body = re.sub(rb'"correlation_id":"[0-9a-f]+"', b"", answer.content)
    # What was to come is a forecast, which is not kept.
    body = re.sub(rb'"soon":\[(\{[^}]*\},?)*\]', b"", body)
    return Told(answer.status_code, body, answer.headers.get("etag"))


def _shape(path: str) -> str:
    """The document's path of one that was asked."""
    return next((one for one in LONG if re.fullmatch(re.sub(r"{\w+}", "[^/]+", one), path)), "none")


# Whose id a path takes under the name of another kind's.
_ID_OF = {
    "/v1/break-glass/{grant_id}": "glass_id",
    "/v1/service-accounts/{account_id}": "service",
    "/v1/sessions/{session_id}": "signed_in",
}
_GLASS = "/v1/break-glass?"  # of all organizations
_PAPER = re.compile("/(ubl|cii|pdf|page)$")  # written for each reader, from what never changes


class Story:
    """Plays; after each part it asks everything that can be asked by then, and keeps the answers."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ids: dict[str, str] = {"name": "spring"}
        self.seen: dict[int, dict[str, Told]] = {}
        self.routes: dict[str, str] = {}
        self.storage = stage.services.storage

    async def post(self, path: str, body: Any = None, *, token: str | None = None) -> Any:
        answer = await self.stage.post(path, body, token=token)
        assert answer.status_code in (200, 201), (path, answer.text)
        where = answer.headers.get("operation-location", "")
        assert ("operation-location" in answer.headers) == (_shape(path) in LONG), path
        self.ids.setdefault("operation_id", where.rpartition("/")[2]) if where else None
        return answer.json()

    async def decided(self, path: str, act: str, body: Any) -> None:
        """With the ETag of the thing as it is shown, after one that it does not have."""
        shown = await self.stage.get(path)
        refused = await self.stage.post(f"{path}/{act}", body, If_Match='"999"')
        assert (refused.status_code, refused.json()["code"]) == (412, "if_match.stale"), path
        held = shown.headers["etag"]
        done = await self.stage.post(f"{path}/{act}", body, If_Match=held)
        assert done.status_code == 200, (path, done.text)

    async def made(self, name: str, path: str, body: Any = None) -> str:
        self.ids[name] = str((await self.post(path, body))["id"])
        return self.ids[name]

    def questions(self) -> dict[str, str]:
        """(path asked, route) of every route whose ids there are."""
        found = {}
        for route, names in _ROUTES.items():
            wanted = [_ID_OF.get(route, one) for one in re.findall(r"{(\w+)}", route)]
            if route in _SIGNED or not all(one in self.ids for one in wanted):
                continue
            path = re.sub(r"{\w+}", "{}", route).format(*(self.ids[one] for one in wanted))
            of = f"?organization={self.ids['organization']}" if "organization" in names else "?"
            found[path + of] = route
        return found | {_GLASS: "/v1/break-glass"}

    async def look(self) -> None:
        """Everything, as it is now."""
        asked = self.questions()
        self.routes |= asked
        for _ in range(3):  # what was refused before is sealed once a minute
            await self.stage.views()
            last = await self.stage.size() - 1
            told = {path: _told(await self.stage.get(path)) for path in asked}
            if await self.stage.size() - 1 == last:
                self.seen[last] = told
                return
        raise AssertionError("to ask changes nothing")

    def told(self) -> list[tuple[str, Told]]:
        """Every answer that was no refusal, by its path."""
        every = [one for answers in self.seen.values() for one in answers.items()]
        return [(path, told) for path, told in every if told.status == 200]

    def bare(self) -> set[str]:
        """Routes of one thing, told as JSON or text for programs, whose answer had no ETag."""
        return {
            self.routes[path]
            for path, told in self.told()
            if told.etag is None
            if not told.body.startswith(b'{"items"') and not _PAPER.search(self.routes[path])
        }

    async def versions(self) -> dict[str, set[tuple[str, str]]]:
        """Of each route of one thing: what its ETag was, and which version acts are held against."""
        found: dict[str, set[tuple[str, str]]] = defaultdict(set)
        authority = authority_stream(self.ids["tenant"])
        whole = await self.stage.services.log.read_stream(authority)
        for position, answers in self.seen.items():
            for path, told in answers.items():
                if told.etag is None or not _ONE.fullmatch(self.routes[path]):
                    continue
                name = re.split("[/?]", path)[3]
                said = await self.stage.services.log.read_stream(name) or whole
                last = max((one.version for one in said if one.position <= position), default=0)
                found[self.routes[path]].add((told.etag, f'"{last}"'))
        return found

    async def again(self) -> dict[str, int]:
        """Everything once more as of then, by position and by time; different answers a route."""
        by_route: dict[str, set[bytes]] = defaultdict(set)
        for turn, (position, answers) in enumerate(self.seen.items()):
            at = instant(await self.stage.services.reads.ask(_time_of, position))
            for path, told in answers.items():
                when = at if turn % 2 else str(position)
                then = _told(await self.stage.get(f"{path}&as_of={when}"))
                assert then == told, (path, position, then.body, told.body)
                if told.status == 200:
                    by_route[self.routes[path]].add(told.body)
        return {route: len(bodies) for route, bodies in by_route.items()}


def _time_of(conn: psycopg.Connection[Any], position: int) -> int:
    from projections.asof import time_of

    return time_of(conn, position)


async def _tenancy(story: Story) -> None:
    tenant = await story.stage.tenant()
    org, project, account = (tenant[name] for name in ("org", "project", "account"))
    story.ids |= {"organization": org, "organization_id": org, "account_id": account}
    story.ids |= {
        "tenant": org,
        "project": project,
        "scope_id": project,
        "department": tenant["department"],
    }
    story.ids |= {"project_id": project, "department_id": tenant["department"]}
    await story.look()
    await story.post("/v1/members", {"organization": org, "principal": "user-a"})
    story.ids["principal"] = "user-a"
    await story.made("group_id", "/v1/groups", {"organization": org, "name": "g"})
    await story.made("service", "/v1/service-accounts", {"organization": org, "name": "s"})
    bound = {"principal": "user-a", "role": "member", "scope": org}
    await story.made("binding_id", "/v1/role-bindings", bound)
    await story.made("guardrail_id", "/v1/guardrails", {"actions": ["network.*"], "scope": project})
    invited = {"organization": org, "email": "a@b.c", "role": "viewer"}
    await story.made("invitation_id", "/v1/invitations", invited)
    key = await story.post("/v1/api-keys", {"name": "k"}, token=story.stage.token("user", org, "a"))
    story.ids["key_id"] = key["id"]
    await _signed_in(story, org)
    await _attributed(story)
    await story.look()
    for kind, name in (("organization", org), ("department", tenant["department"]),
                       ("project", project), ("group", story.ids["group_id"])):  # fmt: skip
        await story.post(f"/v1/{kind}s/{name}/rename", {"name": "renamed"} | (
            {"organization": org} if kind == "group" else {}))  # fmt: skip
    await story.look()
    await _entered(story, project)
    await story.post(f"/v1/api-keys/{key['id']}/revoke", {"reason": "lost"})
    await story.post("/v1/members/user-a/remove", {"organization": org, "reason": "left"})
    await story.post(
        f"/v1/invitations/{story.ids['invitation_id']}/withdraw",
        {"organization": org, "reason": "no"},
    )
    await story.post(
        f"/v1/guardrails/{story.ids['guardrail_id']}/lift", {"organization": org, "reason": "no"}
    )
    await story.post(f"/v1/issuers/{story.ids['issuer']}/distrust", {"reason": "no"})
    await story.look()


async def _attributed(story: Story) -> None:
    new = {"department": story.ids["department"], "name": "c"}
    centre = await story.made("cost_centre_id", "/v1/cost-centres", new)
    path = f"/v1/projects/{story.ids['project']}/attribution"
    await story.post(path, {"cost_centre": centre})
    await story.look()
    await story.post(path, {"cost_centre": None})


async def _entered(story: Story, scope: str) -> None:
    """The platform's staff by break-glass: asked for, approved, and over."""
    tokens = []
    for who in ("user-first", "user-second"):
        await story.post("/v1/members", {"principal": who, "organization": "-"})
        await story.post("/v1/role-bindings", {"principal": who, "role": "support", "scope": "-"})
        tokens.append(story.stage.token("staff", None, subject=who))
    asking = {"scope": scope, "reason": "It hangs.", "ticket": "T-1"}
    made = await story.post("/v1/break-glass", asking, token=tokens[0])
    story.ids["glass_id"] = made["id"]
    await story.look()
    path = f"/v1/break-glass/{made['id']}"
    await story.post(f"{path}/approve", token=tokens[1])
    await story.look()
    await story.decided(path, "revoke", {"reason": "enough"})
    await story.look()
    told = {position: answers[_GLASS] for position, answers in story.seen.items()}
    states = [json.loads(one.body)["items"] for one in told.values()][-3:]
    assert [[one["state"] for one in items] for items in states] == [
        ["requested"],
        ["approved"],
        [],
    ]


async def _signed_in(story: Story, org: str) -> None:
    """An issuer with a session, and what is linked to whoever asks, as facts: nobody is there to
    vouch.
    """
    trust, live, now = new_id("token"), new_id("token"), time.time_ns() // 1000
    story.ids["identity_id"] = "user-linked"
    linked = linking.IdentityLinked("user-linked", "user-1", trust, linking.POLICIES, now)
    whose = Write(identity_stream(PLATFORM, linked.identity), PLATFORM, 0, (linked,))
    story.ids |= {"issuer": trust, "issuer_id": trust, "signed_in": live}
    vouching = issuer.Trusted("https://id.example.org", "x", org, ("RS256",), ("b.c",), now)
    secret = hashlib.sha256(b"secret").hexdigest()
    opened = session.Opened(trust, "user-a", org, secret, (), "", now + 10**10, now)
    writes = (Write(trust, org, 0, (vouching,)), Write(live, org, 0, (opened,)), whose)
    await story.stage.services.log.append(Append(writes, "user-a", command()))
    await story.stage.services.following.catch_up()


async def _fleet(story: Story) -> None:
    node = await story.stage.node(gpus=4)
    story.ids["node_id"] = node
    other = await story.stage.node(gpus=2)
    project, org = story.ids["project"], story.ids["organization"]
    await story.post("/v1/quotas", {"scope": project, "model": "T4", "limit_milli": 4000})
    for scope in (org, story.ids["department"], project):
        share = {"scope": scope, "model": "T4", "guaranteed_milli": 4000}
        await story.post(
            "/v1/quotas/shares",
            share | {"lendable_milli": 500 if scope != org else 0, "limit_milli": 6000},
        )
    stored = {"scope": org, "limit_mib": 1024}
    await story.post("/v1/storage-quotas", stored)
    run = {"project": project, "name": "r", "models": ["T4"]}
    runtime = await story.made("runtime_id", "/v1/runtimes", run | {"gpu_milli": 300})
    terminal = shell.Opened(runtime, "", "", 1, 80, 24, False, 1)
    entered = grant.Granted(runtime, project, "user-a", grant.SSH, 10**16, 1)
    story.ids |= {"session_id": new_id("access"), "grant_id": new_id("access")}
    writes = (
        Write(story.ids["session_id"], org, 0, (terminal,)),
        Write(story.ids["grant_id"], org, 0, (entered,)),
    )
    await story.stage.services.log.append(Append(writes, "user-a", command()))
    whole = (await story.post("/v1/runtimes", run))["id"]
    await story.look()
    await story.decided(f"/v1/access-grants/{story.ids['grant_id']}", "revoke", {"reason": "left"})
    await story.post(f"/v1/runtimes/{whole}/stop", {"reason": "asked"})
    until = instant(time.time_ns() // 1000 + 10**10)
    reserved = {"project": project, "model": "T4", "devices": 1, "until": until}
    held = await story.made("reservation_id", "/v1/reservations", reserved)
    await story.post(f"/v1/nodes/{other}/cordon")
    await story.post(f"/v1/nodes/{node}/region", {"region": "eu"})
    claim = {"scope": project, "model": "T4", "gpu_milli": 500}
    await story.post("/v1/quotas/claims", claim)
    await story.look()
    await story.post(f"/v1/reservations/{held}/end", {"reason": "unneeded"})
    await story.post("/v1/quotas/claims/end", {"scope": project, "model": "T4", "reason": "no"})
    await story.post(f"/v1/nodes/{other}/uncordon")
    await story.post(f"/v1/nodes/{node}/quarantine", {"reason": "xid", "devices": [3]})
    await story.look()
    await story.post(f"/v1/nodes/{other}/drain", {"reason": "fan"})
    title = {"title": "Fan", "subject": other}
    path = f"/v1/incidents/{await story.made('incident_id', '/v1/incidents', title)}"
    await story.look()
    await story.post(f"{path}/resolve")
    await story.post(f"/v1/nodes/{node}/return", {"devices": [3]})
    await story.post(f"/v1/nodes/{other}/undrain", {"reason": "fan"})
    await story.look()


async def _things(story: Story) -> None:
    project, org = story.ids["project"], story.ids["organization"]
    image = {"reference": "lab:1", "digest": "sha256:" + "1" * 64}
    await story.made("image_id", "/v1/images", image)
    network = {"project": project, "name": "n", "egress": []}
    await story.made("network_id", "/v1/networks", network)
    volume = {"project": project, "name": "v", "size_mib": 64}
    await story.made("volume_id", "/v1/volumes", volume)
    hook = {"organization": org, "url": "https://1.1.1.1/a"}
    await story.made("webhook_id", "/v1/webhooks", hook)
    counted = {"meter": "tok.in", "unit": "token", "source": "readings"}
    await story.made("meter_id", "/v1/meters", counted)
    source = {"project": project, "key": "ab" * 32, "meters": ["tok.in"]}
    await story.made("source_id", "/v1/sources", source)
    await story.look()
    await story.post("/v1/images", image | {"digest": "sha256:" + "2" * 64})
    await story.post(f"/v1/networks/{story.ids['network_id']}/delete")
    hooked = f"/v1/webhooks/{story.ids['webhook_id']}"
    await story.post(f"{hooked}/change", {"url": "https://1.1.1.1/b", "tags": ["gpuaas.volume.*"]})
    await story.post(f"{hooked}/pause")
    await story.look()
    await story.post(f"{hooked}/delete")
    await story.post(f"/v1/sources/{story.ids['source_id']}/revoke", {"reason": "lost"})
    await story.look()


async def _money(story: Story) -> None:
    of = f"/v1/accounts/{story.ids['account_id']}"
    seller = {"name": "V", "vat_id": "DE123456789", "country": "DE", "prefix": "VK"}
    await story.made("seller_id", "/v1/sellers", seller)
    rate = {"treatment": "standard", "country": "DE", "category": "S", "rate_bp": 1900}
    await story.post(f"/v1/sellers/{story.ids['seller_id']}/rates", rate)
    amount = {"amount": "10.000000000000", "currency": "USD"}
    await story.post("/v1/budgets", {"scope": story.ids["project"], "amount": amount})
    buyer = {"seller": story.ids["seller_id"], "name": "B", "country": "DE"}
    await story.post(f"{of}/tax", buyer | {"treatment": "standard"})
    tiers = [{"price": "1.000000000000"}]
    ahead = instant(time.time_ns() // 1000 + 10**10)
    entry = {"model": "T4", "currency": "USD", "tiers": tiers, "effective_from": ahead}
    await story.post("/v1/price-books/spring", {"entries": [entry]})
    await story.post(f"{of}/credit", {"limit": amount, "due_days": 14})
    await story.look()
    await story.post("/v1/budgets/clear", {"scope": story.ids["project"]})
    await story.post(f"{of}/terms", {"terms": "prepaid"})
    await story.post(f"{of}/grants", {"amount": amount, "reference": "1"})
    await story.look()
    run = {"project": story.ids["project"], "name": "p", "models": ["T4"]}
    await story.made("paid", "/v1/runtimes", run)
    await story.look()
    aside = await story.made("suspense_id", "/v1/suspense", {"amount": amount, "line": "z"})
    await story.post(f"/v1/runtimes/{story.ids['paid']}/stop", {"reason": "asked"})
    await story.look()
    await story.decided(f"/v1/suspense/{aside}", "resolve", {"returned": True})
    await story.look()


class _Another(TaxedPlatform):
    """Upon a log that was opened before."""

    def opening(self) -> Append:
        found = super().opening()
        writes = tuple(one for one in found.writes if not one.stream.startswith("log-"))
        return msgspec.structs.replace(found, writes=writes)


async def _invoiced(story: Story) -> None:
    """Another organization's month, from its log to its invoice, of which some is taken back."""
    world = _Another(1)
    await world.played(story.stage.services.log)
    story.ids |= {"organization": world.org, "account_id": world.account}
    story.ids["period_id"] = world.period
    with psycopg.connect(story.stage.services.settings.database_url, autocommit=True) as conn:
        rater = Rater(conn, story.stage.services.log)
        await rater.catch_up()
        await story.look()
        await react(rater, story.storage, world)
        await story.stage.views()
        posted = await story.stage.get(f"/v1/accounts/{world.account}/transfers")
        story.ids["row"] = str(posted.json()["items"][0]["row"])
        answer = await story.stage.get(f"/v1/invoices?organization={world.org}")
        [found] = answer.json()["items"]
        story.ids["invoice_id"] = found["id"]
        await story.look()
        taken = {"why": "outage", "lines": [{"line": 0, "minor": 30}]}
        order = await story.post(f"/v1/invoices/{found['id']}/credit-notes", taken)
        story.ids["credit_note_id"] = order["id"]
        await story.look()
        await react(rater, story.storage, world)
    paid = {"minor": 1, "paid_at": "2025-01-02T00:00:00Z"}
    await story.post(f"/v1/invoices/{found['id']}/payments", paid)
    await story.look()


def test_as_of_answers_what_was_answered_then(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Whatever a route said when a position was the last one, it says byte for byte when it is
    asked as of that position, or of its time, later. Before a thing was there it is unknown. Its
    ETag is the version that acts on it are held against. Lists by state and by project are those
    parts of the whole list.
    """

    async def scene(stage: Stage) -> None:
        story = Story(stage)
        for part in (_invoiced, _tenancy, _fleet, _things, _money):
            await part(story)
        answered = await story.again()
        assert set(_ROUTES) - set(answered) == _SIGNED
        assert story.bare() - {"/v1/audit/ocsf"} == set(UNVERSIONED) & set(answered)
        tagged = {story.routes[path] for path, told in story.told() if told.etag is not None}
        assert {one for one in tagged if not _PAPER.search(one)} == {
            path for path in answered if "ETag" in _GETS[path]["responses"]["200"]["headers"]
        }
        versions = await story.versions()
        other = {route for route, both in versions.items() if any(a != b for a, b in both)}
        assert other <= set(_ELSEWHERE) <= set(versions), versions
        assert len(versions) > 30, versions.keys()
        changed = [route for route, count in answered.items() if count > 1]
        assert len(changed) > 50, sorted(set(answered) - set(changed))
        for path, route in story.questions().items():
            first = await stage.get(f"{path}&as_of=0")
            assert (first.status_code == 404) == ("{" in route), (path, first.text)
            await _sealed(stage, path, route)
            for when, code in _NEVER.items():
                refused = await stage.get(f"{path}&as_of={when}")
                assert (refused.status_code, refused.json()["code"]) == (400, code), path
        again = f"/v1/projects/{story.ids['project']}/attribution"
        await story.post(again, {"cost_centre": story.ids["cost_centre_id"]})
        await stage.views()
        glass = f"organization={story.ids['tenant']}"
        await require_filters(stage, _DOCUMENT, {"/v1/break-glass": glass})

    play(database, nats_url, tmp_path, scene)


async def _sealed(stage: Stage, path: str, route: str) -> None:
    """Bytes that never change are sent once to whoever says that it has them."""
    if route in SEALED:
        tag = (await stage.get(path)).headers["etag"]
        for known, status in ((tag, 304), (f'"x", W/{tag}', 304), ("*", 304), ('"x"', 200)):
            again = await stage.get(path, If_None_Match=known)
            assert (again.status_code, again.headers["etag"]) == (status, tag)
            assert bool(again.content) == (status == 200)


def test_the_past_is_seen_with_todays_permissions(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Who came later sees what stood before; who left sees nothing of what it saw then; another
    organization's past is as unknown as its present.
    """

    async def scene(stage: Stage) -> None:
        story = Story(stage)
        tenant, other = await stage.tenant(), await stage.tenant()
        org, account = tenant["org"], tenant["account"]
        early, late = (stage.token("user", org, name) for name in ("early", "late"))
        foreign = stage.token("admin", other["org"])
        await story.post("/v1/members", {"organization": org, "principal": "user-boss"})
        for who, role in (("user-boss", "owner"), ("user-early", "billing")):
            await story.post("/v1/members", {"organization": org, "principal": who})
            bound = {"principal": who, "role": role, "scope": org}
            await story.post("/v1/role-bindings", bound)
        await stage.views()
        then = await stage.size() - 1
        await story.post(f"/v1/accounts/{account}/terms", {"terms": "prepaid"})
        await story.post("/v1/members/user-early/remove", {"organization": org, "reason": "left"})
        await story.post("/v1/members", {"organization": org, "principal": "user-late"})
        bound = {"principal": "user-late", "role": "billing", "scope": org}
        await story.post("/v1/role-bindings", bound)
        await stage.views()
        path = f"/v1/accounts/{account}/wallet"
        seen = [(await stage.get(f"{path}{q}", token=late)) for q in ("", f"?as_of={then}")]
        assert [one.json()["terms"] for one in seen] == ["prepaid", "postpaid"]
        for token in (early, foreign):
            gone = [await stage.get(f"{path}{q}", token=token) for q in ("", f"?as_of={then}")]
            assert [one.status_code for one in gone] in ([403, 403], [404, 404]), gone[1].text

    play(database, nats_url, tmp_path, scene)
