"""Invoices of closed periods: written, sealed and numbered in one append, then issued."""

from typing import Final

from domain import account, invoice, seller
from domain.errors import DomainError
from domain.rating import invoice_file, taxed_file
from domain.statement import file_name
from domain.taxed import TaxedDraft
from evidence.append import Append, Write
from evidence.files import stage
from evidence.log import EventLog
from evidence.storage import Storage
from projections.duties import Billed, Due
from projections.months import command_id, derived_id
from projections.rater import Rater

ACTOR: Final = "system-invoicing"


async def finalize_due(log: EventLog, rater: Rater, storage: Storage, now_us: int) -> int:
    """Invoices every closed period that has charges, all sealed; returns how many facts it
    appended.

    The file is on disk before the append that binds it: a crash between the two leaves a file
    nobody names, which the next run writes again with the same bytes. The invoice's stream
    follows from the period's, so a period is invoiced once, whoever tries.
    """
    done = 0
    for due in list(rater.duties.to_invoice.values()):
        if rater.settled and rater.at > due.closed:
            done += await _finalize(log, rater, storage, due, now_us)
    for stream, org in list(rater.duties.to_issue.items()):
        facts = (invoice.Issued(now_us),)
        done += await append_as(log, (Write(stream, org, 1, facts),), f"issue\n{stream}")
    return done


def number_of(account_id: str, sequence: int) -> str:
    """The invoice number: unique in the deployment, contiguous per account."""
    return f"INV-{account_id[-12:].upper()}-{sequence:05d}"


async def _finalize(log: EventLog, rater: Rater, storage: Storage, due: Due, now_us: int) -> int:
    draft = rater.books.invoice_of(due.period)
    if not draft.lines:  # nothing was booked, and nothing more can be: no invoice
        rater.duties.to_invoice.pop(due.period, None)
        return 0
    taxed = rater.books.taxed_invoice_of(due.period)
    if taxed is not None:
        return await _finalize_taxed(log, rater, storage, due, taxed, now_us)
    billed = rater.duties.accounts[due.account]
    stream = derived_id("invoice", due.period)
    numbered = account.decide(
        account.NumberInvoice(stream), account.Billing(billed.opened, billed.sequence)
    )
    number = number_of(due.account, billed.sequence + 1)
    data = invoice_file(draft, number)
    sealed = stage(storage, file_name(number), data, rater.at)
    command = invoice.Finalize(number, draft, sealed.sha256, due.closed, now_us)
    finalized = invoice.decide(command, invoice.Missing())
    writes = (
        Write(stream, due.org, 0, tuple(finalized)),
        Write(due.account, due.org, billed.version, tuple(numbered)),
        Write(derived_id("files", due.period), "-", 0, (sealed,)),
    )
    done = await append_as(log, writes, f"finalize\n{due.period}")
    if done:
        _remember(billed, rater, due)
    return done


async def _finalize_taxed(
    log: EventLog, rater: Rater, storage: Storage, due: Due, draft: TaxedDraft, now_us: int
) -> int:
    """Of an account with a seller, in the append in which the seller counts it.

    The seller's rates stand on the stream that is written, the buyer on one that is read: neither
    can have changed. Of two who finalize at once one loses by the seller's version, and no number
    is left out.
    """
    name = draft.seller.seller
    billed, selling = rater.duties.accounts[due.account], rater.duties.sellers[name]
    stream = derived_id("invoice", due.period)
    numbered = seller.Invoiced(stream, selling.invoices + 1)
    number = seller.invoice_number(selling.registered.prefix, numbered.sequence)
    data = taxed_file(draft, number)
    sealed = stage(storage, file_name(number), data, rater.at)
    command = invoice.FinalizeTaxed(number, draft, sealed.sha256, due.closed, now_us)
    writes = (
        Write(stream, due.org, 0, tuple(invoice.decide(command, invoice.Missing()))),
        Write(name, "-", selling.version, (numbered,)),
        Write(derived_id("files", due.period), "-", 0, (sealed,)),
    )
    reads = ((due.account, billed.version),)
    done = await append_as(log, writes, f"finalize\n{due.period}", reads)
    if done:
        selling.version += 1
        selling.invoices += 1
        rater.duties.to_invoice.pop(due.period, None)
    return done


def _remember(billed: Billed, rater: Rater, due: Due) -> None:
    # The fold will meet these facts in the log too; until then the next invoice of the same
    # account must not take the same number.
    billed.version += 1
    billed.sequence += 1
    rater.duties.to_invoice.pop(due.period, None)


async def append_as(
    log: EventLog,
    writes: tuple[Write, ...],
    command: str,
    reads: tuple[tuple[str, int], ...] = (),
) -> int:
    """How many facts it appended: none when somebody did it before, or was faster."""
    try:
        done = await log.append(Append(writes, ACTOR, command_id(ACTOR, command), reads))
    except DomainError as error:
        if error.code == "log.version_stale":
            return 0
        raise
    return 0 if done.repeated else sum(len(write.facts) for write in writes)
