"""The stateful machines that show the invariants of MONEY.md section 7, asked for longer."""

from importlib import import_module

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

MACHINES = (
    "tests.property.test_invariants:Invariants",
    "tests.property.test_domain_rating:Rating",
    "tests.property.test_wallets:Purses",
    "tests.property.test_domain_admission:Admissions",
    "tests.property.test_lending:Lending",
    "tests.property.test_budgets:Spent",
    "tests.property.test_domain_zones:Periods",
    "tests.unit.test_agent_usage:Counters",
)
_STEPS = 50


def holds(machine: str, examples: int) -> str:
    """The machine's name, once so many runs of up to fifty steps held; else its shortest failure."""
    module, name = machine.split(":")
    asked = settings(
        max_examples=examples,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(getattr(import_module(module), name), settings=asked)
    return name
