"""A newcomer's way: up, first steps, a launch; then a session as a person has it in a terminal."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.calling import Api
from gpuaas_client.verbs.prices import after
from tests.machine import need
from tests.tmux import Terminal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
GPUAAS = Path(sys.executable).parent / "gpuaas"
# Until the first period of the person's account ends: a launch must begin within it.
PERIOD_S = 30


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
        up.send_signal(signal.SIGINT)
        up.wait(60)
        shutil.rmtree(home)


def test_what_up_prints_leads_to_a_launch(said: str) -> None:
    """A fresh log prices nothing; the command that is printed makes what a launch needs, once."""
    [command] = [line for line in said.splitlines() if line.endswith("first-steps")]
    told = shell(command)
    assert "T4 at 1 USD per GPU-hour: an example, for SIMULATED GPUs" in told
    url, token = (re.findall(rf"{name}=(\S+)", command)[0] for name in ("URL", "TOKEN"))
    launch = told.partition("you said this:")[2].partition("then:")[0]
    answer = json.loads(shell(f"{launch.strip()} --json", GPUAAS_URL=url, GPUAAS_TOKEN=token))
    assert answer["state"] == "allocated"
    again = shell(command)
    assert "T4 has a price already" in again
    assert re.findall(r"project +(\S+)", told) == re.findall(r"project +(\S+)", again)
    api = Api(url, token)
    for what in ("organizations", "projects", "meters", "prices"):
        assert len(api.get(f"/v1/{what}")["items"]) == 1, what


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
    [org] = re.findall(r"organization-\S+", person.run("gpuaas organization list"))
    department = person.run(f"gpuaas department create Vision --organization {org}").strip()
    ends = after(PERIOD_S)
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
    assert "stopped" in person.run(f"gpuaas stop {runtime} --wait")
    return runtime


def invoiced(person: Terminal, account: str) -> str:
    """The number of the first period's invoice, once it is closed by whoever may."""
    listed = person.run(f"gpuaas period list --account {account} --json")
    first = min(json.loads(listed), key=lambda one: one["sequence"])
    closes = f"gpuaas period close {first['id']} --account {account} --profile operator"
    person.run(f"until {closes}; do sleep 1; done", within_s=90)
    finds = f"gpuaas invoice list --account {account}"
    told = person.run(f"until {finds} | grep -q INV-; do sleep 1; done; {finds}")
    return str(re.findall("^(INV-[^ ]+)", told, re.MULTILINE)[0])
