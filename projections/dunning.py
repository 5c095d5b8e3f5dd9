"""Credit of accounts that pay afterwards: limits that are exceeded, invoices that are overdue.

What is used and not paid is what stands in `receivable` and `unbilled` and what open use until now
would add. Steps of dunning follow from the clock and from what is due (contracts/facts.md).
"""

import time
from typing import Final

from msgspec import Struct

from domain import account, credit, invoice, seller
from domain.errors import DomainError
from domain.rating import Books
from domain.statement import PICO_DIGITS
from evidence.append import Append, Write
from evidence.log import EventLog
from projections.duties import CREDIT, Duties
from projections.entries import Entry
from projections.months import command_id

ACTOR: Final = "system-credit"
TAGS: Final = frozenset(
    f"gpuaas.{name}.v1"
    for name in (
        *("account.opened", "account.invoiced", "account.taxed", "account.terms_set"),
        *(f"account.{name}" for name in CREDIT),
        *("invoice.finalized", "invoice.issued", "invoice.paid", "invoice.payment_returned"),
        *("invoice.refunded", "credit_note.ordered", "credit_note.issued", "seller.registered"),
    )
) | {"gpuaas.invoice.finalized.v2"}
_SHARE: Final = 20  # looking takes at most so small a part of the time: one in twenty
_SIDES: Final = ("receivable", "unbilled")


class Owing(Struct):
    """An account, its credit, and how far its stream has come."""

    org: str
    digits: int
    version: int
    prepaid: bool = False
    standing: credit.Credit = credit.Credit()


class Bill(Struct):
    """An invoice; `issued_us` 0 before it is."""

    account: str
    seller: str
    due_minor: int
    version: int
    issued_us: int = 0


class Dunning:
    """A fold of what accounts' and invoices' streams say; belongs to one rater."""

    def __init__(self) -> None:
        self.accounts: dict[str, Owing] = {}
        self.look_at = 0.0  # of the monotonic clock
        self._bills: dict[str, dict[str, Bill]] = {}  # by account
        self._payer: dict[str, str] = {}  # by invoice
        self._days: dict[str, int] = {}  # by seller

    def apply(self, entry: Entry, fact: Struct) -> None:
        """Remembers the fact."""
        if entry.stream.startswith("invoice-"):
            self._billed(entry, fact)
            return
        if isinstance(fact, account.Opened):
            self.accounts[entry.stream] = Owing(entry.org, fact.minor_digits, entry.version)
        elif isinstance(fact, seller.Registered):
            self._days[entry.stream] = fact.terms_days
        owing = self.accounts.get(entry.stream)
        if owing is None:
            return
        owing.version = entry.version
        if isinstance(fact, account.TermsSet):
            owing.prepaid = fact.terms == account.PREPAID
        elif isinstance(fact, credit.Event.__value__):
            owing.standing = credit.evolve(owing.standing, fact)

    def _billed(self, entry: Entry, fact: Struct) -> None:
        if isinstance(fact, invoice.Finalized | invoice.TaxedFinalized):
            of = fact.seller if isinstance(fact, invoice.TaxedFinalized) else ""
            bill = Bill(fact.account, of, fact.total_minor, entry.version)
            self._payer[entry.stream] = fact.account
            self._bills.setdefault(fact.account, {})[entry.stream] = bill
            return
        bill = self._bills[self._payer[entry.stream]][entry.stream]
        bill.version = entry.version
        match fact:
            case invoice.Issued(issued_us):
                bill.issued_us = issued_us
            case invoice.Paid(due_minor=due) | invoice.PaymentReturned(due_minor=due):
                bill.due_minor = due
            case invoice.Refunded(due_minor=due):
                bill.due_minor = due
            case invoice.Credited(total_minor=total):
                bill.due_minor -= total
            case _:
                pass

    def look(
        self, name: str, owing: Owing, used: tuple[int, int], now_us: int
    ) -> tuple[list[credit.Event], list[tuple[str, int]]]:
        """What is to be said of the account now, and the invoices that it rests on, with versions.

        `used`: what is receivable, and all that is used and not paid.
        """
        facts: list[credit.Event] = []
        reads = list[tuple[str, int]]()
        state = owing.standing
        named = {one.invoice for one in state.dunned} | {one.about for one in state.suspended}
        due_of_all = used[0] // 10 ** (PICO_DIGITS - owing.digits)
        for stream, bill in self._bills.get(name, {}).items():
            due = 0 if owing.prepaid or due_of_all <= 0 else bill.due_minor
            if not bill.issued_us or (due <= 0 and stream not in named) or state.terms is None:
                continue
            days = self._days.get(bill.seller, state.terms.due_days)
            command = credit.Dun(stream, bill.issued_us + days * credit.DAY_US, due, now_us)
            said = credit.decide(command, state)
            if said:
                facts += said
                reads.append((stream, bill.version))
        if not owing.prepaid or state.over is not None:
            more = 0 if owing.prepaid else used[1]
            facts += credit.decide(credit.Observe(more, now_us), state)
        return facts, reads


async def dun_due(
    log: EventLog, dunning: Dunning, duties: Duties, books: Books, now_us: int
) -> int:
    """Says what is due and was not said yet; returns how many facts it appended.

    Exactly once, whoever tries and whatever is killed: what is due follows from the account's
    stream, at whose version it is appended, and from the invoices', which it is appended with.
    """
    began = time.monotonic()
    if began < dunning.look_at:
        return 0
    done = 0
    for name, owing in dunning.accounts.items():
        if owing.standing == credit.Credit():
            continue
        used = _used(books, duties, name, now_us)
        facts, reads = dunning.look(name, owing, used, now_us)
        if facts:
            done += await _tell(log, name, owing, facts, reads)
    dunning.look_at = time.monotonic() + _SHARE * (time.monotonic() - began)
    return done


def _used(books: Books, duties: Duties, name: str, now_us: int) -> tuple[int, int]:
    balances = books.balances(name)
    posted = [balances[side].pico if side in balances else 0 for side in _SIDES]
    coming = 0
    for running in duties.running.values():
        if running.opened.account == name and running.opened.start_us <= now_us:
            coming += sum(books.accrued(running.stream, now_us).values())
    return posted[0], sum(posted) + coming


async def _tell(
    log: EventLog,
    name: str,
    owing: Owing,
    facts: list[credit.Event],
    reads: list[tuple[str, int]],
) -> int:
    write = Write(name, owing.org, owing.version, tuple(facts))
    cause = command_id(ACTOR, f"{name}\n{owing.version}")
    try:
        done = await log.append(Append((write,), ACTOR, cause, reads=tuple(reads)))
    except DomainError as error:
        if error.code != "log.version_stale":
            raise
        return 0
    return 0 if done.repeated else len(facts)
