"""Proofs: right ones hold in every small tree, and no check on a wrong one could be left out."""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from types import ModuleType
from typing import Literal, NamedTuple

import pytest

from gpuaas_verify import merkle
from gpuaas_verify.errors import Invalid
from tests.removals import BREAKS, code_without, removed_of
from tests.unit.test_verify_checks import copy_with

LEAVES = [sha256(b"\x00%d" % number).digest() for number in range(20)]
NODE = merkle.nodes_of(LEAVES)
HASH = b"h" * 32


class Case(NamedTuple):
    kind: Literal["inclusion", "consistency"]
    first: int  # index, or the smaller size
    size: int
    known: bytes  # leaf, or the smaller tree's root
    root: bytes
    proof: tuple[bytes, ...]
    holds: bool = False


def pair(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def up(index: int, size: int, leaf: bytes, proof: tuple[bytes, ...]) -> bytes:
    """Where a proof leads by RFC 9162 section 2.1.3.2, whatever is wrong with it."""
    first, last, node = index, size - 1, leaf
    for sibling in proof:
        if first & 1 or first == last:
            node = pair(sibling, node)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            node = pair(node, sibling)
        first, last = first >> 1, last >> 1
    return node


def right_ones() -> Iterator[Case]:
    roots = [merkle.root_hash(LEAVES[:size]) for size in range(len(LEAVES) + 1)]
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            proof = tuple(merkle.inclusion_proof(index, size, NODE))
            assert up(index, size, LEAVES[index], proof) == roots[size]
            yield Case("inclusion", index, size, LEAVES[index], roots[size], proof, holds=True)
        for smaller in range(1, size + 1):
            proof = tuple(merkle.consistency_proof(smaller, size, NODE))
            yield Case("consistency", smaller, size, roots[smaller], roots[size], proof, holds=True)


def wrong_inclusions() -> Iterator[Case]:
    """Each leads to its root all the same, so that only the check on its form refuses it."""
    for index, size in ((1, 1), (3, 3), (-1, 2)):
        yield Case("inclusion", index, size, HASH, pair(HASH, HASH), (HASH,))
    for leaf in (b"", b"h" * 31, b"h" * 33):
        yield Case("inclusion", 0, 1, leaf, leaf, ())
        yield Case("inclusion", 0, 2, leaf, pair(leaf, HASH), (HASH,))
    for sibling in (b"h" * 31, b"h" * 33):
        yield Case("inclusion", 1, 2, HASH, pair(sibling, HASH), (sibling,))
    many = (HASH,) * (merkle.MAX_PROOF + 1)
    yield Case("inclusion", 0, 1 << len(many), HASH, up(0, 1 << len(many), HASH, many), many)
    for proof in ((), (HASH,) * 3):
        yield Case("inclusion", 0, 4, HASH, up(0, 1 << len(proof), HASH, proof), proof)
    yield Case("inclusion", 0, 2, HASH, HASH, (HASH,))


def wrong_consistencies() -> Iterator[Case]:
    """As above: a seed and siblings that lead to both roots, or would if nobody looked."""
    two, three = pair(HASH, HASH), pair(pair(HASH, HASH), HASH)
    yield Case("consistency", 0, 2, merkle.EMPTY_ROOT, two, ())
    yield Case("consistency", 0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, ())
    yield Case("consistency", 3, 2, three, three, (HASH, HASH))
    yield Case("consistency", 3, 1, pair(HASH, HASH), pair(HASH, HASH), (HASH, HASH))
    yield Case("consistency", 2, 2, two, two, (HASH,))
    yield Case("consistency", 2, 2, two, three, ())
    yield Case("consistency", 1, 2, HASH, two, ())
    yield Case("consistency", 3, 4, three, three, ())
    for odd in (b"h" * 31, b"h" * 33):
        yield Case("consistency", 1, 2, HASH, pair(HASH, odd), (odd,))
        yield Case("consistency", 1, 2, odd, pair(odd, HASH), (HASH,))
    many = (HASH,) * (merkle.MAX_PROOF + 1)
    yield Case("consistency", 1, 1 << len(many), HASH, up(0, 1 << len(many), HASH, many), many)
    yield Case("consistency", 1, 2, HASH, up(0, 4, HASH, (HASH, HASH)), (HASH, HASH))
    yield Case("consistency", 1, 4, HASH, two, (HASH,))
    yield Case("consistency", 1, 2, two, pair(HASH, HASH), (HASH,))
    yield Case("consistency", 1, 2, HASH, HASH, (HASH,))
    # (3, 4): seed, then siblings; only one of the two roots is the proof's.
    seed, right, left = HASH, b"r" * 32, b"l" * 32
    old, new = pair(left, seed), pair(left, pair(seed, right))
    yield Case("consistency", 3, 4, old, old, (seed, right, left))
    yield Case("consistency", 3, 4, new, new, (seed, right, left))
    yield Case("consistency", 3, 4, old, new, (seed, right, left), holds=True)


@cache
def cases() -> tuple[Case, ...]:
    return (*right_ones(), *wrong_inclusions(), *wrong_consistencies())


def holds(module: ModuleType, invalid: type[Exception], case: Case) -> bool:
    proof = list(case.proof)
    try:
        if case.kind == "inclusion":
            module.verify_inclusion(case.first, case.size, case.known, proof, case.root)
        else:
            module.verify_consistency(case.first, case.size, case.known, case.root, proof)
    except invalid as refused:
        return getattr(refused, "code", "") != f"proof.{case.kind}"
    return True


def sparse_holds(module: ModuleType, invalid: type[Exception]) -> bool:
    """Whatever leaves of small trees are known, the rest leads to the root; one hash fewer or more
    is refused.
    """
    for size in range(1, 8):
        root = merkle.root_hash(LEAVES[:size])
        for chosen in range(1, 1 << size):
            positions = [number for number in range(size) if chosen >> number & 1]
            known = [LEAVES[number] for number in positions]
            rest = list(module.sparse_proof(positions, size, NODE))
            if module.sparse_root(positions, known, size, rest) != root:
                return False
            for wrong in ([*rest, HASH], rest[:-1]):
                try:
                    module.sparse_root(positions, known, size, wrong)
                except invalid as refused:
                    if getattr(refused, "code", "") != "proof.hashes":
                        return False
                else:
                    if wrong != rest:
                        return False
    return True


def test_proofs_of_many_leaves_at_once() -> None:
    """RFC 6962's tree from any of its leaves and the hashes of all that holds none of them."""
    assert sparse_holds(merkle, Invalid)


def test_right_proofs_hold_and_wrong_ones_do_not() -> None:
    """Every inclusion and consistency of trees up to 20 leaves; every wrong form is refused."""
    assert [case for case in cases() if holds(merkle, Invalid, case) != case.holds] == []


@pytest.mark.slow
def test_each_check_on_a_proof_removed_is_noticed() -> None:
    """A verifier that lacks one raise or one operand of a condition takes a wrong proof, or refuses a right one."""

    def is_noticed(modules: dict[str, ModuleType]) -> bool:
        try:
            invalid = modules["errors"].Invalid
            return not sparse_holds(modules["merkle"], invalid) or any(
                holds(modules["merkle"], invalid, case) != case.holds for case in cases()
            )
        except BREAKS:
            return True

    left = [
        removed for number, removed in enumerate(removed_of("merkle"))
        if not is_noticed(copy_with("merkle", code_without("merkle", number)))
    ]  # fmt: skip
    assert left == []
