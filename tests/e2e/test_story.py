"""From a launch to a verified invoice, with real containers, real ssh and a SIMULATED GPU."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.edge import now_us
from api.ssh.authority import Ticket, sign_user
from contracts import ssh
from domain.grant import CertificateIssued
from gpuaas_client import exits
from tests.copy_world import copied_in_and_out
from tests.kept_world import alive
from tests.machine import need
from tests.outage_world import (
    Alone,
    Ran,
    asked,
    bring_back,
    charged,
    nodes,
    ran,
    renewals,
    take_away,
    words,
)
from tests.ssh_world import Key, authority, run_ssh
from tests.story_world import (
    HOUR_MILLI_US,
    RATE_PICO_HOUR,
    STORAGE_PICO,
    VOLUME_MIB,
    Scene,
    Spell,
    awaited,
    scene,
)

pytestmark = [pytest.mark.slow, pytest.mark.machine, pytest.mark.timeout(900)]

_HOUR_US = 3_600_000_000
_HELD = "/data/held"
# Perl is in every Debian: an HTTP server of the tenant's, on the runtime's loopback.
_SERVER = (
    "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => q(127.0.0.1), "
    "LocalPort => 8000, Listen => 5, ReuseAddr => 1) or die; while (my $c = $s->accept) { "
    "while (<$c>) { last if /^\\r?$/ } "
    "print $c qq(HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\ninside); close $c }"
)


@pytest.fixture(scope="module")
def place() -> Iterator[Scene]:
    need("podman", "runc", "sshd", "ssh", "nft", "ip", "mkfs.ext4", "losetup", root=True)
    need("rsync", "scp", "sftp", "curl")
    with scene() as made:
        yield made


def test_from_a_launch_to_a_verified_invoice(place: Scene) -> None:
    """A container with sshd and two SIMULATED devices; `ssh` with a certificate of ours and no
    other; its volume filled and read by rsync, sftp, scp and HTTP; a terminal; what a member
    pays is the attested time, and an auditor finds it so, whatever is renamed meanwhile.
    """
    spell, runtime, volume = launched(place)
    me = Key(place.folder, "me")
    given = place.certificate(runtime, me)
    client = place.client(given, me)
    route = place.office.get(f"/v1/runtimes/{runtime}", place.office.member).json()["route"]
    assert f"{route['allocation']}.{route['epoch']}" == given["principal"]
    # The node asks for the host certificate once its route is in the log.
    said = awaited(
        lambda: run_ssh([*client, "id -un; ls /dev"], 120), lambda done: done.returncode == 0
    )
    user, *devices = said.stdout.split()
    assert user == "root"
    assert {"gpuaas-simulated0", "gpuaas-simulated1"} <= set(devices)
    by_the_command_line(place, runtime)
    through_http(place, runtime, client)
    copied_in_and_out(place, runtime)
    who_does_not_enter(place, runtime, given, me)
    what_it_said(place, runtime)
    asyncio.run(terminal(place, runtime))
    assert run_ssh([*entered(place, runtime, "again"), f"echo kept > {_HELD}"]).returncode == 0
    for path in (
        f"/v1/organizations/{place.org}",
        f"/v1/departments/{place.department}",
        f"/v1/projects/{spell.project}",
    ):
        answer = place.office.post(f"{path}/rename", {"name": "Neu"})
        assert answer.status_code == 200, answer.text
    place.stop(runtime)
    assert run_ssh([*client, "id"], 120).returncode != 0, "nothing is left to enter"
    second = kept(place, spell, volume)
    invoiced(place, spell, {runtime: 2000, second: 1000}, volume)
    bundle = place.bundle()
    judged = place.verify(bundle)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "invoices      checked 1  1 of SIMULATED GPUs" in judged.stdout
    raw = bytearray(bundle.read_bytes())
    raw[raw.index(b'"stopped_us":') + 20] ^= 1
    bundle.write_bytes(raw)
    assert place.verify(bundle).returncode == 1, "a changed instant is refused"


def launched(place: Scene) -> tuple[Spell, str, str]:
    """A usable runtime with a volume whose period has not ended; a busy machine is given longer."""
    for seconds in (25, 90, 300):
        spell = place.spell(seconds)
        volume = place.volume(spell)
        runtime = place.launch(spell, volumes=[{"volume": volume, "path": "/data"}])
        if now_us() < spell.ends_us:
            return spell, runtime, volume
        place.stop(runtime)
    pytest.fail("no launch within five minutes")


def entered(place: Scene, runtime: str, name: str) -> list[str]:
    """`ssh` options of a new key's; the runtime answers to them."""
    key = Key(place.folder, name)
    client = place.client(place.certificate(runtime, key), key)
    awaited(lambda: run_ssh([*client, "true"], 120), lambda done: done.returncode == 0)
    return client


