"""How long one authorization decision takes with the policies of 1,000 organizations loaded.

CPU time of its thread: other work on the machine does not count, but what interrupts it and what it
leaves in the caches does, so the median of what each round found is told.
"""

import gc
import json
import random
import statistics
import time
from collections.abc import Callable

import cedarpy

from api.authorization.cedar import PLATFORM, STATIC, Place, _above, forbid, permit
from api.authorization.door import Door
from api.authorization.principal import Principal
from api.serve import calm_collector
from contracts.authorization.registry import ACTIONS
from domain.binding import Binding, Guardrail
from tests.bench.bench_domain import Result, row
from tests.no_tenants import NoTenants

ORGANIZATIONS, PRINCIPALS, PROJECTS, ASKED = 1_000, 4, 8, 20_000
ROUNDS = 5
_ROLES = ("owner", "admin", "member", "viewer", "billing")


class Many(NoTenants):
    """1,000 organizations: each principal has three bindings, each organization three guardrails."""

    def __init__(self) -> None:
        self.orgs = [f"organization-{number}" for number in range(ORGANIZATIONS)]

    def version(self, _org: str) -> int:
        return 1

    def bindings(self, org: str, actor: str) -> tuple[Binding, ...]:
        return tuple(
            Binding(f"binding-{org}-{actor}-{number}", who, _ROLES[number], scope, until_us=until)
            for number, (who, scope, until) in enumerate(
                ((actor, org, 0), (actor, f"project-{org}-1", 1 << 60), ("group-1", org, 0))
            )
        )

    def groups(self, _org: str, _actor: str) -> tuple[str, ...]:
        return ("group-1", "group-2")

    def guardrails(self, org: str) -> tuple[Guardrail, ...]:
        return (
            Guardrail(f"guardrail-{org}-1", ("network.*", "volume.delete"), org, unless_mfa=True),
            Guardrail(f"guardrail-{org}-2", ("terminal.open",), f"project-{org}-2"),
            Guardrail(f"guardrail-{org}-3", ("account.*",), org, False, ("10.0.0.0/8",)),
        )

    def below(self, scope: str) -> list[str]:
        return [] if scope.startswith("department-") else [f"department-{scope}"]

    def place(self, scope: str, org: str, resource: str = "") -> Place:
        del resource
        return (org, PLATFORM) if scope == org else (scope, f"department-{org}", org, PLATFORM)


def decisions() -> list[Result]:
    """p99 with nothing remembered, of some rounds, against parsing the same policies for each decision."""
    tenants, rng = Many(), random.Random(7)
    door = Door(tenants, lambda: 5, remembering=0)
    callers = [
        (org, Principal(f"user-{number}", "", org, True, "10.1.2.3"))
        for org in tenants.orgs
        for number in range(PRINCIPALS)
    ]
    for org, caller in callers:
        door.policies(caller, org)
    actions = list(ACTIONS)
    asked = []
    for _ in range(ASKED):
        org, caller = rng.choice(callers)
        scope = rng.choice((org, f"project-{org}-{rng.randrange(PROJECTS)}"))
        asked.append((caller, rng.choice(actions), tenants.place(scope, org)))
    calm_collector()  # as a serving process does with what it loaded
    found = [_deciding(door, asked) for _ in range(ROUNDS)]
    parsed = [_parsing(tenants, *one) for one in asked[:1_000]]
    gc.unfreeze()
    name = "authorization decision p99, 1,000 organizations, none remembered"
    than = "policies parsed for each decision, p99"
    return [row(name, statistics.median(found), "us", than, _p99(parsed))]


def _deciding(door: Door, asked: list[tuple[Principal, str, Place]]) -> float:
    """The p99 of one round of all that is asked."""
    found, allowed = [], 0
    for caller, action, place in asked:
        began = time.thread_time()
        allowed += door.decide(caller, action, place).allowed
        found.append((time.thread_time() - began) * 1e6)
    assert ASKED // 10 < allowed < ASKED, "some are refused"
    return _p99(found)


def _parsing(tenants: Many, caller: Principal, action: str, place: Place) -> float:
    org, who = place[-2], caller.actor
    texts = [
        STATIC,
        *map(permit, tenants.bindings(org, who)),
        *map(forbid, tenants.guardrails(org)),
    ]
    policies = "\n".join(texts)
    tree = cedarpy.Entities.from_json_str(f"[{_above(place)}]")
    began = time.thread_time()
    cedarpy.is_authorized(
        {
            "principal": {"type": "GPUaaS::User", "id": who},
            "action": {"type": "GPUaaS::Action", "id": action},
            "resource": {"type": "GPUaaS::Organization", "id": place[0]},
            "context": {"now_us": 5, "mfa": True, "platform": False},
        },
        policies,
        tree,
    )
    return (time.thread_time() - began) * 1e6


def _p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]


def authorization(_: object) -> list[Result]:
    return decisions()


BENCHES: list[Callable[[object], list[Result]]] = [authorization]

if __name__ == "__main__":
    for one in decisions():
        print(json.dumps(one))
