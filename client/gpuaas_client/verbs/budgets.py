"""`gpuaas budget`: budgets of organizations, departments and projects."""

from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import models, naming, operations
from gpuaas_client.command import Verbs, asked
from gpuaas_client.session import Session
from gpuaas_client.telling import exact, money, rounded

_HEAD: Final = ("SCOPE", "MODE", "AMOUNT", "SPENT", "FORECAST", "UNTIL", "ALERTS")


@click.group("budget", cls=Verbs, help="Budgets of organizations, departments and projects")
def budget() -> None: ...


@budget.command("set", help="An amount for each billing period of an account")
@click.argument("scope", type=naming.SCOPE)
@click.argument("amount", metavar="AMOUNT")
@click.argument("currency", metavar="CURRENCY")
@click.option(
    "--mode", type=click.Choice(("soft", "refuse", "stop")), default="soft", show_default=True,
    help="Tell; let nothing new begin; stop what runs as well.",
)  # fmt: skip
@click.option("--account", metavar="ID", help="Default: the project's, or the only one.")
@asked
def put(
    session: Session, scope: str, amount: str, currency: str, mode: str, account: str | None
) -> None:
    said = models.MoneyNew(amount=exact(amount), currency=currency)
    wanted = models.BudgetNew(scope=scope, amount=said, mode=mode, account=account or UNSET)
    session.tell_all([session.client.set_budget(wanted)], _HEAD, _row)


@budget.command("clear", help="No budget any more")
@click.argument("scope", type=naming.SCOPE)
@asked
def cleared(session: Session, scope: str) -> None:
    done = session.client.clear_budget(models.BudgetEnd(scope=scope))
    session.say(done, f"{scope}: no budget")


@budget.command("list", help="Every budget, spent and forecast")
@asked
def listed(session: Session) -> None:
    session.tell_all(session.client.each(operations.list_budgets()), _HEAD, _row)


@budget.command("show", help="One budget and what was told of it")
@click.argument("scope", type=naming.SCOPE)
@asked
def shown(session: Session, scope: str) -> None:
    found = session.client.show_budget(scope)
    pairs = [
        *zip(_HEAD[:-1], _row(found)[:-1], strict=True),
        ("ACCOUNT", found.account or "-"),
        *(("TOLD", _told(one)) for one in found.alerts),
    ]
    session.tell(found, pairs)


def _told(one: models.BudgetAlert) -> str:
    percent = "%" if one.what.isdigit() else ""
    return f"{one.what}{percent} at {one.at}: {rounded(one.amount)}"


def _row(one: models.Budget) -> tuple[str, ...]:
    """`-` for what is not seen yet."""
    told = " ".join(alert.what for alert in one.alerts) or "-"
    return (
        *(one.scope, one.mode or "-"),
        *(money(one.amount), rounded(one.spent), rounded(one.forecast)),
        *(one.period_end or "-", told),
    )


VERBS: Final = (budget,)
