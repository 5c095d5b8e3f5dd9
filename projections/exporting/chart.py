"""Ledger accounts under the five roots of double-entry books, as foreign bookkeepers name them.

Source: MONEY.md section 4 (the chart), beancount's and hledger's manuals (roots and names).
"""

import hashlib
import re
from typing import Final

from domain.errors import DomainError

# By the first word of a ledger account's name.
ROOTS: Final = {
    "cash": "assets", "receivable": "assets", "unbilled": "assets",
    "wallet": "liabilities", "hold": "liabilities", "tax": "liabilities", "suspense": "liabilities",
    "revenue": "income", "breakage": "income", "rounding": "income",
    "credits": "expenses", "provider": "expenses",
}  # fmt: skip
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9-]+")


class Chart:
    """Names of one export: another ledger account never gets a name that was given.

    `spelled` may make two names one (`a.b`, `a-b`); the second then ends in a part of its digest.
    """

    def __init__(self, *, capital: bool) -> None:
        self._capital = capital
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def name(self, ledger: str) -> tuple[str, bool]:
        """(its name here, whether it is new). Raises: DomainError export.unknown_account."""
        known = self._given.get(ledger)
        if known is not None:
            return known, False
        words = ledger.split(":")
        root = ROOTS.get(words[0])
        if root is None:
            raise DomainError("export.unknown_account", f"no root for the ledger account {ledger}")
        name = ":".join(self._spelled(word) for word in (root, *words))
        if name in self._taken:
            name += "-" + hashlib.sha256(ledger.encode()).hexdigest()[:12]
        self._given[ledger] = name
        self._taken.add(name)
        return name, True

    def _spelled(self, word: str) -> str:
        """One component: beancount wants a capital or a digit first, and letters, digits, `-`."""
        plain = _FOREIGN.sub("-", word).strip("-") or "none"
        return plain[0].upper() + plain[1:] if self._capital else plain
