"""The house with wallets: prepaid tenants, leases that carry their holds, volumes that are held for
days ahead, and who settles all of them.
"""

from collections.abc import Collection
from typing import Any

from domain import (
    account,
    funding,
    locking,
    meter,
    pricebook,
    runtime,
    storage,
    suspense,
    volume,
    wallet,
)
from domain.decider import Emit, fold
from domain.purses import wallet_stream
from domain.wallet import Wallet
from tests.museum.house import HOUR, NAME, House, Tenant
from tests.property.books_history import stream

GIB_HOUR = 1024 * HOUR  # in MiB x us


class PrepaidHouse(House):
    """As a `House`; `settle` is the reaction to charges."""

    def __init__(self) -> None:
        super().__init__()
        self._grants = 0
        self._volumes = 0

    def prepay(self, of: Tenant, terms: str = account.PREPAID, at: int = 0) -> None:
        """What the tenant launches from now on has these terms."""
        state = fold(account.DECIDER, self.facts(of.account))
        facts = account.decide(account.SetTerms(terms, 0, at), state)
        self.append((of.account, of.organization, facts))

    def grant(
        self, of: Tenant, pico: int, *, bucket: str = "paid", expires: int = 0, at: int = 0,
        reference: str = "", aside: str = "",
    ) -> str:  # fmt: skip
        """Credit; its reference is its own unless given. `aside`: the money that it was."""
        self._grants += 1
        name = stream("grant", self._grants)
        command = wallet.Grant(name, bucket, pico, expires, reference or f"r{self._grants}", at)
        self.emitted(funding.grant(self.state, of.organization, of.account, command, aside))
        return name

    def gives_back(
        self, of: Tenant, payment: str, reference: str, *, pico: int = 0, taken: bool = True,
        at: int = 0,
    ) -> tuple[Emit, ...]:  # fmt: skip
        """A payment taken back by the payer's bank, or refunded; no amount: all that may."""
        command = wallet.GiveBack(payment, pico, reference, at)
        back = funding.give_back(self.state, of.organization, of.account, command, taken=taken)
        return self.emitted(back)

    def puts_aside(self, number: int, pico: int, currency: str = "USD") -> str:
        """A line of a statement that names nobody."""
        name = stream("suspense", number)
        command = suspense.Receive(currency, pico, f"line-{number}", NAME, "names.nobody", 0)
        self.append((name, "-", suspense.decide(command, suspense.Missing())))
        return name

    def wallet(self, of: Tenant) -> Wallet:
        """As the admission has it."""
        return self.state.purses.wallet(of.account)

    def lease(
        self, name: str, at: int, told: int | None = None, *, named: Collection[str] = ()
    ) -> None:
        """The node's lease renewed for what is usable on it, with the holds of what is prepaid;
        `named`: of that, what the platform has not heard yet.
        """
        serving = self.state.stock.states[name]
        usable = tuple(
            sorted(
                one
                for one in serving.held
                if one in named or isinstance(self.state.runtimes[one].state, runtime.Running)
            )
        )
        boottime = at - serving.anchor.anchor_us
        said = self.history.attested(name, "gpuaas.node.lease_renewed.v1", name, boottime)
        asked = funding.Renewal(name, usable, boottime, said, at if told is None else told)
        self.emitted(funding.renew(self.state, asked))

    def settle(self, at: int) -> int:
        """Every charge met, and holds of what has ended released; how many were due."""
        due = self.books.prepayments.settlements()
        for one in due:
            command = wallet.Settle(one.runtime, one.charged_pico, one.from_us, one.over, at)
            self.emitted(funding.settle(self.state, one.wallet, command))
        return len(due)

    def meter_storage(self, pico: int, *, since: int = 0, now: int = 0) -> None:
        """Volumes cost so much a GiB-hour from then on; metered from the first time on."""
        name, book = stream("meter", 1), stream("pricebook", 1)
        if not self.state.storage:
            counted = meter.Registered("storage.capacity", "MiB-us", "lifecycle", "sum", now)
            self.append((name, "-", [counted]))
        key = ("default", "storage.capacity", "local", "-", "existing", "USD")
        entry = pricebook.PublishEntry(*key, since, pico, GIB_HOUR, now)
        self.append((book, "-", pricebook.decide(entry, fold(pricebook.DECIDER, self.facts(book)))))

    def store(self, of: Tenant, size_mib: int = 1024, *, at: int = 0, node: str = "") -> str:
        """A volume, asked for."""
        self._volumes += 1
        name = stream("volume", self._volumes)
        ids = (name, of.organization, of.project, NAME)
        self.emitted(storage.create(self.state, storage.NewVolume(*ids, size_mib, at, node)))
        return name

    def grow(self, of: Tenant, name: str, size_mib: int, at: int) -> tuple[Emit, ...]:
        """Ordered."""
        wanted = storage.GrowVolume(name, of.organization, size_mib, at)
        return self.emitted(storage.grow(self.state, wanted))

    def volume_says(
        self, what: type[volume.Report], name: str, at: int, *said: Any, told: int | None = None
    ) -> None:
        """A word of the volume's node: its clock says `at`, the platform hears it at `told`."""
        held = self.state.volumes[name].state
        node = held.created.node
        anchor = self.state.stock.states[node].anchor
        boottime = at - anchor.anchor_us
        signed = self.history.attested(node, "", name, boottime)
        word = volume.Word(0, boottime, anchor, signed, at if told is None else told)
        facts = volume.decide(what(word, *said), held)
        self.append((name, self._org(name), facts))

    def does_to(self, name: str, command: volume.Command) -> None:
        """A command to a volume."""
        facts = volume.decide(command, self.state.volumes[name].state)
        self.append((name, self._org(name), facts))

    def _org(self, name: str) -> str:
        return self.history.orgs[name]

    def keep_volumes(self, at: int) -> list[str]:
        """What is due of volumes, done; which ones it was of."""
        due = locking.due(self.state, at)
        for name in due:
            emits = locking.carry_out(self.state, name, at)
            if emits:  # what another one took may be what this one lacks
                self.emitted(emits)
        return due

    def expire(self, at: int) -> None:
        """What is over is said so."""
        for name in funding.due(self.state, at):
            self.emitted(funding.expire(self.state, name, at))


__all__ = ["GIB_HOUR", "HOUR", "PrepaidHouse", "Tenant", "wallet_stream"]
