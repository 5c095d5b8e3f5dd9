"""Enrolment, certificates, revocation and enrolment anew, through the HTTP API on a real log."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import certificate, identity
from agent.config import Config
from agent.enrol import Keys, Machine, check_ca, checked, request_of
from contracts import enrolment, nkeys
from contracts.enrolment import EnrolReply, EnrolRequest, Gpu, Hardware, RenewalReply
from contracts.signing import FleetError
from domain import identity as facts
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow

MACHINE = Machine("T4", (Gpu(0, "GPU-0"),), "s-1", Hardware("uuid-1", "serial-1", "machine-1"))


def keys_in(state: Path) -> Keys:
    state.mkdir(parents=True, exist_ok=True)
    return Keys(
        identity.event_key(state), identity.nats_key(state), identity.certificate_key(state)
    )


async def sent(stage: Stage, path: str, body: msgspec.Struct) -> Any:
    headers = {"Content-Type": "application/json"}
    return await stage.client.post(path, content=msgspec.json.encode(body), headers=headers)


async def invited(stage: Stage) -> dict[str, Any]:
    answer = await stage.post("/v1/nodes", {"name": "n", "model": "T4"})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def enrolled(
    stage: Stage, state: Path, token: str, machine: Machine = MACHINE
) -> tuple[EnrolRequest, EnrolReply]:
    """What an agent does: ask, check, keep."""
    request = request_of(keys_in(state), token, machine)
    answer = await sent(stage, "/v1/enrol", request)
    assert answer.status_code == 200, answer.text
    reply = checked(token, answer.content)
    identity.keep_enrolment(state, reply)
    return request, reply


async def said(stage: Stage, node: str, kind: type) -> list[Any]:
    return [
        one.fact for one in await stage.services.log.read_stream(node)
        if isinstance(one.fact, kind)
    ]  # fmt: skip


def code_of(answer: Any) -> str:
    return str(answer.json()["code"])


def test_a_node_gets_a_certificate_of_a_day_and_renews_it(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """CSR at enrolment; a repeat is the same bytes; renewal proves the old key; the log has both."""

    async def scene(stage: Stage) -> None:
        invitation = await invited(stage)
        request, reply = await enrolled(stage, tmp_path / "a", invitation["token"])
        again = await sent(stage, "/v1/enrol", request)
        assert msgspec.json.decode(again.content, type=EnrolReply) == reply
        first = x509.load_pem_x509_certificate(str(reply.certificate).encode())
        authority = x509.load_pem_x509_certificate(str(reply.ca).encode())
        first.verify_directly_issued_by(authority)
        held = first.not_valid_after_utc - first.not_valid_before_utc
        assert 24 * 3600 <= held.total_seconds() <= 24 * 3600 + 600
        config = Config(state=tmp_path / "a")
        renewal = certificate.request_of(config, reply.node)
        answers = [await sent(stage, "/v1/nodes/certificate", renewal) for _ in range(2)]
        assert [one.status_code for one in answers] == [200, 200], answers[0].text
        assert answers[0].content == answers[1].content
        fresh = msgspec.json.decode(answers[0].content, type=RenewalReply)
        identity.keep_certificate(config.state, fresh.certificate, fresh.ca)
        assert identity.certificate(config.state) == fresh.certificate
        assert fresh.certificate != reply.certificate
        assert len(await said(stage, reply.node, facts.Certified)) == 2
        assert certificate.due_at(fresh.certificate) > first.not_valid_before_utc.timestamp()

    play(database, nats_url, tmp_path / "data", scene)


def test_a_certificate_is_given_to_nobody_else(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Another event key, another old key, a foreign certificate, an unknown node: refused."""

    async def scene(stage: Stage) -> None:
        _, reply = await enrolled(stage, tmp_path / "a", (await invited(stage))["token"])
        _, other = await enrolled(stage, tmp_path / "b", (await invited(stage))["token"])
        good = certificate.request_of(Config(state=tmp_path / "a"), reply.node)
        text = enrolment.renewal_text(good)
        stranger = Ed25519PrivateKey.generate()
        wrong = (
            (
                msgspec.structs.replace(good, proof=enrolment.signature(stranger, text)),
                "enrol.proof",
            ),
            (
                msgspec.structs.replace(good, held=enrolment.signature(stranger, text)),
                "enrol.proof",
            ),
            (msgspec.structs.replace(good, csr="no"), "enrol.proof"),
            (msgspec.structs.replace(good, node=other.node), "enrol.proof"),
            (msgspec.structs.replace(good, node=other.node[:-12] + "0" * 12), "resource.unknown"),
        )
        for request, code in wrong:
            answer = await sent(stage, "/v1/nodes/certificate", request)
            assert code_of(answer) == code, answer.text
        theirs = certificate.request_of(Config(state=tmp_path / "b"), other.node).certificate
        foreign = msgspec.structs.replace(good, certificate=theirs)
        text = enrolment.renewal_text(foreign)
        mine = identity.event_key(tmp_path / "a")
        signed = msgspec.structs.replace(foreign, proof=enrolment.signature(mine, text))
        assert code_of(await sent(stage, "/v1/nodes/certificate", signed)) == "certificate.foreign"
        assert len(await said(stage, reply.node, facts.Certified)) == 1

    play(database, nats_url, tmp_path / "data", scene)


