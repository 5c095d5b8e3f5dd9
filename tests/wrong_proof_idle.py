"""Proofs of what is reserved and idle that hold too little or too much, as in wrong_proofs."""

from collections.abc import Iterator
from typing import Any

from tests import proof_idle as pi
from tests.proof_idle import DRAWN, OVERLAPS, STANDS
from tests.proof_world import OTHER_PROJECT, PROJECT, World
from tests.wrong_proofs import Select, WrongProof, at, with_, without


def idle_cases() -> Iterator[WrongProof]:
    made = pi.world()
    yield WrongProof("idle", "valid", {}, pi.proof(made))
    for project in (PROJECT, OTHER_PROJECT):
        line = pi.line_of(made, project)
        yield WrongProof(f"idle line {line}", "valid", {}, pi.proof(made, line=line))
    yield logged("nothing of its end", "valid", select=without_end)
    yield from _of_too_little()
    yield from _of_too_much()


def logged(
    name: str, code: str, *, project: str | None = None, select: Select, **place: Any
) -> WrongProof:
    made = pi.world()
    number = None if project is None else pi.line_of(made, project)
    positions = pi.chosen(made) if number is None else pi.of_line(made, number)
    select(made, positions)
    found = {key: value(made) if callable(value) else value for key, value in place.items()}
    return WrongProof(name, code, found, pi.proof(made, sorted(positions), number))


def without_end(made: World, positions: list[int]) -> None:
    for name in ("ended", "unreserved"):
        without(f"{name} {STANDS}")(made, positions)


def _of_too_little() -> Iterator[WrongProof]:
    for name, before in (
        (f"drawn {DRAWN}", f"reserved {DRAWN}"), ("committed 21", f"drawn {DRAWN}"),
        ("released 23", f"reserved {OVERLAPS}"), (f"unreserved {DRAWN}", "released 23"),
    ):  # fmt: skip
        yield logged(f"idle, no {name}", "proof.version", select=without(name), position=at(before),
                     field="version")  # fmt: skip
    yield logged("no beginning in the quota", "proof.needless", select=without(f"reserved {STANDS}"),
                 position=at(f"ended {STANDS}"))  # fmt: skip
    yield logged("not made", "proof.version", select=without(f"made {STANDS}"),
                 position=at(f"ended {STANDS}"), field="version")  # fmt: skip
    yield logged("nobody's project", "proof.foreign", project=PROJECT, select=without(PROJECT),
                 position=at(f"made {DRAWN}"), field="account")  # fmt: skip
    yield logged("no node", "proof.missing", project=PROJECT, select=without("node"),
                 position=at(f"made {DRAWN}"), field="nodes")  # fmt: skip
    yield logged("no price of what is idle", "proof.missing", project=PROJECT,
                 select=without("idle"), position=at("idle"))  # fmt: skip


def _of_too_much() -> Iterator[WrongProof]:
    yield logged("between two reservations", "proof.needless", select=with_("limit_set 40"),
                 position=at(f"unreserved {STANDS}"))  # fmt: skip
    yield logged("more of the quota after the close", "proof.needless", select=with_("limit_set 151"),
                 position=at("limit_set 151"))  # fmt: skip
    yield logged("of another line's", "proof.needless", project=PROJECT,
                 select=lambda made, positions: positions.extend(
                     pi.of_quota(made, f"reserved {STANDS}", f"unreserved {STANDS}")),
                 position=at(f"unreserved {STANDS}"))  # fmt: skip
