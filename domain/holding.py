"""The hold that an admission of a prepaid account places with it (MONEY.md section 5)."""

from collections.abc import Iterable

from msgspec import Struct

from domain import cover, runtime, wallet
from domain.admission import AdmissionState
from domain.errors import DomainError
from domain.project import Created as Project
from domain.purses import wallet_stream
from domain.tariff import REGION, Scope, gpu_scope, reserved_scope


def short(
    state: AdmissionState,
    project: Project,
    model: str,
    milli: int,
    now_us: int,
    *,
    spot: bool = False,
    region: str = REGION,
) -> DomainError | None:
    """Why its wallet does not cover the first lease of such a runtime, if so: what is there and
    what is needed in its facts.
    """
    if not state.purses.is_prepaid(project.account):
        return None
    scope = gpu_scope(model, state.accounts[project.account].currency, spot=spot, region=region)
    needed = _needed(state, project, (scope, milli), now_us)
    return wallet.lacking(state.purses.wallet(project.account), needed, now_us)


def check_reserved(
    state: AdmissionState, project: Project, model: str, milli: int, now_us: int, asked: str = ""
) -> None:
    """Nothing when the account can pay for the first lease of what it would keep from others, in
    the region asked for, or in some region.

    Raises: DomainError as `short`. What nothing prices cannot be launched, and keeps nothing.
    """
    currency = state.accounts[project.account].currency
    errors = [
        short(state, project, model, milli, now_us, region=region)
        for region in state.stock.regions(model)
        if asked in {"", region}
        if state.tariff.is_listed(
            project.account, gpu_scope(model, currency, region=region), now_us
        )
    ]
    if errors and errors[0] is not None and all(errors):
        raise errors[0]


def costs_idle(
    state: AdmissionState, project: Project, model: str, nodes: Iterable[str], until_us: int
) -> bool:
    """Whether devices of the model that are reserved there until then cost before that, if idle."""
    region = state.stock.region_of(nodes)
    scope = reserved_scope(model, state.accounts[project.account].currency, region)
    # What the list prices once it prices ever after.
    return state.tariff.is_listed(project.account, scope, until_us - 1)


def placed(
    state: AdmissionState,
    project: Project,
    stream: str,
    allocated: runtime.Allocated,
    milli: int,
    *,
    spot: bool,
) -> tuple[tuple[str, tuple[Struct, ...]], ...]:
    """The hold that goes with an admission; none for an account that pays afterwards.

    Raises: DomainError as `short`.
    """
    if not state.purses.is_prepaid(project.account):
        return ()
    now = allocated.allocated_us
    currency, region = state.accounts[project.account].currency, state.stock.region(allocated.node)
    scope = gpu_scope(allocated.model, currency, spot=spot, region=region)
    needed = _needed(state, project, (scope, milli), now)
    command = wallet.Place(stream, needed, now, _covered(state, now), now)
    facts = tuple(wallet.place(state.purses.wallet(project.account), command))
    return ((wallet_stream(project.account), facts),)


def reads(state: AdmissionState, project_id: str) -> tuple[str, ...]:
    """Streams that a launch of the project must not be older than: its account's terms, and the
    prices that its hold is rated by.
    """
    project = state.projects.get(project_id)
    if project is None:
        return ()
    books = sorted(state.purses.books) if state.purses.is_prepaid(project.account) else ()
    return (project.account, *books)


def _covered(state: AdmissionState, now_us: int) -> int:
    """Until when the hold of a first lease lasts."""
    return state.leasing.hold_end(now_us + state.leasing.lease_us)


def _needed(state: AdmissionState, project: Project, of: tuple[Scope, int], now_us: int) -> int:
    """For so long as its first lease, of (scope, milli)."""
    until_us = _covered(state, now_us)
    starts = state.purses.starts(project.account)
    return cover.first(state.tariff, (project.account, *of), now_us, until_us, starts)
