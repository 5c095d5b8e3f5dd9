import pytest

from tests.terminal_resumes import resumes_hold

pytestmark = pytest.mark.slow


@pytest.mark.timeout(900)
def test_a_thousand_resumes_lose_and_double_nothing() -> None:
    """Agent, API and NATS killed in turn, every line cut in the middle: each byte comes once."""
    held = resumes_hold(seed=1, screens=50, rounds=20)
    assert int(held.split()[2]) >= 1000, held
