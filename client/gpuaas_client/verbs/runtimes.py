"""`gpuaas list`, `show`, `launch`, `stop`, `logs`: runtimes as their owner reads and makes them."""

import secrets
import sys
import time
from collections.abc import Sequence
from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import completing, exits, models, naming, operations
from gpuaas_client.command import OF_ORGANIZATION, STATE, Verb, as_of, asked
from gpuaas_client.errors import GpuaasError, Misconfigured
from gpuaas_client.naming import runtime_id, volume_id
from gpuaas_client.session import Session
from gpuaas_client.telling import plain
from gpuaas_client.verbs.capacity import fits, no_such, soon
from gpuaas_client.verbs.long_work import followed, newest

HEAD: Final = ("RUNTIME", "NAME", "STATE", "SINCE", "MODEL", "GPUS", "IDLE SINCE")
_ENDED: Final = frozenset({"stopped", "failed", "lost", "cancelled"})
_LOOK_S: Final = 0.5


def row(one: models.Runtime) -> tuple[str, ...]:
    return (
        *(one.id, plain(one.name), one.state, plain(one.since)),
        *(plain(one.model), str(len(one.devices)), plain(one.idle_since)),
    )


@click.command("list", cls=Verb, help="Every runtime, newest first, with since when nobody uses it")
@click.option("--project", type=naming.PROJECT, help="Of this one alone.")
@STATE
@OF_ORGANIZATION
@as_of
@asked
def listed(
    session: Session, project: str | None, state: str | None, organization: str | None,
    as_of: str | None,
) -> None:  # fmt: skip
    call = operations.list_runtimes(
        project=project, state=state, organization=organization, as_of=as_of
    )
    session.tell_all(session.client.each(call), HEAD, row)


@click.command("show", cls=Verb, help="One runtime and what happens next")
@click.argument("runtime", shell_complete=completing.runtime)
@as_of
@asked
def shown(session: Session, runtime: str, as_of: str | None) -> None:
    _tell(session, session.client.show_runtime(runtime_id(session, runtime), as_of=as_of))


def _tell(session: Session, one: models.Runtime) -> None:
    limit, simulated = one.idle_stop_after_s, {True: "yes", False: "no", None: "-"}
    session.tell(
        one,
        (
            *zip(HEAD, row(one), strict=True),
            ("STOPPED", "never for being idle" if limit is None else f"when idle for {limit} s"),
            ("NODE", plain(one.node)),
            ("IMAGE", "-" if one.config is None else one.config.image),
            ("NETWORK", plain(one.network)),
            ("EGRESS", _egress(one.egress)),
            ("SIMULATED", simulated[one.simulated]),
            ("WHY", plain(one.why)),
            ("NEXT", plain(one.next)),
        ),
    )


def _egress(counted: models.RuntimeEgress | None) -> str:
    """What passed by its network's policy, as its node counted it."""
    if counted is None:
        return "-"
    return (
        f"{counted.sent_bytes} bytes sent, {counted.received_bytes} received until "
        f"{counted.counted_at} (the node's word; not priced)"
    )


@click.command("launch", cls=Verb, short_help="A runtime on the first MODEL that has room")
@click.argument("model", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--gpus", type=click.IntRange(1, 64), default=1, show_default=True,
    help="So many whole GPUs, on one node.",
)  # fmt: skip
@click.option("--milli", type=click.IntRange(1, 1000), help="A part of one GPU, in thousandths.")
@click.option("--name", help="A word of yours (default: one made up).")
@click.option(
    "--project", type=naming.PROJECT, envvar="GPUAAS_PROJECT",
    help="Who pays (default: GPUAAS_PROJECT, else the only one).",
)  # fmt: skip
@click.option(
    "--image",
    metavar="REFERENCE",
    help="One of the platform's images (`gpuaas call list-images`); volumes and networks need one.",
)
@click.option(
    "--volume",
    metavar="ID|NAME:/PATH",
    multiple=True,
    help="With --image: a volume (`gpuaas volume list`) and the path where it is mounted, as"
    " data:/data; once for each.",
)
@click.option(
    "--network", type=naming.NETWORK, help="With --image: a network (`gpuaas call list-networks`)."
)
@click.option("--region", metavar="NAME", help="Only there, as eu-de-1 (default: anywhere).")
@click.option(
    "--reservation",
    metavar="ID",
    help="Take GPUs that are reserved for the project (`gpuaas call list-reservations`).",
)
@click.option(
    "--idle-stop",
    type=click.IntRange(1),
    metavar="SECONDS",
    help="Stop it once nobody has used it for so long (default: never).",
)
@click.option(
    "--spot",
    is_flag=True,
    help="At the spot price, on GPUs that others may claim back: it is among the first to be"
    " stopped, after the notice that the claim gives.",
)
@click.option("--wait", is_flag=True, help="Return when it is usable; 1 when it ends before.")
@asked
def launch(
    session: Session, model: Sequence[str], gpus: int, milli: int | None, name: str | None,
    project: str | None, image: str | None, volume: Sequence[str], network: str | None,
    region: str | None, reservation: str | None, idle_stop: int | None, spot: bool, wait: bool,
) -> int:  # fmt: skip
    """A runtime on GPUs of one of the MODELs, the first that has room; any without one.

    `gpuaas capacity` says what fits now and at what price. It is billed from when it is usable
    until it stops.
    """
    if milli is not None and gpus != 1:
        raise click.UsageError("--milli is a part of one GPU: leave --gpus out")
    body = models.RuntimeNew(
        project=project or only_project(session),
        name=name or f"gpu-{secrets.token_hex(2)}",
        models=list(model) or UNSET,
        devices=gpus,
        gpu_milli=1000 if milli is None else milli,
        image=image or UNSET,
        volumes=[_mount(session, one) for one in volume] or UNSET,
        network=network or UNSET,
        region=region or UNSET,
        reservation=reservation or UNSET,
        idle_stop_after_s=idle_stop or UNSET,
        spot=spot or UNSET,
    )
    try:
        made = session.client.launch_runtime(body)
    except GpuaasError as refused:
        if exits.status_of(refused) == exits.LIMIT and not session.json:
            _instead(session, model)
        raise
    if wait:
        made = _usable(session, made)
    _tell(session, made)
    if wait and made.state != "usable":
        return exits.FAILED
    if not session.json:
        print(plain(f"next: {_next(session, made) if wait else f'gpuaas show {made.id}'}"))
    return exits.DONE