def kept(place: Scene, spell: Spell, volume: str) -> str:
    """What the first runtime wrote, the second one reads; then the volume is wiped, by receipt."""
    mounts = [{"volume": volume, "path": "/data"}]
    second = place.launch(spell, devices=1, volumes=mounts)
    assert run_ssh([*entered(place, second, "second"), f"cat {_HELD}"], 120).stdout == "kept\n"
    place.stop(second)
    [receipt] = place.wiped(volume)["receipts"]
    assert receipt["bytes_covered"] == VOLUME_MIB * 2**20
    return second


def by_the_command_line(place: Scene, runtime: str) -> None:
    """`gpuaas ssh RUNTIME -- COMMAND`, which believes no host that our CA did not certify."""
    env = {
        **os.environ, "HOME": str(place.folder), "GPUAAS_URL": place.stack.url,
        "GPUAAS_TOKEN": place.office.member,
    }  # fmt: skip
    argv = [str(Path(sys.executable).parent / "gpuaas"), "ssh", runtime]

    def said(*more: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*argv, *more], env={**env, **changed}, capture_output=True, text=True, timeout=120,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    done = said("-o", "LogLevel=ERROR", "--", "echo", "in", "$(id -un)")
    assert (done.stdout, done.returncode) == ("in root\n", 0), done.stderr
    assert said("--", "exit 7").returncode == 7
    assert said("-v", "-o", "LogLevel=ERROR", "--", "echo", "--", "-n").stdout == "-- -n\n"
    listed, shown = (
        subprocess.run(
            [argv[0], *verb], env=env, capture_output=True, text=True, timeout=120, check=True
        ).stdout
        for verb in (["list"], ["show", runtime])
    )
    for text in (listed, shown):
        assert runtime in text
        assert "usable" in text
    assert "stopped    never for being idle" in shown
    refused = said("--", "id", GPUAAS_TOKEN="nobody")
    assert refused.returncode == exits.NOT_ALLOWED
    assert refused.stderr.startswith("gpuaas: auth.invalid"), refused.stderr


def through_http(place: Scene, runtime: str, client: list[str]) -> None:
    """A server inside answers under its own origin, to the holder of a pass and to nobody else."""
    assert (
        run_ssh([*client, f"perl -e '{_SERVER}' >/dev/null 2>&1 </dev/null &"], 120).returncode == 0
    )
    office, port = place.office, place.stack.settings.apps_port
    answer = office.post(f"/v1/runtimes/{runtime}/app-passes", {"port": 8000}, office.member)
    assert answer.status_code == 201, answer.text
    passed = answer.json()
    headers = {"Host": passed["origin"].partition("://")[2]}
    url = f"http://127.0.0.1:{port}/"
    assert office.http.get(url, headers=headers).status_code == 401
    headers["Authorization"] = f"Bearer {passed['token']}"
    found = awaited(
        lambda: office.http.get(url, headers=headers), lambda said: said.status_code == 200, 60
    )
    assert found.text == "inside"


def who_does_not_enter(place: Scene, runtime: str, given: dict[str, Any], me: Key) -> None:
    """Expired, foreign, of another principal, somebody else's, none, and the good one revoked."""
    client = place.client(given, me)
    [issued] = [
        entry.fact
        for entry in place.log()
        if entry.stream == given["grant"] and isinstance(entry.fact, CertificateIssued)
    ]
    good = Ticket(
        issued.serial, given["grant"], issued.principal, issued.after_us, issued.before_us
    )
    public = me.private.public_key()
    allocation, _, epoch = issued.principal.rpartition(".")
    change = msgspec.structs.replace
    expired = change(good, after_us=good.after_us - _HOUR_US, before_us=good.before_us - _HOUR_US)
    older = change(good, principal=ssh.principal(allocation, int(epoch) - 1))
    wrong = {
        "expired": sign_user(place.ca, public, expired),
        "of an older epoch": sign_user(place.ca, public, older),
        "of another CA": sign_user(authority(), public, good),
        "somebody else's": sign_user(
            place.ca, Key(place.folder, "other").private.public_key(), good
        ),
        "none": me.public,
    }
    for why, line in wrong.items():
        me.certify(line)
        assert "Permission denied" in run_ssh([*client, "id"], 120).stderr, why
    me.certify(sign_user(place.ca, public, good))
    assert run_ssh([*client, "id -un"], 120).stdout == "root\n"
    path = f"/v1/access-grants/{given['grant']}/revoke"
    answer = place.office.post(path, {"reason": "done"}, place.office.member)
    assert answer.status_code == 200, answer.text
    assert "Permission denied" in run_ssh([*client, "id"], 120).stderr, "revoked"


