"""What of nodes an invoice proof holds: the latest of each kind before what rests on it, no other.

evidence/invoice-proof.md section 2. In memory: a few words for each node and each renewal.
"""

from collections.abc import Collection
from typing import Final

from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid

ENROLLED: Final = "gpuaas.node.enrolled.v1"
STOOD: Final = "gpuaas.node.region_set.v1"
ANCHORED: Final = "gpuaas.node.anchored.v1"
RENEWED: Final = "gpuaas.node.lease_renewed.v1"
TAGS: Final = frozenset({ENROLLED, STOOD, ANCHORED, RENEWED})


class Nodes:
    """Fed in order the entries of nodes, and told what rests on them."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], int] = {}  # by node and tag
        self._vain: dict[int, str] = {}  # positions that nothing rests on so far
        self._renewed: dict[str, int] = {}
        self._leased: dict[str, int] = {}  # by the last renewal

    def admit(self, entry: Entry) -> None:
        """One more."""
        node, tag = entry.stream, entry.tag
        if tag == RENEWED:
            self.rest(node, ENROLLED, ANCHORED)
            self._vain[entry.position] = node
            for runtime in entry.fact["runtimes"]:
                self._renewed.setdefault(runtime, entry.position)
                self._leased[runtime] = entry.position
            return
        if tag == ANCHORED:
            self.rest(node, ENROLLED)
        self._latest[node, tag] = entry.position
        self._vain[entry.position] = node

    def rest(self, node: str, *tags: str) -> None:
        """What follows rests on the node's latest entries of these tags."""
        for tag in tags:
            self._vain.pop(self._latest.get((node, tag), -1), None)

    def is_enrolled(self, node: str) -> bool:
        """By an entry that is here."""
        return (node, ENROLLED) in self._latest

    def lost(self, runtime: str) -> None:
        """Its end rests on the last renewal that names it."""
        self._vain.pop(self._leased.get(runtime, -1), None)

    def finish(self, resources: Collection[str]) -> None:
        """Nothing of others, and nothing in vain. Raises: Invalid `proof.foreign`,
        `proof.needless`.
        """
        for runtime, position in self._renewed.items():
            if runtime not in resources:
                detail = f"names {runtime}"
                raise Invalid("proof.foreign", detail, position=position, field="runtimes")
        for position in self._vain:
            raise Invalid("proof.needless", "nothing rests on it", position=position)
