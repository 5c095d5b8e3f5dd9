"""The client's distribution in an empty environment: the command runs, no server is there."""

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from zipfile import ZipFile

import pytest

from api import cli
from gpuaas_client.cli import GROUP

ROOT = Path(__file__).parents[2]
OURS = ("api", "contracts", "domain", "evidence", "projections", "agent", "migrations")
SERVERS = ("litestar", "psycopg", "nats", "eventsourcing", "granian", "gpuaas_verify")


def declared() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    verbs: dict[str, str] = project["entry-points"][GROUP]
    return verbs


def test_every_verb_of_the_server_is_an_entry_point() -> None:
    """Declared as it is defined, and installed as declared (`make install` after a change)."""
    assert declared() == {
        str(one.name): f"api.cli:{str(one.name).replace('-', '_')}" for one in cli.VERBS
    }
    installed = {one.name: one.value for one in entry_points(group=GROUP)}
    assert installed == declared(), "make install"
    for one in entry_points(group=GROUP):
        assert one.load() in cli.VERBS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as it would be published, by the backend that is installed: nothing is downloaded."""
    out = tmp_path_factory.mktemp("wheel")
    argv = [
        *("uv", "build", "--wheel", "--no-build-isolation", "--offline"),
        *("--python", sys.executable, "--out-dir", str(out), str(ROOT / "client")),
    ]
    program = Path(sys.executable).with_name(argv[0])
    subprocess.run(argv, executable=program, check=True, capture_output=True)
    [found] = out.glob("*.whl")
    return found


def test_the_wheel_holds_the_client_and_needs_few(wheel: Path) -> None:
    """The package, its types and its command; four libraries, none of them a server's."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
    assert "gpuaas_client/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {
        "gpuaas_client", "gpuaas_client-0.1.0.dist-info",
    }  # fmt: skip
    needed = [line.split()[1] for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    always = [one.partition(">")[0] for one in needed if not one.startswith("gpuaas-verify")]
    assert sorted(always) == ["click", "httpx", "msgspec", "websockets"]


def test_installed_alone_it_runs_and_calls(wheel: Path, tmp_path: Path) -> None:
    """In an environment with its libraries only: help, a call to nobody, a server's verb unknown."""
    home = tmp_path / "alone"
    uv = Path(sys.executable).parent / "uv"
    subprocess.run(
        [uv, "venv", "--quiet", "--offline", "--python", sys.executable, home], check=True
    )
    site = next(home.glob("lib/python3*/site-packages"))
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", home, wheel],
        check=True,
    )
    _lend(site, ("click", "httpx", "msgspec", "websockets", "httpcore", "h11", "anyio", "certifi",
                 "idna", "sniffio", "typing_extensions.py"))  # fmt: skip
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def run(*words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            list(map(str, words)), cwd=tmp_path, env=env, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    program, python = home / "bin" / "gpuaas", home / "bin" / "python"
    absent = f"import importlib.util as i; print([n for n in {OURS + SERVERS} if i.find_spec(n)])"
    assert run(python, "-c", absent).stdout.strip() == "[]"
    said = run(program, "--help")
    assert (said.returncode, "launch" in said.stdout, "serve" in said.stdout) == (0, True, False)
    assert run(program, "serve").returncode == 2
    env |= {"GPUAAS_URL": "http://127.0.0.1:9", "GPUAAS_TOKEN": "t"}
    quick = "import gpuaas_client as g; c = g.Client('http://127.0.0.1:9', 't', patience=g.Patience(whole_s=0.0)); c.health()"
    assert "api.unreachable" in run(python, "-c", quick).stderr


def _lend(site: Path, names: tuple[str, ...]) -> None:
    """These libraries of this environment, and nothing else of it."""
    for name in names:
        for own in {Path(path) for path in sys.path if path.endswith("site-packages")}:
            if (own / name).exists():
                (site / name).symlink_to(own / name)
                break
