"""kill -9 of every part of a living stack, from a seed: launches, stops and an invoice under fire."""

import os
import random
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from msgspec import Struct

from api.supervisor import Stack, running
from evidence.fsck import check
from evidence.reader import Recorded, decode_entry, read_entries
from evidence.storage import Storage
from gpuaas_verify import cli
from gpuaas_verify.note import Vkey
from tests.kills import require_views_equal_a_rebuild
from tests.kills_caller import PATIENCE_S, Caller, RefusedError, wait
from tests.kills_money import hold_charges, hold_invoice

TARGETS = ("serve", "worker", "signer", "agent", "postgres", "nats")
CLOSING = 2  # kills more while the period closes and its invoice is written
_BUSY = 4  # lives at once
_LAUNCH = "POST /v1/runtimes"


class Fight(Struct):
    """What was killed while a launch waited for its answer, what while the period closed, and how
    many requests were answered only when repeated.
    """

    launching: list[str]
    closing: list[str]
    repeated: int = 0


class Tenant(Struct, frozen=True):
    organization: str
    department: str
    project: str


def stack_holds(folder: Path, seed: int, *, kills: int = 6) -> Fight:
    """One seed of a living stack in a folder of its own: every target in turn, the log held against
    the answers at the end.
    """
    place = folder / f"stack-{seed}"
    place.mkdir(mode=0o711)
    os.environ["GPUAAS_DATA"] = str(place / "data")
    os.environ["GPUAAS_SIGNER_STATE"] = str(place / "signer")
    try:
        with running(lambda _: None) as stack:
            fight = _fight(stack, place, random.Random(seed), kills)
    finally:
        del os.environ["GPUAAS_DATA"], os.environ["GPUAAS_SIGNER_STATE"]
    shutil.rmtree(place)
    return fight


def _fight(stack: Stack, folder: Path, chance: random.Random, kills: int) -> Fight:
    caller = Caller(stack)
    tenant = _tenancy(caller)
    wait(lambda: bool(caller.get("/v1/capacity")["models"]), "a node")
    fight = Fight([], [])
    may_close, closing = threading.Event(), threading.Event()
    lives: list[Future[str]] = []
    with ThreadPoolExecutor(_BUSY + 1) as pool:
        billed = pool.submit(_billed, caller, tenant, may_close, closing)

        def tend(seconds: float) -> None:
            """Starts again what ended, and lives for those that are over, for so long."""
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                stack.tend()
                if sum(not life.done() for life in lives) < _BUSY:
                    lives.append(pool.submit(_life, caller, tenant.project, len(lives)))
                time.sleep(0.02)

        # This thread starts every process: the kernel ends a child with the thread it came from.
        for target in _in_turn(chance, kills):
            tend(chance.uniform(0.3, 1.5))
            _when(lambda: caller.waiting(_LAUNCH), tend, "a launch to be in flight")
            _kill(stack, target, chance)
            fight.launching.append(target)
        may_close.set()
        _when(lambda: closing.is_set() or billed.done(), tend, "the period to close")
        for target in chance.sample(TARGETS, CLOSING):
            if billed.done():
                break
            _kill(stack, target, chance)
            fight.closing.append(target)
            tend(chance.uniform(0, 0.5))
        while not (billed.done() and all(life.done() for life in lives)):
            stack.tend()
            time.sleep(0.05)
    account, launched = billed.result()
    acknowledged = [*launched, *(life.result() for life in lives)]
    fight.repeated = caller.repeated
    _settled(stack, caller, len(acknowledged))
    _hold_against_the_log(stack, folder, caller, acknowledged, account)
    return fight


