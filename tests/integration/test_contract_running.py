"""schemathesis, a generator of requests nobody here wrote, against the running server."""

import pytest

from tests.soak.examples import exemplify
from tests.soak.run import Soak
from tests.soak.world import world

pytestmark = pytest.mark.slow

_CASES, _WALKED, _SEED = 5_000, 900, 1
_COVERED, _EXAMPLES, _WALKS = 13, 2, 25
# Of so few cases; `make soak` wants every operation but a few with reasons.
_REACHED = 195


@pytest.mark.timeout(900)
def test_every_answer_is_as_the_document_says() -> None:
    """Over 5,000 cases by owners, a viewer, an auditor, an operator, nobody and rubbish, rightly and
    wrongly made, walks along links and an example of each act too: no 5xx, each answer as
    documented, each refusal a problem of the registry.
    """
    with world() as made:
        soak = Soak(made, _SEED)
        exemplify(soak)
        examples = soak.cases
        turn = _walked(soak, 0, examples + _WALKED)
        walked = soak.cases - examples
        soak.cover(_COVERED)
        soak.fuzz(_EXAMPLES, _SEED)
        _walked(soak, turn, _CASES)
    print(f"{soak.cases} cases, at least {walked} of them along links, SEED={_SEED}")
    print(soak.table())
    assert soak.cases >= _CASES
    assert not soak.failures, "\n".join(soak.failures.values())
    assert len(soak.operations) - len(soak.unreached()) >= _REACHED, soak.unreached()


def _walked(soak: Soak, turn: int, cases: int) -> int:
    """The turn, once there were so many cases in all."""
    while soak.cases < cases:
        turn += 1
        soak.walk(_WALKS, _SEED + turn)
    return turn
