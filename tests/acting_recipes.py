"""Requests that act, each time on something new; `acting_calls.py` says which route has which."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from api.edge import instant
from api.factors.codes import STEP_US, code_at
from tests.acting_world import MEMBER, World, now_us, usd

DAY_US = 86_400_000_000


class Call(Struct, frozen=True):
    """`token` empty: an operator's. `version`: what If-Match must name, where it must."""

    path: str
    body: Any = None
    token: str = ""
    version: int = 0


type Recipe = Callable[[World], Awaitable[Call]]


def made_new(path: str, body: Callable[[World], Any]) -> Recipe:
    """A request that needs nothing but what every world has."""

    async def recipe(w: World) -> Call:
        return Call(path, body(w))

    return recipe


def on(kind: str, verb: str, body: Any = None) -> Recipe:
    """A verb on a thing that is new each time."""
    plural = {"usable": "runtime", "abandoned": "volume"}.get(kind, kind) + "s"

    async def recipe(w: World) -> Call:
        made = await getattr(w, f"make_{kind}")()
        return Call(f"/v1/{plural}/{made}/{verb}", body(w) if callable(body) else body)

    return recipe


def after(first: Recipe, path: str, body: Callable[[World], Any] | None = None) -> Recipe:
    """On what another request makes: `{}` is its id."""

    async def recipe(w: World) -> Call:
        one = await first(w)
        made = await w.made(one.path, one.body, one.token or None)
        name = str(made.get("id") or made.get("grant"))
        return Call(path.format(name), None if body is None else body(w), one.token)

    return recipe


def then(first: Recipe, verb: str, body: Callable[[World], Any] | None = None) -> Recipe:
    """The verb beside the first one, on the same thing."""

    async def recipe(w: World) -> Call:
        one = await first(w)
        await w.made(one.path, one.body, one.token or None)
        path = f"{one.path.rpartition('/')[0]}/{verb}"
        return Call(path, None if body is None else body(w), one.token)

    return recipe


def member(first: Recipe) -> Recipe:
    """As the organization's member asks it."""

    async def recipe(w: World) -> Call:
        one = await first(w)
        return Call(one.path, one.body, w.token(MEMBER))

    return recipe


def why(_: World) -> dict[str, str]:
    return {"reason": "asked"}


def of_org(w: World, **more: Any) -> dict[str, Any]:
    return {"organization": w.org, **more}


def of_project(w: World, **more: Any) -> dict[str, Any]:
    return {"project": w.project, **more}


def ended(w: World) -> dict[str, str]:
    return of_org(w, reason="asked")


def renamed(w: World) -> dict[str, str]:
    return {"name": f"R{w.number()}"}


def soon(us: int = DAY_US) -> str:
    return instant(now_us() + us)


def entry(w: World) -> dict[str, Any]:
    """The price of a model that nothing else has."""
    return {"model": f"M{w.number()}", "effective_from": soon()}


def tiered(w: World) -> dict[str, Any]:
    return entry(w) | {"currency": "USD", "tiers": [{"price": "1.000000000000"}]}


async def given_back(w: World, verb: str) -> Call:
    account, payment = await w.make_grant()
    body = {"payment": payment, "reference": f"back-{w.number()}"}
    return Call(f"/v1/accounts/{account}/{verb}", body)


async def own_key(w: World) -> Call:
    return Call("/v1/api-keys", {"name": f"k{w.number()}"}, w.token("user"))


async def enrolling(w: World) -> Call:
    return Call("/v1/mfa/totp", {}, w.token("user", f"user-f{w.number()}"))


