"""`gpuaas cost-centre`: what an organization charges its projects to, and how much that is."""

from typing import Final

import click

from gpuaas_client import models, operations
from gpuaas_client.command import OF_ORGANIZATION, Verbs, as_of, asked
from gpuaas_client.session import Session
from gpuaas_client.telling import plain, rounded

_HEAD: Final = ("ID", "NAME", "DEPARTMENT", "SINCE")
_CHARGES: Final = ("COST CENTRE", "PROJECT", "ACCOUNT", "CHARGED")


@click.group("cost-centre", cls=Verbs, help="What projects are charged to, below departments")
def cost_centre() -> None: ...


@cost_centre.command("create", help="A cost centre of a department")
@click.argument("name")
@click.option("--department", metavar="ID", required=True, help="Whose it is.")
@asked
def made(session: Session, name: str, department: str) -> None:
    new = models.CostCentreNew(department=department, name=name)
    done = session.client.create_cost_centre(new)
    session.say(done, done.id)


@cost_centre.command("list", help="Those that the caller may see")
@click.option("--department", metavar="ID", help="Of this one alone.")
@OF_ORGANIZATION
@as_of
@asked
def listed(
    session: Session, department: str | None, organization: str | None, as_of: str | None
) -> None:
    call = operations.list_cost_centres(
        department=department, organization=organization, as_of=as_of
    )
    session.tell_all(session.client.each(call), _HEAD, _row)


@cost_centre.command("show", help="One, and the projects that are attributed to it")
@click.argument("cost_centre")
@as_of
@asked
def shown(session: Session, cost_centre: str, as_of: str | None) -> None:
    found = session.client.show_cost_centre(cost_centre, as_of=as_of)
    projects = []
    if not session.json:
        call = operations.list_attributions(cost_centre=cost_centre, as_of=as_of)
        projects = [("PROJECT", one.project) for one in session.client.each(call)]
    session.tell(found, [*zip(_HEAD, _row(found), strict=True), *projects])


@cost_centre.command("charges", help="What was charged, by the cost centre at the time of use")
@click.argument("cost_centre", required=False)
@click.option("--account", metavar="ID", help="Paid by this account alone.")
@click.option("--start", metavar="TIME", help="Periods that end after then, RFC 3339.")
@click.option("--end", metavar="TIME", help="Periods that begin before then, RFC 3339.")
@OF_ORGANIZATION
@as_of
@asked
def charges(
    session: Session, cost_centre: str | None, account: str | None, start: str | None,
    end: str | None, organization: str | None, as_of: str | None,
) -> None:  # fmt: skip
    call = operations.list_cost_centre_charges(
        cost_centre=cost_centre, account=account, start=start, end=end,
        organization=organization, as_of=as_of,
    )  # fmt: skip
    session.tell_all(session.client.each(call), _CHARGES, _charged)


def _charged(one: models.CostCentreCharge) -> tuple[str, ...]:
    return (one.cost_centre or "-", one.project, one.account, rounded(one.amount))


def _row(one: models.CostCentre) -> tuple[str, ...]:
    return (one.id, plain(one.name), one.department, plain(one.created_at))


VERBS: Final = (cost_centre,)
