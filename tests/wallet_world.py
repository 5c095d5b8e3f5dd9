"""The house with wallets: prepaid tenants, leases that carry their holds, and who settles them."""

from domain import account, funding, runtime, wallet
from domain.decider import fold
from domain.purses import wallet_stream
from domain.wallet import Wallet
from tests.museum.house import HOUR, House, Tenant
from tests.property.books_history import stream


class PrepaidHouse(House):
    """As a `House`; `settle` is the reaction to charges."""

    def __init__(self) -> None:
        super().__init__()
        self._grants = 0

    def prepay(self, of: Tenant, terms: str = account.PREPAID, at: int = 0) -> None:
        """What the tenant launches from now on has these terms."""
        state = fold(account.DECIDER, self.facts(of.account))
        facts = account.decide(account.SetTerms(terms, 0, at), state)
        self.append((of.account, of.organization, facts))

    def grant(
        self, of: Tenant, pico: int, *, bucket: str = "paid", expires: int = 0, at: int = 0,
        reference: str = "",
    ) -> str:  # fmt: skip
        """Credit; its reference is its own unless given."""
        self._grants += 1
        name = stream("grant", self._grants)
        command = wallet.Grant(name, bucket, pico, expires, reference or f"r{self._grants}", at)
        self.emitted(funding.grant(self.state, of.organization, of.account, command))
        return name

    def wallet(self, of: Tenant) -> Wallet:
        """As the admission has it."""
        return self.state.purses.wallet(of.account)

    def lease(self, name: str, at: int, told: int | None = None) -> None:
        """The node's lease renewed for what is usable on it, with the holds of what is prepaid."""
        serving = self.state.stock.states[name]
        usable = tuple(
            sorted(
                one
                for one in serving.held
                if isinstance(self.state.runtimes[one].state, runtime.Running)
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

    def expire(self, at: int) -> None:
        """What is over is said so."""
        for name in funding.due(self.state, at):
            self.emitted(funding.expire(self.state, name, at))


__all__ = ["HOUR", "PrepaidHouse", "Tenant", "wallet_stream"]
