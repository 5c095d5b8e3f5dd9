"""What a prepaid account's proofs hold, chosen and worked out by hand.

Beside the world of proof_world: when all of that is under way our account becomes prepaid. HELD
runs over a price that its hold knew nothing of; OPEN runs on past its hold's end and over the close;
VAULT, a volume, is locked and unlocked. Of the renewals only the last before something changes is
needed. A neighbour is prepaid too.
"""

from hashlib import sha256
from typing import Any

from tests import proof_world as pw
from tests.bundles import (
    ACCOUNT,
    BOOT,
    HOUR_US,
    NODE_KEY,
    ORG,
    PERIOD,
    PICO,
    START_US,
    private,
    public_key,
    tar_of,
    uid,
)
from tests.proof_world import GIB_HOUR, NEIGHBOUR, NEIGHBOURS_ACCOUNT, OTHER_PROJECT, PROJECT, World

MACHINE, BOOK = uid("node", 110), uid("pricebook", 6)
HELD, OPEN, PASSING, VAULT = (
    *(uid("runtime", number) for number in (111, 112, 113)),
    uid("volume", 114),
)
WALLET, THEIRS = (
    ACCOUNT.replace("account", "wallet"),
    NEIGHBOURS_ACCOUNT.replace("account", "wallet"),
)
GPU_HOUR = 1000 * HOUR_US
MIB = 1 << 20


def us(hour: int) -> int:
    return START_US + hour * HOUR_US


