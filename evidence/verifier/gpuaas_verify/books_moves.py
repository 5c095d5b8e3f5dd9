"""Projects that move between departments: what they use goes with them, what was charged does not.

contracts/rating.md section 14. State per project and department, in the spill: where each is
(`place`: org, department, account, since), the instants at which charges are cut (`cuts`), moves
whose quota has not said so (`moving`).
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_lending import Lending
from gpuaas_verify.books_rating import NUL, Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]


class Moves:
    """Fed the facts of `handlers`, each beside what other parts of the books make of it."""

    def __init__(self, spill: Spill, charging: Charging, lending: Lending) -> None:
        self._spill = spill
        self._charging = charging
        self._lending = lending

    def handlers(self) -> dict[str, Handler]:
        """By tag."""
        begun = ("runtime.requested", "volume.created")
        held = ("quota.committed", "quota.reserved", "quota.storage_committed")
        return {
            "gpuaas.department.created.v1": self._department,
            "gpuaas.project.created.v1": self._project,
            "gpuaas.project.moved.v1": self._moved,
            "gpuaas.quota.moved.v1": self._follows,
            **{f"gpuaas.{name}.v1": self._begun for name in begun},
            **{f"gpuaas.{name}.v1": self._held for name in held},
        }

    def finish(self) -> None:
        """No project has moved without its quota."""
        for project, (_, _, position) in self._spill.scan("moving", ""):
            raise Invalid("books.moved", f"no quota follows {project}", position=position)

    def _department(self, _position: int, entry: Row, fact: Row) -> None:
        self._spill.put("department", "", entry["stream"], fact["organization"])

    def _project(self, _position: int, entry: Row, fact: Row) -> None:
        place = [entry["org"], fact["department"], fact["account"], fact["created_us"]]
        self._spill.put("place", "", entry["stream"], place)

    def _moved(self, position: int, entry: Row, fact: Row) -> None:
        project, place = entry["stream"], self._spill.get("place", "", entry["stream"])
        if place is None:
            raise _wrong(position, "it was never created", "stream")
        org, department, account, since = place
        to = [fact["department"], fact["account"]]
        known = self._spill.get("department", "", fact["department"])
        for field, right in (
            ("department", known == org and to != [department, account]),
            ("moved_us", fact["moved_us"] > since),
            ("stream", self._spill.get("moving", "", project) is None),
        ):
            if not right:
                raise _wrong(position, "not within its organization, or not so", field)
        self._charging.own_account(position, fact["account"], org)
        self._spill.put("place", "", project, [org, *to, fact["moved_us"]])
        cuts = self._spill.get("cuts", "", project) or []
        self._spill.put("cuts", "", project, [*cuts, fact["moved_us"]])
        payer = self._spill.get("payer", "", project)
        self._spill.put("payer", "", project, {**payer, "account": fact["account"]})
        self._spill.put("moving", "", project, [entry["cause"], department, position])

    def _begun(self, position: int, _entry: Row, fact: Row) -> None:
        """Once a project has moved, what begins in it is of the place it has come to."""
        if self._spill.get("cuts", "", fact["project"]) is not None:
            place = self._spill.get("place", "", fact["project"])
            for field, is_at in (("department", place[1]), ("account", place[2])):
                if fact[field] != is_at:
                    raise _wrong(position, f"its project is in {is_at}", field)

    def _held(self, position: int, _entry: Row, fact: Row) -> None:
        if self._spill.get("cuts", "", fact["project"]) is not None:
            place = self._spill.get("place", "", fact["project"])
            if fact["department"] != place[1]:
                raise _wrong(position, f"its project is in {place[1]}", "department")

    # -- what moves with it --------------------------------------------------------------

    def _follows(self, position: int, entry: Row, fact: Row) -> None:
        """All that the project uses and reserves counts in the department it has come to."""
        project, moving = fact["project"], self._spill.get("moving", "", fact["project"])
        place = self._spill.get("place", "", project)
        if moving is None or moving[0] != entry["cause"] or place[1] != fact["department"]:
            raise _wrong(position, "the project did not move there in this append", "project")
        if entry["stream"] != "quota-" + place[0].partition("-")[2]:
            raise _wrong(position, "another organization's quota", "stream")
        self._spill.delete("moving", "", project)
        before, after = moving[1], fact["department"]
        if before == after:
            return
        quota = entry["stream"]
        used = self._of(quota, "quota", project)
        ways = [["organization", after], ["organization", before]]
        ups = [[NUL.join((scope, model)) for scope in way] for way in ways for model in used]
        sums = [self._lending.sums(quota, up) for up in ups]
        self._reparent(position, quota, project, after)
        for space, limits in (("quota", "limit"), ("shelf", "shelf_limit")):
            for model, has in self._of(quota, space, project).items():
                self._carry(position, (quota, space, limits), (before, after), model, has)
        for space in ("committed", "earmark"):
            for name, item in list(self._spill.scan(space, quota)):
                self._relabel(space, quota, name, item, 0, (project, before, after))
        for name, item in list(self._spill.scan("shelved", "")):
            if item[0] == quota:
                self._relabel("shelved", "", name, item, 1, (project, before, after))
        for up in ups:
            self._lending.settle(quota, up)
        for up, was in zip(ups, sums, strict=True):
            self._lending.check_use(position, quota, up, was)

    def _of(self, quota: str, space: str, project: str) -> dict[str, int]:
        """By model, what the project uses."""
        found = ((where.split(NUL), has) for where, has in self._spill.scan(space, quota))
        return {model: has for (scope, model), has in found if scope == project and has}

    def _carry(
        self, position: int, of: tuple[str, str, str], way: tuple[str, str], model: str, has: int
    ) -> None:
        quota, space, limits = of
        gone, come = (NUL.join((scope, model)) for scope in way)
        self._spill.put(space, quota, gone, self._spill.get(space, quota, gone) - has)
        used = (self._spill.get(space, quota, come) or 0) + has
        self._spill.put(space, quota, come, used)
        limit = self._spill.get(limits, quota, come)
        if limit is not None and used > limit:
            detail = f"{used} of {limit} for {come.replace(NUL, ' ')}"
            raise Invalid("books.quota", detail, position=position, field="department")

    def _relabel(
        self, space: str, key: str, name: str, item: Row, at: int, move: tuple[str, str, str]
    ) -> None:
        """What is held counts in the other department from here on."""
        project, before, after = move
        wheres = [where.split(NUL) for where in item[at]]
        if project in (scope for scope, _ in wheres):
            changed = [NUL.join((after if scope == before else scope, of)) for scope, of in wheres]
            self._spill.put(space, key, name, [*item[:at], changed, *item[at + 1 :]])

    def _reparent(self, position: int, quota: str, project: str, after: str) -> None:
        """Its shares stand below the new department; none guarantees anything."""
        for where, share in list(self._spill.scan("share", quota)):
            scope, model = where.split(NUL)
            if scope != project:
                continue
            if share[1] or self._spill.get("claim", quota, where) is not None:
                detail = "its department guarantees it something"
                raise Invalid("books.lending", detail, position=position, field="project")
            self._spill.put("share", quota, where, [NUL.join((after, model)), *share[1:]])


def _wrong(position: int, detail: str, field: str) -> Invalid:
    return Invalid("books.moved", detail, position=position, field=field)
