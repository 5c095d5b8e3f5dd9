"""A quota read from the log's own bytes, without the platform's or the auditor's arithmetic.

Every fact of quotas in turn: what each scope uses is added up, what it keeps or claims for itself
is compared with that from the leaves to the root. `judge` says what an append broke.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

type Fact = dict[str, Any]
ALL = "*"


class Oracle:
    """One organization's quota as of a position."""

    def __init__(self) -> None:
        self.limits: dict[tuple[str, str], int] = {}
        self.shares: dict[tuple[str, str], Fact] = {}
        self.below: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self.claims: dict[tuple[str, str], int] = {}
        self.use: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.live: dict[str, Fact] = {}
        self.reserved: dict[str, Fact] = {}
        self.drawn: dict[str, str] = {}
        self.named: dict[str, tuple[str, str]] = {}  # by claims that stand
        self.ever_named = 0
        # What a scope and all below it hold, until something of that changes: asked far more often.
        self._known: dict[tuple[str, str], tuple[int, int]] = {}

    def judge(self, tag: str, org: str, fact: Fact) -> str:
        """Takes the fact in; a sentence when it raised something above a limit."""
        if tag.endswith(("share_set.v1", "claimed.v1")):  # unclaimed.v1 too
            self._known.clear()
        match tag.removeprefix("gpuaas.quota."):
            case "limit_set.v1":
                self.limits[fact["scope"], fact["model"]] = fact["limit_milli"]
            case "share_set.v1":
                self.shares[fact["scope"], fact["model"]] = fact
                self.below[fact["parent"], fact["model"]][fact["scope"]] = None
            case "claimed.v1":
                self.claims[fact["scope"], fact["model"]] = fact["gpu_milli"]
            case "unclaimed.v1":
                where = (fact["scope"], fact["model"])
                del self.claims[where]
                self.named = {name: of for name, of in self.named.items() if of != where}
            case "reclaim_decided.v1":
                where = (fact["scope"], fact["model"])
                self.named |= dict.fromkeys(fact["runtimes"], where)
                self.ever_named += len(fact["runtimes"])
            case "drawn.v1":
                self.drawn[fact["runtime"]] = fact["reservation"]
            case "committed.v1":
                self.live[fact["runtime"]] = fact
                if self.drawn.get(fact["runtime"]) not in self.reserved:
                    return self._take(org, fact, 1)
            case "reserved.v1":
                self.reserved[fact["reservation"]] = fact
                return self._take(org, fact, 1)
            case "released.v1":
                gone = self.live.pop(fact["runtime"])
                if self.drawn.pop(fact["runtime"], "") not in self.reserved:
                    self._take(org, gone, -1)
            case "unreserved.v1":
                gone = self.reserved.pop(fact["reservation"])
                self._take(org, gone, -1)
                for runtime, of in self.drawn.items():
                    if of == fact["reservation"]:
                        self._take(org, self.live[runtime], 1)
            case _:
                pass
        return ""

    def fits(self, org: str, department: str, project: str, model: str, milli: int) -> bool:
        """Whether so much more would break nothing now."""
        fact = {"department": department, "project": project, "model": model, "gpu_milli": milli}
        said = self._take(org, fact, 1)
        self._take(org, fact, -1)
        return not said

    def _take(self, org: str, fact: Fact, sign: int) -> str:
        model = fact["model"]
        way = (org, fact["department"], fact["project"])
        before = [self._sums(scope, model) for scope in way] if sign > 0 else []
        for scope in way:
            for of in (model, ALL):
                self.use[scope, of] += sign * fact["gpu_milli"]
            self._known.pop((scope, model), None)
        for scope, was in zip(way, before, strict=False):
            for of in (model, ALL):
                if self.use[scope, of] > self.limits.get((scope, of), self.use[scope, of]):
                    return f"{scope} uses {self.use[scope, of]} of its limit for {of}"
            share = self.shares.get((scope, model))
            for old, new in zip(was, self._sums(scope, model), strict=True):
                if share is not None and new > old and new > share["limit_milli"]:
                    return f"{scope}: {new} of its share's {share['limit_milli']}"
        return ""

    def _sums(self, scope: str, model: str) -> tuple[int, int, int]:
        if (scope, model) not in self.shares:
            return 0, 0, 0
        held = self._known.get((scope, model)) or self._held(scope, model)
        return self.use[scope, model], *held

    def _held(self, scope: str, model: str) -> tuple[int, int]:
        """Used, or kept here or below although it is not; the same with what is claimed."""
        firm = claimed = self.use[scope, model]
        for one in self.below.get((scope, model), ()):
            kept, wanted = self._known.get((one, model)) or self._held(one, model)
            use = self.use[one, model]
            firm, claimed = firm + kept - use, claimed + wanted - use
        share = self.shares[scope, model]
        guaranteed: int = share["guaranteed_milli"]
        kept = guaranteed - share["lendable_milli"]
        claim = min(self.claims.get((scope, model), 0), guaranteed)
        held = self._known[scope, model] = max(firm, kept), max(claimed, kept, claim)
        return held


def broken(
    oracle: Oracle, entries: Iterable[tuple[int, dict[str, Any]]]
) -> Iterator[tuple[int, str]]:
    """(position, what it broke) of each fact that raised something above a limit."""
    for position, entry in entries:
        if entry["tag"].startswith("gpuaas.quota."):
            said = oracle.judge(entry["tag"], entry["org"], entry["fact"])
            if said:
                yield position, said
