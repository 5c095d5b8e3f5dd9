"""A newcomer's way: up, first steps, a launch; then a session as a person has it in a terminal."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.calling import Api
from gpuaas_client import AsyncClient, Client, Unauthenticated, exits, models, operations
from gpuaas_client.verbs.prices import after
from tests.commands import gpuaas
from tests.machine import need
from tests.tmux import Terminal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
GPUAAS = Path(sys.executable).parent / "gpuaas"
# Until the first period of the person's account ends, in what two of her commands took, and at least:
# a launch must begin within it, some seven commands later.
PERIOD, LEAST_S = 10, 20
# An organization begins with so many facts at most; an answer names the last one's position.
FOUNDED = 5


def shell(command: str, **env: str) -> str:
    done = subprocess.run(
        ["bash", "-euc", command], cwd=ROOT, env={**os.environ, **env}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def said() -> Iterator[str]:
    """What `gpuaas up` says of a stack that begins empty."""
    # Servers' accounts must be able to enter it.
    home = Path(tempfile.mkdtemp(prefix="gpuaas-first-"))
    home.chmod(0o711)
    env = os.environ | {"GPUAAS_DATA": f"{home}/data", "GPUAAS_SIGNER_STATE": f"{home}/signer"}
    env = {name: value for name, value in env.items() if not name.endswith("_URL")}
    told = home / "said"
    with told.open("wb") as out:
        up = subprocess.Popen([str(GPUAAS), "up"], cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 120
        while "Ctrl-C stops it" not in told.read_text():
            assert up.poll() is None, told.read_text()
            assert time.monotonic() < deadline, told.read_text()
            time.sleep(0.1)
        yield told.read_text()
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)
        left = living(home)
        shutil.rmtree(home)
    assert left == [], "what the stack started ends with it"


def living(home: Path) -> list[str]:
    """Programs that name the folder, in their words or their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if os.fsencode(home) in words + (entry / "environ").read_bytes():
                found.append(f"{entry.name}: {words!r}")
    return found


def test_what_up_prints_leads_to_a_launch(said: str) -> None:
    """A fresh log prices nothing; the command that is printed makes what a launch needs, once, and
    says what its owner types then. A terminal that nobody closes ends with the stack.
    """
    assert f"In another terminal: export PATH={GPUAAS.parent}:$PATH" in said.splitlines()
    [command] = [line for line in said.splitlines() if line.endswith("first-steps")]
    told = shell(command)
    assert "T4 at 1 USD per GPU-hour: an example, for SIMULATED GPUs" in told
    url, token = (re.findall(rf"{name}=(\S+)", command)[0] for name in ("URL", "TOKEN"))
    assert f"  export GPUAAS_URL={url} GPUAAS_TOKEN=" in told
    [owner] = re.findall(r"GPUAAS_TOKEN=(\S+)", told)
    launch, *then = told.partition("in that shell:\n")[2].splitlines()
    env = {
        "GPUAAS_URL": url,
        "GPUAAS_TOKEN": owner,
        "PATH": f"{GPUAAS.parent}:{os.environ['PATH']}",
    }
    assert json.loads(shell(f"{launch} --json", **env))["state"] == "usable"
    assert [line.split()[1] for line in then] == ["terminal", "usage", "stop"]
    used = shell(then[1], **env)
    assert re.search(r"running, not charged yet.*T4 .* GPU-hours +(about|<)", used, re.DOTALL)
    with Client(url, owner) as client:
        [runs] = client.list_runtimes().items
        client.open_terminal(runs.id, models.TerminalNew(columns=80, rows=24))
    again = shell(command)
    assert "T4 has a price already" in again
    assert "its owner's token was shown before" in again
    assert re.findall(r"project +(\S+)", told) == re.findall(r"project +(\S+)", again)
    api = Api(url, token)
    for what in ("organizations", "projects", "meters", "prices"):
        assert len(api.get(f"/v1/{what}")["items"]) == 1, what


