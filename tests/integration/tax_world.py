"""A small platform with a seller: accounts that it invoices, each used for two hours."""

from msgspec import structs

from domain import account, node, period, runtime, seller
from domain.period import FIRST_US
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write, private_value
from projections.months import period_id
from tests.integration.projections_world import HOUR_US, T0, World, attested

SELLER_WORDS = (
    '{"name":"ACME GPU GmbH","street":"","city":"Bonn","postcode":"","vat_id":"DE123456789"}'
)
WORDS = '{"name":"Kunde GmbH","street":"Weg 1","city":"Berlin","postcode":"10115","vat_id":""}'


class TaxedPlatform(World):
    """`accounts`, all of one seller, their closed first periods in `periods`."""

    def __init__(self, accounts: int) -> None:
        super().__init__()
        self.seller = new_id("seller")
        self.accounts = [self.account, *(new_id("account") for _ in range(accounts - 1))]

    async def played(self, log: EventLog, *, over: bool = True) -> None:
        """Everything up to the close of the first period of each account; if not `over`, up to
        runtimes that run on.
        """
        await log.append(self.opening())
        rates = (
            seller.RateSet("standard", "DE", "*", "S", 1900, "", FIRST_US, T0),
            seller.RateSet("reverse", "FR", "*", "AE", 0, "VATEX-EU-AE", FIRST_US, T0),
        )
        party, words = private_value("-", SELLER_WORDS)
        registered = seller.Registered(party, "DE", "ACME", 14, T0)
        append = self._append([(self.seller, "-", 0, (registered, *rates))])
        await log.append(structs.replace(append, private=(words,)))
        end = T0 + self.period_us
        for one in self.accounts:
            if one != self.accounts[0]:
                await log.append(self._append(self._opened(one, end)))
            await self._taxed(log, one)
            self.account = one
            stop = T0 + 2 * HOUR_US if over else None
            for append in self.life(self.nodes[0], T0, stop):
                await log.append(append)
                self.last = append.writes[0].stream
        for one in self.accounts if over else ():
            self.account, self.period = one, period_id(one, 1)
            await log.append(self.close())

    def renewed(self, at: int) -> Append:
        """The node renews its lease at that instant."""
        name = self.nodes[0]
        said = attested(name, "node.lease_renewed", name, at - T0)
        lease = node.LeaseRenewed((self.last,), at - T0, at, at + 1, said)
        self.node_versions[name] += 1
        return self._append([(name, "-", self.node_versions[name] - 1, (lease,))])

    def stopped(self, at: int, decided: int) -> Append:
        """The last runtime stopped at that instant, as is told at another."""
        said = attested(self.nodes[0], "runtime.stopped", self.last, at - T0)
        stop = runtime.Stopped(at - T0, at, decided, said)
        return self._append([(self.last, self.org, 4, (stop,))])

    def _opened(self, one: str, end: int) -> list[tuple[str, str, int, tuple[object, ...]]]:
        zone = ("Europe/Berlin", "2025b", T0)
        return [
            (one, self.org, 0, (account.Opened(self.org, "USD", 2, *zone),)),
            (period_id(one, 1), self.org, 0, (period.Opened(one, 1, T0, end, *zone),)),
            (period_id(one, 2), self.org, 0, (
                period.Opened(one, 2, end, end + self.period_us, *zone),)),
        ]  # fmt: skip

    async def _taxed(self, log: EventLog, one: str) -> None:
        party, words = private_value(self.org, WORDS)
        taxed = account.Taxed(self.seller, party, "DE", "standard", T0)
        write = Write(one, self.org, 1, (taxed,))
        await log.append(structs.replace(self._append([]), writes=(write,), private=(words,)))
