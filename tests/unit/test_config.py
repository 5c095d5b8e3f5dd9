"""Settings from the environment."""

from pathlib import Path

import pytest

from api.config import keeping_of, signer_directory
from domain.errors import DomainError
from domain.instants import KEEPING, Keeping


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