def _in_turn(chance: random.Random, kills: int) -> list[str]:
    """Every target equally often, in an order of the seed's."""
    rounds = [chance.sample(TARGETS, len(TARGETS)) for _ in range(-(-kills // len(TARGETS)))]
    return [target for each in rounds for target in each][:kills]


def _when(ready: Any, tend: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        tend(0.001)


def _kill(stack: Stack, name: str, chance: random.Random) -> None:
    """Kill -9 of one part that runs; servers come back at once, processes by the supervisor's
    rule.
    """
    if name in stack.children:
        wait(lambda: stack.tend() is not None and stack.children[name].poll() is None, name)
        stack.kill(name)
        return
    server = stack.postgres if name == "postgres" else stack.nats
    assert server is not None
    wait(lambda: stack.tend() is not None and server.child.poll() is None, name)
    server.kill()
    time.sleep(chance.uniform(0, 0.5))
    server.restart()


def _tenancy(caller: Caller) -> Tenant:
    organization = caller.post("/v1/organizations", "org", name="Kills")["id"]
    department = caller.post("/v1/departments", "dep", organization=organization, name="d")["id"]
    account = caller.post(
        "/v1/accounts", "acc", organization=organization, currency="USD", zone="Europe/Berlin"
    )["id"]
    project = caller.post("/v1/projects", "pro", department=department, account=account, name="p")[
        "id"
    ]
    caller.post(
        "/v1/meters", "met", meter="gpu.time", unit="milli-GPU-us", source="lifecycle",
        aggregation="sum",
    )  # fmt: skip
    caller.post(
        "/v1/prices", "pri", model="T4", price={"amount": "0.333333333333", "currency": "USD"},
        effective_from=_instant(datetime.now(UTC) + timedelta(seconds=2)),
    )  # fmt: skip
    time.sleep(2.2)
    return Tenant(organization, department, project)


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _launch(caller: Caller, project: str, name: str) -> str:
    """The id as acknowledged, the same on a repeat."""
    launch = {"project": project, "name": name, "devices": 1, "models": ["T4"]}
    runtime = str(caller.post("/v1/runtimes", f"launch-{name}", **launch)["id"])
    again = caller.post("/v1/runtimes", f"launch-{name}", **launch)["id"]
    assert again == runtime, "a repeat of the key is the same runtime"
    return runtime


def _usable(caller: Caller, runtime: str) -> datetime:
    """Since when, once it is."""
    path = f"/v1/runtimes/{runtime}"
    wait(lambda: caller.get(path)["state"] == "usable", f"{runtime} to be usable")
    return datetime.fromisoformat(caller.get(path)["since"])


def _stop(caller: Caller, runtime: str) -> None:
    caller.post(f"/v1/runtimes/{runtime}/stop", f"stop-{runtime}", reason="done")


def _stopped(caller: Caller, runtime: str) -> None:
    path = f"/v1/runtimes/{runtime}"
    wait(lambda: caller.get(path)["state"] == "stopped", f"{runtime} to be stopped")


def _life(caller: Caller, project: str, number: int) -> str:
    """One runtime launched, usable, stopped; its id."""
    runtime = _launch(caller, project, f"r{number}")
    _usable(caller, runtime)
    _stop(caller, runtime)
    return runtime


def _billed(
    caller: Caller, tenant: Tenant, may_close: threading.Event, closing: threading.Event
) -> tuple[str, list[str]]:
    """An account whose first period ends in the fight, closed and invoiced; and what it launched.

    One runtime stops inside the period, one runs across its end. On a machine so slow that nothing
    is usable before the end, another account with a longer period is opened.
    """
    launched: list[str] = []
    for attempt in range(5):
        end = datetime.now(UTC) + timedelta(seconds=6 * 2**attempt)
        try:
            account = caller.post(
                "/v1/accounts", f"acc-{attempt}", organization=tenant.organization, currency="USD",
                zone="Europe/Berlin", first_period_end=_instant(end),
            )["id"]  # fmt: skip
        except RefusedError:
            assert datetime.now(UTC) > end, "refused, and not for being late"
            continue
        project = caller.post(
            "/v1/projects", f"pro-{attempt}", department=tenant.department, account=account,
            name=f"billed {attempt}",
        )["id"]  # fmt: skip
        inside, across = (_launch(caller, project, f"b{attempt}-{n}") for n in range(2))
        launched += [inside, across]
        since = [_usable(caller, inside), _usable(caller, across)]
        _stop(caller, inside)
        if max(since) < end - timedelta(milliseconds=100):
            assert may_close.wait(3 * PATIENCE_S), "the kills before it have not ended"
            # An end told after the close would be corrected in the next period, rightly.
            _stopped(caller, inside)
            _close(caller, account, end, closing)
            _stop(caller, across)
            return account, launched
        _stop(caller, across)
    raise AssertionError("no runtime was usable before the end of its account's first period")


def _close(caller: Caller, account: str, end: datetime, closing: threading.Event) -> None:
    """The account's first period closed once it is over, and its invoice issued."""
    first = next(
        one for one in caller.get(f"/v1/periods?account={account}")["items"] if one["sequence"] == 1
    )
    wait(lambda: datetime.now(UTC) > end + timedelta(milliseconds=20), "the end of the period")
    closing.set()
    caller.close(first, f"close-{account}")
    path = f"/v1/invoices?account={account}"
    wait(lambda: [one["state"] for one in caller.get(path)["items"]] == ["issued"], "the invoice")


def _settled(stack: Stack, caller: Caller, runtimes: int) -> None:
    """Every process runs and every runtime is at its end."""

    def done() -> bool:
        stack.tend()
        if any(child.poll() is not None for child in stack.children.values()):
            return False
        items = caller.get("/v1/runtimes?limit=500")["items"]
        return len(items) == runtimes and all(one["state"] == "stopped" for one in items)

    wait(done, "every runtime to be stopped")


def _facts(stack: Stack) -> list[Recorded]:
    with psycopg.connect(stack.settings.database_url, autocommit=True) as conn:
        return [decode_entry(raw) for _, raw, _ in read_entries(conn, 0, 100_000)]


def _all_sealed(stack: Stack) -> bool:
    """Whether what the runtimes' ends cause is sealed."""
    stack.tend()
    ends = through = -1
    for one in _facts(stack):
        if one.tag == "gpuaas.runtime.stopped.v1":
            ends = one.position
        elif one.tag == "gpuaas.ledger.batch_sealed.v1":
            through = getattr(one.fact, "through", -1)
    return through >= ends


def _hold_against_the_log(
    stack: Stack, folder: Path, caller: Caller, acknowledged: list[str], account: str
) -> None:
    assert len(set(acknowledged)) == len(acknowledged)
    wait(lambda: _all_sealed(stack), "the seals")
    facts = _facts(stack)
    for tag in ("requested", "allocated", "usable", "stopped"):
        seen = Counter(one.stream for one in facts if one.tag == f"gpuaas.runtime.{tag}.v1")
        assert seen == Counter(acknowledged), f"{tag}: exactly once for each acknowledged launch"
    causes = Counter(one.cause for one in facts if one.tag == "gpuaas.runtime.requested.v1")
    assert set(causes.values()) == {1}
    url = stack.settings.database_url
    with psycopg.connect(url, autocommit=True) as conn:
        hold_charges(conn, facts)
        final = hold_invoice(conn, facts, account)
    [shown] = caller.get(f"/v1/invoices?account={account}")["items"]
    assert (shown["number"], shown["sha256"]) == (final.number, final.sha256)
    wait(lambda: _signed(stack) >= len(facts), "the signed tail")
    vkey = (stack.settings.storage / "vkey").read_text().strip()
    caller.bundle(folder / "bundle.tar")
    assert cli.run([str(folder / "bundle.tar"), "--key", vkey]) == 0
    with psycopg.connect(url, autocommit=True) as conn:
        checked = check(conn, Storage(stack.settings.storage), Vkey.parse(vkey))
        assert not checked.findings, checked
    require_views_equal_a_rebuild(url)


def _signed(stack: Stack) -> int:
    return int((stack.settings.storage / "checkpoint").read_text().split("\n")[1])
