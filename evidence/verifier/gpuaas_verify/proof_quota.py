"""The stretches of a quota that an invoice's proof shows: what ran on each reservation it charges.

evidence/invoice-proof.md section 2. In memory: a few numbers for each stretch and reservation.
"""

from collections.abc import Iterable
from typing import Final

from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid

RESERVED: Final = "gpuaas.quota.reserved.v1"
UNRESERVED: Final = "gpuaas.quota.unreserved.v1"


class Quotas:
    """`last`: the position of the close that the invoice is of."""

    def __init__(self, last: int) -> None:
        self.open = 0  # reservations whose end is neither shown nor excluded
        self._last = last
        self._runs: list[list[int]] = []  # first and last version, position of the last
        self._since: dict[str, int] = {}  # by reservation, at which version it begins to count
        self._until: dict[str, int] = {}
        self._beyond = 0  # the version of the first entry after the close

    def admit(self, entry: Entry) -> bool:
        """Whether it counts: not one by which the quota is shown to go on."""
        version = entry.version
        if self._runs and self._runs[-1][1] + 1 == version:
            self._runs[-1][1:] = [version, entry.position]
        else:
            self._runs.append([version, version, entry.position])
        if entry.position > self._last:
            self._beyond = self._beyond or version
            return False
        if entry.tag == RESERVED:
            self._since[entry.fact["reservation"]] = version
        elif entry.tag == UNRESERVED:
            self._until[entry.fact["reservation"]] = version
        return True

    def finish(self, reservations: Iterable[str]) -> None:
        """Nothing when all of the quota is shown while these counted in it, and nothing else of it.

        Raises: Invalid `proof.version`, `proof.needless`.
        """
        wanted: list[list[int]] = []
        for since, name in sorted((self._since[name], name) for name in reservations):
            [(_, end, position)] = [run for run in self._runs if run[0] <= since <= run[1]]
            until = self._until.get(name, self._beyond)
            self.open += not until
            if until > end:
                detail = f"version {end + 1} of the quota is next"
                raise Invalid("proof.version", detail, position=position, field="version")
            until = until or end
            if wanted and since <= wanted[-1][1] + 1:
                wanted[-1][1] = max(wanted[-1][1], until)
            else:
                wanted.append([since, until])
        for first, end, position in self._runs:
            if [first, end] not in wanted:
                detail = "what runs on no reservation here"
                raise Invalid("proof.needless", detail, position=position)
