"""`gpuaas cost-centre`: what an organization charges its projects to, how much, and since when."""

from typing import Final

import click

from gpuaas_client import models, naming, operations
from gpuaas_client.command import OF_ORGANIZATION, Verbs, as_of, asked
from gpuaas_client.moments import TIME
from gpuaas_client.session import Session
from gpuaas_client.telling import plain, rounded
from gpuaas_client.verbs.books import invoice
from gpuaas_client.verbs.tenancy import project

_HEAD: Final = ("ID", "NAME", "DEPARTMENT", "STATE", "SINCE")
_CHARGES: Final = ("COST CENTRE", "PROJECT", "ACCOUNT", "CHARGED")


@click.group("cost-centre", cls=Verbs, help="What projects are charged to, below departments")
def cost_centre() -> None: ...


@cost_centre.command("create", help="A cost centre of a department")
@click.argument("name")
@click.option("--department", type=naming.DEPARTMENT, required=True, help="Whose it is.")
@asked
def made(session: Session, name: str, department: str) -> None:
    new = models.CostCentreNew(department=department, name=name)
    done = session.client.create_cost_centre(new)
    session.say(done, done.id)


@cost_centre.command("rename", help="What it was charged before is shown under the name, too")
@click.argument("cost_centre", type=naming.COST_CENTRE)
@click.argument("name")
@asked
def renamed(session: Session, cost_centre: str, name: str) -> None:
    done = session.client.rename_cost_centre(cost_centre, models.CostCentreName(name=name))
    session.say(done, f"{cost_centre} is {name}")


@cost_centre.command("close", help="Once no project is attributed to it: none is any more")
@click.argument("cost_centre", type=naming.COST_CENTRE)
@asked
def closed(session: Session, cost_centre: str) -> None:
    done = session.client.close_cost_centre(cost_centre)
    session.say(done, f"{cost_centre} is {done.state}")


@cost_centre.command("list", help="Those that the caller may see")
@click.option("--department", type=naming.DEPARTMENT, help="Of this one alone.")
@click.option("--state", metavar="STATE", help="Those that are `open`, or `closed`.")
@OF_ORGANIZATION
@as_of
@asked
def listed(
    session: Session, department: str | None, state: str | None, organization: str | None,
    as_of: str | None,
) -> None:  # fmt: skip
    call = operations.list_cost_centres(
        department=department, state=state, organization=organization, as_of=as_of
    )
    session.tell_all(session.client.each(call), _HEAD, _row)


@cost_centre.command("show", help="One, and the projects that are attributed to it")
@click.argument("cost_centre", type=naming.COST_CENTRE)
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
@click.argument("cost_centre", type=naming.COST_CENTRE, required=False)
@click.option("--account", metavar="ID", help="Paid by this account alone.")
@click.option("--start", type=TIME, metavar="TIME", help="Periods that end after then, RFC 3339.")
@click.option("--end", type=TIME, metavar="TIME", help="Periods that begin before then, RFC 3339.")
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


@project.command("attribute", help="To a cost centre from now on; --none: to none")
@click.argument("project", type=naming.PROJECT)
@click.argument("cost_centre", type=naming.COST_CENTRE, metavar="[COST_CENTRE]", required=False)
@click.option("--none", "away", is_flag=True, help="Take its cost centre away.")
@asked
def project_attribute(session: Session, project: str, cost_centre: str | None, away: bool) -> None:
    if away == bool(cost_centre):
        raise click.UsageError("a cost centre, or --none")
    wanted = models.ProjectAttribute(cost_centre=cost_centre)
    done = session.client.attribute_project(project, wanted)
    session.say(done, f"{project} is attributed to {done.cost_centre or 'no cost centre'}")


@project.command("attribution", help="Its cost centre, and since when")
@click.argument("project", type=naming.PROJECT)
@as_of
@asked
def project_attribution(session: Session, project: str, as_of: str | None) -> None:
    found = session.client.show_attribution(project, as_of=as_of)
    pairs = (("PROJECT", project), ("COST CENTRE", plain(found.cost_centre)))
    session.tell(found, (*pairs, ("SINCE", plain(found.since))))


@invoice.command("cost-centres", help="Its exact total, by cost centre and project")
@click.argument("number")
@as_of
@asked
def of_invoice(session: Session, number: str, as_of: str | None) -> None:
    found = session.client.each(operations.list_invoice_cost_centres(number, as_of=as_of))
    session.tell_all(
        found,
        ("COST CENTRE", "PROJECT", "CHARGED"),
        lambda one: (one.cost_centre or "-", one.project, rounded(one.amount)),
    )


def _charged(one: models.CostCentreCharge) -> tuple[str, ...]:
    return (one.cost_centre or "-", one.project, one.account, rounded(one.amount))


def _row(one: models.CostCentre) -> tuple[str, ...]:
    return (one.id, plain(one.name), plain(one.department), one.state, plain(one.created_at))


VERBS: Final = (cost_centre,)
