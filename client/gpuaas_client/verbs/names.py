"""`gpuaas organization rename`, `department rename`, `project rename`, `group rename`."""

from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import models, naming
from gpuaas_client.command import ORGANIZATION, asked
from gpuaas_client.session import Session
from gpuaas_client.verbs.members import group
from gpuaas_client.verbs.tenancy import department, organization, project


@organization.command("rename", help="What was said under the old name keeps it")
@click.argument("organization", type=naming.ORGANIZATION)
@click.argument("name")
@asked
def organization_renamed(session: Session, organization: str, name: str) -> None:
    done = session.client.rename_organization(organization, models.NewName(name=name))
    session.say(done, f"{organization} is {name}")


@department.command("rename", help="What is in it stays in it")
@click.argument("department", type=naming.DEPARTMENT)
@click.argument("name")
@asked
def department_renamed(session: Session, department: str, name: str) -> None:
    done = session.client.rename_department(department, models.NewName(name=name))
    session.say(done, f"{department} is {name}")


@project.command("rename", help="What runs in it goes on")
@click.argument("project", type=naming.PROJECT)
@click.argument("name")
@asked
def project_renamed(session: Session, project: str, name: str) -> None:
    done = session.client.rename_project(project, models.NewName(name=name))
    session.say(done, f"{project} is {name}")


@group.command("rename", help="Who is in it stays, and what it is bound to")
@click.argument("group", type=naming.GROUP)
@click.argument("name")
@ORGANIZATION
@asked
def group_renamed(session: Session, group: str, name: str, organization: str | None) -> None:
    wanted = models.GroupName(name=name, organization=organization or UNSET)
    session.say(session.client.rename_group(group, wanted), f"{group} is {name}")


VERBS: Final = (organization, department, project)
