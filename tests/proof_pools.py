"""What proofs of pools, commitments and re-ratings hold, chosen and worked out by hand.

Beside the world of proof_world: a node of A100s whose use has free hours, tiers, and 2 GPU hours
committed in its region; a model that is paid for without any use; T4s priced by a book between two hours; L4s in
a region, with a price of it from an hour on.
"""

from typing import Any

from tests import proof_world as pw
from tests.bundles import ACCOUNT, BOOT, HOUR_US, NODE_KEY, PERIOD, PICO, START_US, public_key, uid
from tests.proof_world import BESIDE, BRIEF, OTHER_PROJECT, PROJECT, World

GPU_HOUR = 1000 * HOUR_US
BIG, SMALL = uid("node", 90), uid("node", 91)
FIRST, SECOND, PAST, OLDER, MIXED, BEFORE = (uid("runtime", number) for number in range(90, 96))
BOOKED = (BRIEF, BESIDE, pw.ALONE, pw.RUNNING, pw.LATE)
SHARED = (FIRST, SECOND, PAST, OLDER, MIXED, BEFORE)
REGION, FAR = "eu-de-1", "us-va-1"
PRICEBOOK = uid("pricebook", 6)


class Pooled:
    """FIRST runs from hour 1, SECOND from hour 3, 3 hours each; OLDER and PAST in the period before,
    PAST less than was charged at its close.
    """

    def before(self, made: World) -> None:
        log, at = made.log, made.at
        for name, node, model in (("big", BIG, "A100"), ("small", SMALL, "L4")):
            fact: dict[str, Any] = {"key": public_key(NODE_KEY).hex(), "model": model}
            fact |= {"simulated": True, "gpus": [{"index": 0, "uuid": name}], "serial": name}
            at[name] = log.add(node, "node.enrolled", {**fact, "enrolled_us": START_US})
            anchor = {"boot": BOOT, "boottime_us": 0, "anchor_us": START_US}
            at[f"{name} anchor"] = log.spoken(node, "node.anchored", anchor, node=node)
        for name, node, region in (
            ("small elsewhere", SMALL, "ap-jp-1"),
            ("small stands", SMALL, REGION),
            ("big stands", BIG, FAR),
        ):
            fact = {"region": region, "decided_us": START_US}
            at[name] = log.add(node, "node.region_set", fact)
        tiers: list[dict[str, Any]] = [
            {"up_to": 2 * GPU_HOUR, "price_pico": 10 * PICO},
            {"up_to": None, "price_pico": 6 * PICO},
        ]
        at["tiers"] = self.shaped(made, "A100", tiers, free=GPU_HOUR)
        one: list[dict[str, Any]] = [{"up_to": None, "price_pico": 5 * PICO}]
        at["free"] = self.shaped(made, "L4", one, free=GPU_HOUR)
        kind = {"account": ACCOUNT, "meter": "gpu.time", "model": "L4", "region": REGION}
        late = START_US + 20 * HOUR_US
        fact = {**kind, "state": "usable", "currency": "USD", "effective_from_us": late}
        fact |= {"published_us": START_US, "price_pico": 3 * PICO, "divisor": GPU_HOUR}
        at["plain"] = log.add(PRICEBOOK, "price.entry_published", fact)
        for name, account, model, quantity, pico in (
            ("committed", ACCOUNT, "A100", 2, 8),
            ("unused", ACCOUNT, "H100", 5, 1),
            ("committed beyond", ACCOUNT, "A100", 1, 1),
            ("theirs committed", pw.NEIGHBOURS_ACCOUNT, "A100", 9, 9),
        ):
            region = FAR if name == "committed" else "-"
            kind = {"account": account, "meter": "gpu.time", "model": model, "region": region}
            said: dict[str, Any] = {
                **kind,
                "state": "usable",
                "currency": "USD",
                "from_us": START_US,
            }
            said |= {
                "until_us": pw.END_US,
                "quantity": quantity * GPU_HOUR,
                "price_pico": pico * PICO,
            }
            said |= {"divisor": GPU_HOUR, "decided_us": START_US}
            if name == "committed beyond":
                said |= {"from_us": pw.END_US, "until_us": pw.END_US + HOUR_US}
            at[name] = log.add(PRICEBOOK, "price.commitment_made", said)
        for runtime, start, end in ((OLDER, -50, -48), (PAST, -10, None)):
            pw.requested(made, runtime, PROJECT, hour=start, node=BIG, model="A100", milli=1000)
            pw.said(made, runtime, "usable", start, node=BIG)
            if end is not None:
                pw.said(made, runtime, "stopped", end, node=BIG)

    def shaped(
        self, made: World, model: str, tiers: list[dict[str, Any]], *, free: int = 0,
        book: str = "-", edition: int = 0, account: str = ACCOUNT,
    ) -> int:  # fmt: skip
        """An entry of the list, or of an edition of a book."""
        fact: dict[str, Any] = {
            "book": book,
            "edition": edition,
            "account": account,
        }
        fact |= {"meter": "gpu.time", "model": model, "region": "-", "state": "usable"}
        early = START_US - 100 * HOUR_US
        fact |= {"currency": "USD", "effective_from_us": early, "published_us": early}
        fact |= {"divisor": GPU_HOUR, "free": free, "tiers": tiers, "minimum_pico": 0}
        position = made.log.add(PRICEBOOK, "price.entry_published", fact)
        made.log.drafts[-1]["tag"] = "gpuaas.price.entry_published.v2"
        return position

    def after(self, made: World) -> None:
        log, at = made.log, made.at
        pw.said(made, PAST, "stopped", -9, node=BIG)
        for node, model, runtime, project, start in (
            (BIG, "A100", FIRST, OTHER_PROJECT, 1),
            (BIG, "A100", SECOND, PROJECT, 3),
            (SMALL, "L4", BEFORE, PROJECT, 10),
            (SMALL, "L4", MIXED, OTHER_PROJECT, 19),
        ):
            pw.requested(made, runtime, project, hour=start, node=node, model=model, milli=1000)
            pw.said(made, runtime, "usable", start, node=node)
        for node, runtime, end in (
            (BIG, FIRST, 4),
            (BIG, SECOND, 6),
            (SMALL, BEFORE, 12),
            (SMALL, MIXED, 21),
        ):
            pw.said(made, runtime, "stopped", end, node=node)
        one: list[dict[str, Any]] = [{"up_to": None, "price_pico": PICO}]
        first = {"book": "spring", "edition": 1, "entries": 1, "published_us": START_US}
        self.shaped(made, "T4", one, book="spring", edition=1, account="default")
        at["first edition"] = log.add(PRICEBOOK, "price.book_published", first)
        at["spring"] = self.shaped(made, "T4", one, book="spring", edition=2, account="default")
        at["spring theirs"] = self.shaped(
            made, "T4", one, book="spring", edition=2, account=pw.NEIGHBOURS_ACCOUNT
        )
        whole = {**first, "edition": 2, "entries": 2}
        at["edition"] = log.add(PRICEBOOK, "price.book_published", whole)
        hours = {"from_us": START_US + 5 * HOUR_US, "until_us": START_US + 8 * HOUR_US}
        back = {"book": "-", "edition": 0, "from_us": START_US + 7 * HOUR_US}
        for name, more in (
            ("rerated", hours),
            ("rerated back", {**hours, **back}),
            (
                "rerated beyond",
                {"from_us": pw.END_US + 50 * HOUR_US, "until_us": pw.END_US + 51 * HOUR_US},
            ),
            ("rerated before", {"from_us": 0, "until_us": START_US - 60 * HOUR_US}),
            ("theirs rerated", {**hours, "account": pw.NEIGHBOURS_ACCOUNT}),
        ):
            said = {"account": ACCOUNT, "book": "spring", "edition": 2}
            fact = {**said, **more, "decided_us": START_US + 50 * HOUR_US}
            at[name] = log.add(PRICEBOOK, "price.rerating_decided", fact)
            if name != "rerated":  # as earlier releases decided it
                log.drafts[-1]["tag"] = "gpuaas.price.rerating_decided.v2"

    def lines(self, made: World) -> list[tuple[Any, ...]]:
        """T4s from hour 5 to 7 for 1 USD instead of 3 (what was moved after that was moved back): BRIEF one hour, BESIDE and RUNNING two, half a
        GPU each. 2 of the 6 hours of A100 are committed, one is free, two cost 10, one 6. In the
        period before 2 + 10 hours were due and are 2 + 1: N(12) - N(3) = 54. Of L4 one hour is free,
        two cost 5, and what came after the plain price 3.
        """
        at, half = made.at, 500 * HOUR_US
        moved = {(PROJECT, "default"): 4, (OTHER_PROJECT, "default"): 1}
        lines = [
            (
                *line[:4],
                line[4] - half * moved.get((line[0], name), 0),
                line[5] - 3 * PICO // 2 * moved.get((line[0], name), 0),
            )
            for line in made.lines
            for name in [{at["default"]: "default"}.get(line[2], "")]
        ]
        sku = "gpu.time:A100"
        lines += [
            ("-", sku, at["committed"], PERIOD, 2 * GPU_HOUR, 16 * PICO),
            ("-", "gpu.time:H100", at["unused"], PERIOD, 5 * GPU_HOUR, 5 * PICO),
            (OTHER_PROJECT, sku, at["tiers"], PERIOD, 3 * GPU_HOUR, 0),
            (PROJECT, sku, at["tiers"], PERIOD, 3 * GPU_HOUR, 26 * PICO),
            (PROJECT, sku, at["tiers"], pw.EARLIER, -9 * GPU_HOUR, -54 * PICO),
            (PROJECT, "gpu.time:L4", at["free"], PERIOD, 2 * GPU_HOUR, 5 * PICO),
            (OTHER_PROJECT, "gpu.time:L4", at["free"], PERIOD, GPU_HOUR, 5 * PICO),
            (OTHER_PROJECT, "gpu.time:L4", at["plain"], PERIOD, GPU_HOUR, 3 * PICO),
            (PROJECT, "gpu.time:T4", at["spring"], PERIOD, 4 * half, 2 * PICO),
            (OTHER_PROJECT, "gpu.time:T4", at["spring"], PERIOD, half, PICO // 2),
        ]
        return sorted(lines)


def pooled(edit: Any = None, **more: Any) -> World:
    return pw.world(edit, extra=Pooled(), **more)


def chosen(made: World) -> list[int]:
    """What the whole invoice's proof holds."""
    names = (
        *(
            "big",
            "big anchor",
            "big stands",
            "small",
            "small anchor",
            "small stands",
            "tiers",
            "free",
            "plain",
        ),
        *("committed", "unused", "spring", "edition", "rerated", "rerated back"),
    )
    of = [draft["position"] for draft in made.log.drafts if draft["stream"] in SHARED]
    return sorted({*pw.chosen(made), *(made.at[name] for name in names), *of})


def of_line(made: World, line: int) -> list[int]:
    """What a line's proof holds."""
    at = made.at
    names = {"account", "earlier", "first", "shut", "closed", "invoice", "file", "counted"}
    runtimes: tuple[str, ...] = ()
    project, _, price, period = made.lines[line][:4]
    if price == at["unused"]:
        names |= {"unused"}
    elif price == at["tiers"]:
        names |= {"big", "big anchor", "big stands", "tiers", PROJECT}
        runtimes = (PAST, OLDER)
        if period == PERIOD:
            runtimes = (FIRST, SECOND)
            # Time that was priced anew, whatever came of it.
            names |= {"committed", OTHER_PROJECT, "rerated", "edition"}
    elif price == at["plain"]:
        names |= {"small", "small anchor", "small stands", "free", "plain", project}
        runtimes = (MIXED,)
    else:
        assert (price, project) == (at["spring"], OTHER_PROJECT)
        names |= {"node", "node anchor", "spring", "edition", "rerated", "default", project}
        runtimes = (BRIEF,)
    of = [draft["position"] for draft in made.log.drafts if draft["stream"] in runtimes]
    return sorted({0, *(at[name] for name in names), *of})


def lines_of(made: World) -> dict[str, int]:
    """The number of each kind of line."""
    at = made.at
    wanted = {
        "unused": ("-", at["unused"], PERIOD),
        "pool": (PROJECT, at["tiers"], PERIOD),
        "pool before": (PROJECT, at["tiers"], pw.EARLIER),
        "plain": (OTHER_PROJECT, at["plain"], PERIOD),
        "rerated": (OTHER_PROJECT, at["spring"], PERIOD),
    }
    found = {(line[0], line[2], line[3]): number for number, line in enumerate(made.lines)}
    return {name: found[line] for name, line in wanted.items()}


def proof(made: World, positions: list[int] | None = None, line: int | None = None) -> bytes:
    """The whole invoice's, or a line's."""
    if positions is None:
        positions = chosen(made) if line is None else of_line(made, line)
    return pw.proof(made, positions, line)
