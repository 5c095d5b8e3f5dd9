"""What the last release promised, beside what this tree does: `python -m api.describing.release`.

Plainly it names what would break somebody; CI refuses that (tests/contract/test_breaking.py).
With `take` this tree becomes the last release, once nothing breaks that is not allowed by name.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from api.describing import breaking

CONTRACTS: Final = Path(__file__).parents[2] / "contracts"
BASELINE: Final = CONTRACTS / "baseline"
ALLOWED: Final = BASELINE / "allowed.txt"
_COMPARED: Final = {
    "openapi.json": breaking.of_api,
    "asyncapi.json": breaking.of_events,
    "problems.json": breaking.of_problems,
}


def breaks(contracts: Path = CONTRACTS, baseline: Path = BASELINE) -> list[str]:
    """Every break of the last release's contracts, sorted, allowed ones too."""
    return sorted(
        one
        for name, compare in _COMPARED.items()
        for one in compare(_document(baseline / name), _document(contracts / name))
    )


def allowed(page: Path = ALLOWED) -> dict[str, str]:
    """Break -> why it is done all the same, from lines `break | why`."""
    lines = [line for line in page.read_text().splitlines() if line and not line.startswith("#")]
    parted = [line.rpartition(" | ") for line in lines]
    return {what: why for what, _, why in parted}


def take(contracts: Path = CONTRACTS, baseline: Path = BASELINE) -> list[str]:
    """Nothing, and the baseline is this tree's; or what stands in the way, and nothing is done."""
    page = baseline / ALLOWED.name
    odd = sorted(set(breaks(contracts, baseline)) - set(allowed(page)))
    if not odd:
        for name in _COMPARED:
            shutil.copyfile(contracts / name, baseline / name)
        kept = [line for line in page.read_text().splitlines() if line.startswith("#")]
        page.write_text("\n".join(kept) + "\n")
    return odd


def _document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def main(argv: list[str]) -> int:
    """`take`, or nothing; 1 with a line for each break that is not allowed."""
    odd = take() if argv == ["take"] else sorted(set(breaks()) - set(allowed()))
    for one in odd:
        print(one, file=sys.stderr)
    return 1 if odd else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
