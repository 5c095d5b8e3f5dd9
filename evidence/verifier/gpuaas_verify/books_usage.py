"""Readings: who may say what, in which order, and what it adds to which charge line.

contracts/rating.md section 8. State, in the spill: meters, sources (key or null; project and meters
of an app's), projects and runtimes as payers, each source's last key and chain, for `max` and
`last` the reading that stands for its group, and the lines that readings are charged to.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gpuaas_verify.books_prices import NOWHERE, is_region
from gpuaas_verify.books_rating import NUL, Charging
from gpuaas_verify.books_reread import Rereads
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_words import beginning, is_signed, linked
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]
type Piece = tuple[int, int, list[int], list[Any]]
type Told = tuple[Row, int, Row]  # a row, its number, its source

TABLE, SEAL, STATE = "reading", "gpuaas.usage.batch_sealed.v1", "read"
AGGREGATIONS = ("sum", "max", "last", "time-weighted")


class Usage:
    """Fed the facts of `handlers`, then with `read` the rows of each seal."""

    def __init__(self, spill: Spill, charging: Charging) -> None:
        self._spill = spill
        self._charging = charging
        self.rereads = Rereads(spill, charging)
        self.count = 0
        self._stream = ""
        self._last: int | None = None
        self.waiting: tuple[int, Row] | None = None  # a seal whose rows were not read yet

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.meter.registered.v1": self._counted,
            "gpuaas.meter.registered.v2": self._reported,
            "gpuaas.source.registered.v1": self._source,
            "gpuaas.source.revoked.v1": self._over,
            "gpuaas.node.enrolled.v1": self._enrolled,
            "gpuaas.node.revoked.v1": self._over,
            "gpuaas.node.doubled.v1": self._over,
            "gpuaas.project.created.v1": self._project,
            "gpuaas.runtime.requested.v1": self._requested,
            "gpuaas.runtime.allocated.v1": self._allocated,
            "gpuaas.usage.reading_quarantined.v1": self._quarantined,
            "gpuaas.price.rerating_decided.v1": self.rereads.rerate,
            "gpuaas.price.rerating_decided.v2": self.rereads.rerate,
            SEAL: self._sealed,
        }

    def _counted(self, _position: int, _entry: Row, fact: Row) -> None:
        if fact["source"] == "readings":
            self._spill.put("meter", "", fact["meter"], [fact["aggregation"], ["model"]])

    def _reported(self, position: int, _entry: Row, fact: Row) -> None:
        names = fact["dimensions"]
        if fact["aggregation"] not in AGGREGATIONS:
            raise _wrong("meter", position, "no such aggregation", "aggregation")
        if "model" not in names or names != sorted(set(names)):
            raise _wrong("meter", position, "no model, or not in order", "dimensions")
        if self._spill.get("meter", "", fact["meter"]) is not None:
            raise _wrong("meter", position, "registered before", "meter")
        self._spill.put("meter", "", fact["meter"], [fact["aggregation"], names])

    def _source(self, position: int, entry: Row, fact: Row) -> None:
        project = self._spill.get("payer", "", fact["project"])
        orgs = {entry["org"], fact["organization"]}
        if project is None or orgs != {project["org"]} or project["project"] != fact["project"]:
            raise _wrong("source", position, "its project is another's", "project")
        if self._spill.get("source", "", entry["stream"]) is not None:
            raise _wrong("source", position, "registered before", "stream")
        item = {
            "key": fact["key"], "project": fact["project"], "meters": fact["meters"],
            "account": project["account"],
        }  # fmt: skip
        self._spill.put("source", "", entry["stream"], item)

    def _enrolled(self, _position: int, entry: Row, fact: Row) -> None:
        item = {"key": fact["key"], "project": None, "meters": None}
        self._spill.put("source", "", entry["stream"], item)

    def _over(self, position: int, entry: Row, _fact: Row) -> None:
        item = self._spill.get("source", "", entry["stream"])
        if item is not None:
            self._spill.put("source", "", entry["stream"], {**item, "key": None})
        elif entry["stream"].startswith("source-"):
            raise _wrong("source", position, "it was never registered", "stream")

    def _project(self, _position: int, entry: Row, fact: Row) -> None:
        item = {
            "account": fact["account"],
            "project": entry["stream"],
            "org": entry["org"],
            "node": None,
            "simulated": False,
            "region": None,
        }
        self._spill.put("payer", "", entry["stream"], item)

    def _requested(self, _position: int, entry: Row, fact: Row) -> None:
        item = {
            "account": fact["account"],
            "project": fact["project"],
            "org": entry["org"],
            "node": None,
            "simulated": False,
            "region": NOWHERE,
        }
        self._spill.put("payer", "", entry["stream"], item)

    def _allocated(self, _position: int, entry: Row, fact: Row) -> None:
        item = self._spill.get("payer", "", entry["stream"])
        node = self._spill.get("node", "", fact["node"])
        placed = {
            "node": fact["node"],
            "simulated": node["simulated"],
            "region": node.get("region", NOWHERE),
        }
        self._spill.put("payer", "", entry["stream"], {**item, **placed})

    def _quarantined(self, position: int, _entry: Row, fact: Row) -> None:
        mark = self._spill.get("mark", "", fact["source"])
        if mark is None or [fact["epoch"], fact["sequence"]] > mark[:2]:
            raise _wrong("quarantined", position, "its key is not sealed", "sequence")
        if fact["kept"] == fact["refused"]:
            raise _wrong("quarantined", position, "it is the same reading", "refused")

    def _sealed(self, position: int, entry: Row, fact: Row) -> None:
        stream = self._stream or entry["stream"]
        for field, right in (
            ("table", fact["table"] == TABLE),
            ("stream", entry["stream"] == stream and stream.startswith("usage-")),
            ("first_row", fact["first_row"] == self.count),
            ("count", fact["count"] >= 1),
            ("prev_seal", fact["prev_seal"] == self._last),
        ):
            if not right:
                detail = f"{field} does not follow"
                raise Invalid("books.seal", detail, position=position, field=field)
        self._stream, self._last = stream, position
        self.waiting = (position, fact)

    def read(self, rows: Iterable[Row]) -> None:
        """The rows of the seal just fed are believed and charged, or refused by name.

        Raises:
            Invalid: `books.source`, `sequence`, `meter`, `resource`, `reading`, `signed`, `sum`,
                and what charging raises.
        """
        if self.waiting is None:
            raise Invalid("books.seal", "no seal of readings was fed", table=TABLE, row=self.count)
        position, fact = self.waiting
        self.waiting = None
        total, number = 0, self.count

        def believed() -> Iterator[Told]:
            nonlocal total, number
            open_of: list[Any] | None = None
            for row in rows:
                if open_of not in (None, [row["source"], row["epoch"]]):
                    raise _bad("signed", number, "a batch ends without a signature", "sig")
                item, mark = self._next(row, number)
                open_of = self._vouched(row, number, item, mark)
                yield row, number, item
                total += row["quantity"]
                number += 1
            if open_of is not None:
                raise _bad("signed", number - 1, "the seal ends without a signature", "sig")
            if total != fact["quantity_sum"] or number - self.count != fact["count"]:
                raise Invalid("books.sum", "not the sum of its rows", position=position)

        self.rate(position, believed())
        self.count = number

    def rate(self, position: int, rows: Iterable[Told]) -> None:
        """The rows of one seal, whose words they are being known, are charged, by line.

        Raises: Invalid `books.meter`, `resource`, `reading`, and what charging raises.
        """
        changes: dict[str, list[Any]] = {}
        for row, number, source in rows:
            self._count_in(position, row, number, source, changes)
        for item, piece, change in changes.values():
            if change:
                sign = 1 if change > 0 else -1
                whose = self.rereads.charged_to(item, piece[2])
                self._charging.add(position, item["resource"], whose, piece, (sign, abs(change)))
        self._charging.settle(position)
        self.rereads.sealed()

    def _next(self, row: Row, number: int) -> tuple[Row, list[Any]]:
        """The row's source, which stands, and how far it had come in the row's epoch."""
        item = self._spill.get("source", "", row["source"])
        if item is None or item["key"] is None:
            raise _bad("source", number, "it may not report", "source")
        mark = self._spill.get("mark", "", row["source"]) or [0, 0, ""]
        if row["epoch"] > mark[0]:
            mark = [row["epoch"], 0, beginning(row["source"], row["epoch"])]
        if [row["epoch"], row["sequence"]] != [mark[0], mark[1] + 1]:
            raise _bad("sequence", number, f"{mark[0]}, {mark[1] + 1} is next", "sequence")
        return item, mark

    def _vouched(self, row: Row, number: int, item: Row, mark: list[Any]) -> list[Any] | None:
        """None when the row is signed, else the source and epoch that must go on."""
        names = self.dimensions(row, number)
        chain = linked(mark[2], row, names)
        if row["sig"] and not is_signed(row, chain, item["key"]):
            raise _bad("signed", number, "not signed by its source", "sig")
        if row["chain"] and not row["sig"]:
            raise _bad("signed", number, "a chain without its signature", "chain")
        self._spill.put("mark", "", row["source"], [row["epoch"], row["sequence"], chain])
        return None if row["sig"] else [row["source"], row["epoch"]]

    def dimensions(self, row: Row, number: int) -> dict[str, str]:
        """Those of the row, its meter's. Raises: Invalid `books.meter`."""
        pairs = [part.split("=") for part in row["dimensions"].split(",")]
        meter = self._spill.get("meter", "", row["meter"])
        whole = all(len(pair) == 2 for pair in pairs)
        if meter is None or not whole or [pair[0] for pair in pairs] != meter[1]:
            raise _bad("meter", number, "no meter of readings with these dimensions", "dimensions")
        return dict(pairs)

    def _count_in(
        self, position: int, row: Row, number: int, source: Row, changes: dict[str, list[Any]]
    ) -> None:
        if source["meters"] is not None and row["meter"] not in source["meters"]:
            raise _bad("meter", number, "its source may not report it", "meter")
        payer = self._spill.get("payer", "", row["resource"])
        if source["project"] is None:
            owned = payer is not None and payer["node"] == row["source"]
        else:
            owned = payer is not None and payer["project"] == source["project"]
        if not owned:
            raise _bad("resource", number, "not its source's", "resource")
        aggregation = self._spill.get("meter", "", row["meter"])[0]
        least = row["from_us"] + (aggregation == "time-weighted")
        if row["to_us"] < least or row["quantity"] < 0:
            raise _bad("reading", number, "negative, or ends before it begins", "to_us")
        about = self._about(row, number, payer)
        if row["resource"] == source["project"]:  # by the account it had when it was registered
            about["account"] = source["account"]
        if aggregation in ("sum", "time-weighted"):
            self.rereads.count(position, row, about, aggregation == "time-weighted")
        for piece, change in self._changes(position, row, about, aggregation):
            moves = str(self._charging.moves_until(about, piece[0]))
            key = NUL.join((row["resource"], row["meter"], str(piece[2][1]), piece[3][0], moves))
            known = changes.get(key)
            if known is None:
                changes[key] = [about, piece, change]
            else:
                start, end = min(known[1][0], piece[0]), max(known[1][1], piece[1])
                known[1:] = [(start, end, piece[2], piece[3]), known[2] + change]

    def _about(self, row: Row, number: int, payer: Row) -> Row:
        dimensions, region = self.dimensions(row, number), payer["region"]
        if region is None:  # of a project, which stands nowhere: as the reading says
            said = dimensions.get("region", NOWHERE)
            region = said if is_region(said) else NOWHERE
        return {
            "account": payer["account"],
            "project": payer["project"],
            "meter": row["meter"],
            "model": dimensions["model"],
            "region": region,
            "state": STATE,
            "simulated": payer["simulated"],
            "resource": row["resource"],
            "lines": NUL.join((row["resource"], row["meter"])),
        }

    def _changes(
        self, position: int, row: Row, about: Row, aggregation: str
    ) -> Iterator[tuple[Piece, int]]:
        start, end, quantity = row["from_us"], row["to_us"], row["quantity"]
        if aggregation == "time-weighted":
            for piece in self._charging.pieces(position, about, start, end):
                yield piece, quantity * (piece[1] - piece[0])
            return
        [whole] = self._charging.pieces(position, about, start, start + 1)
        piece = (start, max(end, start + 1), whole[2], whole[3])
        if aggregation != "sum":
            rank = [quantity, -start] if aggregation == "max" else [end, start, quantity]
            group = NUL.join((row["meter"], row["dimensions"], piece[3][0]))
            best = self._spill.get("best", row["resource"], group)
            if best is not None and best[0] >= rank:
                return
            if best is not None:
                before = self._charging.period(position, about["account"], best[3])
                span, was = piece[:2], best[4]
                if self._charging.moves_until(about, was) != self._charging.moves_until(
                    about, start
                ):
                    span = (was, was + 1)  # taken back from whom it was charged to
                yield (*span, best[2], before), -best[1]
            best = [rank, quantity, piece[2], piece[3][0], start, position]
            self._spill.put("best", row["resource"], group, best)
            self.rereads.stand(about, group)
        yield piece, quantity


def _wrong(code: str, position: int, detail: str, field: str) -> Invalid:
    return Invalid(f"books.{code}", detail, position=position, field=field)


def _bad(code: str, row: int, detail: str, field: str) -> Invalid:
    return Invalid(f"books.{code}", detail, table=TABLE, row=row, field=field)
