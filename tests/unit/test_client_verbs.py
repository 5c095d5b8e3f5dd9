"""Every verb of the client once, against answers as the document describes them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from api.openapi import FILE
from contracts.authorization.registry import ACTIONS
from gpuaas_client import exits, profiles
from gpuaas_client.cli import SECTIONS
from gpuaas_client.command import STAFF as STAFF_TITLE
from gpuaas_client.verbs.calls import Calls
from tests.commands import gpuaas
from tests.serving import Answer, Asked, answering

_DOCUMENT = json.loads(FILE.read_text())
_TENANTS = {"owner", "admin", "billing", "member", "viewer"}
# How each is typed. What needs more than answers has a test of its own, named there.
TYPED: Final = """
account create --currency USD
account list --as-of 3
act-in id-1
api GET /v1/me
api POST /v1/organizations --data {"name":"a"}
audit --since 2026-01-01T00:00:00Z --most 3
bill export hledger --account id-1 --out FILE | tests/integration/test_exports.py
bill get id-1 --as pdf --out FILE | tests/integration/test_exports.py
bill proof id-1 FILE | tests/integration/test_invoice_proofs.py
break-glass approve id-1
break-glass list --state approved
break-glass refuse id-1 --reason no
break-glass request organization-1 --ticket t-1 --reason why
break-glass revoke id-1
break-glass show id-1 --as-of 3
budget clear project-1
budget list
budget set project-1 12.5 USD --mode refuse
budget show project-1
call list-meters --limit 3
capacity --project project-1
completion bash
cost-centre charges --account id-1
cost-centre close cost_centre-1
cost-centre create a --department department-1
cost-centre list --state open
cost-centre rename cost_centre-1 b
cost-centre show cost_centre-1
department create a
department list
department rename department-1 b
events --after 3
evidence bundle --out FILE | tests/integration/test_first_steps.py
evidence calls 3 | tests/unit/test_counted_calls.py
evidence checkpoint
evidence proof id-1 --out FILE | tests/integration/test_invoice_proofs.py
evidence receipt 3 --out FILE
evidence verify receipt FILE --key k | tests/integration/test_first_steps.py
explain quota.exceeded
group add group-1 user-1
group create a
group delete group-1
group list
group remove group-1 user-1
group rename group-1 b
guardrail lift id-1
guardrail list
guardrail set project-1 runtime.launch --unless-mfa --unless-network 10.0.0.0/8
identity link p
identity list
identity unlink id-1 --reason gone
invoice cost-centres id-1
invoice get id-1 --as pdf --out FILE | tests/integration/test_first_steps.py
invoice list --state issued
invoice proof id-1 FILE | tests/integration/test_invoice_proofs.py
invoice show id-1
issuer distrust id-1
issuer factors id-1 --amr otp --acr high
issuer list
issuer trust https://id.example --client-id c --domain a.example --algorithm ES256
key create a --scope runtime.list --days 3 --mfa
key list --of service-1 --made-by id-2
key revoke id-1
launch T4 --spot --volume volume-1:/data
list --state usable
login URL --token-stdin | tests/unit/test_client_command.py
logout --profile p | tests/integration/test_sign_in_people.py
logs runtime-1
member accept id-1 id-2 --secret s
member add user-1
member invite a@b.example viewer --days 3
member list
member remove user-1
mfa confirm --code 123456
mfa enrol --label a
mfa recovery --code 123456
mfa remove --principal user-1 --reason lost
mfa show
mfa verify --code 123456
node cordon node-1
node drain node-1 --reason repair
node enrol --name n --model T4
node list --state reachable
node show node-1
node timeline node-1
node uncordon node-1
node undrain node-1 --reason done
operations list --state failed
operations show id-1
operations wait id-1
organization close organization-1 --reason left --notice 3 --wipe-after 4
organization create a
organization effects --state suspended
organization lift-sso organization-1
organization list --state suspended
organization reactivate organization-1 --reason paid
organization rename organization-1 b
organization reopen organization-1 --reason stays
organization require-mfa organization-1
organization require-sso organization-1 id-2 --except user-1
organization show organization-1 --as-of 3
organization sso organization-1
organization suspend organization-1 --reason unpaid
period close id-1 --account id-1
period list --state open
price list
price set T4 1.5 USD --region eu-1
profiles
project attribute project-1 cost_centre-2
project attribution project-1
project create a --department department-1 --account id-2
project list
project move project-1 --account id-2
project rename project-1 b
project show project-1
quota list
quota set project-1 T4 4
role grant user-1 member project-1 --mfa --network 10.0.0.0/8 --until 2027-01-01T00:00:00Z
role list --scope project-1
role revoke id-1
service-account create a
service-account delete service-1
service-account list
session end id-1
session list
show runtime-1
ssh runtime-1 | tests/e2e/test_story.py
stop runtime-1
terminal runtime-1 | tests/integration/test_first_steps.py
token create --subject a --role member --organization organization-1
usage
use p
volume create a 64 --region eu-1
volume delete volume-1 --yes
volume grow volume-1 128
volume list --state ready
volume show volume-1
volume snapshot volume-1
webhook change id-1 --url https://hooks.example/b --all
webhook create https://hooks.example/a --tag gpuaas.runtime.*
webhook dead id-1
webhook delete id-1
webhook list --state disabled
webhook pause id-1
webhook replay id-1 --from 3
webhook resume id-1
webhook rotate id-1
whoami
why runtime.launch project-1
"""
_ITSELF: Final = {"logs", "node timeline", "evidence checkpoint", "evidence receipt", "usage"}
# Whose action is for the platform's staff alone; of the rest no tenant is told to pass on.
STAFF: Final = {
    "break-glass approve": "break_glass.approve",
    "break-glass request": "break_glass.request",
    "evidence bundle": "evidence.download_bundle",
    "issuer trust": "issuer.trust",
    "organization close": "organization.close",
    "organization create": "organization.create",
    "organization reactivate": "organization.reactivate",
    "organization reopen": "organization.reopen",
    "organization suspend": "organization.suspend",
    "period close": "period.close",
    "price set": "price.publish",
    "quota set": "quota.set",
}


def typed() -> dict[str, tuple[list[str], str]]:
    """By verb the words, and the file that tests it where answers are not enough; of those that
    there are.
    """
    lines = [line.partition(" | ") for line in TYPED.split("\n") if line]
    found = {_verb(words.split()): (words.split(), where) for words, _, where in lines}
    return {name: line for name, line in found.items() if name}


def verbs() -> dict[str, click.Command]:
    """All of the client's own, those under one word by both."""
    found: dict[str, click.Command] = {}
    for _, section in SECTIONS:
        for one in section:
            under = one.commands if isinstance(one, click.Group) else {}
            if isinstance(one, Calls) or not under:
                found[str(one.name)] = one
            found |= {f"{one.name} {name}": command for name, command in under.items()}
    return found


