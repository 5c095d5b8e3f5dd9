"""`gpuaas node`: nodes as an operator reads and keeps them."""

import sys
from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import models, naming, operations, telling
from gpuaas_client.command import REASON_NEEDED, STATE, Verbs, as_of, asked
from gpuaas_client.session import Session
from gpuaas_client.telling import plain

_HEAD: Final = ("NODE", "NAME", "MODEL", "STATE", "UPKEEP", "GPUS", "BARRED")
_NODE: Final = click.argument("node", type=naming.NODE)


@click.group("node", cls=Verbs, help="Nodes as an operator reads and keeps them")
def node() -> None: ...


@node.command("list", help="Every node, oldest first, barred ones with since when")
@STATE
@as_of
@asked
def listed(session: Session, state: str | None, as_of: str | None) -> None:
    call = operations.list_nodes(state=state, as_of=as_of)
    session.tell_all(session.client.each(call), _HEAD, _row)


@node.command("show", help="One node, its devices, why it is barred")
@_NODE
@asked
def shown(session: Session, node: str) -> None:
    found = session.client.show_node(node)
    session.tell(
        found,
        (
            *zip(_HEAD[:-1], _row(found)[:-1], strict=True),
            ("CORDONED", "yes" if found.cordoned else "no"),
            ("SIMULATED", {True: "yes", False: "no", None: "-"}[found.simulated]),
            ("USED", f"{found.used_milli} of {found.gpus * 1000} milli"),
            ("BARRED", barred(found)),
        ),
    )
    if not session.json:
        for one in found.devices:
            print(f"device {one.index:<3} {plain(one.uuid)}  {one.used_milli} milli used")


def barred(found: models.Node) -> str:
    """By what, why and since when nothing it says counts, and what ends it; `no` else."""
    said = found.barred
    if said is None:
        return "no"
    return f"{said.by} ({said.reason}) since {said.since}; revoke, reinvite, enrol anew"


def _row(one: models.Node) -> tuple[str, ...]:
    said = one.barred
    return (
        *(one.id, plain(one.name), plain(one.model), one.state, one.upkeep),
        *(str(one.gpus), "-" if said is None else f"{said.by} since {said.since}"),
    )


@node.command("enrol", help="Invite a machine: a token that its agent enrols with, shown once")
@click.option("--name", required=True)
@click.option("--model", required=True, help="Of its GPUs, as `A10`.")
@click.option("--fingerprint", help="Of the machine that may use the token, and no other.")
@asked
def enrol(session: Session, name: str, model: str, fingerprint: str | None) -> None:
    wanted = models.NodeInvite(name=name, model=model, fingerprint=fingerprint or UNSET)
    made = session.client.invite_node(wanted)
    session.tell(
        made,
        (
            ("NODE", made.id),
            ("TOKEN", made.token or "was shown before"),
            ("UNTIL", made.expires_at),
            ("THEN", "on the machine: GPUAAS_ENROL_TOKEN=... python -m agent"),
        ),
    )


@node.command("cordon", help="It takes no new work; what runs goes on")
@_NODE
@asked
def cordon(session: Session, node: str) -> None:
    session.say(session.client.cordon_node(node), f"{node} takes no new work")


@node.command("uncordon", help="It takes new work again")
@_NODE
@asked
def uncordon(session: Session, node: str) -> None:
    session.say(session.client.uncordon_node(node), f"{node} takes new work")


@node.command("drain", help="Cordon it, and let what runs there end")
@_NODE
@REASON_NEEDED
@asked
def drain(session: Session, node: str, reason: str) -> None:
    done = session.client.drain_node(node, models.NodeDrain(reason=reason))
    session.say(done, f"{node}: {', '.join(done.did) or 'as it was'}; `gpuaas node show {node}`")


@node.command("undrain", help="End the drain")
@_NODE
@REASON_NEEDED
@asked
def undrain(session: Session, node: str, reason: str) -> None:
    done = session.client.undrain_node(node, models.NodeUndrain(reason=reason))
    session.say(done, f"{node}: {', '.join(done.did) or 'as it was'}")


@node.command("timeline", help="What happened to it, newest first")
@_NODE
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@asked
def timeline(session: Session, node: str, limit: int) -> None:
    found = session.client.node_timeline(node, limit=limit).items
    if session.json:
        session.say(found, "")
    else:
        rows = [(one.at, str(one.position), plain(one.what)) for one in found]
        sys.stdout.write(telling.table([("AT", "POSITION", "WHAT"), *rows]))


VERBS: Final = (node,)