@pytest.mark.timeout(900)
def test_a_person_goes_from_login_to_a_verified_invoice(said: str, tmp_path: Path) -> None:
    """Typed into a terminal: two profiles, a project of one's own, capacity, a launch, a shell in
    it, its end, and an invoice that is recomputed offline under a key from elsewhere.
    """
    need("tmux")
    url, token, vkey = (
        re.findall(rf"^{name} +(\S+)$", said, re.MULTILINE)[0] for name in ("URL", "token", "vkey")
    )
    env = {
        "HOME": str(tmp_path), "PATH": f"{GPUAAS.parent}:{os.environ['PATH']}", "LANG": "C.UTF-8",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }  # fmt: skip
    with Terminal(tmp_path, env) as person:
        signed_in(person, url, token, "operator")
        account, project, member = tenancy(person)
        signed_in(person, url, member, "ada")
        runtime = entered(person, project)
        number = invoiced(person, account)
        assert number in person.run(
            f"gpuaas invoice get {number} --as file --out own.json; cat own.json; echo"
        )
        verifies = f"gpuaas evidence verify bundle all.tar --key {vkey}"
        takes = "gpuaas evidence bundle --out all.tar --profile operator"
        # Until everything is signed that the invoice rests on.
        again = (
            f"until {takes} && {verifies} | grep -q 'invoices *checked 1'; do rm -f all.tar; done"
        )
        person.run(again)
        assert re.search("^VALID", person.run(verifies), re.MULTILINE)
        person.run("printf x | dd of=all.tar bs=1 seek=9000 conv=notrunc")
        assert "INVALID" in person.run(f"{verifies} 2>&1", status=1)
        person.run("gpuaas evidence bundle --out no.tar", status=3)
        shown = person.run(f"gpuaas show {runtime} --json")
        assert json.loads(shown)["state"] == "stopped"


def signed_in(person: Terminal, url: str, token: str, name: str) -> None:
    """The token is typed where it is asked for; the screen does not show it."""
    person.run("true")  # an empty screen
    person.type(f"gpuaas login {url} --profile {name}")
    person.until(lambda seen: seen.endswith("token:"))
    person.type(token)
    seen = person.until(lambda seen: f"signed in at {url} as profile {name}" in seen)
    assert token not in seen


def tenancy(person: Terminal) -> tuple[str, str, str]:
    """An account whose first period ends soon, a project that it pays, a member's token."""
    began = time.monotonic()
    [org] = re.findall(r"organization-\S+", person.run("gpuaas organization list"))
    department = person.run(f"gpuaas department create Vision --organization {org}").strip()
    ends = after(max(LEAST_S, int(PERIOD * (time.monotonic() - began))))
    account = person.run(
        f"gpuaas account create --organization {org} --currency USD --first-period-end {ends}"
    ).strip()
    project = person.run(
        f"gpuaas project create Ada --department {department} --account {account}"
    ).strip()
    member = person.run(f"gpuaas token create --subject ada --role member --organization {org}")
    return account, project, member.strip()


def entered(person: Terminal, project: str) -> str:
    """A runtime that is launched, entered by its terminal, and stopped."""
    assert "T4" in person.run(f"gpuaas capacity --project {project}")
    refused = person.run(f"gpuaas launch H100 --project {project} 2>&1", status=6)
    assert "this would fit now, as far as there is quota: 8 x T4" in refused.replace("7 x", "8 x")
    launched = person.run(f"gpuaas launch T4 --project {project} --name own --wait")
    runtime = str(re.findall(r"^runtime +(runtime-\S+)$", launched, re.MULTILINE)[0])
    assert re.search("^state +usable$", launched, re.MULTILINE)
    assert runtime in person.run("gpuaas list")
    person.type(f"gpuaas terminal {runtime}")
    person.until(lambda seen: "SIMULATED $" in seen)
    person.type("echo in-$((40 + 2)); exit 7")
    seen = person.until(lambda seen: seen.endswith("<7>$"))
    assert "in-42" in seen
    piped = f"echo 'echo in-$((4 * 11))' | gpuaas terminal {runtime}"
    assert "in-44" in person.run(piped), "the end of a pipe is the shell's end"
    assert "stopped" in person.run(f"gpuaas stop {runtime} --wait")
    return runtime


