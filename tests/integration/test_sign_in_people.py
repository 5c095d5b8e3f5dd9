"""A person signs in from a terminal at an issuer that nobody here wrote."""

import base64
import json
import os
import re
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psycopg
import pytest
from click.testing import CliRunner, Result

from api import cli
from api.factors.codes import code_at
from api.fleet.node_ca import written
from api.tls import Pair
from api.tokens import developer_token
from domain.issuer import principal
from gpuaas_client import profiles, sign_in
from projections.views import step
from tests import commands
from tests.conftest import Database
from tests.foreign_issuer import CLIENT, serving, signs_in
from tests.integration.served import Served, served

pytestmark = pytest.mark.slow


def env_of(home: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(home), **more}


def gpuaas(env: dict[str, str], *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "gpuaas_client", *words]
    return subprocess.Popen(
        argv, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def done(env: dict[str, str], *words: str) -> Any:
    said, wrong = gpuaas(env, *words, "--json").communicate(timeout=60)
    assert said, wrong
    return json.loads(said)


def ended(env: dict[str, str], *words: str) -> int:
    """The exit status."""
    with gpuaas(env, *words) as running:
        running.communicate(timeout=60)
    return running.returncode


def organization(api: Served, issuer: str, token: str) -> str:
    """Whose addresses at `acme.example` sign in there."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=api.url, headers=headers) as operator:

        def post(path: str, body: dict[str, Any]) -> str:
            answer = operator.post(path, json=body, headers={"Idempotency-Key": path})
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        org = post("/v1/organizations", {"name": "Acme"})
        wanted = {"organization": org, "url": issuer, "client_id": CLIENT}
        post("/v1/issuers", {**wanted, "domains": ["acme.example"]})
    return org


def a_second_factor(api: Served, env: dict[str, str]) -> None:
    """With a token of the embedded issuer: enrolled, confirmed, used, removed, by command."""
    profiles.keep(env, "default", profiles.Profile(api.url, developer_token(api.settings)))
    org = done(env, "organization", "create", "Carol's")["id"]
    assert done(env, "organization", "require-mfa", org)["actions"] == ["administrative"]
    said = done(env, "organization", "close", org, "--reason", "x", "--notice", "60",
                "--wipe-after", "60")  # fmt: skip
    assert said["state"] == "closing"
    assert done(env, "organization", "reopen", org, "--reason", "x")["state"] == "active"
    rows = done(env, "organization", "effects", "--state", "closed")
    assert {"API key": "revoked"}.items() <= {one["object"]: one["effect"] for one in rows}.items()
    made = done(env, "mfa", "enrol", "--label", "Carol")
    assert made["address"].startswith("otpauth://totp/GPUaaS%3ACarol?secret=" + made["secret"])
    secret = base64.b32decode(made["secret"])
    assert ended(env, "mfa", "verify", "--code", "000000") == 5

    def code(ahead: int) -> str:
        return code_at(secret, int(time.time()) // 30 + ahead)

    codes = done(env, "mfa", "confirm", "--code", code(0))["recovery_codes"]
    assert done(env, "whoami")["mfa"] is False
    said = done(env, "mfa", "verify", "--code", code(1))
    assert said["means"] == "totp"
    assert done(env, "whoami")["mfa"] is True
    assert done(env, "mfa", "show")["recovery_codes_left"] == len(codes) == 10
    assert done(env, "mfa", "remove", "--code", codes[0])["principal"] == "user-developer"
    assert done(env, "mfa", "show")["state"] == "none"


def typed(api: Served, env: dict[str, str], *words: str) -> tuple[int, Any]:
    """As `done`, in this process, once the views are at the head; and the exit status."""
    with psycopg.connect(api.settings.database_url) as conn:
        while step(conn, 1000):
            pass
    said = commands.gpuaas(*words, "--json", env=env)
    return said.status, json.loads(said.out) if said.out else said.err


def an_owner(api: Served, org: str, home: Path) -> None:
    """By command: where people must sign in, whose words are a second factor, other recovery codes,
    a key that stands for one, and the end of a factor that was lost, by the operator.
    """
    boot, own = env_of(home / "boot"), env_of(home / "own")
    profiles.keep(boot, "default", profiles.Profile(api.url, developer_token(api.settings)))
    for words in (("member", "add", "user-own"), ("role", "grant", "user-own", "owner", org)):
        more = ("--organization", org) if words[0] == "member" else ()
        assert typed(api, boot, *words, *more)[0] == 0, words
    subject = ("--subject", "own", "--role", "user", "--organization", org)
    token = typed(api, boot, "token", "create", *subject)[1]["token"]
    profiles.keep(own, "default", profiles.Profile(api.url, token))
    [trusted] = typed(api, own, "issuer", "list")[1]
    said = typed(api, own, "issuer", "factors", trusted["id"], "--amr", "hwk", "--acr", "high")[1]
    assert (said["amr"], said["acr"]) == (["hwk"], ["high"])
    required = ("organization", "require-sso", org, trusted["id"], "--except", "user-own")
    assert typed(api, own, *required)[0] == 0
    assert typed(api, own, "organization", "sso", org)[1]["issuer"] == trusted["id"]
    assert typed(api, own, "organization", "lift-sso", org, "--reason", "tried")[0] == 0
    assert typed(api, own, "organization", "sso", org)[1]["issuer"] is None
    secret = base64.b32decode(typed(api, own, "mfa", "enrol")[1]["secret"])
    steps = int(time.time()) // 30
    key = ("key", "create", "deploy", "--mfa", "--scope", "runtime.list", "--days", "3")
    codes = typed(api, own, "mfa", "confirm", "--code", code_at(secret, steps))[1]["recovery_codes"]
    assert typed(api, own, *key)[0] == 3, "its maker has used none yet"
    assert typed(api, own, "mfa", "verify", "--code", code_at(secret, steps + 1))[0] == 0
    assert typed(api, own, *key)[1]["mfa"] is True
    others = typed(api, own, "mfa", "recovery", "--code", codes[0])[1]["recovery_codes"]
    assert len(others) == 10
    assert not set(others) & set(codes)
    gone = ("mfa", "remove", "--principal", "user-own", "--organization", org, "--reason", "lost")
    assert typed(api, boot, *gone)[1]["principal"] == "user-own"
    assert typed(api, own, "mfa", "show")[1]["state"] == "none"


def staff(api: Served, issuer: str, org: str, home: Path) -> None:
    """The platform's own people by an issuer it trusts, all of it by command: bound by a fact, they
    act with their session, are in a tenant by break-glass that another one approves, and have
    nothing within a second after their binding is revoked.
    """
    boot = env_of(home / "developer")
    profiles.keep(boot, "default", profiles.Profile(api.url, developer_token(api.settings)))
    trust = ("issuer", "trust", issuer, "--organization", "-", "--client-id", CLIENT)
    assert typed(api, boot, *trust, "--domain", "platform.example")[1]["organization"] == "-"
    bound, envs = {}, {}
    for who, role in (("olga", "operator"), ("sam", "support")):
        browser = f"{sys.executable} -m tests.foreign_issuer %s {who} &"
        mine = envs[who] = env_of(home / who, BROWSER=browser)
        done(mine, "login", api.url, "--domain", "platform.example")
        me = typed(api, mine, "whoami")[1]
        name = principal(issuer, who)
        assert (me["principal"], me["organization"], me["roles"]) == (name, None, [])
        assert typed(api, mine, "node", "list")[0] == 3
        assert typed(api, boot, "member", "add", name, "--organization", "-")[0] == 0
        bound[who] = typed(api, boot, "role", "grant", name, role, "-")[1]["id"]
    olga, sam = envs["olga"], envs["sam"]
    listing = ("list", "--organization", org)
    assert typed(api, olga, "node", "list") == (0, [])
    assert typed(api, sam, *listing)[0] == 3
    ask = ("break-glass", "request", org, "--ticket", "T-7", "--reason", "It hangs.")
    grant = typed(api, sam, *ask)[1]["id"]
    assert typed(api, sam, "break-glass", "approve", grant)[0] == 3
    assert typed(api, olga, "break-glass", "approve", grant)[1]["state"] == "approved"
    assert typed(api, sam, *listing) == (0, [])
    [shown] = typed(api, boot, "break-glass", "list", "--organization", org)[1]
    assert (shown["used"], shown["reason"]) == (["runtime.list"], "It hangs.")
    assert typed(api, olga, "break-glass", "revoke", grant)[1]["state"] == "ended"
    assert typed(api, sam, *listing)[0] == 3
    revoke = ("--organization", "-")
    assert typed(api, boot, "role", "revoke", bound["sam"], *revoke)[0] == 0
    assert typed(api, sam, "organization", "list")[0] == 3
    assert typed(api, boot, "role", "revoke", bound["olga"], *revoke)[0] == 5, "the last operator"


def found(api: Served, issuer: str, who: str) -> Result:
    """`gpuaas found`, beside the database."""
    asked = ["--issuer", issuer, "--client-id", CLIENT, "--subject", who]
    env = api.settings.environment()
    runner = CliRunner(env=env)
    return runner.invoke(cli.found, [*asked, "--domain", "x.example"], standalone_mode=False)


def entries(api: Served) -> list[str]:
    with psycopg.connect(api.settings.database_url) as conn:
        rows = conn.execute("SELECT convert_from(entry, 'UTF8') FROM log.entry ORDER BY position")
        return [str(one[0]) for one in rows]


def founded(api: Served, issuer: str, env: dict[str, str]) -> str:
    """The token of the operator of a deployment that is not embedded."""
    done = found(api, issuer, "olga")
    assert (done.return_value, principal(issuer, "olga") in done.output) == (0, True), done.output
    before = entries(api)
    again, other = found(api, issuer, "olga"), found(api, issuer, "eve")
    assert (again.return_value, "(as before)" in again.output) == (0, True), again.output
    assert (other.return_value, "platform.founded" in other.output) == (5, True), other.output
    plain = found(api, issuer.replace("https:", "http:"), "olga")
    assert (plain.return_value, "issuer.invalid" in plain.output) == (1, True), plain.output
    assert entries(api) == before
    said = commands.gpuaas("login", api.url, "--domain", "x.example", env=env)
    assert said.status == 0, said
    me = typed(api, env, "whoami")[1]
    assert me["roles"] == [{"role": "operator", "scope": "-"}]
    return profiles.read(env, "default").token


def recovered(api: Served, issuer: str, token: str) -> None:
    """The only issuer of the platform's is trusted no more: its operator is out, and another found."""
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "gone"}
    with httpx.Client(base_url=api.url, headers=headers) as operator:
        [trusted] = operator.get("/v1/issuers?organization=-").json()["items"]
        gone = operator.post(f"/v1/issuers/{trusted['id']}/distrust", json={})
        assert gone.status_code == 200, gone.text
        assert operator.get("/v1/me").status_code == 401
    done = found(api, issuer, "eve")
    assert (done.return_value, "RECOVERED" in done.output) == (0, True), done.output
    [said] = [one for one in entries(api)[-6:] if "platform_founded" in one]
    assert '"recovered":true' in said


