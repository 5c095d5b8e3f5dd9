"""RFC 6962 hashing, proofs and their verification (EVIDENCE.md section 2).

Proofs are computed from a `NodeReader`: the hash of the complete subtree number `index` at `level`,
i.e. of leaves `[index << level, (index + 1) << level)`. Only subtrees inside the tree are asked
for.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from gpuaas_verify.errors import Invalid

HASH_BYTES = 32
RUN_LEVEL = 8
RUN = 1 << RUN_LEVEL  # leaves hashed together, three times as fast as one by one
EMPTY_ROOT = sha256(b"").digest()
MAX_PROOF = 64

type NodeReader = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The complete subtrees of a growing tree, largest first: O(log n) memory."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        self.append_subtree(0, leaf)

    def append_subtree(self, level: int, node: bytes) -> None:
        """Adds 2^level leaves by the root of their subtree; the size is a multiple of 2^level."""
        assert self.size % (1 << level) == 0
        count = self.size >> level
        while count & 1:
            node = sha256(b"\x01" + self._peaks.pop() + node).digest()
            count >>= 1
        self._peaks.append(node)
        self.size += 1 << level

    def root(self) -> bytes:
        """RFC 6962 MTH of all leaves so far; the hash of nothing when empty."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


class Leaves:
    """Leaf hashes in order and their root; at most RUN of them in memory."""

    def __init__(self) -> None:
        self._frontier = Frontier()
        self._run: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        self._run.append(leaf)
        if len(self._run) == RUN:
            self._frontier.append_subtree(RUN_LEVEL, complete_root(b"".join(self._run)))
            self._run.clear()

    def root(self) -> bytes:
        """MTH of all leaves; nothing is appended after it."""
        for leaf in self._run:
            self._frontier.append(leaf)
        self._run.clear()
        return self._frontier.root()


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """MTH over leaf hashes in order."""
    found = Leaves()
    for leaf in leaves:
        found.append(leaf)
    return found.root()


def complete_root(nodes: bytes) -> bytes:
    """The root over a power of two of concatenated hashes, as in a full tile."""
    while len(nodes) > HASH_BYTES:
        nodes = b"".join(
            [sha256(b"\x01" + nodes[at : at + 64]).digest() for at in range(0, len(nodes), 64)]
        )
    return nodes


def nodes_of(leaves: Sequence[bytes]) -> NodeReader:
    """Subtree hashes computed from leaf hashes in memory; for tests and small trees."""

    def node(level: int, index: int) -> bytes:
        start = index << level
        return complete_root(b"".join(leaves[start : start + (1 << level)]))

    return node


def range_root(start: int, end: int, node: NodeReader) -> bytes:
    """MTH(D[start:end]) for a range whose start is a multiple of its largest power of two."""
    frontier: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        frontier.append(node(level, start >> level))
        start += 1 << level
    root = frontier.pop()
    while frontier:
        root = node_hash(frontier.pop(), root)
    return root


def _split(size: int) -> int:
    """The largest power of two smaller than size (RFC 6962 section 2.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Hashes from the leaf's sibling up to the root's child (RFC 6962 section 2.1.1)."""
    assert 0 <= index < size
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(range_root(middle, end, node))
            end = middle
        else:
            proof.append(range_root(start, middle, node))
            start = middle
    return proof[::-1]


def sparse_proof(positions: Sequence[int], size: int, node: NodeReader) -> Iterator[bytes]:
    """What `sparse_root` needs beside the leaves at the positions, which ascend, each below size.

    RFC 6962's split from the root down: the hash of every subtree that holds none of the positions
    while its sibling holds one, from left to right.
    """
    pending = [(0, size, 0, len(positions))]
    while pending:
        start, end, low, high = pending.pop()
        if low == high:
            yield range_root(start, end, node)
        elif high - low < end - start:
            middle = start + _split(end - start)
            cut = bisect_left(positions, middle, low, high)
            pending += ((middle, end, cut, high), (start, middle, low, cut))


