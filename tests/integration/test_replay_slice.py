"""A slice of the real trace from the files to a verified bundle, and through kills."""

import csv
import json
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.replay.stage import stage
from evidence.condition import Condition, fault_of, read_condition, report
from evidence.storage import Storage
from gpuaas_verify import cli
from tests.conftest import Database
from tests.integration.replay_runs import (
    ROOT,
    START_US,
    Inputs,
    charged,
    command,
    environment,
    invoices,
    owed,
    rows,
    run,
    sliced,
    walk,
)

pytestmark = [pytest.mark.slow, pytest.mark.shared]
OUTPUTS = ("charges.csv", "invoices.json", "refused.csv")


@pytest.fixture
def out() -> Iterator[Path]:
    """A folder that a server's account may enter."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    path.chmod(0o711)
    yield path / "out"
    shutil.rmtree(path, ignore_errors=True)


def half_even(pico: int) -> int:
    """Cents of an amount in pico."""
    cents, rest = divmod(pico, 10**10)
    return cents + (rest * 2 > 10**10 or (rest * 2 == 10**10 and cents % 2 == 1))


def test_a_slice_from_files_to_a_verified_bundle(
    shared: Path, tmp_path: Path, out: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every task is charged what it held, invoices are their charges, the bundle is whole."""
    inputs = sliced(shared, tmp_path, 300)
    run(inputs, out, database.app_url)
    assert not rows(out / "refused.csv")
    held = charged(out)
    assert {task["name"]: owed(task) for task in inputs.tasks()} == held
    by_period: dict[int, int] = defaultdict(int)
    for row in rows(out / "charges.csv"):
        by_period[int(row["period_start_us"])] += int(row["amount_pico"])
    for invoice in invoices(out):
        total = by_period.pop(invoice["period_start_us"])
        assert invoice["total_pico"] == total
        cents = half_even(total)
        assert invoice["total"] == f"{cents // 100}.{cents % 100:02}"
    assert not by_period
    key = (out / "log.vkey").read_text().strip()
    assert cli.run([str(out / "bundle.tar"), "--key", key, "--json"]) == 0
    claims = {claim["claim"]: claim for claim in json.loads(capsys.readouterr().out)["claims"]}
    assert claims["books"]["state"] == "checked"
    report = json.loads((out / "report.json").read_bytes())
    assert report["skipped"] == len(rows(inputs.pods)) - len(inputs.tasks())
    assert report["entries"] > 3 * len(inputs.tasks())


def test_done_again_it_says_the_same(
    shared: Path, tmp_path: Path, out: Path, database: Database
) -> None:
    """A second run appends nothing and leaves every byte of every output as it was."""
    inputs = sliced(shared, tmp_path, 40)
    run(inputs, out, database.app_url)
    names = (*OUTPUTS, "report.json", "log.vkey", "bundle.tar")
    before = {name: (out / name).read_bytes() for name in names}
    run(inputs, out, database.app_url)
    assert {name: (out / name).read_bytes() for name in names} == before


def test_the_last_word_of_an_integrator_before_ends_no_replay(
    out: Path, database: Database
) -> None:
    """One that was killed with its database says what it says of another one."""
    fault = fault_of(OSError("its database went away"))
    out.mkdir()
    report(Storage(out / "evidence"), "integrator", Condition(0, fault=fault))
    with stage(out, database.app_url, lambda _: None) as place:
        said = read_condition(Storage(place.storage), "integrator")
        assert said is None or said.fault is None


def test_prices_change_inside_a_runtime_and_a_period(
    shared: Path, tmp_path: Path, out: Path, database: Database
) -> None:
    """Charge lines are cut at the change, priced as the book says, exact to the pico."""
    inputs = sliced(shared, tmp_path, 8)
    prices = tmp_path / "prices.csv"
    text = inputs.prices.read_text().splitlines(keepends=True)
    change = [f"{model},7000000,333333333333,odd\n" for model in ("T4", "G3", "V100M16", "V100M32")]
    prices.write_text("".join(text + change))
    inputs = Inputs(inputs.nodes, inputs.pods, prices)
    run(inputs, out, database.app_url)
    book = defaultdict(list)
    for row in rows(prices):
        book[row["model"]].append((int(row["effective_from_s"]), int(row["pico_usd_per_gpu_hour"])))
    seen = 0
    for row in rows(out / "charges.csv"):
        start, end = (int(row[name]) - START_US for name in ("start_us", "end_us"))
        effective, pico = max(each for each in book[row["model"]] if each[0] * 10**6 <= start)
        assert int(row["price_effective_from_s"]) == effective
        assert int(row["pico_usd_per_gpu_hour"]) == pico
        assert not any(start < each[0] * 10**6 < end for each in book[row["model"]])
        quantity = (end - start) * int(row["gpu_milli"])
        assert int(row["quantity_milli_gpu_us"]) == quantity
        doubled = 2 * (quantity * pico - int(row["amount_pico"]) * 3_600_000_000_000)
        assert abs(doubled) <= 3_600_000_000_000
        seen += effective == 7_000_000
    assert seen


def test_too_few_nodes_refuse_what_does_not_fit_and_only_that(
    shared: Path, tmp_path: Path, out: Path, database: Database
) -> None:
    """On two small nodes: no refused task would have fitted, no device is over 1000 milli."""
    inputs = sliced(shared, tmp_path, 300)
    nodes = tmp_path / "nodes.csv"
    models = ("T4", "P100", "V100M16", "V100M32", "G2", "G3")
    nodes.write_text(
        "sn,cpu_milli,memory_mib,gpu,model\n"
        + "".join(f"tiny-{number},1,1,1,{model}\n" for number, model in enumerate(models))
    )
    inputs = Inputs(nodes, inputs.pods, inputs.prices)
    run(inputs, out, database.app_url)
    refused = 0
    for task, floor in walk(inputs, out):
        gpus, each = int(task["num_gpu"]), int(task["gpu_milli"])
        assert not floor.fits(gpus, each, task["gpu_spec"]), task["name"]
        refused += 1
    assert refused > 10
    assert {row["code"] for row in rows(out / "refused.csv")} == {"capacity.none_fits"}


def test_one_folder_holds_one_input(
    shared: Path, tmp_path: Path, out: Path, database: Database
) -> None:
    """Another input in the same folder is refused with exit 2, and nothing there changes."""
    inputs = sliced(shared, tmp_path, 5)
    run(inputs, out, database.app_url)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with inputs.pods.open("a", newline="") as pods:
        csv.writer(pods, lineterminator="\n").writerow(
            ["more-1", 1, 1, 1, 500, "", "LS", "Running", 0, 10, 5]
        )
    done = subprocess.run(
        command(inputs, out, database.app_url), cwd=ROOT, capture_output=True, text=True,
        check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 2
    assert "another input" in done.stderr
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
