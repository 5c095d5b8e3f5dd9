"""The life of prepaid accounts under kills and cuts, in the pure simulator (SIMULATED)."""

import pytest

from domain.instants import STOP_US
from tests.wallet_sim import BEAT_US, LATENCY_US, lived


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_no_credit_is_overspent_whatever_is_killed_or_cut_off(seed: int) -> None:
    """No wallet below zero at any instant; nothing outlives what was paid; what could not be paid
    stops within the stop latency of the receipt that says so; all credit is accounted for, by the
    auditor too.
    """
    found = lived(12, 1.5, seed, keep=True)
    assert found.worst_balance == 0
    assert found.exhausted
    assert found.worst_stop_us <= STOP_US + LATENCY_US + BEAT_US
    assert found.unrecovered == 0