def sparse_root(
    positions: Sequence[int], leaves: Sequence[bytes], size: int, hashes: Sequence[bytes]
) -> bytes:
    """The root of the tree of that size with these leaves at the positions, which ascend, each
    below size; the rest of it is `hashes`, in the order of `sparse_proof`, all of them used.

    Raises: Invalid `proof.hashes` when there are too few or too many.
    """
    rest = iter(hashes)
    found = sparse_walk(positions, leaves, size, rest)
    if next(rest, None) is not None:
        raise Invalid("proof.hashes", "more hashes than are needed", member="hashes")
    return found


def sparse_walk(
    positions: Sequence[int], leaves: Sequence[bytes], size: int, rest: Iterator[bytes],
    member: str = "hashes",
) -> bytes:  # fmt: skip
    """As `sparse_root`, what it needs taken off the hashes of a member.

    Raises: Invalid `proof.hashes` when there are too few.
    """

    def root(start: int, end: int, low: int, high: int) -> bytes:
        if low == high:
            return next(rest)
        if end - start == 1:
            return leaves[low]
        middle = start + _split(end - start)
        cut = bisect_left(positions, middle, low, high)
        left = root(start, middle, low, cut)
        return sha256(b"\x01" + left + root(middle, end, cut, high)).digest()

    try:
        return root(0, size, 0, len(positions))
    except StopIteration:
        raise Invalid("proof.hashes", "hashes are missing", member=member) from None


def consistency_proof(size1: int, size2: int, node: NodeReader) -> list[bytes]:
    """RFC 6962 section 2.1.2; empty when the sizes are equal."""
    assert 0 < size1 <= size2
    proof: list[bytes] = []
    start, end, whole = 0, size2, True
    while size1 != end:
        middle = start + _split(end - start)
        if size1 <= middle:
            proof.append(range_root(middle, end, node))
            end = middle
        else:
            proof.append(range_root(start, middle, node))
            start, whole = middle, False
    if not whole:
        proof.append(range_root(start, end, node))
    return proof[::-1]


def _check_hashes(proof: Sequence[bytes], code: str) -> None:
    if len(proof) > MAX_PROOF or any(len(item) != HASH_BYTES for item in proof):
        raise Invalid(code, "the proof is not a list of 32-byte hashes")


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Nothing when leaf is at index in the tree (size, root). Raises: Invalid `proof.inclusion`."""
    code = "proof.inclusion"
    if not 0 <= index < size:
        raise Invalid(code, f"index {index} is not in a tree of size {size}")
    if len(leaf) != HASH_BYTES:
        raise Invalid(code, "the leaf is not a 32-byte hash")
    _check_hashes(proof, code)
    inner = (index ^ (size - 1)).bit_length()
    if len(proof) != inner + (index >> inner).bit_count():
        raise Invalid(code, f"a proof of {len(proof)} hashes does not fit index and size")
    node = leaf
    for level, sibling in enumerate(proof):
        left = level >= inner or (index >> level) & 1
        node = node_hash(sibling, node) if left else node_hash(node, sibling)
    if node != root:
        raise Invalid(code, "the proof leads to another root")


def verify_consistency(
    size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]
) -> None:
    """Nothing when (size1, root1) is a prefix of (size2, root2). Raises: Invalid
    `proof.consistency`.

    A proof from an empty tree proves nothing and is refused.
    """
    code = "proof.consistency"
    if not 0 < size1 <= size2:
        raise Invalid(code, f"no proof leads from size {size1} to size {size2}")
    if size1 == size2:
        if proof or root1 != root2:
            raise Invalid(code, "the same size has another root, or a proof that is not empty")
        return
    if len(root1) != HASH_BYTES:
        raise Invalid(code, "the root is not a 32-byte hash")
    _check_hashes(proof, code)
    if not proof:
        raise Invalid(code, "the proof is empty")
    shift = (size1 & -size1).bit_length() - 1
    rest = list(proof)
    seed = root1 if size1 == 1 << shift else rest.pop(0)
    first, second = (size1 - 1) >> shift, (size2 - 1) >> shift
    inner = (first ^ second).bit_length()
    if len(rest) != inner + (first >> inner).bit_count():
        raise Invalid(code, f"a proof of {len(proof)} hashes does not fit the sizes")
    old = new = seed
    for level, sibling in enumerate(rest):
        if level >= inner or (first >> level) & 1:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    if old != root1 or new != root2:
        raise Invalid(code, "the proof does not lead to both roots")
