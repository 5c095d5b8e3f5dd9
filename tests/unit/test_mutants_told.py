"""What `make mutants` says of its verdicts, and when it fails."""

import pytest

from tests.mutants import told


def verdicts(**counts: int) -> list[dict[str, str]]:
    """So many of each verdict."""
    return [
        {"mutant": f"domain.ledger.x_{said}__mutmut_{n}", "verdict": said.replace("_", " ")}
        for said, count in counts.items()
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (verdicts(killed=8, time=1, lived=1), 0),
        (verdicts(killed=89, lived=11), 1),
        (verdicts(killed=8, no_test=2), 1),
        (verdicts(killed=8, odd=2), 1),
        ([], 1),
    ],
)
def test_it_fails_below_nine_in_ten(
    found: list[dict[str, str]], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of all there are: what nobody tests has not been killed; of none there is nothing to say."""
    assert told(found) == code
    text = capsys.readouterr().out
    for one in found:
        assert (f"{one['verdict']}: {one['mutant']}\n" in text) == (
            one["verdict"] not in {"killed", "time"}
        )
    [whole] = [line.split() for line in text.splitlines() if line.startswith("all ")]
    assert whole[1] == str(len(found))
