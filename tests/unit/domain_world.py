"""Words and small worlds for the domain's tests."""

from collections.abc import Iterable, Sequence

import pytest
from msgspec import Struct

from domain import account, node, organization, period, pricebook, project
from domain.admission import AdmissionState
from domain.decider import Decider, Emit, fold
from domain.errors import DomainError
from domain.instants import Anchor
from domain.launch import Launch
from domain.words import Attested, Gpu, Private

NAME = Private("aa")
ORG = "organization-1"
PROJECT = "project-1"
DEPARTMENT = "department-1"
ACCOUNT = "account-1"
HOUR_US = 3_600_000_000
ANCHOR = Anchor("b1", 0, 0)


def word(node_id: str = "node-1", boot: str = "b1", seq: int = 1) -> Attested:
    return Attested(node=node_id, key="00", boot=boot, seq=seq, body="", sig="")


def decided[S, C, E](decider: Decider[S, C, E], given: Iterable[E], when: C) -> list[E]:
    """What the decider decides on `when`, given these events before."""
    return decider.decide(when, fold(decider, given))


def refused[S, C, E](decider: Decider[S, C, E], given: Iterable[E], when: C) -> str:
    """The code of its refusal."""
    with pytest.raises(DomainError) as error:
        decided(decider, given, when)
    return error.value.code


def enrolled(model: str, gpus: int, *, simulated: bool = True) -> tuple[node.Event, ...]:
    inventory = tuple(Gpu(index, f"GPU-{index}") for index in range(gpus))
    return (
        node.Invited(NAME, model, "token", 10, 0),
        node.Enrolled("00", model, simulated, inventory, "serial", 0),
    )


def price(model: str, *, of: str = "default", since_us: int = 0, pico: int = 10**12) -> Struct:
    return pricebook.EntryPublished(
        *(of, "gpu.time", model, "-", "usable", "USD", since_us, min(since_us, 0), pico),
        1000 * HOUR_US,
    )


class World:
    """An admission state fed like the log feeds it: stream by stream, version by version."""

    def __init__(
        self,
        nodes: Sequence[tuple[str, int]],
        organizations: int = 1,
        strict: frozenset[str] = frozenset(),
    ) -> None:
        self.state = AdmissionState()
        for number in range(1, organizations + 1):
            org, acct = f"organization-{number}", f"account-{number}"
            self.say(org, organization.Created(NAME, 0))
            self.say(acct, account.Opened(org, "USD", 2, "UTC", "x", 0))
            created = project.Created(org, f"department-{number}", acct, NAME, 0)
            self.say(f"project-{number}", created)
            self.say(f"period-{number}", period.Opened(acct, 1, 0, 10**15, "UTC", "x", 0))
        for model in sorted({model for model, _ in nodes}):
            self.say("pricebook-1", price(model))
        for number, (model, gpus) in enumerate(nodes, 1):
            name = f"node-{number}"
            begun = enrolled(model, gpus, simulated=name not in strict)
            self.say(name, *begun, node.Anchored("b1", 0, 0, word(name)))

    def say(self, stream: str, *facts: Struct) -> None:
        for fact in facts:
            self.state.apply(stream, self.state.version(stream) + 1, fact)


def launch(
    number: int,
    milli: int = 1000,
    *,
    devices: int = 1,
    models: tuple[str, ...] = (),
    org: int = 1,
    now_us: int = 1,
) -> Launch:
    ids = (f"organization-{org}", f"project-{org}", f"runtime-{number}", f"allocation-{number}")
    return Launch(*ids, NAME, devices, milli * devices, models, now_us)


def fact_of[F: Struct](emits: tuple[Emit, ...], kind: type[F]) -> F:
    """The one fact of this kind in a decision."""
    [found] = [fact for emit in emits for fact in emit.facts if isinstance(fact, kind)]
    return found
