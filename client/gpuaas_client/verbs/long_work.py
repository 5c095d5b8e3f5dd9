"""`gpuaas operations`: long work under way, how far it is, and waiting for its end."""

import time
from typing import Final

import click

from gpuaas_client import exits, models, naming, operations
from gpuaas_client.command import OF_ORGANIZATION, Verbs, as_of, asked
from gpuaas_client.session import Session
from gpuaas_client.telling import plain

_HEAD: Final = ("OPERATION", "KIND", "RESOURCE", "STATE", "BEGAN", "ENDED", "WHY")
_OVER: Final = frozenset({"succeeded", "failed", "cancelled"})
_LOOK_S: Final = 0.5


@click.group("operations", cls=Verbs, help="Long work: what is under way, and how it ended")
def long_work() -> None: ...


def _row(one: models.Operation) -> tuple[str, ...]:
    why = "-" if one.error is None else f"{one.error.code}: {one.error.detail}"
    return (
        *(one.id, one.kind, one.resource, one.state),
        *(plain(one.began_at), plain(one.ended_at), why),
    )


@long_work.command("list", help="Newest first")
@click.option("--project", type=naming.PROJECT, help="Of this one alone.")
@click.option("--resource", metavar="ID", help="Of one runtime, volume, node or period.")
@click.option("--state", type=click.Choice(["pending", "running", *sorted(_OVER)]))
@OF_ORGANIZATION
@as_of
@asked
def listed(
    session: Session, project: str | None, resource: str | None, state: str | None,
    organization: str | None, as_of: str | None,
) -> None:  # fmt: skip
    call = operations.list_operations(
        organization=organization, project=project, resource=resource, state=state, as_of=as_of
    )
    session.tell_all(session.client.each(call), _HEAD, _row)


@long_work.command("show", help="One, with its steps")
@click.argument("operation")
@as_of
@asked
def shown(session: Session, operation: str, as_of: str | None) -> None:
    _tell(session, session.client.show_operation(operation, as_of=as_of))


@long_work.command("wait", help="Return at its end, telling each step; 1 when it did not succeed")
@click.argument("operation")
@asked
def wait(session: Session, operation: str) -> int:
    found = followed(session, operation)
    _tell(session, found)
    return exits.DONE if found.state == "succeeded" else exits.FAILED


def followed(session: Session, operation: str) -> models.Operation:
    """As it is at its end; each step on its way is told."""
    told = 0
    while True:
        found = session.client.show_operation(operation)
        for step in found.steps[told:]:
            session.progress(f"{found.resource}: {step.what} at {plain(step.at)}")
        told = len(found.steps)
        if found.state in _OVER:
            return found
        time.sleep(_LOOK_S)


def newest(session: Session, resource: str, kind: str) -> models.Operation | None:
    """The work of this kind on the resource that began last."""
    call = operations.list_operations(resource=resource, kind=kind, limit=1)
    return next(iter(session.client.do(call).items), None)


def _tell(session: Session, one: models.Operation) -> None:
    steps = [(step.what.upper(), plain(step.at)) for step in one.steps]
    session.tell(one, (*zip(_HEAD, _row(one), strict=True), *steps))


VERBS: Final = (long_work,)