def _verb(words: list[str]) -> str:
    """Empty for none."""
    return next((name for name in (" ".join(words[:2]), words[0]) if name in verbs()), "")


def example(schema: dict[str, Any], name: str = "") -> Any:
    """A value of the schema; a page is the last one, and work has succeeded."""
    if "$ref" in schema:
        part = schema["$ref"].rsplit("/", 1)[-1]
        return example(_DOCUMENT["components"]["schemas"][part], name)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return example(schema[several][0], name) if name != "next" else None
    if "properties" in schema:
        return {key: example(of, key) for key, of in schema["properties"].items()}
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if name != "next" else "null"
    if kind == "array":
        return [example(schema["items"])]
    texts = {
        "id": "id-1",
        "state": "succeeded",
        "code": "quota.exceeded",
        "amount": "1.500000000000",
    }
    if name in ("at", "end", "effective_from"):
        return "2026-01-01T00:00:00Z"
    values: dict[Any, Any] = {"integer": 1, "number": 1, "boolean": True, "object": {}}
    return texts.get(name, "1") if kind == "string" else values.get(kind)


def operation(method: str, path: str) -> dict[str, Any]:
    """The one of the document that is asked for so."""
    for known, item in _DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", known), path) and method in item:
            found: dict[str, Any] = item[method]
            return found
    raise AssertionError(f"no {method} {path} in the document")


@contextmanager
def described() -> Iterator[tuple[str, list[str]]]:
    """A server of all that the document has; what was asked that it does not take."""
    wrong: list[str] = []

    def answer(asked: Asked) -> Answer:
        method, _, target = asked.what.partition(" ")
        path, _, query = target.partition("?")
        found = operation(method.lower(), path)
        names = {one["name"] for one in found.get("parameters", ())}
        said = {one.partition("=")[0] for one in query.split("&") if one}
        wrong.extend(f"{path}: no {one}" for one in said - names)
        if asked.body is not None:
            schema = found["requestBody"]["content"]["application/json"]["schema"]
            known = example(schema)
            wrong.extend(f"{path}: no field {one}" for one in set(asked.body) - set(known))
        status, given = next(
            (code, one) for code, one in found["responses"].items() if code.startswith("2")
        )
        content: dict[str, Any] = given.get("content", {"text/plain": {}})
        media = next(iter(content))
        value = example(content[media].get("schema", {}))
        body = value if "json" in media else b"text\n"
        return Answer(int(status), body, (("Content-Type", media),))

    with answering(answer) as url:
        yield url, wrong


def test_no_verb_is_forgotten() -> None:
    """Each is typed here; what runs elsewhere is typed in the file that is named."""
    assert set(typed()) == set(verbs())
    for verb, (_, where) in typed().items():
        if where:
            text = Path(__file__).parents[2].joinpath(where).read_text()
            asked = verb.split()[-1]
            assert re.search(rf'"{asked}"|gpuaas [a-z -]*{asked}\b', text), (verb, where)


def test_every_verb_asks_what_the_document_has_and_tells_the_answer(tmp_path: Path) -> None:
    """No parameter and no field that the API does not know, and all of the answer is understood. What
    a verb tells programs by itself is JSON, too.
    """
    with described() as (url, wrong):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t", "HOME": str(tmp_path), "PATH": ""}
        profiles.keep(env, "p", profiles.Profile(url, "t", session="token-1"))
        for verb, (words, where) in typed().items():
            for more in () if where else ((), ("--json",)) if verb in _ITSELF else ((),):
                argv = [
                    str(tmp_path / f"out{len(more)}") if one == "FILE" else one for one in words
                ]
                done = gpuaas(*argv, *more, env=env)
                assert (done.status, wrong) == (exits.DONE, []), (verb, done)
                if more:
                    json.loads(done.out)


def test_the_staffs_verbs_are_told_apart() -> None:
    """Of these, and of what stands in its own section, no role of a tenant holds the action; the
    help of the command, and of each word, says so.
    """
    [own] = [section for title, section in SECTIONS if title == STAFF_TITLE]
    marked = {name for name, one in verbs().items() if getattr(one, "staff", False)}
    assert marked == set(STAFF)
    for verb, action in STAFF.items():
        assert not _TENANTS & set(ACTIONS[action].roles), verb
        assert f"{STAFF_TITLE}:" in gpuaas(verb.split()[0], "--help", env={}).out
    assert {one.name for one in own} == {"node", "token"}
    for name in ("node.list", "node.drain", "token.issue"):
        assert not _TENANTS & set(ACTIONS[name].roles)
