"""`gpuaas volume`: durable storage of a project."""

import re
from typing import Any, Final

import click
from msgspec import UNSET

from gpuaas_client import models, naming, operations
from gpuaas_client.command import STATE, Verbs, as_of, asked
from gpuaas_client.session import Session
from gpuaas_client.telling import plain
from gpuaas_client.verbs.runtimes import only_project

_HEAD: Final = ("VOLUME", "NAME", "STATE", "SINCE", "MIB", "NODE", "USED BY")
_MIB: Final = {"MiB": 1, "GiB": 1024, "TiB": 1024**2}
_SIZE: Final = re.compile(r"([0-9]{1,12})(MiB|GiB|TiB)?", re.ASCII)
_VOLUME: Final = click.argument("volume", type=naming.VOLUME)


class _Size(click.ParamType):
    """In MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises: click.BadParameter."""
        found = _SIZE.fullmatch(str(value))
        if found is None or not int(found[1]):
            self.fail(f"no size, as 512 (MiB), 10GiB or 2TiB: {value!r}", param, ctx)
        return int(found[1]) * _MIB[found[2] or "MiB"]


@click.group("volume", cls=Verbs, help="Durable storage of a project")
def volume() -> None: ...


def _row(one: models.Volume) -> tuple[str, ...]:
    used = "-" if one.used_by is None else f"{one.used_by.runtime} at {one.used_by.path}"
    return (
        *(one.id, plain(one.name), one.state, one.since, str(one.size_mib)),
        *(one.node, used),
    )


@volume.command("list", help="Every volume, newest first")
@click.option("--project", type=naming.PROJECT, help="Of this one alone.")
@STATE
@as_of
@asked
def listed(session: Session, project: str | None, state: str | None, as_of: str | None) -> None:
    call = operations.list_volumes(project=project, state=state, as_of=as_of)
    session.tell_all(session.client.each(call), _HEAD, _row)


@volume.command("show", help="One volume, what happens next, and its snapshots")
@_VOLUME
@asked
def shown(session: Session, volume: str) -> None:
    found = session.client.show_volume(volume)
    one = found.volume
    pairs = [
        *zip(_HEAD, _row(one), strict=True),
        ("WHY", plain(one.why)),
        ("NEXT", plain(one.next)),
        *(("SNAPSHOT", f"{snap.id} at {snap.at}, {snap.bytes} bytes") for snap in found.snapshots),
    ]
    session.tell(found, pairs)


@volume.command("create", help="A volume of a size, as 512 (MiB), 10GiB or 2TiB")
@click.argument("name")
@click.argument("size_mib", type=_Size(), metavar="SIZE")
@click.option(
    "--project", type=naming.PROJECT, envvar="GPUAAS_PROJECT",
    help="Default: GPUAAS_PROJECT, else the only one.",
)  # fmt: skip
@click.option(
    "--model", multiple=True, metavar="MODEL",
    help="Where such GPUs are: a runtime runs where its volumes are. Once for each.",
)  # fmt: skip
@click.option("--region", metavar="NAME", help="Only there (default: anywhere).")
@asked
def create(
    session: Session, name: str, size_mib: int, project: str | None, model: tuple[str, ...],
    region: str | None,
) -> None:  # fmt: skip
    wanted = models.VolumeNew(
        name=name,
        size_mib=size_mib,
        project=project or only_project(session),
        models=list(model) or UNSET,
        region=region or UNSET,
    )
    made = session.client.create_volume(wanted)
    session.say(made, f"{made.id} is {made.state} on {made.node}: {plain(made.next)}")


@volume.command("grow", help="To a size, as 512 (MiB), 10GiB or 2TiB")
@_VOLUME
@click.argument("size_mib", type=_Size(), metavar="SIZE")
@asked
def grow(session: Session, volume: str, size_mib: int) -> None:
    done = session.client.grow_volume(volume, models.VolumeGrow(size_mib=size_mib))
    session.say(done, f"{volume} grows to {size_mib} MiB; `gpuaas volume show {volume}`")


@volume.command("snapshot", help="Its state now, kept beside it")
@_VOLUME
@asked
def snapshot(session: Session, volume: str) -> None:
    done = session.client.snapshot_volume(volume)
    session.say(done, f"a snapshot of {volume} is taken; `gpuaas volume show {volume}`")


@volume.command("delete", help="It is wiped, with a receipt; nothing brings it back")
@_VOLUME
@click.confirmation_option(prompt="What is on it will be gone. Delete it?")
@asked
def delete(session: Session, volume: str) -> None:
    done = session.client.delete_volume(volume)
    session.say(done, f"{volume} is deleted; its node wipes it")


VERBS: Final = (volume,)