class Prepaid:
    """`sums`: of each wallet what stands in it, and what is held."""

    def __init__(self) -> None:
        self.sums: dict[str, list[int]] = {}

    def before(self, made: World) -> None:
        fact: dict[str, Any] = {"key": public_key(NODE_KEY).hex(), "model": "H100"}
        fact |= {"simulated": True, "gpus": [{"index": n, "uuid": f"M-{n}"} for n in range(8)]}
        fact |= {"serial": "m", "enrolled_us": START_US}
        made.at["machine"] = made.log.add(MACHINE, "node.enrolled", fact)
        anchor = {"boot": BOOT, "boottime_us": 0, "anchor_us": START_US}
        made.at["machine anchor"] = made.log.spoken(MACHINE, "node.anchored", anchor, node=MACHINE)
        price(made, "h100", 2, 0)
        for name, region in (("region before", "us-1"), ("region", "eu-1")):
            said = {"region": region, "decided_us": START_US}
            made.at[name] = made.log.add(MACHINE, "node.region_set", said)
        self.terms(made, "postpaid", "postpaid")
        # Never charged at; but a re-rating makes nothing dearer than it may have been held at.
        price(made, "h100 before", 1, -100)
        price(made, "h100 theirs", 1, -100, account=NEIGHBOURS_ACCOUNT)

    def after(self, made: World) -> None:
        self.terms(made, "prepaid", "prepaid")
        self.terms(made, "theirs prepaid", "prepaid", NEIGHBOURS_ACCOUNT, NEIGHBOUR)
        for wallet, org, number in ((WALLET, ORG, 115), (THEIRS, NEIGHBOUR, 116)):
            self.granted(made, wallet, org, number)
        for runtime, project, at, until in (
            (HELD, PROJECT, 30, 36),
            (PASSING, OTHER_PROJECT, 30, 36),
        ):
            self.admitted(made, runtime, project, at, until)
        self.vault(made)
        pw.said(made, HELD, "usable", 30, node=MACHINE)
        pw.said(made, PASSING, "usable", 30, node=MACHINE)
        for name, hour in (("renewed 1", 42), ("renewed 2", 46)):
            self.renewed(made, name, [HELD, PASSING], hour)
        price(made, "h100 dear", 4, 45, account=ACCOUNT, region="eu-1")
        self.renewed(made, "renewed 3", [HELD, PASSING], 50)
        pw.said(made, PASSING, "stopped", 49, node=MACHINE)
        self.renewed(made, "renewed 4", [HELD], 60)
        pw.said(made, HELD, "degraded", 57, node=MACHINE)
        self.admitted(made, OPEN, PROJECT, 72, 75)
        pw.said(made, OPEN, "usable", 73, node=MACHINE)
        self.renewed(made, "renewed 5", [OPEN], 90)
        self.renewed(made, "renewed 6", [OPEN], 95)
        self.rerate(made)

    def rerate(self, made: World) -> None:
        """To what applies anyway."""
        fact: dict[str, Any] = {"account": ACCOUNT, "book": "-", "edition": 0}
        fact |= {"from_us": us(31), "until_us": us(32), "decided_us": us(96)}
        made.at["h100 rerated"] = made.log.add(BOOK, "price.rerating_decided", fact)
        made.log.drafts[-1]["tag"] = "gpuaas.price.rerating_decided.v2"

    def terms(
        self, made: World, name: str, terms: str, account: str = ACCOUNT, org: str = ORG
    ) -> None:
        fact = {"terms": terms, "credit_limit_pico": 0, "decided_us": us(29)}
        made.at[name] = made.log.add(account, "account.terms_set", fact, org=org)

    def granted(self, made: World, wallet: str, org: str, number: int) -> None:
        self.sums[wallet] = [10_000 * PICO, 0]
        fact: dict[str, Any] = {"grant": uid("grant", number), "bucket": "paid"}
        fact |= {"amount_pico": 10_000 * PICO, "expires_us": 0, "reference": str(number)}
        self.wallet(made, f"granted {number}", "credit_granted", fact, 0, wallet=wallet, org=org)

    def wallet(
        self, made: World, name: str, what: str, fact: dict[str, Any], more: int, *,
        cause: str = "", wallet: str = WALLET, org: str = ORG, spent: int = 0,
    ) -> None:  # fmt: skip
        """The fact, and what stands after it; `more` is held, what is spent not any more."""
        self.sums[wallet][1] += more - spent
        self.sums[wallet][0] -= spent
        balance, held = self.sums[wallet]
        said = {**fact, "decided_us": us(29), "balance_pico": balance, "held_pico": held}
        made.at[name] = made.log.add(wallet, f"wallet.{what}", said, org=org, cause=cause)

    def admitted(self, made: World, runtime: str, project: str, at: int, until: int) -> None:
        """Its hold is placed in the append that allocates it."""
        pw.requested(made, runtime, project, hour=at, node=MACHINE, model="H100", milli=1000)
        cause = made.log.drafts[-1]["cause"]
        fact: dict[str, Any] = {"runtime": runtime, "amount_pico": PICO}
        fact |= {"from_us": us(at), "until_us": us(until)}
        self.wallet(made, f"{runtime} held", "hold_placed", fact, PICO, cause=cause)

    def renewed(self, made: World, name: str, runtimes: list[str], until: int) -> None:
        """With its node's lease; of as much as before."""
        cause = "cmd:" + sha256(name.encode()).hexdigest()
        holds = [{"runtime": runtime, "amount_pico": PICO} for runtime in runtimes]
        fact = {"node": MACHINE, "holds": holds, "until_us": us(until)}
        self.wallet(made, name, "holds_renewed", fact, 0, cause=cause)
        instant = us(until - 5)
        fact = {"runtimes": runtimes, "boottime_us": (until - 5) * HOUR_US, "renewed_us": instant}
        fact["until_us"] = instant + 1
        said: dict[str, Any] = {"runtimes": runtimes}
        lease = made.log.spoken(MACHINE, "node.lease_renewed", fact, said, node=MACHINE)
        made.at[f"{name} lease"] = lease
        made.log.drafts[-1]["cause"] = cause

    def vault(self, made: World) -> None:
        """From hour 31 to 50, and from 60 to 70."""
        log = made.log
        fact: dict[str, Any] = {"project": PROJECT, "department": uid("department", 8)}
        fact |= {"account": ACCOUNT, "node": MACHINE, "name": private("v"), "size_mib": 1024}
        made.at["vault"] = log.add(VAULT, "volume.created", {**fact, "created_us": us(30)}, org=ORG)
        self.vault_held(made, "vault held", 30, 40)
        pw.said(
            made,
            VAULT,
            "formatted",
            31,
            node=MACHINE,
            command=1,
            method="ext4_loop",
            bytes=1024 * MIB,
        )
        for name, until in (("vault renewed 1", 45), ("vault renewed 2", 50)):
            fact = {"volume": VAULT, "amount_pico": PICO, "until_us": us(until)}
            self.wallet(made, name, "volume_renewed", fact, 0)
        fact = {"locked_us": us(50), "wipe_us": us(90), "decided_us": us(51)}
        made.at["vault locked"] = log.add(VAULT, "volume.locked", fact, org=ORG)
        due = 19 * PICO // 100
        fact = {"volume": VAULT, "amount_pico": due, "from_us": us(50)}
        self.wallet(made, "vault captured", "volume_captured", fact, 0, spent=due)
        fact = {"volume": VAULT, "amount_pico": PICO - due}
        self.wallet(made, "vault released", "volume_released", fact, due - PICO)
        log.add(VAULT, "volume.unlocked", {"unlocked_us": us(60)}, org=ORG)
        self.vault_held(made, "vault held again", 60, 80)
        pw.said(made, VAULT, "wiped", 70, node=MACHINE, command=2, method="overwrite",
                bytes_covered=1024 * MIB, duration_us=1)  # fmt: skip

    def vault_held(self, made: World, name: str, at: int, until: int) -> None:
        fact: dict[str, Any] = {"volume": VAULT, "amount_pico": PICO}
        fact |= {"from_us": us(at), "until_us": us(until)}
        cause = made.log.drafts[-1]["cause"]
        self.wallet(made, name, "volume_held", fact, PICO, cause=cause)

    def lines(self, made: World) -> list[tuple[Any, ...]]:
        """HELD at 2 USD from hour 30 to 46, what it was held until before the dear price was known,
        and at 4 to 57; PASSING at 2 to 46, at 4 to 49; OPEN at 4 from 73 to the end of its hold. VAULT 19 and 10 hours.
        """
        at = made.at
        lines = [
            (*line[:4], line[4] + 29 * GIB_HOUR, line[5] + 29 * PICO // 100)
            if line[2] == at["storage"] else line
            for line in made.lines
        ]  # fmt: skip
        sku = "gpu.time:H100"
        for project, price, hours, each in (
            (PROJECT, "h100", 16, 2),
            (PROJECT, "h100 dear", 11 + 22, 4),
            (OTHER_PROJECT, "h100", 16, 2),
            (OTHER_PROJECT, "h100 dear", 3, 4),
        ):
            amount = hours * each * PICO
            lines.append((project, sku, at[price], PERIOD, hours * GPU_HOUR, amount))
        return sorted(lines)


def price(
    made: World, name: str, usd: int, hour: int, *, account: str = "default", region: str = "-"
) -> None:
    """Of a whole H100 for an hour."""
    fact: dict[str, Any] = {"account": account, "meter": "gpu.time", "model": "H100"}
    fact |= {"region": region, "state": "usable", "currency": "USD", "effective_from_us": us(hour)}
    fact |= {"published_us": us(-100), "price_pico": usd * PICO, "divisor": GPU_HOUR}
    made.at[name] = made.log.add(BOOK, "price.entry_published", fact)


def prepaid(edit: Any = None, **more: Any) -> World:
    return pw.world(edit, extra=Prepaid(), **more)


PRICED = ("h100 before", "h100 rerated")
RESOURCES = (HELD, OPEN, PASSING, VAULT)
WALLETS = (
    *(f"{runtime} held" for runtime in (HELD, OPEN, PASSING)),
    *("renewed 2", "renewed 3", "renewed 4", "renewed 6"),
    *("vault held", "vault renewed 2", "vault held again"),
)


def chosen(made: World) -> list[int]:
    """What the whole invoice's proof holds."""
    names = (
        "machine",
        "machine anchor",
        "region",
        "h100",
        "h100 dear",
        "prepaid",
        *PRICED,
        *WALLETS,
    )
    of = [draft["position"] for draft in made.log.drafts if draft["stream"] in RESOURCES]
    return sorted({*pw.chosen(made), *(made.at[name] for name in names), *of})


def line_of(made: World) -> int:
    """The dear line of OTHER_PROJECT, which is PASSING's alone."""
    dear = made.at["h100 dear"]
    return next(
        n for n, line in enumerate(made.lines) if line[0] == OTHER_PROJECT and line[2] == dear
    )


def of_line(made: World) -> list[int]:
    names = (
        *("account", OTHER_PROJECT, "earlier", "first", "shut", "h100", "h100 dear", "machine"),
        *(
            "machine anchor",
            "region",
            "prepaid",
            *PRICED,
            f"{PASSING} held",
            "renewed 2",
            "renewed 3",
        ),
        *("closed", "invoice", "file", "counted"),
    )
    of = [draft["position"] for draft in made.log.drafts if draft["stream"] == PASSING]
    return sorted({0, *(made.at[name] for name in names), *of})


def members(
    made: World, positions: list[int] | None = None, line: bool = False
) -> dict[str, bytes]:
    if positions is None:
        positions = of_line(made) if line else chosen(made)
    return pw.members(made, positions, line_of(made) if line else None)


def proof(made: World, positions: list[int] | None = None, line: bool = False) -> bytes:
    """The whole invoice's, or that of the line."""
    return tar_of(members(made, positions, line))
