"""Settings from the environment."""

from pathlib import Path

from api.config import signer_directory


def test_two_data_directories_never_share_a_signer() -> None:
    """Beside the data, named for it; one that is set is taken as it is."""
    assert signer_directory({"GPUAAS_DATA": "/x/data"}) == Path("/x/signer")
    assert signer_directory({"GPUAAS_DATA": "/x/d9"}) == Path("/x/d9-signer")
    assert signer_directory({"GPUAAS_DATA": "/x/d9", "GPUAAS_SIGNER_STATE": "/y"}) == Path("/y")
