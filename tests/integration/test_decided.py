"""Every grant and change says on whose authority it was made."""

from pathlib import Path
from typing import Any

import pytest

from domain.access import Decided
from domain.facts import tag_of
from evidence.reader import Recorded, decode_entry, read_entries
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.issuer_stage import AUDIENCE, issuer

pytestmark = pytest.mark.slow
CHANGES = ("gpuaas.token.", "gpuaas.webhook.", "gpuaas.quota.", "gpuaas.budget.", "gpuaas.access.")


async def entries(stage: Stage) -> list[Recorded]:
    rows = await stage.services.reads.ask(read_entries, 0, 10_000)
    return [decode_entry(bytes(raw)) for _, raw, *_ in rows]


def authority(told: list[Recorded]) -> dict[int, tuple[str, ...]]:
    """The policies of each position, in the fact or in the one that its append has beside it."""
    found = {one.position: tuple(getattr(one.fact, "policies", ())) for one in told}
    for one in told:
        if isinstance(one.fact, Decided):
            about = told[one.position - one.fact.entries : one.position]
            assert len(about) == one.fact.entries
            assert about[0].stream == one.fact.about
            assert {each.cause for each in about} == {one.cause}, "it is of their append"
            for each in about:
                found[each.position] = one.fact.policies
    return found


def test_what_people_grant_and_change_names_the_policies_that_decided(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Issuers, sessions, webhooks, API keys, service accounts, quotas, shares, budgets, tokens, an
    organization's standing: each entry, repeated or not; the audit view shows them.
    """

    async def scene(stage: Stage) -> None:
        mine = await stage.tenant()
        org, begin = mine["org"], await stage.size()
        admin = stage.token("admin", org, subject="user-admin")

        async def post(path: str, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
            key = path.replace("/", "-") + str(len(body))
            answers = [await stage.post(path, body, token=token, key=key) for _ in range(2)]
            assert answers[0].status_code in {200, 201}, answers[0].text
            assert answers[0].json().get("id") == answers[1].json().get("id")
            return dict(answers[0].json())

        await post("/v1/quotas", {"scope": org, "model": "T4", "limit_milli": 8000})
        await post("/v1/storage-quotas", {"scope": org, "limit_mib": 100})
        share = {"scope": org, "model": "T4", "guaranteed_milli": 4000, "lendable_milli": 0,
                 "limit_milli": 8000}  # fmt: skip
        await post("/v1/quotas/shares", share)
        amount = {"amount": "5.000000000000", "currency": "USD"}
        budget = {"account": mine["account"], "scope": org, "mode": "soft", "amount": amount}
        await post("/v1/budgets", budget, admin)
        await post("/v1/budgets/clear", {"scope": org}, admin)
        hook = await post("/v1/webhooks", {"organization": org, "url": "https://8.8.8.8/x"})
        await post(f"/v1/webhooks/{hook['id']}/delete", {}, admin)
        account = await post("/v1/service-accounts", {"name": "s", "organization": org})
        key = {"name": "k", "organization": org, "principal": account["id"]}
        await post("/v1/api-keys", key, admin)
        token = {"subject": "x", "role": "member", "organization": org}
        await post("/v1/tokens", token)
        with issuer() as here:
            trust = {"organization": org, "url": here.url, "client_id": AUDIENCE,
                     "algorithms": ["ES256"]}  # fmt: skip
            at = (await post("/v1/issuers", trust))["id"]
            opened = []
            for who in ("one", "two"):
                body = {"issuer": at, "id_token": here.token(sub=who), "nonce": "n-1"}
                answer = await stage.client.post("/v1/sessions", json=body)
                assert answer.status_code == 201, answer.text
                opened.append(answer.json())
            own = opened[0]
            path = f"/v1/sessions/{own['id']}/end"
            assert (await stage.post(path, {}, token=own["token"])).status_code == 200
            await post(f"/v1/sessions/{opened[1]['id']}/end", {}, admin)
            await post(f"/v1/issuers/{at}/distrust", {})
        for verb in ("suspend", "reactivate"):
            await post(f"/v1/organizations/{org}/{verb}", {"reason": "test"})
        told = await entries(stage)
        by = authority(told)
        changed = [
            one
            for one in told[begin:]
            if tag_of(one.fact).startswith((*CHANGES, "gpuaas.organization."))
            and one.actor.startswith(("user-", "service-"))
        ]
        assert len({tag_of(one.fact) for one in changed}) >= 17
        assert {one.position: by[one.position] for one in changed if not by[one.position]} == {}
        named = {tag_of(one.fact): by[one.position] for one in changed}
        assert named["gpuaas.quota.limit_set.v1"] == ("token:operator",)
        assert named["gpuaas.budget.set.v1"] == ("token:admin",)
        assert named["gpuaas.token.session_opened.v1"] == (at,)
        ended = [one for one in changed if tag_of(one.fact) == "gpuaas.token.session_ended.v1"]
        assert [by[one.position] for one in ended] == [("own",), ("token:admin",)]
        await stage.views()
        shown = (await stage.get(f"/v1/audit?organization={org}&limit=500")).json()["items"]
        seen = {one["position"]: one["authority"] for one in shown}
        for one in changed:
            if not isinstance(one.fact, Decided):
                assert seen[one.position] == list(by[one.position]), tag_of(one.fact)
        assert not [one for one in shown if one["action"] == "gpuaas.access.decided.v1"]

    play(database, nats_url, tmp_path, scene)
