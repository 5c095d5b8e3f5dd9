"""Groups of an organization, and service accounts: programs that act as themselves."""

from collections.abc import Callable

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Said
from api.authorization.listing import Seen, paged, seen, seen_with, single, words
from api.authorization.wishing import Wanted, organization_of, roles_of, wished
from api.body import FrontRequest
from contracts.http import Page
from contracts.http_authority import (
    AuthorityEnd,
    Ended,
    Group,
    GroupMember,
    GroupNew,
    ServiceAccount,
)
from domain.authority_commands import (
    CreateAccount,
    CreateGroup,
    DeleteAccount,
    DeleteGroup,
    JoinGroup,
    LeaveGroup,
    Wish,
)
from domain.authority_facts import AccountCreated, GroupCreated
from domain.authority_state import Authority
from evidence.ids import new_id
from evidence.private import private_value


@post("/v1/groups")
async def create_group(request: FrontRequest, data: JSONBody[GroupNew]) -> Response[Group]:
    """A group that nobody is in yet."""
    org = organization_of(request.user, data.organization)
    name, private = private_value(org, data.name)
    new = new_id("group")

    def given(group: str, version: int | None) -> Group:
        return Group(id=group, organization=org, name=data.name, members=[], version=version)

    def want(_: Authority) -> Wanted:
        return Wanted(CreateGroup(new, name), org, given(new, None), (private,))

    def answer(said: tuple[Said, ...], _: bool) -> Group:  # an Answer
        fact = said[0].fact
        assert isinstance(fact, GroupCreated), "the outcome of this route"
        return given(fact.group, said[0].version)

    return await wished(request, org, want, answer, status=201)


type _Groups = tuple[list[tuple[int, str]], Callable[[str], Group]]


async def _groups(found: Seen, request: FrontRequest, only: str | None = None) -> _Groups:
    """Those that the caller may see, in order of making; or the one of that id."""
    names = [one for one in found.state.groups if found.shows() and only in (None, one)]
    texts = {name: found.state.names[name].private for name in names}
    told = await words(request, list(texts.values()))

    def given(name: str) -> Group:
        return Group(
            id=name,
            organization=found.org,
            name=told.get(texts[name]),
            members=sorted(found.state.groups[name]),
            version=found.version,
        )

    return [(found.made[name].position, name) for name in names], given


@get("/v1/groups")
async def list_groups(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Group]:
    """With who is in them, in order of making."""
    rows, given = await _groups(await seen(request, organization, as_of), request)
    return paged(rows, (cursor, limit), given)


@get("/v1/groups/{group_id:str}")
async def show_group(
    request: FrontRequest,
    group_id: FromPath[str],
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[Group]:
    """With who is in it; its ETag is that of the organization's authority."""
    found = await seen_with(request, organization, as_of, group_id, "group")
    rows, given = await _groups(found, request, group_id)
    return single(rows, given, "group", found.version)


async def _changed(
    request: FrontRequest, named: str | None, wish: Wish, about: str
) -> Response[Ended]:
    """What a group that owns something gains or loses, only who may make owners changes; who joins
    is given what the group has, no looser than what lets the caller.
    """
    org = organization_of(request.user, named)

    def want(state: Authority) -> Wanted:
        nothing = Ended(id=about, version=None)
        gives = state.bound(about) if isinstance(wish, JoinGroup) else ()
        return Wanted(wish, org, nothing, roles=roles_of(state, about), gives=gives)

    return await wished(
        request, org, want, lambda said, _: Ended(id=about, version=said[-1].version)
    )


@post("/v1/groups/{group_id:str}/delete", status_code=200)
async def delete_group(
    request: FrontRequest, group_id: FromPath[str], data: JSONBody[AuthorityEnd]
) -> Response[Ended]:
    """Its bindings are over with it."""
    return await _changed(request, data.organization, DeleteGroup(group_id), group_id)


@post("/v1/groups/{group_id:str}/members", status_code=200)
async def add_group_member(
    request: FrontRequest, group_id: FromPath[str], data: JSONBody[GroupMember]
) -> Response[Ended]:
    """It has the group's bindings from now on."""
    return await _changed(request, data.organization, JoinGroup(group_id, data.principal), group_id)


@post("/v1/groups/{group_id:str}/members/remove", status_code=200)
async def remove_group_member(
    request: FrontRequest, group_id: FromPath[str], data: JSONBody[GroupMember]
) -> Response[Ended]:
    """It loses the group's bindings within a second."""
    wish = LeaveGroup(group_id, data.principal)
    return await _changed(request, data.organization, wish, group_id)


@post("/v1/service-accounts")
async def create_service_account(
    request: FrontRequest, data: JSONBody[GroupNew]
) -> Response[ServiceAccount]:
    """A program of the organization; it may nothing before it is bound, and enters by API keys."""
    org = organization_of(request.user, data.organization)
    name, private = private_value(org, data.name)
    new = new_id("service")

    def given(account: str, version: int | None) -> ServiceAccount:
        return ServiceAccount(id=account, organization=org, name=data.name, version=version)

    def want(_: Authority) -> Wanted:
        return Wanted(CreateAccount(new, name), org, given(new, None), (private,))

    def answer(said: tuple[Said, ...], _: bool) -> ServiceAccount:  # an Answer
        fact = said[0].fact
        assert isinstance(fact, AccountCreated), "the outcome of this route"
        return given(fact.account, said[0].version)

    return await wished(request, org, want, answer, status=201)


type _Accounts = tuple[list[tuple[int, AccountCreated]], Callable[[AccountCreated], ServiceAccount]]


async def _accounts(found: Seen, request: FrontRequest, only: str | None = None) -> _Accounts:
    """Those that the caller may see, in order of making; or the one of that id."""
    names = [one for one in found.state.accounts if found.shows() and only in (None, one)]
    made = [found.made[name] for name in names]
    rows = [(one.position, one.fact) for one in made if isinstance(one.fact, AccountCreated)]
    texts = await words(request, [fact.name.private for _, fact in rows])

    def given(fact: AccountCreated) -> ServiceAccount:
        name = texts.get(fact.name.private)
        return ServiceAccount(
            id=fact.account, organization=found.org, name=name, version=found.version
        )

    return rows, given


@get("/v1/service-accounts")
async def list_service_accounts(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[ServiceAccount]:
    """In order of making."""
    rows, given = await _accounts(await seen(request, organization, as_of), request)
    return paged(rows, (cursor, limit), given)


@get("/v1/service-accounts/{account_id:str}")
async def show_service_account(
    request: FrontRequest,
    account_id: FromPath[str],
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[ServiceAccount]:
    """Its ETag is that of the organization's authority."""
    found = await seen_with(request, organization, as_of, account_id, "service account")
    rows, given = await _accounts(found, request, account_id)
    return single(rows, given, "service account", found.version)


@post("/v1/service-accounts/{account_id:str}/delete", status_code=200)
async def delete_service_account(
    request: FrontRequest, account_id: FromPath[str], data: JSONBody[AuthorityEnd]
) -> Response[Ended]:
    """Its bindings are over with it, and its keys open nothing any more."""
    return await _changed(request, data.organization, DeleteAccount(account_id), account_id)