async def confirming(w: World) -> Call:
    """By the code of half a minute from now, which is taken from now on for a minute."""
    one = await enrolling(w)
    secret = base64.b32decode((await w.made(one.path, one.body, one.token))["secret"])
    code = code_at(secret, now_us() // STEP_US + 1)
    return Call("/v1/mfa/totp/confirm", {"code": code}, one.token)


def by_recovery_code(verb: str) -> Recipe:
    """Of somebody who has a second factor: a code that does not end by itself."""

    async def recipe(w: World) -> Call:
        one = await confirming(w)
        made = await w.made(one.path, one.body, one.token)
        return Call(f"/v1/mfa/{verb}", {"code": made["recovery_codes"][0]}, one.token)

    return recipe


async def requiring_sso(w: World) -> Call:
    """Of another organization, whose people nobody else of this world is."""
    org = await w.make_organization()
    boss = {"principal": f"user-s{w.number()}"}
    await w.made("/v1/members", {**boss, "organization": org})
    await w.made("/v1/role-bindings", {**boss, "role": "owner", "scope": org})
    at = await w.new("/v1/issuers", {**w.issuer(), "organization": org})
    body = {"issuer": at, "exempt": [boss["principal"]], "organization": org}
    return Call("/v1/sso", body)


async def lifting_sso(w: World) -> Call:
    one = await requiring_sso(w)
    await w.made(one.path, one.body)
    return Call("/v1/sso/lift", {"organization": one.body["organization"]})


def public_key() -> str:
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


async def accepted(w: World) -> Call:
    email = f"a{w.number()}@example.org"
    body = of_org(w, email=email, role="viewer")
    invited = await w.made("/v1/invitations", body)
    token = w.token("user", f"user-new{w.number()}")
    secret = of_org(w, secret=invited["secret"])
    return Call(f"/v1/invitations/{invited['id']}/accept", secret, token)


async def removed_member(w: World) -> Call:
    name = f"user-m{w.number()}"
    await w.made("/v1/members", of_org(w, principal=name))
    return Call(f"/v1/members/{name}/remove", ended(w))


async def in_group(w: World) -> Call:
    name = f"user-m{w.number()}"
    await w.made("/v1/members", of_org(w, principal=name))
    one = await GROUP(w)
    group = await w.new(one.path, one.body)
    return Call(f"/v1/groups/{group}/members", of_org(w, principal=name))


async def out_of_group(w: World) -> Call:
    one = await in_group(w)
    await w.made(one.path, one.body)
    return Call(f"{one.path}/remove", one.body)


async def guarded(w: World) -> Call:
    scope = await w.make_project()
    return Call("/v1/guardrails", {"scope": scope, "actions": ["volume.delete"]})


async def bound(w: World) -> Call:
    name = f"user-m{w.number()}"
    await w.made("/v1/members", of_org(w, principal=name))
    return Call("/v1/role-bindings", {"principal": name, "role": "viewer", "scope": w.org})


async def budgeted(w: World) -> Call:
    scope = await w.make_project()
    return Call("/v1/budgets", {"scope": scope, "amount": usd(1000)})


async def cleared(w: World) -> Call:
    one = await budgeted(w)
    await w.made(one.path, one.body)
    return Call("/v1/budgets/clear", {"scope": one.body["scope"]})


async def shared(w: World) -> Call:
    _, project = await w.make_shared()
    return Call("/v1/quotas/shares", w.share(project, 500))


async def claimed(w: World) -> Call:
    _, project = await w.make_shared()
    body = {"scope": project, "model": "T4", "gpu_milli": 500, "notice_s": 60, "hold_s": 600}
    return Call("/v1/quotas/claims", body)


async def unclaimed(w: World) -> Call:
    one = await claimed(w)
    await w.made(one.path, one.body)
    body = {"scope": one.body["scope"], "model": "T4", "reason": "asked"}
    return Call("/v1/quotas/claims/end", body)


async def limited(w: World) -> Call:
    scope = await w.make_project()
    return Call("/v1/quotas", {"scope": scope, "model": "T4", "limit_milli": 4000})


async def stored(w: World) -> Call:
    return Call("/v1/storage-quotas", {"scope": await w.make_project(), "limit_mib": 640})


async def moved(w: World) -> Call:
    department = await w.new("/v1/departments", of_org(w, name=f"D{w.number()}"))
    path = f"/v1/projects/{await w.make_project()}/move"
    return Call(path, {"department": department})


async def attributed(w: World) -> Call:
    one = await CENTRE(w)
    path = f"/v1/projects/{await w.make_project()}/attribution"
    return Call(path, {"cost_centre": await w.new(one.path, one.body)})


async def restored(w: World) -> Call:
    made, snapshot = await w.make_snapshot()
    return Call(f"/v1/volumes/{made}/restore", {"snapshot": snapshot})


async def session_ended(w: World) -> Call:
    return Call(f"/v1/sessions/{await w.make_session()}/end", why(w))


async def linking(w: World) -> Call:
    _, own = await w.signed_in(f"user-p{w.number()}")
    _, other = await w.signed_in(f"user-i{w.number()}")
    return Call("/v1/identities", {"session": other}, own)


async def period_closed(w: World) -> Call:
    period, version = await w.make_period()
    return Call(f"/v1/periods/{period}/close", version=version)


async def asking_in(w: World) -> Call:
    body = {"scope": await w.make_project(), "reason": "It hangs.", "ticket": "T-1"}
    return Call("/v1/break-glass", body, await w.staff("first"))


def entering(verb: str, body: Any = None, *, approved: bool = False) -> Recipe:
    """On what one of the staff asked for, by another."""

    async def recipe(w: World) -> Call:
        one, second = await asking_in(w), await w.staff("second")
        path = f"/v1/break-glass/{await w.new(one.path, one.body, one.token)}"
        if approved:
            await w.made(f"{path}/approve", None, second)
        return Call(f"{path}/{verb}", body, second)

    return recipe


def on_account(verb: str, body: Callable[[World], Any]) -> Recipe:
    """On the account of the tenant."""

    async def recipe(w: World) -> Call:
        return Call(f"/v1/accounts/{w.account}/{verb}", body(w))

    return recipe


def on_invoice(verb: str, body: Any, *, over_paid: bool = False) -> Recipe:
    async def recipe(w: World) -> Call:
        return Call(f"/v1/invoices/{w.over_paid if over_paid else w.invoice}/{verb}", body)

    return recipe


def rerated(w: World) -> dict[str, str]:
    start = now_us() - 10 * DAY_US + w.number()
    return {"book": "spring", "start": instant(start), "end": instant(start + DAY_US)}


def committed(w: World) -> dict[str, str]:
    times = {"start": soon(DAY_US), "end": soon(40 * DAY_US)}
    return {"model": "T4", "price": "1.000000000000", "quantity": str(w.number()), **times}


def taxed(w: World) -> dict[str, str]:
    of = {"seller": w.seller, "country": "DE", "treatment": "standard"}
    return {"name": f"Kunde {w.number()}", **of}


def rated(w: World) -> dict[str, Any]:
    name = f"t{w.number()}"
    return {"treatment": name, "country": "DE", "category": "S", "rate_bp": 700}


def seller(w: World) -> dict[str, Any]:
    return {"name": "S", "vat_id": "DE123456789", "country": "DE", "prefix": f"P{w.number()}"}


async def priced_rate(w: World) -> Call:
    return Call(f"/v1/sellers/{w.seller}/rates", rated(w))


async def booked(w: World) -> Call:
    return Call(f"/v1/price-books/b{w.number()}", {"entries": [tiered(w)]})


ACCOUNT = made_new("/v1/accounts", lambda w: of_org(w, currency="USD", zone="UTC"))
RUNTIME = made_new("/v1/runtimes", lambda w: of_project(w, name="r", gpu_milli=100))
CENTRE = made_new(
    "/v1/cost-centres", lambda w: {"department": w.department, "name": f"C{w.number()}"}
)
DEPARTMENT = made_new("/v1/departments", lambda w: of_org(w, name=f"D{w.number()}"))
TENANT = made_new("/v1/organizations", lambda w: {"name": f"O{w.number()}"})
GROUP = made_new("/v1/groups", lambda w: of_org(w, name=f"g{w.number()}"))
SERVICE = made_new("/v1/service-accounts", lambda w: of_org(w, name=f"s{w.number()}"))
MEMBERS = made_new("/v1/members", lambda w: of_org(w, principal=f"user-m{w.number()}"))
INVITATION = made_new(
    "/v1/invitations", lambda w: of_org(w, email=f"b{w.number()}@example.org", role="viewer")
)
ISSUER = made_new("/v1/issuers", lambda w: w.issuer())
NETWORK = made_new("/v1/networks", lambda w: of_project(w, name="n", egress=[]))
SOURCE = made_new(
    "/v1/sources", lambda w: of_project(w, key=f"{w.number():064x}", meters=["app.words"])
)
INCIDENT = made_new("/v1/incidents", lambda _: {"title": "t"})
WEBHOOK = made_new("/v1/webhooks", lambda w: of_org(w, url=f"https://8.8.8.8/{w.number()}"))
ASIDE = made_new("/v1/suspense", lambda w: {"line": f"line-{w.number()}", "amount": usd(1)})
RESERVATION = made_new(
    "/v1/reservations", lambda w: of_project(w, model="T4", devices=1, until=soon())
)
SSH = on("runtime", "ssh-certificates", lambda _: {"public_key": public_key()})
TERMINAL = on("usable", "terminals")
CORDON, DRAIN = on("node", "cordon"), on("node", "drain", {"reason": "fan"})
QUARANTINE = on("node", "quarantine", {"reason": "xid", "devices": [0]})
SUSPEND_ACCOUNT = on("account", "suspend", {"reason": "asked"})
SUSPEND = on("organization", "suspend", {"reason": "asked"})
CLOSE = on("organization", "close", {"reason": "asked"})
