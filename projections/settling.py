"""Charges of prepaid runtimes met from their holds, as soon as they are sealed (rating.md 9)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from domain.errors import DomainError
from domain.prepayment import Settlement
from projections.rater import Rater

# Asks the admission writer; the cause is where the charges were seen. Raises: its refusal.
type Settle = Callable[[Settlement, str], Awaitable[None]]

_SIDE_BY_SIDE: Final = 64
# Done meanwhile, or nobody decides now: whatever is still due is found again.
_LATER: Final = frozenset({"admission.nothing", "admission.unavailable", "log.version_stale"})


async def settle_due(rater: Rater, settle: Settle) -> int:
    """Asks for every settlement that is due, once all charges are sealed; returns how many
    were made.

    Asked twice, or by two workers, it is made once: what is due follows from the wallet.
    """
    if not rater.settled:
        return 0
    due = rater.books.prepayments.settlements()
    done = 0
    for first in range(0, len(due), _SIDE_BY_SIDE):
        asked = (
            _asked(settle, one, f"pos:{rater.at - 1}") for one in due[first : first + _SIDE_BY_SIDE]
        )
        done += sum(await asyncio.gather(*asked))
    return done


async def _asked(settle: Settle, one: Settlement, cause: str) -> int:
    try:
        await settle(one, cause)
    except DomainError as error:
        if error.code not in _LATER:
            raise
        return 0
    return 1