def invoiced(person: Terminal, account: str) -> str:
    """The number of the first period's invoice, once it is closed by whoever may."""
    listed = person.run(f"gpuaas period list --account {account} --json")
    first = min(json.loads(listed), key=lambda one: one["sequence"])
    closes = f"gpuaas period close {first['id']} --account {account} --profile operator"
    person.run(f"until {closes}; do sleep 1; done", within_s=240)
    finds = f"gpuaas invoice list --account {account}"
    told = person.run(f"until {finds} | grep -q INV-; do sleep 1; done; {finds}")
    return str(re.findall("^(INV-[^ ]+)", told, re.MULTILINE)[0])


@contextlib.contextmanager
def losing(port: int, answers: int) -> Iterator[str]:
    """An address whose first connections lose the answer that the API at `port` has given."""
    left = itertools.count()

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            mine: socket.socket = self.request
            lost = next(left) < answers
            with socket.create_connection(("127.0.0.1", port)) as api:
                while ready := select.select([mine, api], [], [], 60)[0]:
                    for one in ready:
                        data = one.recv(65536)
                        if not data or (one is api and lost):
                            return
                        (api if one is mine else mine).sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Way) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_the_client_acts_once_whatever_answers_are_lost(said: str) -> None:
    """Against the API as it runs: an act whose answers were lost twice has one effect and reads
    itself back; waited for and awaited; facts follow from where one was, over a lost connection.
    """
    url, token = (
        re.findall(rf"^{name} +(\S+)$", said, re.MULTILINE)[0] for name in ("URL", "token")
    )
    port = int(url.rpartition(":")[2])

    async def awaited(way: str) -> tuple[int, list[str]]:
        async with AsyncClient(way, token) as client:
            made = await client.create_organization(models.OrganizationNew(name="awaited"))
            at = client.position  # what is read later may name a later one: others act, too
            call = operations.list_organizations(limit=1)
            names = [str(one.name) async for one in client.each(call)]
            assert (await client.show_receipt(str(at))).position == at
            follows = [one async for one in client.events(at - FOUNDED, follow=False)]
            assert made.id in {one.subject for one in follows}
            return at, names

    with losing(port, 2) as way, Client(way, token) as client:
        client.create_organization(models.OrganizationNew(name="waited"))
        before = client.position
        names = [str(one.name) for one in client.each(operations.list_organizations(limit=1))]
        assert names.count("waited") == 1
    with losing(port, 2) as way:
        position, names = asyncio.run(awaited(way))
    assert position > before
    assert names.count("awaited") == names.count("waited") == 1
    with losing(port, 1) as way, Client(way, token) as client:
        types = [one.type for one in client.events(before - FOUNDED, follow=False)]
    assert types.count("gpuaas.organization.created.v1") >= 2
    with Client(url, "nobody") as client, pytest.raises(Unauthenticated) as told:
        client.list_organizations()
    assert (told.value.code, bool(told.value.remedy)) == ("auth.invalid", True)