def test_a_deployment_of_its_own_and_a_code_that_somebody_else_exchanged_first(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment that is not embedded is founded beside its database, by an issuer of a company's
    own CA: whoever that names signs in there and operates it; said again it is so, of anybody else
    it is refused, and nothing changes, until no operator can sign in any more. An authorization
    code counts once (RFC 6749 4.1.2): the issuer refuses its second exchange, the command says so by
    its status and the issuer's word, and
    there is neither profile nor session.
    """
    posted, first, signing = sign_in._posted, list[int](), ["olga"]

    def twice(client: httpx.Client, url: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("grant_type") == "authorization_code" and not first:
            status, said = posted(client, url, form)
            assert isinstance(said.get("id_token"), str), "whoever came first has it"
            first.append(status)
        return posted(client, url, form)

    def opened(address: str) -> None:
        Thread(target=signs_in, args=(address, signing[0]), daemon=True).start()

    certificate, key, ca = written(tmp_path, ("127.0.0.1",), tmp_path / "issuer")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    monkeypatch.setattr(webbrowser, "open", opened)
    with (
        serving(Pair(certificate, key)) as issuer,
        served(database, nats_url, tmp_path, issuer_ca=ca) as api,
    ):
        token = founded(api, issuer, env_of(tmp_path / "olga"))
        organization(api, issuer, token)
        alice, signing[0] = env_of(tmp_path / "alice"), "alice"
        login = ("login", api.url, "--domain", "acme.example")
        with monkeypatch.context() as way:
            way.setattr(sign_in, "_posted", twice)
            refused = commands.gpuaas(*login, env=alice)
        assert (first, refused.status, "invalid_grant" in refused.err) == ([200], 3, True), refused
        assert "Sign in again" in refused.err
        assert not (tmp_path / "alice" / ".config").exists()
        assert not any(principal(issuer, "alice") in one for one in entries(api)), "no session"
        said = commands.gpuaas(*login, env=alice)
        assert said.status == 0, said
        assert typed(api, alice, "whoami")[1]["principal"] == principal(issuer, "alice")
        recovered(api, issuer, token)


def test_in_a_browser_and_on_another_device(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """By the code flow with PKCE and by the device flow of `oidc-provider`: each is somebody, known
    by an opaque id of the organization, and signs out; a code that nobody typed signs nobody in.
    """
    with serving() as issuer, served(database, nats_url, tmp_path) as api:
        org = organization(api, issuer, developer_token(api.settings))
        browser = f"{sys.executable} -m tests.foreign_issuer %s alice &"
        alice = env_of(tmp_path / "alice", BROWSER=browser)
        login = ("login", api.url, "--domain", "acme.example")
        said = done(alice, *login)
        assert said["url"] == api.url, said
        me = done(alice, "whoami")
        assert (me["principal"], me["organization"]) == (principal(issuer, "alice"), org)
        kept = Path(said["file"])
        assert kept.stat().st_mode & 0o777 == 0o600
        bob = env_of(tmp_path / "bob")
        with gpuaas(bob, *login, "--device") as waiting:
            assert waiting.stderr is not None
            found = re.search(
                r"Open (\S+) in a browser.* code ([A-Z-]+)", waiting.stderr.readline()
            )
            assert found is not None
            assert "Success" in signs_in(found[1], "bob")
            assert waiting.wait(60) == 0
        assert done(bob, "whoami")["principal"] == principal(issuer, "bob")
        [mine] = done(bob, "session", "list")
        kept_by_bob = tmp_path / "bob" / ".config" / "gpuaas" / "profiles" / "default.json"
        his = {"GPUAAS_URL": api.url, "GPUAAS_TOKEN": json.loads(kept_by_bob.read_text())["token"]}
        assert ended({**bob, **his}, "whoami") == 0
        assert done(bob, "logout")["session"] == mine["id"]
        assert not kept_by_bob.exists()
        assert ended({**bob, **his}, "whoami") == 3, "signed out everywhere"
        token = json.loads(kept.read_text())["token"]
        assert token not in (tmp_path / "serve.log").read_text()
        strong = gpuaas(alice, *login, "--mfa")
        _, wrong = strong.communicate(timeout=60)
        assert (strong.returncode, "no_second_factor" in wrong) == (3, True), wrong
        assert done(alice, "whoami")["principal"] == me["principal"], "the profile is as it was"
        a_second_factor(api, env_of(tmp_path / "carol"))
        an_owner(api, org, tmp_path)
        staff(api, issuer, org, tmp_path)
        refused = gpuaas(bob, "login", api.url, "--domain", "other.example")
        _, wrong = refused.communicate(timeout=60)
        assert (refused.returncode, "issuer.unknown" in wrong) == (4, True)
