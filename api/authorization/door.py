"""Where every request is decided: who calls, which action the route is, where the thing lies."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from msgspec.structs import replace

from api.authorization.caller import Caller
from api.authorization.cedar import PLATFORM, Call, Place, Policies, Verdict
from api.authorization.factors_removed import FactorsRemoved
from contracts.authorization.registry import ACTIONS, DESK, FOUNDING
from domain.binding import Binding, Guardrail
from domain.errors import DomainError
from projections.reach import Reach

_NOWHERE: Final = Verdict(allowed=False, policies=())
_SETS: Final = 10_000
_FOR_EVER: Final = 1 << 62
_REMEMBERED: Final = 256  # decisions of one principal
EACH: Final = "organization-00000000-0000-7000-8000-000000000000"  # one that has no bindings
_KEY: Final = "key.scopes"  # the policy of policies.cedar that keeps keys to their scopes
SSO: Final = "sso.required"  # the one that keeps people to the issuer that is required
_TOKEN_ROLES: Final = {"platform-operator": "operator"}


# Of what version, from when, until when, and what.
type _Known[T] = dict[tuple[Any, ...], tuple[int, int, int, T]]
type _Of = tuple[tuple[Binding, ...], tuple[Guardrail, ...], tuple[str, ...]]


class Tenants(Protocol):
    """What organizations have decided; kept up to date in memory. Not concurrent: one loop asks."""

    factors: FactorsRemoved

    def version(self, org: str) -> int:
        """Another number once anything below changed."""

    def bindings(self, org: str, actor: str) -> tuple[Binding, ...]:
        """Of the principal and of the groups it is in, as one of the organization's own."""

    def glass(self, org: str, actor: str) -> tuple[Binding, ...]:
        """What grants of break-glass give to one of the staff there."""

    def staff(self, actor: str) -> tuple[Binding, ...]:
        """What the principal, and its groups, are bound to at the platform."""

    def entered(self, actor: str) -> tuple[Place, ...]:
        """Where grants of break-glass of the principal are for."""

    def owned(self, org: str) -> bool:
        """Somebody besides the platform's staff has, or ever had, a say in the organization."""

    def groups(self, org: str, actor: str) -> tuple[str, ...]: ...

    def guardrails(self, org: str) -> tuple[Guardrail, ...]: ...

    def elsewhere(self, org: str, actor: str, session: str) -> str:
        """The issuer that the organization requires, if that is not where the actor signed in."""

    def place(self, scope: str, org: str, resource: str = "") -> Place:
        """The resource or else the scope, and what it lies in, up to the platform."""

    def resources(self, org: str) -> Mapping[str, str]:
        """Those that are scopes of bindings or guardrails, with their projects."""

    def below(self, scope: str) -> Iterable[str]:
        """What lies directly in the organization or the department."""


