"""Facts in, rated intervals and transfers out: the fold that contracts/rating.md prescribes."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, get_args

from msgspec import Struct

from domain import (
    account,
    invoice,
    meter,
    period,
    price_facts,
    pricebook,
    project,
    runtime,
    wallet_facts,
)
from domain.accrual import accrued
from domain.aside import Aside
from domain.charging import (
    Payer,
    RatedInterval,
    Resource,
    Rows,
    Service,
    begin,
    cease,
    charge,
    covered,
    go_first,
    open_period,
    pay_commitments,
    row_bytes,
    settle,
)
from domain.errors import DomainError
from domain.ledger import Balance, Ledger, Order, Transfer, post
from domain.placed import Nodes
from domain.prepayment import Prepayments
from domain.purses import account_of
from domain.rating_readings import Meters
from domain.rating_reserved import Reservations
from domain.rating_volumes import Volumes
from domain.reading import Reading
from domain.rerating import rerate
from domain.statement import PICO_DIGITS, InvoiceDraft, invoice_file, state_lines
from domain.tariff import Tariff, gpu_scope
from domain.taxed import TaxedDraft, taxed_file
from domain.taxing import Payment, Taxes, paid

__all__ = ["Books", "RatedInterval", "Transfer", "invoice_file", "row_bytes", "taxed_file"]


class Books:
    """The whole of rating as one mutable fold; a pure function of the facts applied, in order.

    Feed every entry once, in order of position; entries without meaning here cost a lookup. After
    `apply` has raised, the fold is spent: rebuild it from the log, whose fault the error names.
    """

    def __init__(self, reread: Callable[[int], Iterable[Reading]] | None = None) -> None:
        """`reread`: the readings of the seal at a position, once more; None: memory has them."""
        self.tariff = Tariff()
        self.taxes = Taxes()
        self.prepayments = Prepayments(self.tariff)
        self._accounts: dict[str, Payer] = {}
        self._periods: dict[str, tuple[Payer, Service]] = {}
        self._resources: dict[str, Resource] = {}
        self._invoices: dict[str, tuple[Payer, str]] = {}  # by stream, with its period
        self._nodes = Nodes()
        self._cuts: dict[str, list[int]] = defaultdict(list)  # by project, when it moved
        self._meters = Meters(
            self.tariff, self._account, self._runtime, self._cuts.__getitem__, reread
        )
        of_all = (self._nodes, self._cuts, self.prepayments, self._resources)
        self._reservations = Reservations(self.tariff, self._payer_of, *of_all)
        self._volumes = Volumes(
            self._resources, self._account, self._nodes, self._cuts, (self._until, self._over)
        )
        self._on: dict[type, Callable[[int, str, Any], Rows | None]] = {
            runtime.Requested: self._requested,
            runtime.Allocated: self._allocated,
            runtime.Spot: lambda _, of, __: go_first(self._runtime(of)),
            runtime.Usable: self._usable,
            runtime.Degraded: lambda at, of, fact: self._until(at, of, fact.degraded_us),
            runtime.Stopped: lambda at, of, fact: self._over(at, of, fact.stopped_us),
            runtime.Failed: lambda at, of, fact: self._over(at, of, fact.failed_us),
            runtime.Lost: lambda at, of, fact: self._over(at, of, fact.lost_us),
            runtime.Cancelled: lambda at, of, fact: self._over(at, of, fact.decided_us),
            meter.Registered: self._registered,
            account.Opened: self._account_opened,
            account.TermsSet: self._terms_set,
            period.Opened: self._period_opened,
            project.Moved: self._moved,
            period.SourcesMissing: self._sources_missing,
            period.Closed: self._period_closed,
            pricebook.EntryPublished: lambda at, _, fact: self.tariff.publish(at, fact),
            price_facts.ShapedEntry: lambda at, _, fact: self.tariff.publish(at, fact),
            price_facts.BookPublished: lambda _, __, fact: self.tariff.publish_book(fact),
            price_facts.CommitmentMade: lambda at, _, fact: self.tariff.commit(at, fact),
            price_facts.ReratingDecided: self._rerated,
            price_facts.Rerated: self._rerated,
            invoice.Finalized: self._finalized,
            invoice.TaxedFinalized: self._finalized_taxed,
            invoice.Credited: self._credited,
            **dict.fromkeys(get_args(Payment.__value__), self._paid),
            **Aside().on,
            **self._nodes.on,
            **self.taxes.on,
            **self._meters.on,
            **self._reservations.on,
            **self._volumes.on,
            **dict.fromkeys(get_args(wallet_facts.Event.__value__), self._prepaid),
        }

    def apply(self, position: int, stream: str, fact: Struct) -> Rows:
        """The rows this entry causes, in order; most entries cause none.

        Raises:
            DomainError: `rating.*` or `price.*` when the log says what rating.md does not allow.
        """
        on = self._on.get(type(fact))
        return ([], []) if on is None else on(position, stream, fact) or ([], [])

    def read(self, position: int, readings: Iterable[Reading]) -> Rows:
        """The rows that the readings of the seal at the position cause (rating.md section 8).

        Raises:
            DomainError: as `apply`.
        """
        return self._meters.read(position, readings)

    @property
    def open_resources(self) -> dict[str, int]:
        """Runtimes and volumes with an open billable interval, and how far (us) it is charged."""
        return {
            it.id: it.done_us
            for owner in self._accounts.values()
            for it in owner.open_resources.values()
        }

    def accrued(self, period_id: str, until_us: int, *, beyond: bool = False) -> dict[str, int]:
        """What use of the period until then would add to each resource's charges: `accrual`.

        Raises:
            DomainError: `rating.period_order` when there is no such period.
        """
        owner, of = self._period(period_id)
        return accrued(self.tariff, owner, of, until_us, beyond=beyond)

    def balances(self, account_id: str) -> dict[str, Balance]:
        """Ledger accounts of a billing account by name; empty when it has none yet."""
        owner = self._accounts.get(account_id)
        return {} if owner is None else owner.ledger.balances

    def invoice_of(self, period_id: str) -> InvoiceDraft:
        """What is booked in the period so far; final once it is closed.

        Raises:
            DomainError: `period.unknown`.
        """
        found = self._periods.get(period_id)
        if found is None:
            raise DomainError("period.unknown", f"no period {period_id}")
        owner, of = found
        opened = owner.opened
        lines, total_pico, total_minor = state_lines(of.sums, opened.minor_digits)
        rounding = total_minor * 10 ** (PICO_DIGITS - opened.minor_digits) - total_pico
        return InvoiceDraft(
            *(opened.organization, owner.ledger.account, of.id, of.start_us, of.end_us),
            *(opened.currency, opened.minor_digits, of.simulated, lines),
            *(total_pico, rounding, total_minor, of.missing),
        )

    def taxed_invoice_of(self, period_id: str) -> TaxedDraft | None:
        """Likewise with its tax (rating.md section 11); None when its account has no seller."""
        plain = self.invoice_of(period_id)
        if self.taxes.taxed(plain.account) is None:
            return None
        owner, of = self._period(period_id)
        ends = {one.id: one.end_us for one in owner.periods}
        return self.taxes.draft(plain, ends, of.missing)

    def _prepaid(self, position: int, stream: str, fact: wallet_facts.Event) -> Rows:
        ledger = self._account(account_of(stream)).ledger
        posted = self.prepayments.apply(position, stream, fact, ledger, self._resources)
        if isinstance(fact, wallet_facts.ReservationHeld):
            self._reservations.held(fact.reservation)
        return [], posted

    def _rerated(self, position: int, _: str, fact: price_facts.Decided) -> Rows:
        rows: Rows = ([], [])
        owner = self._account(fact.account)
        for it in rerate(self.tariff, position, owner, fact, self._meters, rows):
            self.prepayments.repriced(it)
        return rows

    def _account_opened(self, _: int, stream: str, fact: account.Opened) -> None:
        if stream in self._accounts or not 0 <= fact.minor_digits <= PICO_DIGITS:
            raise DomainError("rating.account_invalid", f"{stream} opened twice or of odd digits")
        self._accounts[stream] = Payer(
            *(fact, Ledger(stream, fact.currency, {}), [], [], {}, {}, {}, set())
        )

    def _terms_set(self, _: int, stream: str, fact: account.TermsSet) -> None:
        owner = self._account(stream)
        owner.prepaid = fact.terms == account.PREPAID
        self.prepayments.owing(owner)

    def _period_opened(self, _: int, stream: str, fact: period.Opened) -> None:
        owner = self._account(fact.account)
        last = owner.periods[-1] if owner.periods else None
        follows = last is None or (
            fact.start_us == last.end_us and fact.sequence == last.sequence + 1
        )
        if not follows or fact.end_us <= fact.start_us or stream in self._periods:
            raise DomainError("rating.period_order", f"{stream} does not follow the one before it")
        added = Service(stream, fact.start_us, fact.end_us, fact.sequence, {})
        owner.periods.append(added)
        owner.starts.append(fact.start_us)
        self._periods[stream] = (owner, added)

    def _requested(self, position: int, stream: str, fact: runtime.Requested) -> None:
        owner = self._account(fact.account)
        self._resources[stream] = Resource(
            *(stream, position, owner, fact.project, fact.gpu_milli),
            lines={},
            cuts=self._cuts[fact.project],
        )

    def _allocated(self, _: int, stream: str, fact: runtime.Allocated) -> None:
        it = self._runtime(stream)
        on = self._nodes.region(fact.node)
        it.scope = gpu_scope(fact.model, it.account.opened.currency, region=on)
        it.simulated = self._nodes.simulated(fact.node)

    def _usable(self, _: int, stream: str, fact: runtime.Usable) -> None:
        begin(self._runtime(stream), fact.usable_us)

    def _registered(self, _: int, __: str, fact: meter.Registered) -> None:
        self._volumes.metered |= meter.bills_storage(fact)
        self._meters.register(fact)

    def _until(self, position: int, stream: str, end_us: int) -> Rows | None:
        """Close the open interval: charge what is missing, or take back what never happened."""
        it = self._runtime(stream)
        if it.started_us is None:
            return None
        rows: Rows = ([], [])
        self.prepayments.charged(it, cease(self.tariff, position, it, end_us, rows))
        return rows

    def _over(self, position: int, stream: str, end_us: int) -> Rows | None:
        """The end of a runtime or a volume, or of its hold."""
        rows = self._until(position, stream, end_us)
        self.prepayments.ended(self._runtime(stream))
        return rows

    def _sources_missing(self, _: int, stream: str, fact: period.SourcesMissing) -> None:
        self._period(stream)[1].missing = fact.sources

    def _period_closed(self, position: int, stream: str, fact: period.Closed) -> Rows:
        owner, closing = self._period(stream)
        if closing.closed or (closing.start_us, closing.end_us) != (fact.start_us, fact.end_us):
            raise DomainError("rating.period_order", f"{stream} is closed twice or not as opened")
        rows: Rows = ([], [])
        for it in sorted(owner.open_resources.values(), key=lambda it: it.order):
            end = covered(it, closing.end_us)
            if it.done_us < end:
                self.prepayments.charged(it, end)
                charge(self.tariff, position, it, it.done_us, end, 1, rows)
                it.done_us = end
        pay_commitments(self.tariff, position, owner, closing, rows)
        settle(position, owner, rows)
        closing.closed = True
        while owner.first_open < len(owner.periods) and owner.periods[owner.first_open].closed:
            owner.first_open += 1
        return rows

    def _finalized(self, position: int, stream: str, fact: invoice.Finalized) -> Rows:
        owner, of = self._period(fact.period)
        draft = self.invoice_of(fact.period)
        if not of.closed or of.finalized or self.taxes.taxed(draft.account):
            raise DomainError("rating.invoice_order", f"{stream}: not closed, or invoiced twice")
        said = (fact.account, fact.total_pico, fact.total_minor, fact.line_count)
        if said != (draft.account, draft.total_pico, draft.total_minor, len(draft.lines)):
            raise DomainError("rating.invoice_differs", f"{stream} differs from what is booked")
        of.finalized = True
        self._invoices[stream] = (owner, of.id)
        about = (stream, "-", None, of.id, of.id, "receivable")
        transfers = [
            post(owner.ledger, Order(position, kind, *about, other, n, None))
            for kind, other, n in (
                ("invoice", "unbilled", draft.total_pico),
                ("rounding", "rounding", draft.rounding_pico),
            )
            if n
        ]
        return [], transfers

    def _finalized_taxed(self, position: int, stream: str, fact: invoice.TaxedFinalized) -> Rows:
        owner, of = self._period(fact.period)
        draft = self.taxed_invoice_of(fact.period)
        if not of.closed or of.finalized or draft is None:
            raise DomainError("rating.invoice_order", f"{stream}: not closed, or invoiced twice")
        of.finalized = True
        self._invoices[stream] = (owner, of.id)
        return [], self.taxes.finalized(position, stream, fact, draft, owner.ledger)

    def _paid(self, position: int, stream: str, fact: Payment) -> Rows:
        of = self._invoices.get(stream)
        if of is None:
            raise DomainError("rating.invoice_order", f"{stream}: paid and never finalized")
        owner, period_id = of
        of_all = (owner.ledger, period_id, open_period(owner, stream).id)
        return [], paid(position, stream, fact, (*of_all, owner.opened.minor_digits))

    def _credited(self, position: int, stream: str, fact: invoice.Credited) -> Rows:
        owner = self._account(fact.account)
        booked = open_period(owner, stream).id
        posted, lines = self.taxes.credited(position, stream, fact, owner.ledger, booked)
        self.prepayments.credited(owner, lines)
        return [], posted

    def _moved(self, _: int, stream: str, fact: project.Moved) -> None:
        """What is charged of it from here on is cut there."""
        self._cuts[stream].append(fact.moved_us)
        self._meters.moved(stream, fact.account)

    def _account(self, account_id: str) -> Payer:
        found = self._accounts.get(account_id)
        if found is None:
            raise DomainError("rating.account_invalid", f"no account {account_id}")
        return found

    def _payer_of(self, project_id: str) -> Payer | None:
        """Who pays for what begins in the project now."""
        return self._accounts.get(self._meters.account_of(project_id))

    def _period(self, period_id: str) -> tuple[Payer, Service]:
        found = self._periods.get(period_id)
        if found is None:
            raise DomainError("rating.period_order", f"no period {period_id}")
        return found

    def _runtime(self, name: str) -> Resource:
        found = self._resources.get(name)
        if found is None:
            raise DomainError("rating.unknown_runtime", f"no runtime {name} was requested")
        return found
