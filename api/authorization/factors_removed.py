"""When second factors of the embedded issuer were removed: tokens of before name one no more."""

from api.authorization.caller import Caller
from domain.factor import Removed
from evidence.reader import Recorded


class FactorsRemoved:
    """Folded in the order of the log."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], int] = {}  # (organization, principal) -> when

    def apply(self, entry: Recorded, fact: Removed) -> None:
        self._last[entry.org, fact.principal] = fact.decided_us

    def second(self, caller: Caller) -> bool:
        """Whether its second factor counts now. A session's is its issuer's word, a key's of when
        it was made.
        """
        if not caller.mfa or caller.credential:
            return caller.mfa
        at_us = self._last.get((caller.home or caller.org, caller.actor))
        return at_us is None or caller.signed_us > at_us
