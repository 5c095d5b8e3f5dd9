"""What keeps a billing account from beginning something new (part of `account`).

    Clear -Suspend-> Suspended, for each thing that it is about -Resume-> Clear again
    Within -Observe-> Over its limit -Observe-> Within
    each invoice: (issued) -Dun-> due -> reminded, again and again -> suspended -> stopped
    paid, whatever it was: -Dun-> nothing of it stands

What runs goes on, until a step `stopped` stands. Source: MONEY.md section 5, contracts/facts.md.
"""

from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import DomainError

CHARGEBACK: Final = "chargeback"  # why an account is suspended when a payment was taken back
OVERDUE: Final = "account.overdue"  # the reason of a `runtime.stopping` for want of payment
PAID: Final = "invoice.paid"  # why an account goes on
DAY_US: Final = 86_400_000_000
DUE: Final = "due"
REMINDED: Final = "reminded"
SUSPENDED: Final = "suspended"
STOPPED: Final = "stopped"
LIMIT: Final = 10**30
LONGEST_DAYS: Final = 3650
MOST_REMINDERS: Final = 12


class Suspend(Struct, frozen=True):
    """`about`: the grant or invoice that was not paid after all, or the account itself."""

    about: str
    reason: str
    now_us: int


class Resume(Struct, frozen=True):
    """`about` none: whatever it is suspended for."""

    about: str
    reason: str
    now_us: int


class SetCredit(Struct, frozen=True):
    """`limit_pico`: of what is used and not paid; 0 = none. Days: an invoice without a seller is
    due `due_days` after it is issued, the others after it was due (0 = never; reminders rise).
    """

    limit_pico: int
    due_days: int
    remind_days: tuple[int, ...]
    suspend_days: int
    stop_days: int
    now_us: int


class Observe(Struct, frozen=True):
    """What the account has used and not paid, invoiced or not."""

    used_pico: int
    now_us: int


class Dun(Struct, frozen=True):
    """An issued invoice: when it was due, and how much of it is."""

    invoice: str
    due_us: int
    due_minor: int
    now_us: int


type Command = Suspend | Resume | SetCredit | Observe | Dun


