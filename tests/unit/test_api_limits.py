"""How often one principal may ask."""

from types import SimpleNamespace
from typing import Any

import pytest
from litestar.connection import ASGIConnection

from api import limiting
from api.limiting import Limits
from api.limits import PUBLIC_RATE, RATE, Rate, bounds_of, public_rate_of, rate_of, variables
from api.origin import origin, proxies_of
from domain.bounds import BOUNDS, Bounds
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


def test_who_asked_longest_ago_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; who is spent and asked a moment ago stays spent, however many come."""
    monkeypatch.setattr("api.limiting._MOST", 4)
    limits = Limits(Rate(1, 2))
    for number in range(4):
        limits.take(f"user-{number}", 0.0)
    limits.take("user-0", 0.0)
    limits.take("user-9", 0.0)
    assert list(limits._buckets) == ["user-2", "user-3", "user-0", "user-9"]
    assert refused(limits, "user-0", 0.5) == 1


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "x", "1000001", "99999999", "٣"])
def test_a_rate_that_is_none(text: str) -> None:
    """Whoever starts a process is told which variable is wrong."""
    assert (rate_of({}), public_rate_of({})) == (RATE, PUBLIC_RATE)
    assert rate_of({"GPUAAS_RATE_PER_S": "5", "GPUAAS_RATE_BURST": "7"}) == Rate(5, 7)
    for name in ("GPUAAS_RATE_PER_S", "GPUAAS_RATE_BURST"):
        with pytest.raises(DomainError, match=name):
            rate_of({name: text})
    assert bounds_of({"GPUAAS_MOST_API_KEYS": "7"}) == Bounds(api_keys=7)
    with pytest.raises(DomainError, match="GPUAAS_MOST_SERVICE_ACCOUNTS"):
        bounds_of({"GPUAAS_MOST_SERVICE_ACCOUNTS": text})
    told = variables(Rate(5, 7), PUBLIC_RATE, Bounds(webhooks=9))
    assert (rate_of(told), bounds_of(told)) == (Rate(5, 7), Bounds(webhooks=9)), "children's too"
    assert (public_rate_of(told), bounds_of({})) == (PUBLIC_RATE, BOUNDS)
    assert public_rate_of({"GPUAAS_PUBLIC_RATE_BURST": "7"}) == Rate(PUBLIC_RATE.per_second, 7)
    with pytest.raises(DomainError, match="GPUAAS_PUBLIC_RATE_PER_S"):
        public_rate_of({"GPUAAS_PUBLIC_RATE_PER_S": text})


def asked(peer: str | None, *said: str) -> Any:
    """A connection as an ASGI server tells of one."""
    headers = [(b"x-forwarded-for", one.encode()) for one in said]
    client = None if peer is None else (peer, 1)
    return ASGIConnection({"type": "http", "client": client, "headers": headers})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "said", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.2.3.4", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.9, x"], "10.0.0.1"),
        ("10.0.0.1", ["x, 203.0.113.9"], "203.0.113.9"),
        (None, ["203.0.113.9"], ""),
        ("testclient", [], ""),
    ],
)
def test_only_a_trusted_proxy_says_where_a_call_comes_from(
    peer: str | None, said: list[str], expected: str
) -> None:
    """The last address that is no trusted proxy's: what a caller writes before it counts for nothing;
    without trusted proxies only the connection does.
    """
    assert origin(asked(peer, *said), "10.0.0.0/8, ::1/128") == expected
    if said:
        assert origin(asked(peer, *said), "") == origin(asked(peer), "")


def test_proxies_that_are_no_networks_start_nothing() -> None:
    """The variable is named."""
    assert proxies_of({"GPUAAS_TRUSTED_PROXIES": "10.0.0.0/8"}) == "10.0.0.0/8"
    with pytest.raises(DomainError, match="GPUAAS_TRUSTED_PROXIES"):
        proxies_of({"GPUAAS_TRUSTED_PROXIES": "10.0.0.1/8"})


def test_one_customer_of_ipv6_is_one_bucket() -> None:
    """Whoever has a /64 has all of its addresses."""
    place = limiting._place
    app = SimpleNamespace(
        state=SimpleNamespace(services=SimpleNamespace(settings=SimpleNamespace(proxies="")))
    )

    def at(peer: str) -> Any:
        return SimpleNamespace(client=SimpleNamespace(host=peer), app=app)

    assert place(at("2001:db8:1:2::5")) == place(at("2001:db8:1:2:ffff::1")) == "2001:db8:1:2::/64"
    assert place(at("2001:db8:1:3::5")) != place(at("2001:db8:1:2::5"))
    assert (place(at("192.0.2.1")), place(at("::ffff:192.0.2.1"))) == ("192.0.2.1", "192.0.2.1")
