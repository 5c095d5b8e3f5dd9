"""Every list of the document, and the stream, show what a decision about each thing would say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.openapi import FILE
from contracts.authorization.registry import BY_ROUTE
from domain.access import Decided
from evidence.reader import Recorded, decode_entry, read_entries
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.scoped_world import KINDS, Reader, Scoped
from tests.ssh_world import Key

pytestmark = pytest.mark.slow

_DOCUMENT = json.loads(FILE.read_text())
_SCHEMAS = _DOCUMENT["components"]["schemas"]

type Where = Callable[[dict[str, Any], Scoped], tuple[str, str]]


def _lists() -> dict[str, str]:
    """Routes without a thing in their path that answer a page of what lies in organizations."""
    found = {}
    for path, item in sorted(_DOCUMENT["paths"].items()):
        answer = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        schema = answer.get("application/json", {}).get("schema", {})
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        paged = {"items", "next"} <= set(_SCHEMAS.get(name, {}).get("properties", {}))
        action = BY_ROUTE.get(f"GET {path}")
        if paged and "{" not in path and action is not None and action.level == "tenant":
            found[path] = action.name
    return found


def _organization(_: dict[str, Any], world: Scoped) -> tuple[str, str]:
    return world.org, ""


def _project(item: dict[str, Any], _: Scoped) -> tuple[str, str]:
    return item["project"], ""


def _resource(item: dict[str, Any], _: Scoped) -> tuple[str, str]:
    return item["project"], item["id"]


def _itself(item: dict[str, Any], _: Scoped) -> tuple[str, str]:
    return item["id"], ""


def _scope(item: dict[str, Any], world: Scoped) -> tuple[str, str]:
    if item["scope"].startswith(KINDS):
        return world.above[item["scope"]][0], item["scope"]
    return item["scope"], ""


# Where each thing of a list lies, by what the list says of it. A new list must say so here.
_PLACES: dict[str, Where] = {
    "/v1/access-grants": lambda item, _: (item["project"], item["runtime"]),
    "/v1/accounts": _organization,
    "/v1/attributions": _project,
    "/v1/break-glass": _scope,
    "/v1/budgets": _scope,
    "/v1/cost-centres": _organization,
    "/v1/credit-notes": _organization,
    "/v1/departments": _itself,
    "/v1/groups": _organization,
    "/v1/guardrails": _scope,
    "/v1/invitations": _scope,
    "/v1/invoices": _organization,
    "/v1/issuers": _organization,
    "/v1/members": _organization,
    "/v1/networks": _resource,
    "/v1/operations": lambda item, _: (item["project"], item["resource"]),
    "/v1/organizations": _itself,
    "/v1/periods": _organization,
    "/v1/projects": _itself,
    "/v1/quotas": _scope,
    "/v1/quotas/claims": _scope,
    "/v1/quotas/reclaims": _scope,
    "/v1/quotas/shares": _scope,
    "/v1/reservations": _project,
    "/v1/role-bindings": _scope,
    "/v1/runtimes": _resource,
    "/v1/service-accounts": _organization,
    "/v1/sources": _project,
    "/v1/storage-quotas": _scope,
    "/v1/usage": _project,
    "/v1/usage/cost-centres": _project,
    "/v1/usage/running": lambda item, _: (item["project"], item["runtime"]),
    "/v1/volumes": _resource,
    "/v1/webhooks": _organization,
}
# By the log's own entries, below; the platform's, the same for everybody; one's own; by account.
_OTHERWISE = {
    "/v1/audit", "/v1/authorization/actions", "/v1/effects", "/v1/images", "/v1/meters",
    "/v1/sellers", "/v1/api-keys", "/v1/prices",
}  # fmt: skip
# Those that take a month, a bank, a loan or the platform's staff to have something in them.
_EMPTY = {
    "/v1/break-glass", "/v1/credit-notes", "/v1/invoices", "/v1/issuers", "/v1/quotas/reclaims",
    "/v1/usage", "/v1/usage/cost-centres",
}  # fmt: skip
# What the next moment changes.
_MOVES = {"/v1/usage/running": {"until", "quantity", "estimate"}}


def test_no_list_is_forgotten() -> None:
    """Each of the document is judged here, or named with why not."""
    assert set(_lists()) == set(_PLACES) | _OTHERWISE


async def readers(world: Scoped) -> list[Reader]:
    """Bound to every level, to one resource of two kinds, and one whom guardrails keep from parts."""
    bound = [
        await world.reader("project", "viewer", world.projects[0]),
        await world.reader("part", "viewer", world.first),
        await world.reader("auditor", "auditor", world.other),
        await world.reader("billing", "billing", world.first),
        await world.reader("local", "admin", world.projects[2]),
        await world.reader("runtime", "member", world.of("runtime-")[0]),
        await world.reader("network", "viewer", world.of("network-")[2]),
        await world.reader("whole", "admin", world.org),
    ]
    areas = ("runtime.*", "quota.list", "budget.*", "binding.list", "event.*", "audit.*", "usage.*")
    await world.forbid(world.projects[1], *areas, "project.*", "source.*", "reservation.*")
    await world.forbid(world.of("runtime-")[1], "runtime.list", "event.stream", "audit.list")
    await world.forbid(world.other, "department.*", "volume.*")
    return bound


async def pages(stage: Stage, path: str, token: str | None, of: str = "") -> list[dict[str, Any]]:
    """All of a list, three at a time where it is paged; `of`: more of the query."""
    found: list[dict[str, Any]] = []
    paged, cursor = "limit" in _asked(path), ""
    while True:
        query = "&".join(one for one in (of, "limit=3" if paged else "", cursor) if one)
        answer = await stage.get(f"{path}?{query}", token=token)
        assert answer.status_code == 200, (path, answer.text)
        moves = _MOVES.get(path, set())
        found += [
            {name: item[name] for name in item.keys() - moves} for item in answer.json()["items"]
        ]
        if answer.json()["next"] is None:
            return found
        assert len(answer.json()["items"]) == 3, "no page is short but the last one"
        cursor = f"cursor={answer.json()['next']}"


def _asked(path: str) -> set[str]:
    return {one["name"] for one in _DOCUMENT["paths"][path]["get"].get("parameters", [])}


async def everything(world: Scoped, path: str) -> list[dict[str, Any]]:
    """As the platform's operator sees the organization."""
    if "organization" in _asked(path):
        return await pages(world.stage, path, None, f"organization={world.org}")
    known = {world.org, world.account}
    return [
        one
        for one in await pages(world.stage, path, None)
        if not known.isdisjoint((one.get("id"), one.get("account")))
    ]


