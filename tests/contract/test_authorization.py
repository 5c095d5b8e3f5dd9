"""One action a route, from the OpenAPI document: no route can be forgotten."""

import json
import re

import cedarpy

from api.auth import action_of
from api.openapi import FILE
from api.routes import ROUTES
from contracts.authorization import schema
from contracts.authorization.registry import (
    ACTIONS,
    ADMINISTRATIVE_ACTIONS,
    AREAS,
    BY_ROUTE,
    DESK,
    EVIDENCE,
    FOUNDING,
    HERE,
    ROLES,
    WITHIN,
    known,
)
from domain.binding import STAFF_ROLES
from domain.facts import TAGS


def test_every_route_has_its_own_action() -> None:
    """Each route of the document that needs a token is one action's, and no action has none."""
    routes = {
        f"{method.upper()} {path}"
        for path, item in json.loads(FILE.read_text())["paths"].items()
        for method, operation in item.items()
        if operation.get("security") != [] and not _proves_itself(method, path)
    }
    assert routes == set(BY_ROUTE)
    named = [one.route for one in ACTIONS.values() if one.route != WITHIN]
    assert len(named) == len(set(named)) == len(BY_ROUTE)


def _proves_itself(method: str, path: str) -> bool:
    """Public by the handler's own word: a node's, or a WebSocket's ticket."""
    return any(
        route.opt.get("public") and method.upper() in getattr(route, "http_methods", ())
        for route in ROUTES
        if re.sub(r":\w+}", "}", next(iter(route.paths))) == path
    )


def test_the_server_finds_the_action_of_each_handler() -> None:
    """What the guard asks for is in the table; a handler without an action would be a fault."""
    found = {action_of(route) for route in ROUTES if not route.opt.get("public")}
    assert found == {one.name for one in BY_ROUTE.values()}


def test_the_table_is_sorted_and_knows_its_roles() -> None:
    """Actions are `area.verb`, in order; each is held by roles that exist, and the
    platform's operators lack those by which one enters what is a tenant's.
    """
    assert list(ACTIONS) == sorted(ACTIONS)
    for one in ACTIONS.values():
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", one.name)
        assert one.roles
        assert set(one.roles) <= set(ROLES)
        assert ("admin" in one.roles) <= ("owner" in one.roles), "an owner can do what an admin can"
    inside = {one.name for one in ACTIONS.values() if "operator" not in one.roles}
    assert inside == {
        "access.issue_certificate", "access.issue_pass", "api_key.create",
        "api_key.create_for_account", "recording.play", "recording.play_any",
        "runtime.read_logs", "terminal.enter", "terminal.open",
    }  # fmt: skip


def test_the_administrative_actions_are_in_order_and_none_reads() -> None:
    """Each is in the table; of what gives or takes authority, all that acts is administrative."""
    listed = HERE.joinpath("administrative.txt").read_text().splitlines()[2:]
    assert listed == sorted(ADMINISTRATIVE_ACTIONS)
    assert set(listed) <= set(ACTIONS)
    of_authority = {"binding", "group", "guardrail", "issuer", "member", "service_account"}
    for one in ACTIONS.values():
        reads = one.route.startswith("GET")
        assert not (reads and one.name in ADMINISTRATIVE_ACTIONS), one.name
        assert reads or one.area not in of_authority or one.name in ADMINISTRATIVE_ACTIONS


# Areas of acts that are no administrative ones, and why; acts of other areas are, or stand below.
_ORDINARY = {
    "account": "what is paid, by whom and when: the books say it, and take it back",
    "budget": "a limit of spending", "capacity": "a question", "commitment": "money",
    "cost_centre": "money",
    "credit_note": "money", "department": "a place", "image": "what may run", "incident": "upkeep",
    "invoice": "money", "meter": "what is counted", "network": "of what runs",
    "node": "upkeep of machines; who becomes one is administrative", "period": "money",
    "price": "money", "project": "a place", "quota": "how much", "recording": "a read",
    "reservation": "how much", "runtime": "the work itself", "seller": "money", "suspense": "money",
    "terminal": "the work itself", "volume": "the work itself", "wallet": "money",
}  # fmt: skip
# Acts of other areas that are no administrative ones, and why.
_NOT_ADMINISTRATIVE = {
    "access.issue_certificate": "the work itself", "access.issue_pass": "the work itself",
    "access.revoke": "ends what is open", "access.revoke_any": "ends what is open",
    "api_key.list_any": "a read", "api_key.revoke": "one's own",
    "authorization.explain": "a question", "authorization.explain_any": "a question",
    "break_glass.refuse": "ends what was asked", "break_glass.revoke": "ends what was given",
    "identity.link": "one's own: two sessions of now prove it", "identity.unlink": "one's own",
    "invitation.accept": "its secret is the proof",
    "mfa.confirm": "is the factor", "mfa.enrol": "before there is one", "mfa.remove": "by its code",
    "mfa.replace_recovery_codes": "by its code", "mfa.verify": "is the factor",
    "organization.rename": "nothing rests on what it is called",
    "session.end": "one's own", "session.list_any": "a read", "source.revoke": "ends it",
    "webhook.pause": "sends less", "webhook.replay": "to where it leads already",
    "webhook.resume": "to where it leads already",
}  # fmt: skip


