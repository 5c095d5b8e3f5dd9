"""Where an embedded stack listens."""

import socket
from pathlib import Path

import pytest

from api.embedded import children


def test_a_stack_listens_where_it_listened_before(tmp_path: Path) -> None:
    """Unless somebody else does, or what was kept is no port: then elsewhere, and there from now on."""
    first = children.kept_port(tmp_path, "api")
    assert children.kept_port(tmp_path, "api") == first
    assert children.kept_port(tmp_path, "ssh") != first
    with socket.socket() as other:
        other.bind(("127.0.0.1", first))
        other.listen()
        moved = children.kept_port(tmp_path, "api")
    assert moved != first
    assert children.kept_port(tmp_path, "api") == moved


@pytest.mark.parametrize("kept", ["", "x", "99999", "-1"])
def test_what_is_no_port_is_not_listened_on(tmp_path: Path, kept: str) -> None:
    """Another is chosen and kept in its place."""
    (tmp_path / "port-api").write_text(kept)
    port = children.kept_port(tmp_path, "api")
    assert (tmp_path / "port-api").read_text() == str(port) != kept