class Suspended(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.suspended.v1"):
    about: str
    reason: str
    decided_us: int


class Resumed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.resumed.v1"):
    about: str
    reason: str
    decided_us: int


class CreditSet(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.credit_set.v1"
):
    limit_pico: int
    due_days: int
    remind_days: tuple[int, ...]
    suspend_days: int
    stop_days: int
    decided_us: int


class OverLimit(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.over_limit.v1"
):
    limit_pico: int
    used_pico: int
    decided_us: int


class WithinLimit(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.within_limit.v1"
):
    limit_pico: int
    used_pico: int
    decided_us: int


class Dunned(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.dunned.v1"):
    """`step`: due, reminded, suspended or stopped; `days` after it was due."""

    invoice: str
    step: str
    days: int
    due_us: int
    due_minor: int
    decided_us: int


class DunningEnded(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.account.dunning_ended.v1"
):
    """Nothing of the invoice is due any more."""

    invoice: str
    decided_us: int


type Event = Suspended | Resumed | CreditSet | OverLimit | WithinLimit | Dunned | DunningEnded


class Credit(Struct, frozen=True):
    """`suspended` and `dunned`: what stands, in order; `over`: its limit, since then."""

    suspended: tuple[Suspended, ...] = ()
    terms: CreditSet | None = None
    over: OverLimit | None = None
    dunned: tuple[Dunned, ...] = ()

    @property
    def stops(self) -> Dunned | None:
        """By what everything of the account is told to stop."""
        return next((one for one in self.dunned if one.step == STOPPED), None)


def decide(command: Command, state: Credit) -> list[Event]:
    """Raises: DomainError `account.not_suspended`, `account.credit_invalid`."""
    standing = {one.about for one in state.suspended}
    match command:
        case Suspend(about, reason, now_us):
            return [] if about in standing else [Suspended(about, reason, now_us)]
        case Resume(about, reason, now_us):
            ended = [one.about for one in state.suspended if about in {"", one.about}]
            if not ended:
                raise DomainError("account.not_suspended", "not for that")
            return [Resumed(one, reason, now_us) for one in ended]
        case SetCredit():
            return _set(command, state)
        case Observe():
            return _observed(command, state)
        case Dun():
            return _dunned(command, state)
        case _:
            assert_never(command)


def _set(command: SetCredit, state: Credit) -> list[Event]:
    days = (command.due_days, *command.remind_days, command.suspend_days, command.stop_days)
    reminders = command.remind_days
    rising = list(reminders) == sorted(set(reminders)) and 0 not in reminders
    later = command.stop_days == 0 or 0 < command.suspend_days <= command.stop_days
    bounded = all(0 <= one <= LONGEST_DAYS for one in days) and len(reminders) <= MOST_REMINDERS
    if not (0 <= command.limit_pico <= LIMIT and bounded and rising and later):
        raise DomainError(
            "account.credit_invalid", "a limit >= 0, reminders that rise, no stop before suspension"
        )
    fact = CreditSet(
        *(command.limit_pico, command.due_days, command.remind_days),
        *(command.suspend_days, command.stop_days, command.now_us),
    )
    before = state.terms
    same = before is not None and replace(before, decided_us=command.now_us) == fact
    return [] if same else [fact]


def _observed(command: Observe, state: Credit) -> list[Event]:
    """Told when it is exceeded, and when it is not any more; a limit that is none is not."""
    limit = 0 if state.terms is None else state.terms.limit_pico
    over = bool(limit) and command.used_pico > limit
    if over == (state.over is not None):
        return []
    kind = OverLimit if over else WithinLimit
    return [kind(limit, command.used_pico, command.now_us)]


def steps(terms: CreditSet) -> list[tuple[str, int]]:
    """(what, days after it was due) of every step, in the order in which they are taken."""
    found = [(DUE, 0), *((REMINDED, days) for days in terms.remind_days)]
    found += [(SUSPENDED, terms.suspend_days)] if terms.suspend_days else []
    found += [(STOPPED, terms.stop_days)] if terms.stop_days else []
    return sorted(found, key=lambda one: one[1])


def _dunned(command: Dun, state: Credit) -> list[Event]:
    told = {(one.step, one.days) for one in state.dunned if one.invoice == command.invoice}
    if command.due_minor <= 0:
        facts: list[Event] = [DunningEnded(command.invoice, command.now_us)] if told else []
        if any(one.about == command.invoice for one in state.suspended):
            facts.append(Resumed(command.invoice, PAID, command.now_us))
        return facts
    if state.terms is None:
        return []
    late = command.now_us - command.due_us
    return [
        Dunned(command.invoice, step, days, command.due_us, command.due_minor, command.now_us)
        for step, days in steps(state.terms)
        if days * DAY_US <= late and (step, days) not in told
    ]


def evolve(state: Credit, event: Event) -> Credit:
    match event:
        case Suspended():
            return replace(state, suspended=(*state.suspended, event))
        case Resumed():
            left = tuple(one for one in state.suspended if one.about != event.about)
            return replace(state, suspended=left)
        case CreditSet():
            return replace(state, terms=event)
        case OverLimit():
            return replace(state, over=event)
        case WithinLimit():
            return replace(state, over=None)
        case Dunned():
            return replace(state, dunned=(*state.dunned, event))
        case DunningEnded():
            still = tuple(one for one in state.dunned if one.invoice != event.invoice)
            return replace(state, dunned=still)
        case _:
            assert_never(event)


def barring(state: Credit) -> DomainError | None:
    """Why nothing new may begin, if so: `account.suspended`; `account.over_limit` with what would
    fit once so much is paid.
    """
    if state.suspended:
        first = state.suspended[0]
        return _suspended(first.about, first.reason)
    late = next((one for one in state.dunned if one.step in {SUSPENDED, STOPPED}), None)
    if late is not None:
        return _suspended(late.invoice, OVERDUE)
    if state.over is not None:
        limit, used = state.over.limit_pico, state.over.used_pico
        facts: dict[str, int | str] = {
            "limit_pico": limit, "used_pico": used, "fits_pico": 0, "pay_pico": used - limit,
        }  # fmt: skip
        return DomainError("account.over_limit", "what is used and not paid is too much", facts)
    return None


def _suspended(about: str, reason: str) -> DomainError:
    facts: dict[str, int | str] = {"about": about, "reason": reason}
    return DomainError("account.suspended", "its account is suspended", facts)
