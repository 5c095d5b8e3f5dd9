"""Credit notes that were ordered: written, sealed and numbered in one append."""

from domain import invoice, seller
from domain.crediting import credit_file, credit_file_name
from evidence.append import Write
from evidence.files import stage
from evidence.log import EventLog
from evidence.storage import Storage
from projections.duties import ToCredit
from projections.invoicing import append_as
from projections.months import derived_id
from projections.rater import Rater


async def credit_due(log: EventLog, rater: Rater, storage: Storage, now_us: int) -> int:
    """Issues every credit note that is ordered, in order; returns how many facts it appended.

    Two at once are harmless, as of invoices: one loses by the seller's version.
    """
    done = 0
    for due in list(rater.duties.to_credit.values()):
        if not rater.settled:
            break
        written = await _issue(log, rater, storage, due, now_us)
        if not written:  # somebody was faster: the fold goes on before the next one
            break
        done += written
        await rater.catch_up()
    return done


async def _issue(log: EventLog, rater: Rater, storage: Storage, due: ToCredit, now_us: int) -> int:
    order, duties = due.order, rater.duties
    draft = rater.books.taxes.left(due.stream).take(order.parts, order.why)
    name = draft.seller.seller
    selling = duties.sellers[name]
    numbered = seller.Credited(order.credit_note, selling.credits + 1)
    number = seller.credit_number(selling.registered.prefix, numbered.sequence)
    data = credit_file(draft, number)
    sealed = stage(storage, credit_file_name(number), data, rater.at)
    command = invoice.Credit(order.credit_note, number, draft, sealed.sha256, now_us)
    facts = invoice.decide(command, duties.invoices[due.stream].state)
    writes = (
        Write(due.stream, due.org, duties.invoices[due.stream].version, tuple(facts)),
        Write(name, "-", selling.version, (numbered,)),
        Write(derived_id("files", due.stream, order.credit_note), "-", 0, (sealed,)),
    )
    return await append_as(log, writes, f"credit\n{order.credit_note}")
