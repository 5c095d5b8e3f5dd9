"""Budgets: set and clear them, list them with what is spent and forecast."""

from collections.abc import Awaitable, Callable

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said
from api.auth import unknown
from api.body import FrontRequest
from api.changing import Target, settled, target
from api.edge import instant, money, now_us, pico_of
from api.services import services_of
from api.viewing import reachable, sliced, viewed
from contracts.http import Money, Page
from contracts.http_budgets import Budget, BudgetAlert, BudgetEnd, BudgetNew
from domain import budget, project
from domain.errors import DomainError
from evidence.append import Append, Write
from projections import billing_read, budgets_read
from projections.budgets import FORECAST
from projections.reach import Reach

type _Wanting = Callable[[budget.State], Awaitable[budget.Command]]


@post("/v1/budgets")
async def set_budget(request: FrontRequest, data: JSONBody[BudgetNew]) -> Response[Budget]:
    """The same again changes nothing; a raised one lets launches in again at once."""

    def wanting(scope: Target) -> _Wanting:
        async def wanted(told: budget.State) -> budget.Command:
            opened = await _account(request, data, scope, told)
            currency: str = opened.facts[0].currency  # type: ignore[attr-defined]
            if currency != data.amount.currency:
                detail = f"it is in the account's currency, {currency}"
                raise DomainError("budget.invalid", detail, {"currency": currency})
            terms = (pico_of(data.amount), data.mode, now_us())
            return budget.Set(scope.stream, opened.stream, data.amount.currency, *terms)

        return wanted

    return await _changed(request, data.scope, wanting, 201)


@post("/v1/budgets/clear", status_code=200)
async def clear_budget(request: FrontRequest, data: JSONBody[BudgetEnd]) -> Response[Budget]:
    """Nothing counts against the scope any more; cleared twice is cleared once."""

    def wanting(scope: Target) -> _Wanting:
        async def wanted(_: budget.State) -> budget.Command:
            return budget.Clear(scope.stream, now_us())

        return wanted

    return await _changed(request, data.scope, wanting, 200)


async def _changed(
    request: FrontRequest, named: str, wanting: Callable[[Target], _Wanting], status: int
) -> Response[Budget]:
    """What the scope's budget is now; appended at the version of all budgets it was decided on."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        scope = await target(services, request.user, named, named.partition("-")[0])
        wanted, stream = wanting(scope), budget.budget_stream(scope.org)

        async def attempt() -> Done:
            recorded = await services.log.read_stream(stream)
            told = budget.DECIDER.initial
            for one in recorded:
                assert isinstance(one.fact, budget.Event.__value__), "a stream has its own facts"
                told = budget.evolve(told, one.fact)
            facts = tuple(budget.decide(await wanted(told), told))
            if not facts:
                return Done(nothing=_given(scope.org, named, told.of.get(named)))
            writes = (Write(stream, scope.org, len(recorded), facts),)
            append = Append(writes, request.user.actor, cause)
            return Done(await services.log.append(append), writes)

        return await settled(services, stream, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Budget:
        fact = said[0].fact
        assert isinstance(fact, budget.BudgetSet | budget.Cleared), "the outcome of these routes"
        one = budget.Budget(fact) if isinstance(fact, budget.BudgetSet) else None
        return _given(said[0].org, fact.scope, one)

    return await services.acting.perform(request, do, answer, status)


async def _account(
    request: FrontRequest, data: BudgetNew, scope: Target, told: budget.State
) -> Target:
    """The billing account that the budget is to count.

    Raises: DomainError `resource.unknown`, `budget.account_needed`.
    """
    services = services_of(request)
    before = told.of.get(data.scope)
    last = project.place_of(scope.facts)
    name = data.account
    if name is None and before is not None:
        name = before.set.account
    elif name is None and last is not None:
        name = last.account
    elif name is None:
        await services.fresh(request)
        found = await services.reads.ask(billing_read.accounts, organization=scope.org)
        if len(found) != 1:
            raise DomainError("budget.account_needed", f"it has {len(found)} accounts")
        name = found[0].account
    opened = await target(services, request.user, name, "account")
    if opened.org != scope.org:
        raise unknown("account")
    return opened


@get("/v1/budgets")
async def list_budgets(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Budget]:
    """By scope. What is spent and forecast is always as the worker saw it last."""
    mine = await reachable(request, organization)
    return sliced(await _listed(request, mine, None, as_of), ("scope",), (cursor, limit))


@get("/v1/budgets/{scope_id:str}")
async def show_budget(
    request: FrontRequest, scope_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Budget:
    found = await _listed(request, await reachable(request), scope_id, as_of)
    if not found:
        raise DomainError("budget.unknown", "no budget is set there")
    return found[0]


async def _listed(
    request: FrontRequest, organization: Reach, scope: str | None, as_of: str | None
) -> list[Budget]:
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(budgets_read.budgets, organization, scope, position)
    told = await services.reads.ask(budgets_read.alerts, organization, scope, position)
    return [_shown(row, [one for one in told if one.scope == row.scope]) for row in rows]


def _shown(row: budgets_read.Budget, told: list[budgets_read.Alert]) -> Budget:
    def paid(pico: int | None) -> Money | None:
        return None if pico is None else money(pico, row.currency)

    latest = max((one.until_us for one in told), default=0)
    current = latest if row.until_us is None else row.until_us
    return Budget(
        organization=row.organization,
        scope=row.scope,
        account=row.account,
        amount=money(row.amount_pico, row.currency),
        mode=row.mode,
        spent=paid(row.spent_pico),
        forecast=paid(row.forecast_pico),
        period_end=None if row.until_us is None else instant(row.until_us),
        seen_at=None if row.seen_us is None else instant(row.seen_us),
        alerts=[
            BudgetAlert(
                what=one.what,
                amount=money(one.amount_pico, row.currency),
                at=instant(one.decided_us),
            )
            for one in told
            if one.until_us == current and _holds(one, row.amount_pico)
        ],
    )


def _holds(one: budgets_read.Alert, amount_pico: int) -> bool:
    """Whether it was told of this amount, or is so of it all the same."""
    if one.what == FORECAST:
        return one.amount_pico > amount_pico
    return 100 * one.amount_pico >= int(one.what) * amount_pico


def _given(org: str, scope: str, one: budget.Budget | None) -> Budget:
    """As a change leaves it; None: cleared."""
    return Budget(
        organization=org,
        scope=scope,
        account=None if one is None else one.set.account,
        amount=None if one is None else money(one.set.amount_pico, one.set.currency),
        mode=None if one is None else one.set.mode,
        spent=None,
        forecast=None,
        period_end=None,
        seen_at=None,
        alerts=[],
    )