def _next(session: Session, made: models.Runtime) -> str:
    """How the caller enters it, who else does where the caller may not."""
    ssh = made.route is not None or not made.simulated
    action = "access.issue_certificate" if ssh else "terminal.open"
    try:
        found = session.client.explain(models.ExplainNew(action=action, scope=made.id))
        may = found.allowed
    except GpuaasError:
        may = False  # nothing is promised that is not known
    if may:
        return f"gpuaas {'ssh' if ssh else 'terminal'} {made.id}"
    return (
        f"gpuaas show {made.id}; entering it is for members of its organization"
        f" (`gpuaas why {action} {made.id}`)"
    )


def _mount(session: Session, text: str) -> models.Mount:
    volume, colon, path = text.partition(":")
    if not colon:
        raise click.BadParameter(f"not VOLUME:/PATH: {text!r}", param_hint="--volume")
    return models.Mount(volume=volume_id(session, volume), path=path)


def only_project(session: Session) -> str:
    """The one that the caller has. Raises: Misconfigured project.unclear."""
    found = list(session.client.each(operations.list_projects()))
    if len(found) == 1:
        return found[0].id
    which = ", ".join(f"{one.id} ({plain(one.name)})" for one in found[:5]) or "none"
    what = "Say --project ID, or set GPUAAS_PROJECT."
    raise Misconfigured("project.unclear", f"there are {len(found)} projects: {which}", what)


def _instead(session: Session, wanted: Sequence[str]) -> None:
    """What fits now, on standard error; nothing where that is not told."""
    try:
        found = session.client.capacity_now().models
    except GpuaasError:
        return
    if unknown := no_such(found, wanted):
        print(f"  {plain(unknown)}", file=sys.stderr)
    known = [one for one in found if not wanted or one.model in wanted]
    others = [one for one in found if one not in known]
    now = ", ".join(fits(one) for one in [*known, *others] if one.most_devices or one.most_milli)
    later = "".join(f"; {soon(one)}" for one in [*known, *others] if one.soon)
    said = f"this would fit now, as far as there is quota: {now or 'nothing'}{later}"
    print(f"  {plain(said)}", file=sys.stderr)


def _usable(session: Session, made: models.Runtime) -> models.Runtime:
    """As it is once its launch is over; each step on its way is told."""
    launch = newest(session, made.id, "runtime.launch")
    if launch is not None:
        followed(session, launch.id)
    found = session.client.show_runtime(made.id)
    session.progress(f"{made.id} is {found.state}: {plain(found.next)}")
    return found


@click.command("stop", cls=Verb, help="Ask a runtime's node to stop it; billed until it says so")
@click.argument("runtime", shell_complete=completing.runtime)
@click.option(
    "--reason",
    default="requested",
    show_default=True,
    metavar="WORD",
    help="For the log: lower-case letters, digits, _ . and -.",
)
@click.option("--wait", is_flag=True, help="Return when it has ended.")
@asked
def stop(session: Session, runtime: str, reason: str, wait: bool) -> None:
    runtime = runtime_id(session, runtime)
    found = session.client.stop_runtime(runtime, models.RuntimeStop(reason=reason))
    while wait and found.state not in _ENDED:
        time.sleep(_LOOK_S)
        found = session.client.show_runtime(runtime)
    session.say(found, f"{runtime} is {found.state}: {plain(found.next)}")


@click.command("logs", cls=Verb, help="What a runtime said, asked of its node")
@click.argument("runtime", shell_complete=completing.runtime)
@click.option("--most", type=click.IntRange(1), metavar="BYTES", help="The last so many.")
@asked
def logs(session: Session, runtime: str, most: int | None) -> None:
    runtime = runtime_id(session, runtime)
    text = session.client.show_logs(runtime, most=most)
    if session.json:
        session.say({"runtime": runtime, "text": text}, "")
    else:
        sys.stdout.write(
            "".join(one if one.isprintable() or one in "\n\t" else "?" for one in text)
        )


VERBS: Final = (listed, shown, launch, stop, logs)