def test_a_cloned_disk_is_found_out_at_renewal(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The copy proves a certificate that was replaced: both are barred, and the log says why."""

    async def scene(stage: Stage) -> None:
        _, reply = await enrolled(stage, tmp_path / "a", (await invited(stage))["token"])
        copy = tmp_path / "b"
        copy.mkdir()
        for file in (tmp_path / "a").iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        for state, code in ((tmp_path / "a", ""), (copy, "node.certificate_stale")):
            answer = await sent(
                stage,
                "/v1/nodes/certificate",
                certificate.request_of(Config(state=state), reply.node),
            )
            assert ("" if answer.status_code == 200 else code_of(answer)) == code
        assert (await said(stage, reply.node, facts.Doubled))[0].sign == "node.certificate_stale"
        third = certificate.request_of(Config(state=tmp_path / "a"), reply.node)
        assert code_of(await sent(stage, "/v1/nodes/certificate", third)) == "node.doubled"

    play(database, nats_url, tmp_path / "data", scene)


def test_a_stolen_token_opens_nothing_twice(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A used token with another key is refused; so is a token that was replaced."""

    async def scene(stage: Stage) -> None:
        invitation = await invited(stage)
        token = invitation["token"]
        await enrolled(stage, tmp_path / "a", token)
        thief = request_of(keys_in(tmp_path / "b"), token, MACHINE)
        assert code_of(await sent(stage, "/v1/enrol", thief)) == "node.token_used"
        unused = await invited(stage)
        fresh = await stage.post(f"/v1/nodes/{unused['id']}/reinvite", {})
        assert fresh.status_code == 201, fresh.text
        old = request_of(keys_in(tmp_path / "c"), unused["token"], MACHINE)
        assert code_of(await sent(stage, "/v1/enrol", old)) == "node.token_refused"
        await enrolled(stage, tmp_path / "d", fresh.json()["token"])

    play(database, nats_url, tmp_path / "data", scene)


def test_a_revoked_node_comes_back_only_with_a_new_key(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Revoke, invite anew, enrol: same node, new event key; another machine shows as discrepancy."""

    async def scene(stage: Stage) -> None:
        _, reply = await enrolled(stage, tmp_path / "a", (await invited(stage))["token"])
        path = f"/v1/nodes/{reply.node}"
        assert code_of(await stage.post(f"{path}/reinvite", {})) == "node.not_revoked"
        auditor = stage.token("auditor", None)
        for verb in ("revoke", "reinvite"):
            assert (
                code_of(await stage.post(f"{path}/{verb}", {}, token=auditor)) == "auth.forbidden"
            )
        assert (await stage.post(f"{path}/revoke", {})).status_code == 200
        assert (await stage.post(f"{path}/revoke", {})).json()["version"] is None
        renewal = certificate.request_of(Config(state=tmp_path / "a"), reply.node)
        assert code_of(await sent(stage, "/v1/nodes/certificate", renewal)) == "node.revoked"
        token = (await stage.post(f"{path}/reinvite", {})).json()["token"]
        same = request_of(keys_in(tmp_path / "a"), token, MACHINE)
        assert code_of(await sent(stage, "/v1/enrol", same)) == "node.revoked"
        moved = msgspec.structs.replace(
            MACHINE, hardware=msgspec.structs.replace(MACHINE.hardware, serial="serial-2")
        )
        request, again = await enrolled(stage, tmp_path / "b", token, moved)
        assert again.node == reply.node
        assert request.key != same.key
        differs = await said(stage, reply.node, facts.HardwareDiffers)
        assert [one.what for one in differs] == ["serial", "fingerprint"]
        await stage.views()
        shown = (await stage.get(f"{path}/discrepancies")).json()["items"]
        assert [one["what"] for one in shown] == ["hardware.serial", "hardware.fingerprint"]
        assert (shown[0]["held"], shown[0]["said"]) == ("serial-1", "serial-2")
        tenant = stage.token("member", "organization-0190c0de-0000-7000-8000-000000000000")
        assert code_of(await stage.get(f"{path}/discrepancies", token=tenant)) == "auth.forbidden"

    play(database, nats_url, tmp_path / "data", scene)


def test_an_agent_of_the_release_before_still_enrols(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """No nkey, no CSR, an old token: the answer has the old fields, and a password of its own."""

    async def scene(stage: Stage) -> None:
        invitation = await invited(stage)
        key = Ed25519PrivateKey.generate()
        full = request_of(Keys(key, key, key), invitation["token"], MACHINE)
        bare = msgspec.structs.replace(
            full, nkey=msgspec.UNSET, csr=msgspec.UNSET, hardware=msgspec.UNSET
        )
        answer = await sent(stage, "/v1/enrol", enrolment.signed_request(key, bare))
        assert answer.status_code == 200, answer.text
        assert list(answer.json()) == [
            "node", "position", "command_key", "nats_url", "nats_user", "nats_password",
        ]  # fmt: skip
        assert answer.json()["nats_user"] == invitation["id"]
        assert len(answer.json()["nats_password"]) == 64

    play(database, nats_url, tmp_path / "data", scene)


def test_the_ca_of_the_token_is_the_only_one_believed(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The CA is public and hashes to the token; a reply with another CA is an impostor's."""

    async def scene(stage: Stage) -> None:
        invitation = await invited(stage)
        pem = (await stage.client.get("/v1/enrol/ca")).text
        token = enrolment.parse_token(invitation["token"])
        check_ca(pem, token.ca_sha256)
        with pytest.raises(FleetError, match=r"enrol\.impostor"):
            check_ca(pem, "0" * 64)
        _, reply = await enrolled(stage, tmp_path / "a", invitation["token"])
        assert reply.ca == pem
        other = enrolment.new_token(token.node, reply.command_key, "0" * 64).text()
        with pytest.raises(FleetError, match=r"enrol\.impostor"):
            checked(other, msgspec.json.encode(reply))
        assert nkeys.public(identity.nats_key(tmp_path / "a"), nkeys.USER).startswith("U")

    play(database, nats_url, tmp_path / "data", scene)