def what_it_said(place: Scene, runtime: str) -> None:
    """Its first process's words, by its node, for its own organization and nobody else."""
    office, path = place.office, f"/v1/runtimes/{runtime}/logs"
    found = office.get(path, office.member)
    assert found.status_code == 200, found.text
    assert "Accepted publickey for root" in found.text
    assert len(office.get(f"{path}?most=100", office.member).content) == 100
    assert office.get(f"{path}?most=40000", office.member).status_code == 400
    assert office.get(path).status_code == 403, "an operator reads no tenant's words"


async def terminal(place: Scene, runtime: str) -> None:
    """A shell over the API's WebSocket; it ends with its own exit."""
    screen = await asyncio.to_thread(place.office.open, runtime)
    await screen.connect()
    await screen.type(b"echo in''side; hostname; exit 3\n")
    await screen.until(b"inside\r\n")
    await screen.closed()
    assert screen.exit == 3


def invoiced(place: Scene, spell: Spell, milli: dict[str, int], volume: str) -> None:
    """GPUs are charged for the attested time of each runtime's milli-GPUs, to the microsecond; the
    volume for its MiB from its node's word that it is there to the one that it is wiped.
    """
    office = place.office
    awaited(now_us, lambda now: now > spell.ends_us, 400)
    periods = office.get(f"/v1/periods?account={spell.account}").json()["items"]
    first = min(periods, key=lambda one: one["sequence"])
    headers = {"If-Match": f'"{first["version"]}"'}
    answer = office.http.post(
        f"/v1/periods/{first['id']}/close",
        headers={
            "Authorization": f"Bearer {office.operator}", "Idempotency-Key": "close", **headers,
        },
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    [found] = awaited(
        lambda: office.get(f"/v1/invoices?account={spell.account}").json()["items"], bool
    )
    body = json.loads(office.get(f"/v1/invoices/{found['id']}/file").content)
    assert body["simulated"] is True
    quantity = sum(held * place.attested_us(one, spell.ends_us) for one, held in milli.items())
    [line] = [one for one in body["lines"] if one["sku"] == "gpu.time:T4"]
    assert line["quantity"] == quantity > 0
    assert abs(line["amount_pico"] * HOUR_MILLI_US - quantity * RATE_PICO_HOUR) <= HOUR_MILLI_US
    [stored] = [one for one in body["lines"] if one["sku"] == "storage.capacity:local"]
    mib_us = VOLUME_MIB * place.stored_us(volume, spell.ends_us)
    assert (stored["quantity"], stored["amount_pico"]) == (mib_us, mib_us * STORAGE_PICO)
    assert mib_us > 0


def test_an_outage_ends_what_outlives_its_lease_and_nothing_else(place: Scene) -> None:
    """NATS, PostgreSQL and the API are killed at once. What has a longer lease is the same process
    before and after, renewed again. What has a shorter one is gone by its deadline while nobody is
    there to ask. Both are charged once, for exactly the time attested; the bundle verifies.
    """
    account = place.made("/v1/accounts", organization=place.org, currency="USD", zone="UTC")
    project = place.made("/v1/projects", department=place.department, account=account, name="P")
    with nodes(place, {"L4": 60, "A10": 6}) as alone:
        first, second = (asked(place, project, alone[model]) for model in ("L4", "A10"))
        kept = ran(place, first, alone["L4"])
        ended = not_yet_over(place, second, project, alone["A10"])
        began = time.monotonic()
        take_away(place.stack)
        assert alive(kept.pid)
        assert alive(ended.pid)
        time.sleep(max(0.0, ended.left_s()))
        assert not alive(ended.pid)
        assert kept.left_s() > 0, "its deadline was never near"
        bring_back(place.stack)
        back_us = now_us()
        print(f"nobody answered for {time.monotonic() - began:.1f} s")
        awaited(lambda: renewals(place, kept.runtime)[-1:], lambda last: last > [back_us])
        place.until_state(ended.runtime, "stopped")
        assert alive(kept.pid)
        assert (words(place, kept.runtime), words(place, ended.runtime)) == (
            ["Usable"], ["Usable", "Stopped"],
        )  # fmt: skip
        place.stop(kept.runtime)
        assert words(place, kept.runtime) == ["Usable", "Stopping", "Stopped"]
        for one in (kept, ended):
            charged(place, one.runtime, 1000)
    judged = place.verify(place.bundle())
    assert judged.returncode == 0, judged.stdout + judged.stderr


def not_yet_over(place: Scene, launched: str, project: str, at: Alone) -> Ran:
    """A runtime with some seconds left; one that a busy machine did not renew is replaced."""
    for _ in range(3):
        found = ran(place, launched, at)
        if found.left_s() > 2:
            return found
        launched = asked(place, project, at)
    pytest.fail("no runtime was renewed in time")