def test_the_other_verbs_do_what_they_say(said: str, tmp_path: Path) -> None:
    """In this process, as an operator: who may do what, quotas, budgets, volumes, nodes, receipts."""
    url, token, vkey = (
        re.findall(rf"^{name} +(\S+)$", said, re.MULTILINE)[0] for name in ("URL", "token", "vkey")
    )
    env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": token, "HOME": str(tmp_path)}

    def run(*words: str, status: int = exits.DONE, **other: str) -> str:
        done = gpuaas(*words, env={**env, **other})
        assert done.status == status, (words, done)
        return done.out

    def first(*words: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(run(*words, "--json"))
        return found[-1]

    project = first("project", "list")
    org, scope = str(project["organization"]), str(project["id"])
    admin = run("token", "create", "--subject", "eve", "--role", "admin", "--organization", org)
    who_may(partial(run, GPUAAS_TOKEN=admin.strip()), org, scope)
    own = ("--organization", org)
    rail = run("guardrail", "set", scope, "volume.delete", "--reason", "kept").strip()
    assert rail in run("guardrail", "list", *own)
    run("guardrail", "lift", rail, *own)
    assert "4.000 GPUs of T4" in run("quota", "set", scope, "T4", "4")
    assert re.search(rf"{scope} +T4 +4\.000 +\d", run("quota", "list"))
    assert "1200.50 USD" in run("budget", "set", scope, "1200.50", "USD")
    assert "1200.50 USD" in run("budget", "list")
    volume = first("volume", "list") if "volume-" in run("volume", "list") else {"id": ""}
    assert volume["id"] == ""
    assert "T4" in run("price", "list")
    assert "organization.created" in run("audit", "--resource", org)
    assert run("issuer", "list", *own).startswith("ISSUER")
    assert run("session", "list", *own).startswith("SESSION")
    inward = ("webhook", "create", "https://127.0.0.1/in", *own)
    run(*inward, status=exits.FAILED)
    assert run("webhook", "list", *own).startswith("WEBHOOK")
    node = first("node", "list")["id"]
    for words in (("cordon",), ("uncordon",), ("drain", "--reason", "test"), ("undrain", "--reason", "test")):  # fmt: skip
        run("node", words[0], node, *words[1:])
    assert "cordoned" in run("node", "timeline", node) or "drain" in run("node", "timeline", node)
    assert "do         " in run("explain", "quota.exceeded")
    position = [line.split()[0] for line in run("events").splitlines()][3]
    run("evidence", "receipt", position, "--out", str(tmp_path / "receipt"))
    run("evidence", "verify", "receipt", str(tmp_path / "receipt"), "--key", vkey)
    assert org in run("api", "GET", "/v1/organizations")
    run("api", "POST", "/v1/organizations", "--data", "{", status=exits.USAGE)
    run("show", "runtime-00000000-0000-7000-8000-000000000001", status=exits.NOT_FOUND)


def who_may(run: Callable[..., str], org: str, project: str) -> None:
    """A program's principal with a key that may what its role says, until it is revoked."""
    own = ("--organization", org)
    bot = run("service-account", "create", "bot", *own).strip()
    assert bot in run("service-account", "list", *own)
    group = run("group", "create", "programs", *own).strip()
    run("group", "add", group, bot, *own)
    assert re.search(f"{group} +programs +{bot}", run("group", "list", *own))
    run("why", "runtime.launch", project, "--principal", bot, status=exits.NOT_ALLOWED)
    bound = run("role", "grant", group, "member", project).partition(":")[0]
    assert bound in run("role", "list", *own)
    why = run("why", "runtime.launch", project, "--principal", bot)
    assert "allowed    yes" in why
    key = run("key", "create", "ci", "--for", bot, *own).strip()
    listed = json.loads(run("key", "list", *own, "--json"))
    [told] = [one for one in listed if one["principal"] == bot]
    assert key.startswith(told["prefix"])
    assert told["key"] is None
    run("key", "revoke", told["id"], *own)
    run("role", "revoke", bound, *own)
    run("why", "runtime.launch", project, "--principal", bot, status=exits.NOT_ALLOWED)
    run("group", "delete", group, *own)
    run("service-account", "delete", bot, *own)
    assert "PRINCIPAL" in run("member", "list", *own)
    invited = run("member", "invite", "ada@example.org", "viewer", *own)
    assert "secret     " in invited
