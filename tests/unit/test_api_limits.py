"""How often one principal may ask."""

import pytest

from api.limiting import Limits
from api.limits import RATE, Rate, rate_of
from domain.errors import DomainError


def refused(limits: Limits, actor: str, now_s: float) -> int:
    with pytest.raises(DomainError) as found:
        limits.take(actor, now_s)
    assert found.value.code == "rate.limited"
    return int(found.value.facts["retry_after_s"])


def test_a_burst_then_the_rate_each_for_itself() -> None:
    """So many at once, then one each time the bucket has filled by one; another principal's bucket
    is its own, and a clock that stands gives nothing.
    """
    limits = Limits(Rate(2, 3))
    assert limits.policy == '"principal";q=3;w=2'
    assert [limits.take("user-a", 10.0) for _ in range(3)] == [(2, 1), (1, 1), (0, 2)]
    assert refused(limits, "user-a", 10.0) == 1
    assert refused(limits, "user-a", 10.4) == 1
    assert limits.take("user-b", 10.4)[0] == 2
    assert limits.take("user-a", 10.5)[0] == 0
    assert refused(limits, "user-a", 10.5) == 1
    assert limits.take("user-a", 99.0)[0] == 2


def test_full_buckets_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by principals that asked a moment ago; who is spent stays spent."""
    monkeypatch.setattr("api.limiting._MOST", 4)
    limits = Limits(Rate(1, 2))
    for number in range(4):
        limits.take(f"user-{number}", 0.0)
    limits.take("user-3", 5.0)
    limits.take("user-3", 5.0)
    limits.take("user-9", 5.0)
    assert set(limits._buckets) == {"user-3", "user-9"}
    assert refused(limits, "user-3", 5.0) == 1


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "x", "1000001", "99999999", "٣"])
def test_a_rate_that_is_none(text: str) -> None:
    """Whoever starts a process is told which variable is wrong."""
    assert rate_of({}) == RATE
    assert rate_of({"GPUAAS_RATE_PER_S": "5", "GPUAAS_RATE_BURST": "7"}) == Rate(5, 7)
    for name in ("GPUAAS_RATE_PER_S", "GPUAAS_RATE_BURST"):
        with pytest.raises(DomainError, match=name):
            rate_of({name: text})
