"""`focus-validator`, in a virtual environment of its own: it pins what the platform must not."""

import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.fetched import environment

WANTED = ("focus-validator==2.2.1", "pyarrow<20", "numpy<2", "duckdb<2")
# All but names of billing accounts and virtual currencies, of which there are none.
CRITERIA = (
    "SUB_ACCOUNT_SUPPORTED", "USAGE_MEASUREMENT_SUPPORTED", "UNIT_PRICING_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED", "NEGOTIATED_PRICING_SUPPORTED",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED", "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "COMMITMENT_DISCOUNT_SUPPORTED", "CAPACITY_RESERVATION_SUPPORTED",
    "MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED", "MULTIPLE_BILLING_ACCOUNT_TYPES_SUPPORTED",
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED", "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED",
    "REGION_SUPPORTED", "AVAILABILITY_ZONE_SUPPORTED", "TAGGING_SUPPORTED",
)  # fmt: skip
# Three rules of 1.2.0.1 are wrong upstream and fail on right data; with them what is made of them.
UPSTREAM = {
    "InvoiceId-C-004-C",
    *(f"CapacityReservationStatus-C-{number}-C" for number in ("000", "002", "004")),
    *(f"CommitmentDiscountStatus-C-{number}-C" for number in ("000", "002", "004")),
}
# A fourth fails as soon as a row is of what is reserved and idle. The text: the status is null where the
# id is null (C-003-C) and not null where there is one of use (C-004-C). In the model both conditions lack
# the `CheckFunction` by which the validator reads one (C-003-C's `AND` is no list either), so it demands
# null in every row, and no null in any: no file passes both, one of such rows alone fails this one.
IDLE = "CapacityReservationStatus-C-003-C"


def unread() -> set[str]:
    """Rules of the validator's model with a condition that it does not read."""
    model = _installed() / "focus_validator" / "rules" / "model-1.2.0.1.json"
    return {
        name
        for rules in _tables(json.loads(model.read_text()))
        for name, rule in rules.items()
        if isinstance(rule, dict) and isinstance(rule.get("ValidationCriteria"), dict)
        if (condition := rule["ValidationCriteria"].get("Condition"))
        if "CheckFunction" not in condition
    }


def _tables(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document."""
    if isinstance(node, dict):
        yield node
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _tables(one)


def _home() -> Path:
    return environment("focus-validator", WANTED)


def _installed() -> Path:
    """Its site-packages: it opens one of its files relative to the working directory."""
    [found] = (_home() / "lib").glob("python3*/site-packages")
    return found


def failures(data: Path) -> set[str]:
    """The rules that failed, by their ids; its exit status says nothing."""
    packages = _installed()
    report = data.with_name(f"{data.name}.report.xml")
    done = subprocess.run(
        [
            _home() / "bin" / "focus-validator", "--data-file", data, "--validate-version", "1.2.0.1",
            "--focus-dataset", "CostAndUsage", "--block-download",
            "--applicability-criteria", ",".join(CRITERIA),
            "--output-type", "unittest", "--output-destination", report,
        ],
        cwd=packages, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert report.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - our own tool wrote it
    assert cases, "nothing was checked"
    # A case is called `RULE :: what it checks`.
    return {
        str(one.get("name")).partition(" ")[0] for one in cases if one.find("failure") is not None
    }
