"""`gpuaas price`, `period`: what things cost, and months that are closed into invoices."""

from datetime import UTC, datetime, timedelta
from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import models, operations
from gpuaas_client.command import STATE, Verbs, asked
from gpuaas_client.errors import GpuaasError
from gpuaas_client.moments import TIME
from gpuaas_client.session import Session
from gpuaas_client.telling import exact, money, per

_PRICES: Final = ("METER", "MODEL", "REGION", "PRICE", "PER", "FROM", "ACCOUNT", "POSITION")
_PERIODS: Final = ("PERIOD", "ACCOUNT", "START", "END", "STATE", "VERSION")


@click.group("price", cls=Verbs, help="What things cost, and since when")
def price() -> None: ...


@price.command("list", help="Every entry, in order of publication")
@click.option(
    "--account", metavar="ID", help="What may apply to it: its own entries and everybody's."
)
@asked
def listed(session: Session, account: str | None) -> None:
    found = session.client.each(operations.list_prices(account=account))
    session.tell_all(found, _PRICES, _price)


def _price(one: models.Price) -> tuple[str, ...]:
    return (
        *(one.meter, one.model, one.region or "-", money(one.price)),
        per(one.divisor, one.meter),
        *(one.effective_from, one.account, str(one.position)),
    )


@price.command("set", staff=True, help="A price per GPU-hour from a time on")
@click.argument("model")
@click.argument("amount")
@click.argument("currency")
@click.option("--account", metavar="ID", help="Of this account alone (default: everybody's).")
@click.option("--region", metavar="NAME", help="There alone (default: wherever no other is).")
@click.option(
    "--from", "since", type=TIME, metavar="TIME", help="RFC 3339 (default: in two seconds)."
)
@asked
def put(
    session: Session, model: str, amount: str, currency: str, account: str | None,
    region: str | None, since: str | None,
) -> None:  # fmt: skip
    wanted = models.PriceNew(
        model=model,
        price=models.MoneyNew(amount=exact(amount), currency=currency),
        effective_from=since or after(2),
        account=account or UNSET,
        region=region or UNSET,
    )
    made = session.client.publish_price(wanted)
    session.tell_all([made], _PRICES, _price)


def after(seconds: int) -> str:
    """So many seconds from now, as the API takes instants."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


@click.group("period", cls=Verbs, help="Billing periods of accounts")
def period() -> None: ...


@period.command("list", help="Periods of an account")
@click.option("--account", metavar="ID", help="Of this one alone.")
@STATE
@asked
def periods(session: Session, account: str | None, state: str | None) -> None:
    found = session.client.each(operations.list_periods(account=account, state=state))
    session.tell_all(found, _PERIODS, _period)


def _period(one: models.Period) -> tuple[str, ...]:
    return (one.id, one.account, one.start, one.end, one.state, str(one.version))


@period.command("close", staff=True, help="Close a period that has ended; its invoice follows")
@click.argument("period")
@click.option("--account", required=True, metavar="ID")
@asked
def close(session: Session, period: str, account: str) -> None:
    every = session.client.each(operations.list_periods(account=account))
    found = next((one for one in every if one.id == period), None)
    if found is None:
        raise GpuaasError("period.unknown", f"{account} has no {period}", "gpuaas period list")
    done = session.client.close_period(period, if_match=str(found.version))
    session.say(done, f"{period} is closed; `gpuaas invoice list --account {account}`")


VERBS: Final = (price, period)
