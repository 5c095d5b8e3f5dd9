"""What scopes of a quota are guaranteed, lend, borrow and claim (contracts/facts.md, "Shares").

Kept in the spill as two sums per scope and model, changed along its way up at each fact: what is
kept below it and not used, and that with what is claimed. Nothing here for logs without shares.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import NUL
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

ROOT = "organization"
ANY_MODEL = "*"
MOST_NAMED = 512
KEPT, CLAIMED = "spare_kept", "spare_claimed"
EXPIRED = "expired"


class Lending:
    """A share: [parent, guaranteed, lendable, limit]. A claim: [milli, stop, until]."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.quota.share_set.v1": self._share_set,
            "gpuaas.quota.claimed.v1": self._claimed,
            "gpuaas.quota.reclaim_decided.v1": self._reclaim_decided,
            "gpuaas.quota.unclaimed.v1": self._unclaimed,
        }

    # -- use -----------------------------------------------------------------------------

    def sums(self, quota: str, wheres: list[str]) -> list[tuple[str, int, int, int, int]]:
        """Of each scope with a share: where, limit, use, firm and pledged sum."""
        found: list[tuple[str, int, int, int, int]] = []
        if self._spill.get("shared", "", quota) is None:
            return found
        for where in wheres:
            share = self._spill.get("share", quota, where)
            if share is not None:
                used = self._used(quota, where)
                firm = used + self._spare(KEPT, quota, where)
                pledged = used + self._spare(CLAIMED, quota, where)
                found.append((where, share[3], used, firm, pledged))
        return found

    def check_use(
        self, position: int, quota: str, wheres: list[str],
        before: list[tuple[str, int, int, int, int]],
    ) -> None:  # fmt: skip
        """Nothing when no sum that has grown since `before` is above the limit of its scope.

        Raises: Invalid `books.quota`.
        """
        for old, new in zip(before, self.sums(quota, wheres), strict=True):
            where, limit = new[:2]
            for name, was, now in zip(("used", "firm", "pledged"), old[2:], new[2:], strict=True):
                if now > was and now > limit:
                    detail = f"{name} {now} of {limit} for {where.replace(NUL, ' ')}"
                    raise Invalid("books.quota", detail, position=position, field="gpu_milli")

    def settle(self, quota: str, wheres: list[str]) -> None:
        """The sums of the way up from a project whose use has changed; `wheres` from the top."""
        if self._spill.get("shared", "", quota) is not None:
            for where in reversed(wheres):
                self._settle(quota, where)

    def _settle(self, quota: str, where: str) -> None:
        """What this scope keeps (and claims) and does not use; the same of those above it."""
        share = self._spill.get("share", quota, where)
        if share is None:
            return
        parent, guaranteed, lendable, _ = share
        claim = self._spill.get("claim", quota, where)
        kept = guaranteed - lendable
        claimed = kept if claim is None else max(kept, min(claim[0], guaranteed))
        used = self._used(quota, where)
        for space, least in ((KEPT, kept), (CLAIMED, claimed)):
            below = self._spill.get(space + "_below", quota, where) or 0
            spare = max(below, least - used)
            change = spare - self._spare(space, quota, where)
            if change:
                self._spill.put(space, quota, where, spare)
                if parent:
                    above = self._spill.get(space + "_below", quota, parent) or 0
                    self._spill.put(space + "_below", quota, parent, above + change)
        self._settle(quota, parent)

    def _spare(self, space: str, quota: str, where: str) -> int:
        found: int = self._spill.get(space, quota, where)
        return found

    def _used(self, quota: str, where: str) -> int:
        found: int = self._spill.get("quota", quota, where) or 0
        return found

    # -- shares and claims ---------------------------------------------------------------

    def _share_set(self, position: int, entry: Row, fact: Row) -> None:
        quota, where = entry["stream"], _where(fact["scope"], fact["model"])
        parent = _where(fact["parent"], fact["model"]) if fact["parent"] else ""
        terms = [fact["guaranteed_milli"], fact["lendable_milli"], fact["limit_milli"]]
        self._check_terms(position, quota, where, [parent, *terms], fact)
        before = self._spill.get("share", quota, where)
        if before is not None and before[0]:
            self._promise(quota, before[0], -before[1])
            self._detach(quota, where, before[0])
        self._spill.put("shared", "", quota, 1)
        self._spill.put("share", quota, where, [parent, *terms])
        for space in (KEPT, CLAIMED):
            self._spill.put(space, quota, where, 0)
        if parent:
            self._promise(quota, parent, terms[0])
        self._settle(quota, where)

    def _check_terms(
        self, position: int, quota: str, where: str, share: list[Any], fact: Row
    ) -> None:
        parent, guaranteed, lendable, limit = share
        root = where.split(NUL, maxsplit=1)[0] == ROOT
        above = None if root else self._spill.get("share", quota, parent)
        before = self._spill.get("share", quota, where)
        freed = before[1] if before is not None and before[0] == parent else 0
        promised = 0 if root else (self._spill.get("promised", quota, parent) or 0) - freed
        for field, right in (
            ("guaranteed_milli", 0 <= lendable <= guaranteed <= limit),
            ("model", fact["model"] != ANY_MODEL),
            ("parent", root == (fact["parent"] == "")),
            ("lendable_milli", not (root and lendable)),
            ("parent", root or above is not None),
            ("guaranteed_milli", above is None or promised + guaranteed <= above[1]),
            ("guaranteed_milli", (self._spill.get("promised", quota, where) or 0) <= guaranteed),
        ):
            if not right:
                detail = "the scope above does not guarantee it, or not a share"
                raise Invalid("books.lending", detail, position=position, field=field)

    def _promise(self, quota: str, parent: str, milli: int) -> None:
        promised = (self._spill.get("promised", quota, parent) or 0) + milli
        self._spill.put("promised", quota, parent, promised)

    def _detach(self, quota: str, where: str, parent: str) -> None:
        """What the scope keeps and claims counts no more in the scope that was above it."""
        for space in (KEPT, CLAIMED):
            below = (self._spill.get(space + "_below", quota, parent) or 0) - self._spare(
                space, quota, where
            )
            self._spill.put(space + "_below", quota, parent, below)
        self._settle(quota, parent)

    def _claimed(self, position: int, entry: Row, fact: Row) -> None:
        quota, where = entry["stream"], _where(fact["scope"], fact["model"])
        share = self._spill.get("share", quota, where)
        within = share is not None and share[0] and 0 < fact["gpu_milli"] <= share[1]
        in_time = fact["decided_us"] <= fact["stop_us"] < fact["until_us"]
        for field, right in (("gpu_milli", within), ("until_us", in_time)):
            if not right:
                detail = "a claim is within a guarantee, and for a time"
                raise Invalid("books.lending", detail, position=position, field=field)
        claim = [fact["gpu_milli"], fact["stop_us"], fact["until_us"]]
        self._spill.put("claim", quota, where, claim)
        self._settle(quota, where)
        named = self._to_reclaim(quota, where)
        if named:
            self._spill.put("owed", "", quota, [where, named])

    def check_owed(self, position: int, entry: Row) -> None:
        """A claim that takes from borrowers names them at once: no other fact of its quota passes.

        Raises: Invalid `books.lending`.
        """
        tag, quota = entry["tag"], entry["stream"]
        if tag == "gpuaas.quota.reclaim_decided.v1":
            return
        if self._spill.get("owed", "", quota) is not None:
            detail = "a claim before it names nobody who must stop"
            raise Invalid("books.lending", detail, position=position, field="tag")

    def _reclaim_decided(self, position: int, entry: Row, fact: Row) -> None:
        quota, where = entry["stream"], _where(fact["scope"], fact["model"])
        owed = self._spill.get("owed", "", quota)
        claim = self._spill.get("claim", quota, where)
        if owed != [where, fact["runtimes"]] or claim[1] != fact["stop_us"]:
            detail = "not the newest that borrow what was claimed"
            raise Invalid("books.lending", detail, position=position, field="runtimes")
        self._spill.delete("owed", "", quota)
        for runtime in fact["runtimes"]:
            self._spill.put("named", quota, runtime, where)

    def _unclaimed(self, position: int, entry: Row, fact: Row) -> None:
        quota, where = entry["stream"], _where(fact["scope"], fact["model"])
        claim = self._spill.get("claim", quota, where)
        early = fact["reason"] == EXPIRED and claim is not None and fact["decided_us"] < claim[2]
        if claim is None or early:
            detail = "nothing stands claimed, or it has not expired"
            raise Invalid("books.lending", detail, position=position, field="scope")
        self._spill.delete("claim", quota, where)
        gone = [name for name, of in self._spill.scan("named", quota) if of == where]
        for runtime in gone:
            self._spill.delete("named", quota, runtime)
        self._settle(quota, where)

    # -- who must stop -------------------------------------------------------------------

    def _to_reclaim(self, quota: str, where: str) -> list[str]:
        """Spot and newest first, those that borrow, up to the claim; nearest scope above first."""
        model = where.split(NUL)[1]
        tree = _Tree(self._spill, quota, model)
        named = {runtime for runtime, _ in self._spill.scan("named", quota)}
        live = []
        for runtime, (wheres, milli, decided_us) in self._spill.scan("committed", quota):
            if wheres[0].split(NUL)[1] != model or self._draws(quota, runtime):
                continue
            way = [one.split(NUL)[0] for one in wheres[0::2]]  # organization, department, project
            if runtime in named:
                tree.take(way, milli)
            else:
                first = self._spill.get("spot", "", runtime) is not None
                live.append((first, decided_us, runtime, way, milli))
        live.sort(reverse=True)
        chosen: list[str] = []
        scope = where.split(NUL, maxsplit=1)[0]
        top = tree.parent(scope)
        while top:
            for _, _, runtime, way, milli in live:
                if tree.pledged(top) <= tree.shares[top][3] or len(chosen) >= MOST_NAMED:
                    break
                if runtime in chosen or scope in way or top not in way[:2]:
                    continue
                if all(tree.over(one) for one in way[way.index(top) + 1 :]):
                    tree.take(way, milli)
                    chosen.append(runtime)
            top = tree.parent(top)
        return chosen

    def _draws(self, quota: str, runtime: str) -> bool:
        name = self._spill.get("draws", quota, runtime)
        return self._spill.get("earmark", quota, name) is not None


