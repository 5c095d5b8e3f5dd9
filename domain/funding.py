"""What prepaid runtimes need of their wallets: parts of the admission writer's decisions.

A hold covers a runtime from its allocation to the end of its lease and a little more
(`Leasing.hold_end`): nothing after it is billed. It is extended together with the node's lease, or
the runtime is told to stop. Source: MONEY.md section 5.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from domain import cover, credit, keeping, node, reserving, runtime, suspense, wallet, wallet_state
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.launch import PLATFORM, emitted
from domain.node_facts import LeaseRenewed
from domain.purses import GRACE_US, Prepaid, account_of, wallet_stream
from domain.wallet_facts import EXHAUSTED, CreditGranted, HoldsRenewed
from domain.words import Attested

ARREARS_MET: Final = "arrears.met"  # why an account goes on


class Lot(Struct, frozen=True):
    """Credit of one grant: `left_pico` of it is neither spent nor held, `gone_pico` was given back
    or taken back.
    """

    grant: str
    bucket: str
    reference: str
    amount_pico: int
    left_pico: int
    expires_us: int
    gone_pico: int = 0


class Kept(Struct, frozen=True):
    """A prepaid volume: `held_pico` for it until `until_us`; 0 unless locked: wiped from `wipe_us`
    on.
    """

    volume: str
    held_pico: int
    until_us: int
    wipe_us: int


class Purse(Struct, frozen=True):
    """A wallet as it stands. `per_hour_pico`: what its usable runtimes and its volumes cost now.

    `level`: percent of the last grant that was said to be used. `lasts_us`: for so long what is
    there, held or not, pays for them; -1 when nothing runs. `arrears_pico`: what chargebacks left
    owing.
    """

    terms: str
    currency: str
    balance_pico: int
    held_pico: int
    available_pico: int
    lots: tuple[Lot, ...]
    runtimes: int
    per_hour_pico: int
    lasts_us: int
    level: int
    version: int
    volumes: tuple[Kept, ...] = ()
    arrears_pico: int = 0
    suspended: tuple[credit.Suspended, ...] = ()


class Renewal(Struct, frozen=True):
    """A node's lease with the holds of what runs on it; as `node.RenewLease`."""

    node: str
    runtimes: tuple[str, ...]
    boottime_us: int
    attested: Attested
    now_us: int


def grant(
    state: AdmissionState, org: str, account_id: str, command: wallet.Grant, aside: str = ""
) -> tuple[Emit, ...]:
    """Credit in the account's wallet; `()` if its reference was granted before. `aside`: the money
    put aside that it is of, which waits at version 1 until it is resolved.

    Raises: DomainError `account.unknown`, `wallet.grant_invalid`, `wallet.reference_reused`.
    """
    if account_id not in state.accounts:
        raise DomainError("account.unknown", "no such billing account")
    facts = tuple(wallet.grant(state.purses.wallet(account_id), command))
    if not facts:
        return ()
    emits = emitted(state, org, (wallet_stream(account_id), facts))
    if not aside:
        return emits
    resolved = suspense.Resolved(suspense.CREDIT, command.grant, command.now_us)
    return (*emits, Emit(aside, PLATFORM, 1, (resolved,)))


def give_back(
    state: AdmissionState, org: str, account_id: str, command: wallet.GiveBack, *, taken: bool
) -> tuple[Emit, ...]:
    """A payment refunded, or `taken` back by the payer's bank, which suspends the account; `()` if
    it was done before.

    Raises: DomainError `account.unknown`, and as `wallet.charge_back` and `wallet.refund`.
    """
    if account_id not in state.accounts:
        raise DomainError("account.unknown", "no such billing account")
    purse, writes = state.purses.wallet(account_id), list[tuple[str, tuple[Struct, ...]]]()
    facts = wallet.charge_back(purse, command) if taken else wallet.refund(purse, command)
    if not facts:
        return ()
    writes.append((wallet_stream(account_id), tuple(facts)))
    if taken:
        about = purse.references[command.payment].grant
        suspend = credit.Suspend(about, credit.CHARGEBACK, command.now_us)
        standing = state.purses.credit.get(account_id, credit.Credit())
        writes.append((account_id, tuple(credit.decide(suspend, standing))))
    return emitted(state, org, *(one for one in writes if one[1]))


