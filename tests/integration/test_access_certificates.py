"""Certificates of the platform, judged by real OpenSSH and by the log."""

import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.ssh.authority import Authority, Ticket, networks, sign_user, user_key
from contracts import ssh
from domain.errors import DomainError
from domain.grant import CertificateIssued, Granted, Obtained, Revoked
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.machine import need
from tests.ssh_world import Key, authority, options, run_ssh, sshd

pytestmark = pytest.mark.slow

ALLOCATION = "allocation-01900000-0000-7000-8000-000000000001"
HERE = ssh.principal(ALLOCATION, 3)
MINUTE = 60_000_000


def ticket(
    principal: str = HERE, *, from_s: int = 0, minutes: int = 10, sources: str = ""
) -> Ticket:
    now = time.time_ns() // 1000 + from_s * 1_000_000
    return Ticket(5, "access-1", principal, now, now + minutes * MINUTE, sources)


@pytest.mark.machine
def test_sshd_takes_what_the_user_ca_signed_and_nothing_else(tmp_path: Path) -> None:
    """Real sshd with our settings: expired, early, foreign, of another epoch, from elsewhere, or a
    host's: refused. The client in turn refuses a host that is another allocation or epoch.
    """
    need("sshd", "ssh")
    keys, foreign = authority(), authority()
    me = Key(tmp_path, "me")
    known = tmp_path / "known_hosts"
    known.write_text(ssh.known_hosts_line(keys.host_ca))
    public = me.private.public_key()
    with sshd(tmp_path / "sshd", keys, ALLOCATION, 3) as port:

        def tried(certificate: str, alias: str = HERE) -> Any:
            me.certify(certificate)
            where = ["-p", str(port), "root@127.0.0.1", "echo in"]
            return run_ssh([*options(me, known, alias), *where])

        good = sign_user(keys, public, ticket())
        assert tried(good).stdout == "in\n", tried(good).stderr
        near = sign_user(keys, public, ticket(sources="127.0.0.0/8,10.0.0.0/8"))
        assert tried(near).stdout == "in\n"
        bad = {
            "expired": sign_user(keys, public, ticket(from_s=-3600)),
            "early": sign_user(keys, public, ticket(from_s=3600)),
            "foreign CA": sign_user(foreign, public, ticket()),
            "host CA": sign_user(Authority(keys.hosts, keys.hosts), public, ticket()),
            "older epoch": sign_user(keys, public, ticket(ssh.principal(ALLOCATION, 2))),
            "prefix": sign_user(keys, public, ticket(HERE[:-1])),
            "longer": sign_user(keys, public, ticket(HERE + "0")),
            "elsewhere": sign_user(keys, public, ticket(sources="10.0.0.0/8")),
            "someone else's": sign_user(
                keys, Key(tmp_path, "other").private.public_key(), ticket()
            ),
        }
        for why, certificate in bad.items():
            refused = tried(certificate)
            assert (refused.stdout, refused.returncode) == ("", 255), why
            assert "Permission denied" in refused.stderr, (why, refused.stderr)
        for alias in (ssh.principal(ALLOCATION, 4), "gateway"):
            stranger = tried(good, alias)
            assert "Host key verification failed" in stranger.stderr, stranger.stderr
        known.write_text(ssh.known_hosts_line(foreign.host_ca))
        assert "Host key verification failed" in tried(good).stderr


@pytest.mark.parametrize(
    "text",
    [
        "", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAA", "rubbish " * 20,
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\nssh-ed25519 AAAA", "\x00 \x00",
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
    ],
)  # fmt: skip
def test_what_is_no_public_key_is_refused(text: str) -> None:
    """One line, a key we can certify; anything else is a named refusal."""
    with pytest.raises(DomainError, match=r"ssh\.key_refused"):
        user_key(text)


def test_keys_of_three_kinds_are_certified_and_small_ones_are_not() -> None:
    """Ed25519, ECDSA and RSA of 2048 bits enter; comments make no other key."""
    for private in (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    ):
        raw = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        key, digest = user_key(raw)
        assert user_key(f"{raw} me@laptop\n")[1] == digest
        assert "-cert-v01@openssh.com " in sign_user(authority(), key, ticket())
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is refused
    raw = small.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    with pytest.raises(DomainError, match=r"ssh\.key_refused"):
        user_key(raw)


def test_sources_are_networks() -> None:
    """Addresses and CIDRs of both families, at most eight; host bits and words are refused."""
    assert networks(["10.0.0.1", "2001:db8::/32"]) == "10.0.0.1/32,2001:db8::/32"
    for wrong in (["10.0.0.1/8"], ["localhost"], ["1.2.3.4,5.6.7.8"], ["10.0.0.1"] * 9):
        with pytest.raises(DomainError, match=r"ssh\.source_refused"):
            networks(wrong)


