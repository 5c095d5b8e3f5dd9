"""What proofs of what is reserved and idle hold, chosen and worked out by hand.

Beside the world of proof_world: reservations of T4s at 1 USD a GPU hour, and the quota that says what
drew on them. Two overlap, one follows at once, one goes on beyond the period.
"""

from typing import Any

from tests import proof_world as pw
from tests.bundles import HOUR_US, NODE, ORG, PERIOD, PICO, START_US, uid
from tests.proof_world import OTHER_PROJECT, PROJECT, World

GPU_HOUR = 1000 * HOUR_US
QUOTA = "quota-" + ORG.partition("-")[2]
DRAWN, OVERLAPS, FOLLOWS, STANDS = (uid("reservation", number) for number in range(95, 99))
DEVICES = {DRAWN: [2, 3], OVERLAPS: [4], FOLLOWS: [4], STANDS: [5]}
OF = {DRAWN: PROJECT, OVERLAPS: PROJECT, FOLLOWS: PROJECT, STANDS: OTHER_PROJECT}


class Idle:
    """DRAWN: two devices from hour 20 to 24, of which one runs from 21 to 23. OVERLAPS: one from 22
    to 26. FOLLOWS: one from 26 to 28, over by itself at 27. STANDS: one from 60 to 150.
    """

    def before(self, made: World) -> None:
        fact: dict[str, Any] = {"account": "default", "meter": "gpu.time", "model": "T4"}
        fact |= {"region": "-", "state": "reserved", "currency": "USD"}
        fact |= {"effective_from_us": START_US, "published_us": START_US, "price_pico": PICO}
        fact["divisor"] = GPU_HOUR
        made.at["idle"] = made.log.add(uid("pricebook", 6), "price.entry_published", fact)

    def after(self, made: World) -> None:
        one = uid("runtime", 99)
        place = {"department": uid("department", 8), "project": PROJECT, "model": "T4"}
        self.reserved(made, DRAWN, 20, 2, 60)
        self.on_node(made, "allocated", 21, runtime=one, organization=ORG,
                     devices=[{"index": 2, "milli": 1000}], epoch=1)  # fmt: skip
        self.held(made, "drawn", 21, runtime=one, reservation=DRAWN)
        self.held(made, "committed", 21, runtime=one, **place, gpu_milli=1000)
        self.reserved(made, OVERLAPS, 22, 1, 26)
        self.held(made, "released", 23, runtime=one)
        self.ended(made, DRAWN, 24)
        self.ended(made, OVERLAPS, 26)
        self.reserved(made, FOLLOWS, 26, 1, 27)
        self.ended(made, FOLLOWS, 28)
        self.held(made, "limit_set", 40, scope=PROJECT, model="T4", limit_milli=9000)
        self.reserved(made, STANDS, 60, 1, 200)
        self.held(made, "limit_set", 61, scope=PROJECT, model="T4", limit_milli=9001)

    def on_node(self, made: World, what: str, hour: int, **fact: Any) -> None:
        """What the node has of it: the whole bundle's business."""
        of = {"allocation": uid("allocation", 99), **fact} if what == "allocated" else fact
        made.log.add(NODE, f"node.{what}", {**of, "decided_us": START_US + hour * HOUR_US})

    def held(self, made: World, what: str, hour: int, **fact: Any) -> None:
        """A fact of the quota."""
        said = {**fact, "decided_us": START_US + hour * HOUR_US}
        position = made.log.add(QUOTA, f"quota.{what}", said, org=ORG)
        made.at[f"{what} {fact.get('reservation', hour)}"] = position

    def reserved(self, made: World, name: str, hour: int, devices: int, until: int) -> None:
        place = {"department": uid("department", 8), "project": OF[name], "model": "T4"}
        self.held(made, "reserved", hour, reservation=name, **place, gpu_milli=1000 * devices)
        fact = {"project": OF[name], "model": "T4", "devices": devices, "nodes": [NODE]}
        fact |= {"until_us": START_US + until * HOUR_US, "decided_us": START_US + hour * HOUR_US}
        made.at[f"made {name}"] = made.log.add(name, "reservation.made", fact, org=ORG)
        self.on_node(made, "reserved", hour, reservation=name, organization=ORG,
                     devices=DEVICES[name], until_us=START_US + until * HOUR_US)  # fmt: skip

    def ended(self, made: World, name: str, hour: int) -> None:
        fact = {"reason": "expired", "decided_us": START_US + hour * HOUR_US}
        made.at[f"ended {name}"] = made.log.add(name, "reservation.ended", fact, org=ORG)
        self.held(made, "unreserved", hour, reservation=name)

    def lines(self, made: World) -> list[tuple[Any, ...]]:
        """DRAWN 2 + 2 + 2 hours, OVERLAPS 4, FOLLOWS 1; STANDS 40 up to the close, after which its end
        and one more fact of the quota come.
        """
        self.ended(made, STANDS, 150)
        self.held(made, "limit_set", 151, scope=PROJECT, model="T4", limit_milli=9002)
        sku, idle = "gpu.time:T4", made.at["idle"]
        return sorted([
            *made.lines,
            (PROJECT, sku, idle, PERIOD, 11 * GPU_HOUR, 11 * PICO),
            (OTHER_PROJECT, sku, idle, PERIOD, 40 * GPU_HOUR, 40 * PICO),
        ])  # fmt: skip


def world(edit: Any = None) -> World:
    return pw.world(edit, extra=Idle())


def of_quota(made: World, first: str, last: str) -> list[int]:
    """Its entries from the one to the other."""
    known = (draft["position"] for draft in made.log.drafts if draft["stream"] == QUOTA)
    return [at for at in known if made.at[first] <= at <= made.at[last]]


def _of(made: World, *names: str) -> list[int]:
    return [draft["position"] for draft in made.log.drafts if draft["stream"] in names]


def chosen(made: World) -> list[int]:
    """What the whole invoice's proof holds."""
    return sorted({
        *pw.chosen(made), made.at["idle"], *_of(made, *OF),
        *of_quota(made, f"reserved {DRAWN}", f"unreserved {FOLLOWS}"),
        *of_quota(made, f"reserved {STANDS}", f"unreserved {STANDS}"),
    })  # fmt: skip


def of_line(made: World, line: int) -> list[int]:
    """What the proof of one of the two lines holds."""
    project = made.lines[line][0]
    names = (
        "account",
        project,
        "earlier",
        "first",
        "shut",
        "idle",
        "node",
        "closed",
        "invoice",
        "file",
        "counted",
    )
    mine = [name for name, of in OF.items() if of == project]
    ends = (mine[0], FOLLOWS if project == PROJECT else STANDS)
    quota = of_quota(made, f"reserved {ends[0]}", f"unreserved {ends[1]}")
    return sorted({0, *(made.at[name] for name in names), *_of(made, *mine), *quota})


def line_of(made: World, project: str) -> int:
    """The number of the project's line."""
    [found] = [
        number
        for number, line in enumerate(made.lines)
        if (line[0], line[2]) == (project, made.at["idle"])
    ]
    return found


def proof(made: World, positions: list[int] | None = None, line: int | None = None) -> bytes:
    """The whole invoice's, or a line's."""
    if positions is None:
        positions = chosen(made) if line is None else of_line(made, line)
    return pw.proof(made, positions, line)
