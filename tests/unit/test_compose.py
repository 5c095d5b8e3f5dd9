"""compose.yaml is parsed and held against the code; it is not run here (no Docker engine)."""

from pathlib import Path
from typing import Any

import yaml

from api.cli import build_parser
from contracts.fleet import NODE_MAY_PUBLISH, NODE_MAY_SUBSCRIBE

ROOT = Path(__file__).parents[2]


def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_every_process_of_the_platform_is_there() -> None:
    """The services are the processes of `gpuaas up`."""
    assert set(compose()["services"]) == {
        "postgres", "nats", "migrate", "signer", "worker", "api", "gateway", "agent",
    }  # fmt: skip


def test_every_command_exists() -> None:
    """Each `gpuaas VERB` in compose.yaml is a verb the command line knows."""
    parser = build_parser()
    for service in compose()["services"].values():
        command = service.get("command", [])
        if command[:1] == ["gpuaas"]:
            parser.parse_args(command[1:])


def test_dependencies_and_references_resolve() -> None:
    """Volumes, configs and services that are named exist."""
    document = compose()
    for service in document["services"].values():
        for needed in service.get("depends_on", {}):
            assert needed in document["services"]
        for config in service.get("configs", []):
            assert config["source"] in document["configs"]
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in document["volumes"]
    assert "NOT RUN" in (ROOT / "compose.yaml").read_text()


def test_nodes_have_the_rights_the_contract_gives_them() -> None:
    """The NATS permissions of the node user are those of contracts/fleet.py."""
    config = compose()["configs"]["nats"]["content"].replace("$$", "$")
    for subject in (*NODE_MAY_PUBLISH, *NODE_MAY_SUBSCRIBE):
        assert f'"{subject}"' in config