def test_a_certificate_is_granted_once_and_revoked(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Grant and certificate are one append without names or keys; a repeat is the same grant;
    revoking ends it; a stopped runtime cannot be entered.
    """
    me = Key(tmp_path, "me")

    async def scene(stage: Stage) -> None:
        await stage.node()
        tenant = await stage.tenant()
        member = stage.token("member", tenant["org"], "user-7")
        launch = {"project": tenant["project"], "name": "r", "devices": 1, "gpu_milli": 1000}
        runtime = (await stage.post("/v1/runtimes", launch, token=member)).json()["id"]
        path = f"/v1/runtimes/{runtime}/ssh-certificates"
        body = {"public_key": me.public, "minutes": 5, "sources": ["127.0.0.1"]}
        before = await stage.size()
        first = await stage.post(path, body, token=member, key="k")
        assert first.status_code == 201, first.text
        given = first.json()
        again = (await stage.post(path, body, token=member, key="k")).json()
        for name in set(given) - {"certificate"}:
            assert given[name] == again[name], name
        facts = [one.fact for one in await stage.services.log.read_stream(given["grant"])]
        granted, obtained, issued = facts
        assert isinstance(granted, Granted)
        assert isinstance(issued, CertificateIssued)
        assert isinstance(obtained, Obtained)
        assert (obtained.credential, obtained.implied) == ("", True)
        assert (granted.user, granted.runtime, granted.way) == ("user-7", runtime, "ssh")
        assert issued.principal == given["principal"]
        assert issued.before_us - issued.after_us == 5 * MINUTE
        assert await stage.size() == before + 4
        assert given["gateway_port"] == stage.services.settings.gateway_port

        foreign = stage.token("member", "organization-01900000-0000-7000-8000-00000000000f")
        assert (await stage.post(path, body, token=foreign)).status_code == 404
        assert (await stage.post(path, body)).json()["code"] == "auth.forbidden"
        auditor = stage.token("auditor", None)
        assert (await stage.post(path, body, token=auditor)).json()["code"] == "auth.forbidden"
        for wrong in ({"minutes": 4}, {"minutes": 16}, {"hours": 25}, {"public_key": ""}):
            assert (await stage.post(path, body | wrong, token=member)).status_code == 400
        for nobody in (given["grant"], tenant["project"], "runtime-nothing"):
            missing = f"/v1/runtimes/{nobody}/ssh-certificates"
            assert (await stage.post(missing, body, token=member)).status_code == 404

        revoke = f"/v1/access-grants/{given['grant']}/revoke"
        assert (await stage.post(revoke, token=foreign)).status_code == 404
        other = stage.token("member", tenant["org"], "user-8")
        assert (await stage.post(revoke, token=other)).json()["code"] == "auth.forbidden"
        assert (await stage.post(revoke, {"reason": "left"}, token=member)).status_code == 200
        assert (await stage.post(revoke, token=member)).json()["version"] is None
        facts = [one.fact for one in await stage.services.log.read_stream(given["grant"])]
        assert isinstance(facts[-1], Revoked)
        await stage.views()
        listed = await stage.get(f"/v1/access-grants?runtime_id={runtime}", token=member)
        [row] = listed.json()["items"]
        assert (row["id"], row["why"], row["sessions"]) == (given["grant"], "left", 0)
        assert row["credential"] is None, "a token of the embedded issuer"
        for project, expected in ((tenant["project"], [row]), ("project-none", [])):
            of = await stage.get(f"/v1/access-grants?project={project}", token=member)
            assert of.json()["items"] == expected
        assert (await stage.get("/v1/access-grants", token=foreign)).json()["items"] == []
        one = f"/v1/access-grants/{given['grant']}"
        assert (await stage.get(one, token=member)).json() == row
        assert (await stage.get(one, token=foreign)).status_code == 404

        await stage.post(f"/v1/runtimes/{runtime}/stop", token=member)
        late = await stage.post(path, body, token=member)
        assert (late.status_code, late.json()["code"]) == (409, "access.not_running")
        trust = (await stage.get("/v1/ssh/ca", token=member)).json()
        assert trust["known_hosts"] == f"@cert-authority * {trust['host_ca']}\n"
        for name in ("ssh-user-ca", "ssh-host-ca"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
            assert (tmp_path / f"{name}.pub").is_file()

    play(database, nats_url, tmp_path, scene)