def expire(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """Lots and holds of the wallet whose time is over, and arrears that can be met; `()` when there
    are none. What chargebacks suspended goes on when nothing is in arrears any more.
    """
    purse, expected = state.purses.wallets[stream], state.version(stream)
    facts: list[wallet.Event] = []
    for runtime_id in overdue(state, stream, now_us):
        [over] = wallet.expire_hold(purse, runtime_id, now_us)
        state.remember(stream, (over,))
        facts.append(over)
    left = wallet.expire(purse, now_us)
    state.remember(stream, left)
    facts += left
    met = wallet.meet_arrears(purse, now_us)
    state.remember(stream, met)
    facts += met
    org = _org(state, stream)
    emits = (Emit(stream, org, expected, tuple(facts)),) if facts else ()
    return emits + _resumed(state, stream, now_us) if met and not purse.arrears_pico else emits


def _resumed(state: AdmissionState, stream: str, now_us: int) -> tuple[Emit, ...]:
    """The account of the wallet, as far as chargebacks of its credit had suspended it."""
    name = account_of(stream)
    standing, facts = state.purses.credit.get(name, credit.Credit()), list[credit.Event]()
    for one in standing.suspended:
        if one.reason == credit.CHARGEBACK and one.about.startswith("grant-"):
            facts += credit.decide(credit.Resume(one.about, ARREARS_MET, now_us), standing)
    return emitted(state, _org(state, stream), (name, tuple(facts))) if facts else ()


def overdue(state: AdmissionState, stream: str, now_us: int) -> list[str]:
    """Runtimes of which nobody said how they ended, long after their holds did."""
    return [
        name
        for name, hold in state.purses.wallets[stream].holds.items()
        if hold.until_us and hold.until_us + GRACE_US <= now_us and name in state.runtimes
    ]


def due(state: AdmissionState, now_us: int) -> list[str]:
    """Wallets with a lot or a hold whose time is over; each is named again after a second."""
    return [
        stream
        for stream in state.purses.look(now_us)
        if any(
            lot.left_pico > 0 and 0 < lot.expires_us <= now_us
            for lot in state.purses.wallets[stream].lots.values()
        )
        or overdue(state, stream, now_us)
        or wallet.meet_arrears(state.purses.wallets[stream], now_us)
    ]


def settle(state: AdmissionState, stream: str, command: wallet.Settle) -> tuple[Emit, ...]:
    """What meets a runtime's charges; `()` when nothing is left to be met."""
    purse = state.purses.wallets.get(stream)
    facts = () if purse is None else tuple(wallet.settle(purse, command))
    return emitted(state, _org(state, stream), (stream, facts)) if facts else ()


def renew(state: AdmissionState, asked: Renewal) -> tuple[Emit, ...]:
    """The node's lease, the holds that can be extended with it, and the stop of what cannot.

    What is told to stop already is not extended any more. The lease is the last fact.

    Raises: DomainError as `node.decide`; `node.unknown`.
    """
    serving = state.stock.states.get(asked.node)
    if serving is None:
        raise DomainError("node.unknown", "no such node")
    said = (asked.runtimes, asked.boottime_us, asked.attested, asked.now_us)
    command = node.RenewLease(*said, state.leasing.lease_us)
    [lease] = node.decide(command, serving)
    assert isinstance(lease, node.LeaseRenewed), "what this command makes"
    wanted: dict[str, dict[str, int]] = {}
    until_us = state.leasing.hold_end(lease.until_us)
    for name in serving.held:
        known = state.purses.prepaid.get(name)
        held = state.runtimes.get(name)
        if known is not None and held is not None and not isinstance(held.state, runtime.Ending):
            need = _needed(state, name, known, lease, until_us)
            wanted.setdefault(known.wallet, {})[name] = need
    emits: tuple[Emit, ...] = ()
    for stream, needs in wanted.items():
        emits += _renewed(state, stream, asked, needs, until_us)
    state.purses.renewing(asked.node, serving, lease)
    if emits:
        return emits + emitted(state, PLATFORM, (asked.node, (lease,)), by=emits[0].stream)
    emit = Emit(asked.node, PLATFORM, state.version(asked.node), (lease,))
    state.remember(asked.node, (lease,))
    return (emit,)


def _renewed(
    state: AdmissionState, stream: str, asked: Renewal, needs: dict[str, int], until_us: int
) -> tuple[Emit, ...]:
    org = _org(state, stream)
    purse = state.purses.wallets[stream]
    facts = wallet.renew(purse, asked.node, needs, until_us, asked.now_us)
    kept: set[str] = set()
    for fact in facts:
        if isinstance(fact, HoldsRenewed):
            kept.update(one.runtime for one in fact.holds)
    emits = emitted(state, org, (stream, tuple(facts))) if facts else ()
    for name in needs:
        if name not in kept:
            stop = runtime.Stop(EXHAUSTED, asked.now_us)
            stopping = tuple(runtime.decide(stop, state.runtimes[name].state))
            emits += emitted(state, org, (name, stopping))
    return emits


def _needed(
    state: AdmissionState, name: str, known: Prepaid, lease: LeaseRenewed, until_us: int
) -> int:
    """All that the runtime's hold must be of, so that it covers it until then.

    Only what was not charged and met yet counts, and only from when it was usable: a lease that
    names it as usable may have overtaken its node's word of since when.
    """
    live = state.runtimes[name].state
    hold = state.purses.wallets[known.wallet].holds[name]
    from_us = hold.from_us
    if known.closed_us <= from_us:
        usable = isinstance(live, runtime.Running) or name in lease.runtimes
        since_us = live.previous_us if usable else lease.renewed_us  # type: ignore[union-attr]
        from_us = max(from_us, since_us)
    until_us = max(until_us, known.cover.until_us)
    starts = state.purses.starts(known.cover.account)
    return cover.quote(state.tariff, known.cover, from_us, until_us, starts)


def purse_of(state: AdmissionState, account_id: str, now_us: int) -> Purse:
    """Raises: DomainError `account.unknown`."""
    opened = state.accounts.get(account_id)
    if opened is None:
        raise DomainError("account.unknown", "no such billing account")
    stream, purses = wallet_stream(account_id), state.purses
    purse = purses.wallet(account_id)
    granted = {one.grant: one for one in purse.references.values()}
    rate, count = _burn(state, purse, now_us)
    terms = purses.terms.get(account_id)
    standing = purses.credit.get(account_id, credit.Credit())
    return Purse(
        *("postpaid" if terms is None else terms.terms, opened.currency),
        *(purse.balance_pico, purse.held_pico, purse.available_pico(now_us)),
        tuple(_lot(granted[name], lot) for name, lot in purse.lots.items() if name in granted),
        *(count, rate, _lasts(state, purse, rate, now_us), purse.level, state.version(stream)),
        tuple(_kept(state, purse, account_id)),
        purse.arrears_pico,
        standing.suspended,
    )


def _kept(state: AdmissionState, purse: wallet.Wallet, account_id: str) -> Iterator[Kept]:
    for name, of in state.purses.kept.items():
        stored, hold = state.volumes.get(name), purse.holds.get(name)
        if of == account_id and stored is not None:
            locked, held = stored.state.locked, (0, 0)
            if hold is not None:
                held = (hold.amount_pico, hold.until_us)
            yield Kept(name, *held, 0 if locked is None else locked.wipe_us)


def _lot(fact: CreditGranted, lot: wallet_state.Lot) -> Lot:
    return Lot(
        *(fact.grant, fact.bucket, fact.reference),
        *(fact.amount_pico, lot.left_pico, fact.expires_us, lot.gone_pico),
    )


def _burn(state: AdmissionState, purse: wallet.Wallet, now_us: int) -> tuple[int, int]:
    """(pico an hour of what is usable now, how many runtimes are held for)."""
    rate = count = 0
    for name in purse.holds:
        known, held = state.purses.prepaid.get(name), state.runtimes.get(name)
        count += held is not None
        if known is None or held is None or not isinstance(held.state, runtime.Running):
            continue
        price, _ = state.tariff.at(known.cover.account, known.cover.scope, now_us)
        rate += 0 if price is None else cover.per_hour(price, known.cover.size)
    rate += sum(keeping.per_hour(state, name, now_us) for name in purse.holds)
    rate += sum(reserving.per_hour(state, name, now_us) for name in purse.holds)
    return rate, count


def _lasts(state: AdmissionState, purse: wallet.Wallet, rate: int, now_us: int) -> int:
    """What is not used yet, at that rate, us."""
    if not rate:
        return -1
    used = 0
    for name, hold in purse.holds.items():
        known, held = state.purses.prepaid.get(name), state.runtimes.get(name)
        if known is not None and held is not None and isinstance(held.state, runtime.Running):
            since = max(hold.from_us, held.state.previous_us)
            if now_us > since:
                starts = state.purses.starts(known.cover.account)
                used += cover.quote(state.tariff, known.cover, since, now_us, starts)
    return max(0, purse.balance_pico - used) * 3_600_000_000 // rate


def _org(state: AdmissionState, stream: str) -> str:
    return state.accounts["account-" + stream.split("-", 1)[1]].organization
