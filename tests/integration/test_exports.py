"""Books exported over HTTP from a replayed trace, read by bookkeepers and judges nobody here wrote."""

import asyncio
import contextlib
import csv
import fcntl
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet
import pytest
from msgspec.structs import replace

from api.tokens import issue
from gpuaas_client import exits
from projections import billing_read
from projections.exporting import focus
from projections.exporting.forms import FORMS
from projections.exporting.table import Csv
from tests.api_stage import Stage, staged
from tests.bookkeepers import of_beancount, of_hledger, pico
from tests.commands import gpuaas
from tests.conftest import Database
from tests.focus_judge import IDLE, UPSTREAM, failures, unread
from tests.integration.replay_runs import ROOT, charged, invoices, run, sliced
from tests.integration.served import served
from tests.machine import need
from tests.unit.test_exporting import BILL, LINE
from tests.unit.test_exporting import charged as billed

# The judge of FOCUS is installed first, half a gigabyte; it takes its time on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.shared, pytest.mark.timeout(900)]

TASKS = 300


@pytest.fixture
def out() -> Iterator[Path]:
    """A folder of its own, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    yield path / "out"
    shutil.rmtree(path, ignore_errors=True)


def test_what_is_exported_is_what_was_billed(
    shared: Path, database: Database, nats_url: str, out: Path, tmp_path: Path
) -> None:
    """Both bookkeepers accept the journal and agree on every balance; FOCUS's rows add up to
    each invoice and each task; the validator finds nothing but its own defects, of which one is only of what is idle; a download
    goes on at any byte; what is not there, not signed or not the caller's is refused. The list
    of accounts has the same balances as the account.
    """
    need("hledger")
    run(sliced(shared, out.parent, TASKS), out, database.app_url)
    books: dict[str, bytes] = {}
    balances: dict[str, int] = {}

    async def main() -> None:
        async with staged(database, nats_url, out, elect=False) as stage:
            await stage.views()
            [account] = (await stage.get("/v1/accounts")).json()["items"]
            shown = (await stage.get(f"/v1/accounts/{account['id']}")).json()
            assert shown == account, "a list says what each has"
            for one in shown["balances"]:
                balances[one["ledger"]] = pico(one["balance"]["amount"])
            for form in FORMS:
                books[form] = await exported(stage, account["id"], form)
            await told(stage, account["id"])
            await refusals(stage, account["id"])
            await pages(stage)

    asyncio.run(main())
    for form, data in books.items():
        (tmp_path / form).write_bytes(data)
    by_command(database, nats_url, out, books["focus.csv"], tmp_path)
    assert any(balances.values())
    assert of_hledger(tmp_path / "hledger") == of_beancount(tmp_path / "beancount")
    assert sorted(of_hledger(tmp_path / "hledger").values()) == sorted(
        one for one in balances.values() if one
    )
    focus_adds_up(books, out)
    # Parquet says the same (unit/test_exporting.py), and the judge takes its time: once for these
    # rows and one of what is reserved and idle.
    idle = replace(LINE, resource="reservation-1", name=None, state="reserved")
    with (tmp_path / "focus.csv").open("ab") as file:
        file.write(Csv(focus.COLUMNS).rows(billed(BILL, idle)))
    assert failures(tmp_path / "focus.csv") == UPSTREAM | {IDLE}
    assert unread() == {IDLE, "CapacityReservationStatus-C-004-C"} < UPSTREAM | {IDLE}


async def exported(stage: Stage, account: str, form: str) -> bytes:
    """The whole file; the same again from the middle, and from its end."""
    path = f"/v1/accounts/{account}/exports/{form}"
    whole = await stage.get(path)
    assert whole.status_code == 200, whole.text
    position, tag = whole.headers["log-position"], whole.headers["etag"]
    data = whole.content
    for offset in (len(data) // 2, len(data)):
        rest = await stage.get(f"{path}?as_of={position}&offset={offset}", If_Match=tag)
        assert (rest.status_code, rest.content) == (200, data[offset:])
    stale = await stage.get(f"{path}?as_of={int(position) - 1}", If_Match=tag)
    assert (stale.status_code, stale.json()["code"]) == (412, "if_match.stale")
    return data


async def told(stage: Stage, account: str) -> None:
    """Who took which form, and how often, is sealed in the log."""
    await stage.services.calls.seal()
    await stage.views()
    items = (await stage.get(f"/v1/audit?resource={account}&action=account.export")).json()["items"]
    assert {one["resource"] for one in items} == {f"{account}/{form}" for form in FORMS}
    assert {(one["outcome"], one["calls"], *one["authority"]) for one in items} == {
        ("read", 3, "token:operator")
    }


async def pages(stage: Stage) -> None:
    """Each invoice as a page for people, with its own total, and nothing loaded or run; it calls
    who it went to as they were called then.
    """
    found = (await stage.get("/v1/invoices")).json()["items"]
    assert found
    for invoice in found:
        page = await stage.get(f"/v1/invoices/{invoice['id']}/page")
        assert page.status_code == 200, page.text
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        total = Decimal(invoice["total"]["amount"]).quantize(Decimal("0.01"))
        assert f">{total}<" in page.text
        assert "SIMULATED" in page.text
        foreign = await stage.get(
            f"/v1/invoices/{invoice['id']}/page", token=stage.token("member", "organization-x")
        )
        assert foreign.status_code == 404
    first = found[0]
    page = await stage.get(f"/v1/invoices/{first['id']}/page")
    renamed = await stage.post(
        f"/v1/organizations/{first['organization']}/rename", {"name": "Renamed since"}
    )
    assert renamed.status_code == 200, renamed.text
    await stage.views()
    assert (await stage.get(f"/v1/invoices/{first['id']}/page")).text == page.text


async def refusals(stage: Stage, account: str) -> None:
    """Each with its own code."""
    path = f"/v1/accounts/{account}/exports"
    size = await stage.size()
    other = stage.token("member", "organization-0190c0de-0000-7000-8000-000000000000")
    for url, token, status, code in (
        (f"{path}/focus.xls", None, 404, "resource.unknown"),
        (f"{path}/focus.csv", other, 404, "resource.unknown"),
        ("/v1/accounts/account-none/exports/hledger", None, 404, "resource.unknown"),
        (f"{path}/focus.csv?offset=-1", None, 400, "request.invalid"),
        (f"{path}/focus.csv?start=May", None, 400, "request.invalid"),
        (f"{path}/hledger?start=2025-01-01T00:00:00Z", None, 400, "request.invalid"),
        (f"{path}/hledger?as_of={size + 5}", None, 400, "as_of.in_future"),
    ):
        answer = await stage.get(url, token=token)
        assert (answer.status_code, answer.json()["code"]) == (status, code), url


def by_command(database: Database, nats_url: str, out: Path, book: bytes, folder: Path) -> None:
    """`gpuaas bill export` over a line that is cut: it says so and leaves nothing by that name; said
    again it goes on and the file is whole; a third time it is refused.
    """
    with served(database, nats_url, out) as api:
        now = time.time_ns() // 1000
        token = issue(api.settings, "user-1", "platform-operator", None, now, 600)
        with psycopg.connect(database.app_url) as conn:
            [account] = billing_read.accounts(conn)
        target = folder / "by-command.csv"
        for passes, said in (
            (len(book) // 2, "export.broken"),
            (1 << 40, ""),
            (0, "export.exists"),
        ):
            with cut_after(api.settings.http_port, passes) as port:
                done = subprocess.run(
                    [sys.executable, "-m", "api.cli", "bill", "export", "focus.csv",
                     "--account", account.account, "--out", target],
                    env={**os.environ, "GPUAAS_URL": f"http://127.0.0.1:{port}",
                         "GPUAAS_TOKEN": token},
                    cwd=ROOT, capture_output=True, text=True, check=False,
                )  # fmt: skip
            assert (done.returncode != 0) == bool(said), done.stderr
            assert said in done.stderr
            assert target.exists() == (passes != len(book) // 2)
        assert target.read_bytes() == book
        other, books = folder / "other.csv", ("--account", account.account)
        with Path(f"{other}.part").open("ab") as theirs:
            fcntl.flock(theirs, fcntl.LOCK_EX)
            env = {"GPUAAS_URL": api.url, "GPUAAS_TOKEN": token}
            told = gpuaas("bill", "export", "focus.csv", *books, "--out", str(other), env=env)
            assert "another command is writing" in told.err
        Path(f"{other}.part").unlink()
        told = gpuaas("bill", "export", "focus.xls", *books, "--out", str(other), env=env)
        assert "Invalid value for 'FORM" in told.err
        with psycopg.connect(database.app_url) as conn:
            number = billing_read.invoices(conn)[0].number
        one = ("bill", "get", number, "--as", "file", "--out", str(folder / "one.json"))
        assert gpuaas(*one, env=env).status == exits.DONE
        assert json.loads((folder / "one.json").read_bytes())["number"] == number
        assert "export.exists" in gpuaas(*one, env=env).err
        told = gpuaas("bill", "get", number, "--as", "ubl", "--out", str(other), env=env)
        assert "a seller" in told.err
        assert not list(folder.glob("other*"))
        assert sorted(one.name for one in folder.glob("by-command*")) == ["by-command.csv"]


@contextmanager
def cut_after(to_port: int, passes: int) -> Iterator[int]:
    """A port that leads there, until so many bytes of the answer have passed."""

    def carry(one: socket.socket) -> None:
        with one, socket.create_connection(("127.0.0.1", to_port)) as there:
            there.sendall(one.recv(1 << 16))
            left = passes
            while left > 0 and (data := there.recv(min(left, 1 << 16))):
                one.sendall(data)
                left -= len(data)

    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    carry(door.accept()[0])

        threading.Thread(target=serve, daemon=True).start()
        yield int(door.getsockname()[1])
        door.shutdown(socket.SHUT_RDWR)


def focus_adds_up(books: dict[str, bytes], out: Path) -> None:
    """By invoice to the minor unit, by task to the microsecond; Parquet has the same rows."""
    rows = list(csv.DictReader(io.StringIO(books["focus.csv"].decode())))
    billed: dict[str, int] = defaultdict(int)
    used: dict[str, int] = defaultdict(int)
    assert {row["x_Simulated"] for row in rows if row["ResourceId"]} == {"true"}
    assert b"simulated:SIMULATED" in books["hledger"]
    for row in rows:
        billed[row["InvoiceId"]] += pico(row["BilledCost"])
        if row["ResourceName"]:
            used[row["ResourceName"]] += int(Decimal(row["ConsumedQuantity"]).scaleb(9))
    assert billed == {one["number"]: pico(one["total"]) for one in invoices(out)}
    assert used == charged(out)
    table: Any = pyarrow.parquet.read_table(io.BytesIO(books["focus.parquet"]))
    assert table.num_rows == len(rows)
    assert sum(table["BilledCost"].to_pylist()).scaleb(12) == sum(billed.values())
    lines = list(csv.DictReader(io.StringIO(books["charges.csv"].decode())))
    packed: Any = pyarrow.parquet.read_table(io.BytesIO(books["charges.parquet"]))
    assert [int(one["quantity"]) for one in lines] == packed["quantity"].to_pylist()
    assert sum(pico(one["amount"]) for one in lines) == sum(
        pico(row["BilledCost"]) for row in rows if row["ChargeCategory"] == "Usage"
    )
