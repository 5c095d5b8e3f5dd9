"""What would fit soon, with its basis: medians of what was observed, and known instants."""

from typing import Any, Final

import psycopg

from api.admission.wire import Admitted, BlockAsk, LaunchAsk
from api.edge import now_us
from api.services import Services
from contracts.http_fleet import Fit, FitSoon
from domain import soon
from domain.errors import DomainError
from domain.launch import Launch
from domain.stock import Room
from projections.operations_read import median_us

_SECOND_US: Final = 1_000_000
_MINUTE_US: Final = 60 * _SECOND_US
_NOTICE_US: Final = 60_000_000  # of a claim that names no other


def observed(conn: psycopg.Connection[Any]) -> soon.Observed:
    """How long the last stops and wipes took."""
    return soon.Observed(
        median_us(conn, "runtime.stop", "stopped"), median_us(conn, "node.sanitize", "sanitized")
    )


def fits_soon(room: Room, seen: soon.Observed, now: int) -> tuple[FitSoon, ...]:
    """Of one model, in order of time."""
    return tuple(
        FitSoon(
            devices=one.devices,
            in_about_s=_about(one.at_us - now),
            because=list(one.because),
        )
        for one in soon.soon(room.coming, room.most_devices, seen, now)
    )


def _about(us: int) -> int:
    """Seconds, of whole minutes, from ten minutes on of five: it is no more exact than that, and
    when somebody else's reservation ends is not for everybody to know.
    """
    step = _MINUTE_US if us <= 10 * _MINUTE_US else 5 * _MINUTE_US
    return max(1, -(-us // step)) * step // _SECOND_US


def fit(room: Room, soon: tuple[FitSoon, ...]) -> Fit:
    return Fit(
        model=room.model,
        devices=room.devices,
        free_devices=room.free_devices,
        most_devices=room.most_devices,
        most_milli=room.most_milli,
        soon=soon,
    )


async def asked(services: Services, ask: LaunchAsk | BlockAsk, launch: Launch) -> Admitted:
    """The admission's answer. Raises: its refusal, with what would fit soon where that is known."""
    try:
        return await services.admission.ask(ask)
    except DomainError as error:
        await _help(services, error, launch)
        raise


async def _help(services: Services, error: DomainError, launch: Launch) -> None:
    """`soon_devices` of `soon_model` in `in_about_s`, `because`: the first that is enough, else the
    most. What is lent comes back by a claim: after its notice, and as long as a stop takes.
    """
    if error.code not in {"capacity.none_fits", "quota.lent"}:
        return
    seen = await services.reads.ask(observed)
    if error.code == "quota.lent":
        enough = int(error.facts.get("claimable_milli", 0)) >= launch.gpu_milli
        if enough and seen.stop_us is not None:
            after = (_NOTICE_US + seen.stop_us) // _SECOND_US
            error.facts |= {"in_about_s": after, "because": "quota.claim"}
        return
    devices = launch.devices
    rooms, _ = await services.admission.capacity(launch.organization)
    now = now_us()
    found = [
        (one.devices < devices, one.in_about_s if one.devices >= devices else -one.devices, one,
         room.model)
        for room in rooms
        if not launch.models or room.model in launch.models
        for one in fits_soon(room, seen, now)
    ]  # fmt: skip
    if found:
        _, _, best, model = min(found, key=lambda one: one[:2])
        error.facts |= {
            "soon_devices": best.devices,
            "soon_model": model,
            "in_about_s": best.in_about_s,
            "because": " ".join(best.because),
        }
