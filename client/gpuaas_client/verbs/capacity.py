"""`gpuaas capacity`: what would be admitted now, at what price, and why not."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import click
from msgspec import Struct

from gpuaas_client import models, naming, operations
from gpuaas_client.command import Verb, asked
from gpuaas_client.errors import Forbidden, GpuaasError
from gpuaas_client.session import Session
from gpuaas_client.telling import money, plain

_HEAD: Final = (
    *("MODEL", "FITS NOW", "SOON", "FREE", "GPUS", "QUOTA LEFT", "PER GPU-HOUR", "WHY NOT"),
)
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_GPU_HOUR: Final = str(1000 * 3_600_000_000)  # of milli-GPU-microseconds
_MILLI: Final = 1000
_ANYWHERE: Final = "-"
_EVERY: Final = "*"  # of a quota: GPUs of all models together


class Offer(Struct, frozen=True):
    """Of one model; `why`: what refuses a launch now, empty for nothing that is known here."""

    model: str
    fits: str
    soon: list[models.FitSoon]
    free: int
    gpus: int
    quota_left_milli: int | None
    prices: list[models.Price]
    why: str


def fits(one: models.Fit) -> str:
    """As `4 x A10`; parts of a GPU where no whole one is free; `-` for nothing."""
    if one.most_devices:
        return f"{one.most_devices} x {one.model}"
    return f"{one.most_milli} milli of a {one.model}" if one.most_milli else "-"


def soon(one: models.Fit | Offer) -> str:
    """As `8 x A10 in about 20 min`, in order; `-` where nothing is known."""
    told = [f"{later.devices} x {one.model} in {about(later.in_about_s)}" for later in one.soon]
    return ", ".join(told) or "-"


def about(seconds: int) -> str:
    """As `about 20 min`: no more exact than it is."""
    if seconds < _MINUTE_S:
        return "less than a minute"
    if seconds < 2 * _HOUR_S:
        return f"about {round(seconds / _MINUTE_S)} min"
    return f"about {round(seconds / _HOUR_S)} h"


@click.command("capacity", cls=Verb, short_help="What fits now, at what price, and why not")
@click.argument("model", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--project", type=naming.PROJECT, envvar="GPUAAS_PROJECT",
    help="Whose limits and prices count (default: GPUAAS_PROJECT, else the only one; of several,"
    " list prices).",
)  # fmt: skip
@asked
def capacity(session: Session, model: Sequence[str], project: str | None) -> None:
    """What would be admitted now, by the admission's own state, at what price, and why not.

    FITS NOW is the most that one launch gets: whole GPUs of one node, else a part of one. SOON:
    when it would get more, from what is stopping, being wiped, or reserved until then.
    """
    found = session.client.capacity_now().models
    chosen = [one for one in found if not model or one.model in model]
    unknown = no_such(found, model)
    if unknown and not chosen:
        raise GpuaasError("model.unknown", unknown)
    if unknown and not session.json:
        print(f"  {plain(unknown)}", file=sys.stderr)
    prices = list(session.client.each(operations.list_prices()))
    own = _project(session, project)
    limits = list(session.client.each(operations.list_quotas())) if own else []
    offers = [_offer(one, own, limits, prices) for one in chosen]
    session.tell_all(offers, _HEAD, _row)


def no_such(found: Sequence[models.Fit], wanted: Sequence[str]) -> str:
    """Which of the models wanted there are not, and which there are; empty where all are there."""
    there = dict.fromkeys(one.model for one in found)
    absent = [one for one in wanted if one not in there]
    if not absent:
        return ""
    return f"no GPU here is a {' or a '.join(absent)}; there are: {', '.join(there) or 'none yet'}"


def _project(session: Session, project: str | None) -> models.Project | None:
    """The one that is named, else the only one; None where neither is to be seen."""
    try:
        every = list(session.client.each(operations.list_projects()))
    except Forbidden:
        return None
    if not project:
        return every[0] if len(every) == 1 else None
    return next((one for one in every if one.id == project), None)


def _offer(
    one: models.Fit,
    own: models.Project | None,
    limits: Iterable[models.Quota],
    prices: Iterable[models.Price],
) -> Offer:
    left = _left(one.model, own, limits) if own else None
    priced = in_force(one.model, own.account if own else "default", prices)
    why = ""
    if not one.most_devices and not one.most_milli:
        why = "nothing is free"
    elif not priced:
        why = "it has no price"
    elif left is not None and left <= 0:
        why = "the quota is used up"
    return Offer(one.model, fits(one), one.soon, one.free_devices, one.devices, left, priced, why)


def _left(model: str, own: models.Project, limits: Iterable[models.Quota]) -> int | None:
    """The least that the project, its department and its organization leave; None: no limit."""
    scopes = {own.id, own.department, own.organization}
    found = [
        one.limit_milli - (one.used_milli or 0) - (one.reserved_milli or 0)
        for one in limits
        if one.scope in scopes and one.model in (model, _EVERY)
    ]
    return min(found, default=None)


def in_force(model: str, account: str, prices: Iterable[models.Price]) -> list[models.Price]:
    """The latest for each currency and region: the account's own, else the default ones."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    found = {}
    for one in sorted(prices, key=lambda one: (one.account != "default", one.effective_from)):
        mine = one.account in {"default", account} and one.effective_from <= now
        if mine and one.meter == "gpu.time" and one.model == model:
            found[one.price.currency, one.region] = one
    return list(found.values())


def _row(one: Offer) -> tuple[str, ...]:
    left = one.quota_left_milli
    said = "-" if left is None else f"{left // _MILLI}.{left % _MILLI:03d} GPUs"
    return (
        *(one.model, one.fits, soon(one), str(one.free), str(one.gpus), said),
        *(", ".join(map(_priced, one.prices)) or "-", one.why or "-"),
    )


def _priced(one: models.Price) -> str:
    per = "" if one.divisor == _GPU_HOUR else f" per {one.divisor} milli-GPU-us"
    where = "" if one.region == _ANYWHERE else f" in {one.region}"
    return f"{money(one.price)}{per}{where}"


VERBS: Final = (capacity,)
