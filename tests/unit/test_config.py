"""Settings from the environment."""

from pathlib import Path

import pytest

from api.config import keeping_of, leasing_of, signer_directory
from domain.errors import DomainError
from domain.instants import KEEPING, LEASING, Keeping, Leasing, hold_end


def test_two_data_directories_never_share_a_signer() -> None:
    """Beside the data, named for it; one that is set is taken as it is."""
    assert signer_directory({"GPUAAS_DATA": "/x/data"}) == Path("/x/signer")
    assert signer_directory({"GPUAAS_DATA": "/x/d9"}) == Path("/x/d9-signer")
    assert signer_directory({"GPUAAS_DATA": "/x/d9", "GPUAAS_SIGNER_STATE": "/y"}) == Path("/y")


def test_how_long_volumes_are_held_is_a_setting() -> None:
    """In whole seconds, three at least; days by default."""
    assert keeping_of({}) == KEEPING
    env = {"GPUAAS_VOLUME_HOLD_S": "86400", "GPUAAS_VOLUME_WIPE_S": "3"}
    assert keeping_of(env) == Keeping(86_400_000_000, 3_000_000)
    for bad in ("2", "-3", "3.5", "999999999", "\u0663"):
        with pytest.raises(DomainError, match=r"config\.malformed"):
            keeping_of({"GPUAAS_VOLUME_HOLD_S": bad})


def test_what_a_lease_is_is_a_setting_within_what_agents_can_keep() -> None:
    """Nothing set is MONEY.md section 5; a value beyond its bounds starts nothing, and is named."""
    assert leasing_of({}) == LEASING
    assert LEASING.hold_end(7) == hold_end(7) == 7 + 31_600_000
    env = {"GPUAAS_LEASE_S": "300", "GPUAAS_DRIFT_PPM": "50", "GPUAAS_STOP_S": "600"}
    found = leasing_of(env)
    assert found == Leasing(300_000_000, 50, 600_000_000)
    assert found.grace_us == 15_000 + 1_000_000 + 600_000_000
    for name, values in (
        ("GPUAAS_LEASE_S", ("299", "601", "-300", "", "6e2", "\u0663\u0660\u0660")),
        ("GPUAAS_DRIFT_PPM", ("49", "10001", "1.5")),
        ("GPUAAS_STOP_S", ("9", "601", "thirty")),
    ):
        for bad in filter(None, values):
            with pytest.raises(DomainError, match=name) as refused:
                leasing_of({name: bad})
            assert refused.value.code == "config.malformed"
