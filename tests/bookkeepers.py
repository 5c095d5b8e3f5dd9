"""Foreign bookkeepers: what hledger and beancount make of a journal."""

import csv
import io
import subprocess
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from beancount import loader
from beancount.core.data import Open, Transaction


def pico(amount: str) -> int:
    return int(Decimal(amount).scaleb(12))


def of_hledger(journal: Path) -> dict[str, int]:
    """Balances that are not 0, by account; its own checks passed, each balance assertion included."""
    checked = subprocess.run(
        ["hledger", "-f", journal, "check", "--strict"], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr[-1000:]
    # Not as JSON: hledger rounds that to ten places.
    said = subprocess.run(
        ["hledger", "-f", journal, "balance", "--flat", "--no-total", "--layout=bare", "-O", "csv"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    rows = csv.DictReader(io.StringIO(said))
    return {row["account"].lower(): pico(row["balance"]) for row in rows}


def of_beancount(journal: Path) -> dict[str, int]:
    """The same, by beancount: its postings summed up here, its balance assertions checked there."""
    entries, errors, _ = loader.load_file(str(journal))
    assert not errors, errors[:3]
    sums: dict[str, int] = defaultdict(int)
    for entry in entries:
        if isinstance(entry, Transaction):
            for posting in entry.postings:
                assert posting.units is not None
                sums[posting.account.lower()] += pico(str(posting.units.number))
    assert len([one for one in entries if isinstance(one, Open)]) == len(sums)
    return {name: total for name, total in sums.items() if total}