def anywhere(world: Scoped, who: str, action: str) -> bool:
    things = [name for name in world.above if name.startswith(KINDS)]
    return any(world.shows(who, action, one) for one in set(world.above) - set(things)) or any(
        world.shows(who, action, world.above[one][0], one) for one in things
    )


def test_every_list_shows_what_a_decision_about_each_thing_would(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """No more and no less, in the same order, in full pages, for readers bound at each level of the
    tree; the stream, the audit view and receipts as well, entry by entry. Who may nowhere is
    refused.
    """

    async def scene(stage: Stage) -> None:
        world = Scoped(stage)
        await world.furnish(Key(tmp_path, "me"))
        for runtime in world.of("runtime-"):
            await world.runs(runtime)
        bound = await readers(world)
        await stage.views()
        partly = 0
        for path, where in _PLACES.items():
            action, every = _lists()[path], await everything(world, path)
            assert bool(every) == (path not in _EMPTY), path
            for reader in bound:
                if not anywhere(world, reader.who, action):
                    answer = await stage.get(path, token=reader.token)
                    assert answer.status_code == 403, (path, reader.who)
                    continue
                found = await pages(stage, path, reader.token)
                shown = [
                    one for one in every if world.shows(reader.who, action, *where(one, world))
                ]
                assert found == shown, (path, reader.who)
                partly += 0 < len(found) < len(every)
        for reader in bound:  # it is the organization's own, and no list
            answer = await stage.get("/v1/sso", token=reader.token)
            may = world.shows(reader.who, BY_ROUTE["GET /v1/sso"].name, world.org)
            assert (answer.status_code == 200) == may, (reader.who, answer.text)
        assert partly > 50, "many are neither everything nor nothing"
        await entries(world, bound)

    play(database, nats_url, tmp_path, scene)


async def entries(world: Scoped, bound: list[Reader]) -> None:
    """The stream and the audit view: positions of the log's entries that the reader may know."""
    stage = world.stage
    rows = await stage.services.reads.ask(read_entries, 0, 10_000)
    told = [decode_entry(raw) for _, raw, _ in rows]
    mine = [one for one in told if one.org == world.org]
    placed = {one.position: where_entry(one, told, world) for one in mine}
    some = 0
    for reader in bound:
        if anywhere(world, reader.who, "event.stream"):
            answer = await stage.get("/v1/events?follow=false", token=reader.token)
            found = [int(line[4:]) for line in answer.text.splitlines() if line[:4] == "id: "]
            assert found == seen(world, reader, "event.stream", placed, mine), reader.who
            some += 0 < len(found) < len(mine)
        if anywhere(world, reader.who, "audit.list"):
            acts = [
                one
                for one in mine
                if one.actor.startswith(("user-", "service-"))
                and not isinstance(one.fact, Decided)  # it stands with the acts that it let
            ]
            shown = await pages(stage, "/v1/audit", reader.token)
            found = [one["position"] for one in shown if one["action"].startswith("gpuaas.")]
            assert found[::-1] == seen(world, reader, "audit.list", placed, acts), reader.who
    assert some > 5
    project = bound[0]
    for position, (scope, resource) in placed.items():
        answer = await stage.get(f"/v1/receipts/{position}", token=project.token)
        may = world.shows(project.who, "evidence.read_receipt", scope, resource)
        assert answer.status_code == (409 if may else 404), "nothing is signed on this stage"


def seen(
    world: Scoped,
    reader: Reader,
    action: str,
    placed: dict[int, tuple[str, str]],
    of: list[Recorded],
) -> list[int]:
    return [one.position for one in of if world.shows(reader.who, action, *placed[one.position])]


def where_entry(entry: Recorded, told: list[Recorded], world: Scoped) -> tuple[str, str]:
    """Where what an entry says lies, told a second time (docs/adr/0064): scope and resource."""
    kind = entry.stream.partition("-")[0]
    if kind in ("department", "project"):
        return entry.stream, ""
    whole = kind in ("quota", "budget") or entry.stream == "access-" + world.org[13:]
    first = next(one for one in told if one.stream == entry.stream)
    facts = [entry.fact] if whole else [entry.fact, first.fact]
    named = [
        str(getattr(fact, field, ""))
        for fact in facts
        for field in ("runtime", "resource", "scope", "project")
    ]
    things = [entry.stream, *named] if entry.stream.startswith(KINDS) else named
    resource = next((one for one in things if one.startswith(KINDS)), "")
    scopes = [one for one in named if one.startswith(("project-", "department-"))]
    around = [world.above[resource][0]] if resource else []
    return next(iter([*scopes, *around]), world.org), resource