def test_each_act_is_administrative_or_said_not_to_be() -> None:
    """A new action asks for a second factor, where one is demanded, unless somebody says here why
    it does not; what is said of none that there is says nothing.
    """
    acts = {name for name, one in ACTIONS.items() if not one.route.startswith("GET")}
    plain = {name for name in acts if ACTIONS[name].area in _ORDINARY}
    rest = acts - plain - ADMINISTRATIVE_ACTIONS
    assert rest == set(_NOT_ADMINISTRATIVE)
    assert not set(_NOT_ADMINISTRATIVE) & ADMINISTRATIVE_ACTIONS
    assert {ACTIONS[name].area for name in plain} == set(_ORDINARY)


def test_support_and_viewer_change_nothing() -> None:
    """A role that reads holds reading actions only: GET routes, and what is one's own."""
    own = {
        *("api_key.create", "api_key.revoke", "authorization.explain", "invitation.accept"),
        *("session.end", "mfa.confirm", "mfa.enrol", "mfa.remove", "mfa.replace_recovery_codes"),
        *("mfa.verify", "identity.link", "identity.unlink"),
    }
    # Staff's way to further rights, each act of it for two persons or to have less.
    own |= {one.name for one in ACTIONS.values() if one.area == "break_glass"}
    any_of = {
        *("recording.play_any", "api_key.list_any", "authorization.explain_any"),
        *("session.list_any", "capacity.read_past"),
    }
    for one in ACTIONS.values():
        if not one.route.startswith("GET") and one.name not in own:
            assert not {"viewer", "support"} & set(one.roles), one.name
            assert "auditor" not in one.roles or one.name in any_of


_KINDS = {"desk", "founding", "embedded"}


def test_the_desk_is_sorted_and_has_a_reason_for_each_line() -> None:
    """What staff does in tenants without break-glass: words that name actions of tenants, each
    held by a staff role, none by which one enters what is a tenant's or reads what runs there.
    """
    lines = (HERE / "desk.txt").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if not line.startswith("#")]
    assert [row[0] for row in rows] == sorted({row[0] for row in rows})
    assert all(known(word) and kind in _KINDS and why for word, kind, why in rows)
    assert "authorization.explain_any" not in DESK, "what others may is not one's own"
    for name in DESK | FOUNDING:
        if not name.startswith("break_glass."):
            assert set(STAFF_ROLES) & set(ACTIONS[name].roles), name
    reading = {
        "runtime",
        "volume",
        "network",
        "webhook",
        "event",
        "recording",
        "terminal",
        "access",
    }
    assert {name for name in DESK | FOUNDING if ACTIONS[name].area in reading} == {
        "access.read_ca", "access.revoke", "access.revoke_any", "runtime.stop", "terminal.close",
        "terminal.close_any", "volume.give_up",
    }  # fmt: skip


# Answers that are no JSON and no evidence, and why.
_NO_EVIDENCE = {
    "event.stream": "what happens, as it happens: whoever follows is told, and goes on",
    "metric.read": "of the process",
    "runtime.read_logs": "what a tenant's own program wrote: not in the log",
}


def test_what_hands_out_evidence_is_listed_with_how_it_is_told() -> None:
    """Each GET that answers with a file of any form, or is about who did what or a place in the log,
    is a read of evidence; each of those is a row of counted calls or a fact with its own tag.
    """
    lines = (HERE / "evidence.txt").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if not line.startswith("#")]
    assert [row[0] for row in rows] == sorted({row[0] for row in rows}) == list(EVIDENCE)
    assert all(how == "row" or how in TAGS for how in EVIDENCE.values())
    found = set()
    for path, item in json.loads(FILE.read_text())["paths"].items():
        action = BY_ROUTE.get(f"GET {path}")
        if action is not None:
            forms = set(item["get"]["responses"]["200"]["content"])
            word = action.name.partition(".")[2]
            told = action.area in {"audit", "evidence"} or "proof" in word or "file" in word
            found |= {action.name} if forms != {"application/json"} or told else set()
    assert found - set(_NO_EVIDENCE) == set(EVIDENCE)
    assert set(_NO_EVIDENCE) <= found


def test_the_committed_schema_is_generated_and_valid() -> None:
    """Run `python -m contracts.authorization.schema` when the table changes."""
    assert schema.FILE.read_text() == schema.text()
    cedarpy.Schema.from_str(schema.text())
    found = cedarpy.validate_policies((HERE / "policies.cedar").read_text(), schema.text())
    assert found.validation_passed, [str(error) for error in found.errors]
    assert len(AREAS) > 20
