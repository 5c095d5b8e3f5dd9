"""compose.yaml is parsed and held against the code; it is not run here (no Docker engine)."""

from pathlib import Path
from typing import Any

import yaml

from api.cli import build_parser

ROOT = Path(__file__).parents[2]


def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_every_process_of_the_platform_is_there() -> None:
    """The services are the processes of `gpuaas up`."""
    assert set(compose()["services"]) == {
        *("postgres", "nats-config", "nats", "migrate"),
        *("signer", "worker", "api", "gateway", "agent"),
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


def test_nats_is_configured_by_the_code_that_the_embedded_stack_uses() -> None:
    """The server reads the file that `gpuaas nats-config` wrote, before it starts."""
    services = compose()["services"]
    wrote = services["nats-config"]["command"]
    assert wrote[:2] == ["gpuaas", "nats-config"]
    args = build_parser().parse_args(wrote[1:])
    assert services["nats"]["command"] == ["-c", str(args.out)]
    assert str(args.store) in [volume.split(":")[1] for volume in services["nats"]["volumes"]]
    folder = str(args.out.parent)
    for name in ("nats", "nats-config"):
        assert folder in [volume.split(":")[1] for volume in services[name]["volumes"]]
    needed = services["nats"]["depends_on"]["nats-config"]["condition"]
    assert needed == "service_completed_successfully"
