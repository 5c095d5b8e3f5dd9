"""What the verbs of a server installation may be told, where that is more than a word."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from api.config import port
from api.urls import database_url
from domain.errors import DomainError

type Run = Callable[..., Any]

PATH: Final = click.Path(path_type=Path)
STATEMENT: Final = "camt.053, or CSV: line, amount, currency, text, between `opening` and `closing`"


class _Checked(click.ParamType[Any]):
    """A word that a function of ours reads; what it refuses is a wrong usage, and not repeated."""

    def __init__(self, name: str, read: Callable[[str, str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value, "" if param is None else param.opts[0])
        except DomainError as error:
            self.fail(error.detail, param, context)


PORT: Final = _Checked("port", port)
_DATABASE: Final = _Checked("url", database_url)


def _all(*given: Callable[[Run], Run]) -> Callable[[Run], Run]:
    def added(run: Run) -> Run:
        for one in reversed(given):
            run = one(run)
        return run

    return added


def _option(name: str, text: str | None = None, **more: Any) -> Callable[[Run], Run]:
    return click.option(name, help=text, **more)


found: Final = _all(
    _option("--issuer", "its identifier, as its discovery document has it", required=True),
    _option("--client-id", "ours there, a public client's", required=True),
    _option("--subject", "`sub` of the first operator there", required=True),
    _option("--domain", "of addresses that are sent to it; many", multiple=True),
    _option("--algorithm", "it signs with; many (default: RS256)", multiple=True),
)
agent: Final = _all(
    _option("--devices", "SIMULATED or real GPUs", type=click.Choice(("simulated", "nvml"))),
    click.option("--simulated", is_flag=True, help="the same as --devices simulated"),
    _option("--nvml-library", "libnvidia-ml.so.1", metavar="PATH"),
    _option("--cuda-library", "libcuda.so.1", metavar="PATH"),
    _option("--engine", type=click.Choice(("simulated", "podman", "bubblewrap"))),
    _option("--images", "allow-list of images, JSON", metavar="FILE"),
    _option("--rootfs", "unpacked images (bubblewrap)", metavar="DIR"),
    _option("--podman", "podman and its global options", metavar="WORDS"),
    _option("--create", "more options of podman create", metavar="WORDS"),
    _option("--network", "network of runtimes (podman)", metavar="NAME"),
    _option("--model", "the model that this node is expected to be", default="T4"),
)  # fmt: skip
nats: Final = _all(
    _option("--out", "default: standard output", type=PATH, metavar="FILE"),
    _option("--listen", default="0.0.0.0:4222", metavar="HOST:PORT"),
    _option("--name", "of the server in its certificate; many", multiple=True),
    _option(
        "--tls", "its certificate, key and CA (default: beside FILE)", type=PATH, metavar="DIR"
    ),
    _option("--store", type=PATH, default=Path("/data"), metavar="DIR"),
)
replay: Final = _all(
    *(
        _option(f"--{name}", type=PATH, required=True, metavar="FILE")
        for name in ("nodes", "pods", "prices")
    ),
    _option("--start", "instant of trace second 0", required=True, metavar="RFC3339"),
    _option("--zone", "time zone of billing months", required=True, metavar="IANA"),
    _option("--out", type=PATH, required=True, metavar="DIR"),
    _option("--database-url", "default: an own server under DIR", type=_DATABASE, metavar="URL"),
)
