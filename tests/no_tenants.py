"""Tenants that have decided nothing: only what tokens say counts."""

from api.authorization.cedar import PLATFORM, Place
from api.authorization.factors_removed import FactorsRemoved
from domain.binding import Binding, Guardrail


class NoTenants:
    """A directory of nobody, where tests put what they need."""

    factors = FactorsRemoved()

    def version(self, _org: str) -> int:
        return 0

    def bindings(self, _org: str, _actor: str) -> tuple[Binding, ...]:
        return ()

    def glass(self, _org: str, _actor: str) -> tuple[Binding, ...]:
        return ()

    def staff(self, _actor: str) -> tuple[Binding, ...]:
        return ()

    def entered(self, _actor: str) -> tuple[Place, ...]:
        return ()

    def owned(self, _org: str) -> bool:
        return True

    def groups(self, _org: str, _actor: str) -> tuple[str, ...]:
        return ()

    def guardrails(self, _org: str) -> tuple[Guardrail, ...]:
        return ()

    def elsewhere(self, _org: str, _actor: str, _session: str) -> str:
        return ""

    def place(self, scope: str, org: str, resource: str = "") -> Place:
        where = resource or scope
        if where == PLATFORM:
            return (PLATFORM,)
        return (org, PLATFORM) if where == org else (where, org, PLATFORM)

    def resources(self, _org: str) -> dict[str, str]:
        return {}

    def below(self, _scope: str) -> list[str]:
        return []
