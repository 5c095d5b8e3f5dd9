"""Proofs of invoices: what is right is told, every wrong thing is, and no check could be left out unnoticed."""

import importlib
import sys
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from gpuaas_verify.bundle import Trust
from gpuaas_verify.claims import ABSENT, CHECKED, UNCHECKED
from gpuaas_verify.proof import ProofReport, verify_proof_bytes
from tests import proof_idle as pi
from tests import proof_notes as pn
from tests import proof_pools as pp
from tests import proof_prepaid as pd
from tests import proof_readings as pr
from tests.bundles import LOG_VKEY
from tests.proof_runs import by_hand_changes
from tests.proof_world import (
    ALONE,
    BESIDE,
    BRIEF,
    LATE,
    NEIGHBOUR,
    RUNNING,
    VOLUME,
    chosen,
    proof,
    world,
)
from tests.reached import Reached, line_of, rarely, reached, refused
from tests.removals import BREAKS, PACKAGE, SWITCH, unnoticed
from tests.unit.test_verify_checks import NAMES, as_they_are, compiled
from tests.wrong_proof_entries import meaning_cases, shaped
from tests.wrong_proof_idle import idle_cases, without_end
from tests.wrong_proof_notes import note_cases
from tests.wrong_proof_numbers import EARLIER, counted, number_cases
from tests.wrong_proof_pools import pool_cases
from tests.wrong_proof_prepaid import prepaid_cases
from tests.wrong_proof_readings import reading_cases
from tests.wrong_proof_taxes import tax_cases
from tests.wrong_proofs import WrongProof, bytes_cases

# In the order in which they import each other; all others are used as they are.
MODULES = (
    "proof_chunk", "proof_file", "proof_holds", "proof_nodes", "proof_notes", "proof_numbers", "proof_quota", "proof_readings", "proof_streams", "proof_prices", "proof_usage",
    "proof_books", "proof_claims", "proof",
)  # fmt: skip
# Removed without consequence for the verdict, with the reason.
REAL = {name: importlib.import_module(f"gpuaas_verify.{name}") for name in MODULES}
NEEDLESS = {
    "proof raise Unreadable(f'{path} is not a file')": "waits for whoever writes the pipe",
    "proof_chunk _seen(raw)": "the short way to what `_parsed` gives",
    "proof_chunk raise Unreadable(f'{ENTRIES} changed while it was read')": (
        "speaks only of a proof that changes while it is read"
    ),
}


@cache
def cases() -> tuple[WrongProof, ...]:
    right = [
        WrongProof(f"right {line} {how}", "valid", {}, proof(world(simulated=how[0], taxed=how[1]), line=line))
        for line in (None, 3) for how in product((True, False), (True, False))
    ]  # fmt: skip
    plain = WrongProof("one price said as tiers", "valid", {}, proof(world(shaped())))
    return (
        *right,
        plain,
        *bytes_cases(),
        *meaning_cases(),
        *tax_cases(),
        *pool_cases(),
        *note_cases(),
        *idle_cases(),
        *number_cases(),
        *reading_cases(),
        *prepaid_cases(),
    )


def judge(modules: dict[str, ModuleType], wrong: WrongProof) -> tuple[str, dict[str, object]]:
    """(code, where); `valid` without a place."""
    keys = tuple(modules["note"].Vkey.parse(text) for text in wrong.keys)
    error = modules["proof"].verify_proof_bytes(wrong.data, modules["bundle"].Trust(keys)).error
    if error is None:
        return "valid", {}
    places = error.as_json().items()
    return error.code, {k: v for k, v in places if k not in {"code", "detail"} and v is not None}


def told(data: bytes) -> ProofReport:
    report = verify_proof_bytes(data, Trust((LOG_VKEY,)))
    assert report.error is None
    return report


@pytest.mark.parametrize("wrong", cases(), ids=lambda wrong: wrong.name[:60])
def test_every_wrong_proof_gets_its_own_verdict(wrong: WrongProof) -> None:
    """The code, and the first bad position or line, field and member."""
    assert judge(as_they_are(), wrong) == (wrong.code, wrong.place)


def test_an_invoice_is_recomputed_from_what_happened() -> None:
    """Each line equals what was worked out by hand and names what it rests on; what cannot be shown is said."""
    made = world()
    report = told(proof(made))
    assert [(*line.key, line.quantity, line.amount_pico) for _, line in report.told] == made.lines
    assert [line.resources for _, line in report.told] == [
        (ALONE, BESIDE, RUNNING), (RUNNING,), (VOLUME,), (BRIEF,), (LATE,)
    ]  # fmt: skip
    states = {claim.name: (claim.state, claim.count) for claim in report.claims}
    assert states["lines"] == (CHECKED, 5)
    # The volume goes on, nothing shows how; BESIDE's renewal names a neighbour.
    assert states["ends"] == (UNCHECKED, 1)
    assert states["losses"] == (UNCHECKED, 1)


def test_what_cannot_be_shown_of_readings_and_holds_is_said() -> None:
    """How many readings are hidden between those shown, and how many holds may have been renewed between."""
    claims = {claim.name: claim for claim in told(pr.proof(pr.read())).claims}
    assert (claims["readings"].state, claims["readings"].count) == (CHECKED, 15)
    assert (claims["others"].state, claims["others"].count) == (UNCHECKED, 3)
    assert claims["holds"].state == ABSENT
    claims = {claim.name: claim for claim in told(pd.proof(pd.prepaid())).claims}
    assert (claims["holds"].state, claims["holds"].count) == (UNCHECKED, 5)
    assert {claims[name].state for name in ("readings", "others")} == {ABSENT}