class _Tree:
    """The scopes of one model in memory, to try out who must stop."""

    def __init__(self, spill: Spill, quota: str, model: str) -> None:
        def of_model(space: str) -> dict[str, Any]:
            found = ((where.split(NUL), value) for where, value in spill.scan(space, quota))
            return {scope: value for (scope, of), value in found if of == model}

        self.shares = of_model("share")
        self.used = of_model("quota")
        self.claims = of_model("claim")
        self.below: dict[str, list[str]] = {}
        for scope in self.shares:
            self.below.setdefault(self.parent(scope), []).append(scope)

    def parent(self, scope: str) -> str:
        share = self.shares.get(scope)
        return "" if share is None else str(share[0]).split(NUL)[0]

    def take(self, way: list[str], milli: int) -> None:
        for scope in way:
            self.used[scope] = self.used.get(scope, 0) - milli

    def pledged(self, scope: str) -> int:
        """The most of: its use with what is claimed and kept below, what it keeps, its claim."""
        used: int = self.used.get(scope, 0)
        for one in self.below.get(scope, []):
            used += self.pledged(one) - self.used.get(one, 0)
        if scope not in self.shares:
            return used
        _, guaranteed, lendable, _ = self.shares[scope]
        claim = min(self.claims.get(scope, [0])[0], guaranteed)
        return max(used, guaranteed - lendable, claim)

    def over(self, scope: str) -> bool:
        """Whether it has more than it is guaranteed. A project's claim is within that."""
        guaranteed = self.shares[scope][1] if scope in self.shares else 0
        return self.pledged(scope) > guaranteed


def _where(scope: str, model: str) -> str:
    return NUL.join((ROOT if scope.startswith("organization-") else scope, model))