class Door:
    """Owned by one event loop. `clock_us` says now. `used` is told what staff was let to do."""

    used: Callable[[Caller, str, Place, Verdict], None] | None = None

    def __init__(
        self,
        tenants: Tenants,
        clock_us: Callable[[], int],
        *,
        remembering: int = _REMEMBERED,
        mfa_demanded: bool = False,
        login_age_s: int = 0,
    ) -> None:
        self.tenants = tenants
        self.mfa_demanded = mfa_demanded
        self.login_age_s = login_age_s  # of administrative actions; 0: any session's
        self._remembering = remembering
        self._clock_us = clock_us
        self._reaches: _Known[Reach] = {}
        self._firsts: _Known[Place] = {}
        self._sets: dict[tuple[str, str, str, str, bool], tuple[int, _Of, Policies]] = {}

    def policies(self, caller: Caller, org: str, *, inside: bool = False) -> Policies:
        """All that is decided with when the caller acts in that organization.

        `inside`: the caller has entered, so conditions of an entrance (a second factor, networks)
        are taken as met.
        """
        key = (caller.actor, caller.role, caller.org, org, inside)
        version = self.tenants.version(org)
        if caller.org == PLATFORM:
            version = max(version, self.tenants.version(PLATFORM))
        found = self._sets.get(key)
        if found is not None and found[0] == version:
            return found[2]
        if len(self._sets) >= _SETS:
            self._sets.clear()
        of = self._of(caller, org, inside=inside)
        # Most of what an organization decides is of somebody else, and changes nothing here.
        if found is not None and found[1] == of:
            made = found[2]
        else:
            made = Policies(*of, remembering=self._remembering)
        self._sets[key] = (version, of, made)
        return made

    def _of(self, caller: Caller, org: str, *, inside: bool) -> _Of:
        tenants, actor, own = self.tenants, caller.actor, caller.org != PLATFORM
        rights = tenants.bindings(org, actor) if own else self._as_staff(org, actor)
        bindings, guardrails = (*implied(caller), *rights), tenants.guardrails(org)
        if inside:
            bindings = tuple(replace(one, mfa=False, networks=()) for one in bindings)
            guardrails = tuple(one for one in guardrails if one.flat)
        return bindings, guardrails, tenants.groups(org if own else PLATFORM, actor)

    def _as_staff(self, org: str, actor: str) -> tuple[Binding, ...]:
        """At the platform, and by grants; never what a tenant bound the same person to."""
        glass = self.tenants.glass(org, actor) if org != PLATFORM else ()
        if self.mfa_demanded:
            glass = tuple(replace(one, mfa=True) for one in glass)
        return (*glass, *self.tenants.staff(actor))

    def decide(self, caller: Caller, action: str, place: Place) -> Verdict:
        """May the caller do the action at the place; in another organization never."""
        verdict = self._decided(caller, action, place)
        if caller.let is not None and verdict.allowed:
            key = (action, _org_of(place))
            if caller.let.setdefault(key, (place, verdict.policies))[0] == place:
                caller.let[key] = (place, verdict.policies)
        staff = caller.org == PLATFORM and not caller.role
        if staff and verdict.allowed and len(place) > 1 and self.used is not None:
            self.used(caller, action, place, verdict)
        return verdict

    def _decided(self, caller: Caller, action: str, place: Place) -> Verdict:
        org = _org_of(place)
        if caller.org not in (PLATFORM, org):
            return _NOWHERE
        policies = self.policies(caller, org)
        call = self.call(caller, action, org)
        return policies.decide(caller.actor, action, place, call, self._clock_us())

    def call(self, caller: Caller, action: str, org: str) -> Call:
        """What conditions look at, of the caller in the organization."""
        platform, owned = caller.org == PLATFORM, True
        if platform and not caller.role and org != PLATFORM:
            # Staff acts as the platform at its desk; else by a grant, which guardrails bind.
            owned = self.tenants.owned(org)
            platform = action in DESK or (action in FOUNDING and not owned)
        return Call(
            *(self.tenants.factors.second(caller), caller.source, platform, caller.scopes),
            mfa_demanded=self.mfa_demanded,
            elsewhere=bool(self.elsewhere(caller)),
            owned=owned,
            requester=caller.requester,
            stale=self._stale(caller),
        )

    def _stale(self, caller: Caller) -> bool:
        """It signed in too long ago for what is administrative; a key signs in nowhere."""
        age_us = self.login_age_s * 1_000_000
        return bool(age_us) and not caller.key and self._clock_us() > caller.signed_us + age_us

    def elsewhere(self, caller: Caller) -> str:
        """The issuer at which the caller must sign in to do anything; empty where it may so."""
        return self.tenants.elsewhere(caller.org, caller.actor, caller.session)

    def sees(self, caller: Caller, place: Place) -> bool:
        """Whether the caller has any authority at the place: to others it does not exist."""
        org, now_us = _org_of(place), self._clock_us()
        if caller.org not in (PLATFORM, org):
            return False
        return any(
            one.scope in place and one.stands(now_us) for one in self.policies(caller, org).bindings
        )

    def somewhere(self, caller: Caller, action: str) -> Place:
        """A place where the caller may do the action. Raises: DomainError auth.forbidden."""
        if ACTIONS[action].level == "anyone":
            return self._anyones(caller, action)
        if caller.org == PLATFORM:
            return self._first(caller, action)
        return self._while_so(
            *(self._firsts, caller, action, caller.org), lambda: self._first(caller, action)
        )

    def _first(self, caller: Caller, action: str) -> Place:
        places = self._places(caller, action)
        for place in places:
            if self._decided(caller, action, place).allowed:
                return place
        raise self.refusal(caller, action, self._nearest(caller, action, places))

    def _nearest(self, caller: Caller, action: str, places: list[Place]) -> Place:
        """Where nothing but a sign-in is missing; else the first, but staff in a tenant
        by break-glass is told what forbids it there.
        """
        lacking = [one for one in places if self._lacks(caller, action, one)]
        if lacking or caller.org == PLATFORM:
            return lacking[0] if lacking else places[-1]
        # What a guardrail forbids is said of there, rather than that nothing gives it elsewhere.
        named = (one for one in places if self._decided(caller, action, one).policies)
        return next(named, places[0])

    def _lacks(self, caller: Caller, action: str, place: Place) -> str:
        """How the same call would be refused if that is all that it lacks: a recent sign-in, or one
        with a second factor; empty where it lacks more.
        """
        anew = replace(caller, signed_us=_FOR_EVER)
        if self.login_age_s and self._decided(anew, action, place).allowed:
            return "auth.login_stale"
        stronger = self._decided(replace(anew, mfa=True), action, place).allowed
        return "auth.mfa_required" if stronger and not self.tenants.factors.second(caller) else ""

    def _anyones(self, caller: Caller, action: str) -> Place:
        """Nobody needs a binding; an API key does what its scopes name all the same, and who must
        sign in elsewhere does nothing.
        """
        place = self.tenants.place(caller.org, caller.org)
        if self.elsewhere(caller):
            raise self.refusal(caller, action, place)
        if caller.scopes is not None and _KEY in self._decided(caller, action, place).policies:
            raise _refused(action, place, (_KEY,))
        return (PLATFORM,)

    def reach(self, caller: Caller, action: str, org: str) -> Reach:
        """Where in the organization the caller may do the action: as `decide` says of each scope.

        A decision changes only where a binding or a guardrail begins; in between it is inherited.
        """
        found = self._while_so(
            *(self._reaches, caller, action, org), lambda: self._reached(caller, action, org)
        )
        return self._told(found, caller, action)

    def _while_so[T](
        self,
        known: _Known[T],
        caller: Caller,
        action: str,
        org: str,
        make: Callable[[], T],
    ) -> T:
        """What was made of the caller, as it calls, and the action in the organization: until
        anything changes there or at the platform, or a binding of the caller's ends.
        """
        policies = self.policies(caller, org)
        call = policies.seen(self.call(caller, action, org))
        key = (caller.actor, caller.role, caller.org, action, org, call)
        version = max(self.tenants.version(org), self.tenants.version(PLATFORM))
        now_us, found = self._clock_us(), known.get(key)
        if found is None or found[0] != version or not found[1] <= now_us < found[2]:
            ends = [one.until_us for one in policies.bindings if one.until_us > now_us]
            found = (version, now_us, min(ends, default=_FOR_EVER), make())
            if len(known) >= _SETS:
                known.clear()
            known[key] = found
        return found[3]

    def _reached(self, caller: Caller, action: str, org: str) -> Reach:
        policies = self.policies(caller, org)
        whole = self._at(caller, action, org, org)
        marks = {one.scope for one in policies.bindings}
        marks |= {one.scope for one in policies.guardrails}
        if marks <= {org, PLATFORM}:
            return Reach(org, everywhere=whole)
        found = {org: whole}
        for department in self.tenants.below(org):
            above = found[org]
            if department in marks:
                above = self._at(caller, action, department, org)
            found[department] = above
            for project in self.tenants.below(department):
                found[project] = above
                if project in marks:
                    found[project] = self._at(caller, action, project, org)
        scopes, but = {name for name, may in found.items() if may}, set[str]()
        for resource, project in self.tenants.resources(org).items():
            above = found.get(project, whole)
            if resource in marks and self._at(caller, action, resource, org) != above:
                (but if above else scopes).add(resource)
        everywhere = all(found.values())
        within = frozenset() if everywhere else frozenset(scopes)
        return Reach(org, everywhere, within, frozenset(but))

    def _told(self, reach: Reach, caller: Caller, action: str) -> Reach:
        """What staff was let to see of a tenant is told, once for all of a list."""
        org, some = str(reach.organization), sorted(reach.scopes)
        if caller.org == PLATFORM and not caller.role and (reach.everywhere or some):
            scope = org if reach.everywhere else some[0]
            self.decide(caller, action, self.tenants.place(scope, org))
        return reach

    def _at(self, caller: Caller, action: str, scope: str, org: str) -> bool:
        return self._decided(caller, action, self.tenants.place(scope, org)).allowed

    def stands(self, caller: Caller) -> bool:
        """Whether the caller would still be let in to its route."""
        return any(
            self._decided(caller, caller.action, place).allowed
            for place in self._places(caller, caller.action)
        )

    def _places(self, caller: Caller, action: str) -> list[Place]:
        """Where it may be that the caller may: at the scopes of its bindings."""
        if ACTIONS[action].level == "platform":
            return [(PLATFORM,)]
        if caller.org == PLATFORM:
            return [(PLATFORM,), *self.tenants.entered(caller.actor)]
        bound = self.policies(caller, caller.org).bindings
        scopes = dict.fromkeys((caller.org, *(one.scope for one in bound)))
        return [self.tenants.place(scope, caller.org) for scope in scopes]

    def stronger(self, caller: Caller, action: str, org: str) -> DomainError:
        """That a second factor is asked for, by something else than a policy."""
        return self._anew("auth.mfa_required", caller, (action, self.tenants.place(org, org)), ())

    def everywhere(self, caller: Caller, action: str) -> bool:
        """Whether the caller may do it in each organization, those to come too."""
        return bool(caller.role) or self._decided(caller, action, (EACH, PLATFORM)).allowed

    def refusal(self, caller: Caller, action: str, place: Place) -> DomainError:
        """Which action, scope and policy said no; and whether a sign-in is all that lacks."""
        policies, issuer = self._decided(caller, action, place).policies, self.elsewhere(caller)
        if issuer:
            return DomainError(
                "auth.sso_required",
                "the organization requires that people sign in at its issuer",
                {"action": action, "scope": place[0], "policy": SSO, "issuer": issuer},
            )
        code = self._lacks(caller, action, place)
        if code:
            return self._anew(code, caller, (action, place), policies)
        return _refused(action, place, policies)

    def _anew(
        self, code: str, caller: Caller, asked: tuple[str, Place], policies: tuple[str, ...]
    ) -> DomainError:
        """What to sign in with (RFC 9470): which context, no longer ago than when."""
        action, place = asked
        facts: dict[str, int | str] = {
            "action": action, "scope": place[0], "policy": ",".join(policies),
        }  # fmt: skip
        if self.login_age_s and not caller.key:
            facts["max_age"] = self.login_age_s
        if code == "auth.login_stale":
            how = f"asks for a sign-in within {self.login_age_s} s: sign in again"
            return DomainError(code, f"{action} at {place[0]} {how}", facts)
        if caller.step_up:
            facts["acr_values"] = caller.step_up
        how = "a key brings one only if it was made with one" if caller.key else "sign in with one"
        detail = f"{action} at {place[0]} asks for a second factor: {how}"
        return DomainError(code, detail, facts)


def _org_of(place: Place) -> str:
    return place[-2] if len(place) > 1 else PLATFORM


def _refused(action: str, place: Place, policies: tuple[str, ...]) -> DomainError:
    why = f"{', '.join(policies)} forbids it" if policies else "no binding of yours allows it"
    scope = place[0]
    if scope == EACH:  # nobody knows that id
        scope, why = PLATFORM, f"{why} in every organization: name one that you may enter"
    return DomainError(
        "auth.forbidden",
        f"{action} at {scope}: {why}",
        {"action": action, "scope": scope, "policy": ",".join(policies)},
    )


def implied(caller: Caller) -> tuple[Binding, ...]:
    """The binding that the token itself is."""
    if not caller.role:
        return ()
    role = _TOKEN_ROLES.get(caller.role, caller.role)
    return (Binding(f"token:{role}", caller.actor, role, caller.org),)