def test_an_accounts_own_count_is_shown_whole_and_of_a_sellers_one_number() -> None:
    """What of a seller's is another customer's is not shown, and said; nor what an earlier release left out."""
    made = world(counted(2))
    whole = proof(made, sorted([*chosen(made), *(made.at[name] for name in EARLIER)]))
    former = next(one for one in number_cases() if one.name == "an invoice's of an earlier release")
    found = [
        {claim.name: (claim.state, claim.count) for claim in told(data).claims}["numbering"]
        for data in (whole, proof(world(), line=3), proof(world(taxed=True)), former.data)
    ]
    assert found == [(CHECKED, 3), (CHECKED, 1), (UNCHECKED, 1), (UNCHECKED, 0)]


def test_a_line_is_recomputed_alone() -> None:
    """From the entries it rests on and no others; the file around it adds up."""
    made = world()
    whole, alone = proof(made), proof(made, line=3)
    [(number, line)] = told(alone).told
    assert (number, line.resources, line.amount_pico) == (3, (BRIEF,), made.lines[3][5])
    assert len(alone) < len(whole)


def test_what_is_idle_follows_from_the_quota() -> None:
    """Each line is what was worked out by hand, of its reservations; an end that is not shown is said, of
    the reservation and of its quota.
    """
    made = pi.world()
    whole = told(pi.proof(made))
    assert [(*line.key, line.quantity, line.amount_pico) for _, line in whole.told] == made.lines
    rests = {
        line.key[0]: line.resources for _, line in whole.told if line.key[2] == made.at["idle"]
    }
    assert {project: set(of) for project, of in rests.items()} == {
        project: {name for name, its in pi.OF.items() if its == project} for project in pi.OF.values()
    }  # fmt: skip
    positions = pi.chosen(made)
    without_end(made, positions)
    for data, count in ((pi.proof(made), 1), (pi.proof(made, positions), 3)):
        states = {claim.name: (claim.state, claim.count) for claim in told(data).claims}
        assert states["ends"] == (UNCHECKED, count)


def test_nothing_of_a_neighbour_is_in_it() -> None:
    """Neither the organization, its account and runtime, nor its price, though they share node and price book; nor
    what it committed to, nor what it was re-rated to.
    """
    made, shared, noted, read = world(), pp.pooled(), pn.noted(), pr.read()
    theirs = {draft["stream"] for draft in made.log.drafts if draft["org"] == NEIGHBOUR}
    assert len(theirs) == 3
    found = [proof(made, line=line) for line in (None, 3)]
    found += [pp.proof(shared, line=line) for line in (None, *pp.lines_of(shared).values())]
    found += [pn.proof(noted, number) for number in (0, 1)]
    found += [pr.proof(read, name=name) for name in (None, *pr.LINES)]
    found += [pd.proof(pd.prepaid(), line=line) for line in (False, True)]
    theirs |= {pr.THEIRS, pr.ELSEWHERE, pd.THEIRS}
    assert not [one for one in {NEIGHBOUR, *theirs} for data in found if one.encode() in data]


def test_changes_of_every_kind_of_proof_are_refused(tmp_path: Path) -> None:
    """Of pools, credit notes, readings, what is prepaid, and of a project that moved; `make chaos` makes many more."""
    assert len(list(by_hand_changes(tmp_path, 25, 7))) == 5


@cache
def cases_at() -> Reached:
    modules = as_they_are()
    return reached(PACKAGE, [partial(judge, modules, wrong) for wrong in cases()])


def copied(name: str, code: CodeType) -> dict[str, ModuleType]:
    """The verifier's modules, those of proofs new ones, one of them compiled from other code."""
    full = {other: f"gpuaas_verify.{other}" for other in MODULES}
    modules = as_they_are()
    try:
        for other in MODULES:
            modules[other] = sys.modules[full[other]] = ModuleType(full[other])
            exec(code if other == name else compiled(other), modules[other].__dict__)  # noqa: S102 - ours, one check less
    finally:
        sys.modules.update({full[other]: module for other, module in REAL.items()})
    return modules


class Verifier:
    """The proofs, judged by copies of the verifier's modules."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._modules = name, copied(name, code)

    def leave_out(self, number: int) -> None:
        setattr(self._modules[self._name], SWITCH, number)

    def noticing(self, removed: str) -> int | None:
        line, every = line_of(removed), len(cases_at().lines)
        rare = rarely(cases_at(), self._name, line)
        there = refused(cases_at(), self._name, line)

        def cost(number: int) -> tuple[bool, int, bool, int, int]:
            # Those that come to the line and that it refuses first, of them those that have its
            # code, the rare and the small.
            wrong = cases()[number]
            code = wrong.code.partition(".")[2]
            unnamed = not code or code not in removed
            away = there.get(number, every)
            return number not in rare, away, unnamed, rare.get(number, every), len(wrong.data)

        ordered = sorted(range(len(cases())), key=cost)
        return next((number for number in ordered if not self.agrees(number)), None)

    def agrees(self, judgement: int) -> bool:
        wrong = cases()[judgement]
        try:
            return judge(self._modules, wrong) == (wrong.code, wrong.place)
        except BREAKS:
            return False


def test_every_module_of_proofs_is_here() -> None:
    """Else its checks could be left out unnoticed."""
    assert sorted(MODULES) == [name for name in NAMES if name.startswith("proof")]
    assert Verifier("proof", compiled("proof")).noticing("line 0: nothing") is None


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_each_check_of_proofs_removed_is_noticed(name: str) -> None:
    """A verifier that lacks one raise, one checking call or one operand of a condition judges some proof otherwise."""
    assert unnoticed(name, partial(Verifier, name), NEEDLESS) == []
