"""compose.yaml is parsed and held against the code; it is not run here (no Docker engine)."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography import x509

from api.cli import VERBS, main
from api.fleet.nats_certificates import platform_tls

ROOT = Path(__file__).parents[2]


def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def parsed(words: list[str]) -> dict[str, Any]:
    """The options of `gpuaas WORDS` as its verb takes them. Raises: click.UsageError."""
    verb = {str(one.name): one for one in VERBS}[words[0]]
    return verb.make_context(words[0], words[1:]).params


def test_every_process_of_the_platform_is_there() -> None:
    """The services are the processes of `gpuaas up`."""
    assert set(compose()["services"]) == {
        *("postgres", "nats-config", "nats", "migrate"),
        *("signer", "worker", "api", "gateway", "agent"),
    }  # fmt: skip


def test_every_command_exists() -> None:
    """Each `gpuaas VERB` in compose.yaml is a verb the command line knows."""
    for service in compose()["services"].values():
        command = service.get("command", [])
        if command[:1] == ["gpuaas"]:
            parsed(command[1:])


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
    args = parsed(wrote[1:])
    assert services["nats"]["command"] == ["-c", str(args["out"])]
    assert str(args["store"]) in [volume.split(":")[1] for volume in services["nats"]["volumes"]]
    folder = str(args["out"].parent)
    for name in ("nats", "nats-config"):
        assert folder in [volume.split(":")[1] for volume in services[name]["volumes"]]
    needed = services["nats"]["depends_on"]["nats-config"]["condition"]
    assert needed == "service_completed_successfully"


def test_nats_is_entered_over_tls_with_a_certificate_of_the_node_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nats-config writes under these settings names files that are there, for that name."""
    document = compose()
    environment = document["services"]["nats-config"]["environment"]
    url = ""
    for name in ("GPUAAS_NATS_URL", "GPUAAS_NATS_NODE_URL"):
        url = environment[name].replace("${GPUAAS_NATS_PASSWORD:?set it}", "p")
        assert urlsplit(url).scheme == "tls"
        assert urlsplit(url).hostname in document["services"]
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("GPUAAS_DATABASE_URL", "postgresql://a:b@postgres/c")
    monkeypatch.setenv("GPUAAS_DATA", str(tmp_path / "data"))
    command = document["services"]["nats-config"]["command"][1:]
    out = tmp_path / "etc" / "server.conf"
    assert main([str(out) if one.startswith("/etc") else one for one in command]) == 0
    text = out.read_text()
    for said in ("verify: true", "handshake_first: true", str(out.parent / "server.pem")):
        assert said in text
    server = x509.load_pem_x509_certificate((out.parent / "server.pem").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["nats"]
    assert platform_tls(url, tmp_path / "data" / "nats-tls") is not None
    monkeypatch.setenv("GPUAAS_NATS_URL", "nats://platform:p@127.0.0.1:4222")
    assert main(["nats-config", "--out", str(out)]) == 0
    assert "tls {" not in out.read_text()
