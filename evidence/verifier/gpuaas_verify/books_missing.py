"""Who has told all of a period, and who is named as missing: contracts/rating.md section 8.

In the spill: until when each source of readings has told all (`completed`), who was missing when a
period was closed (`missing`); read from it: nodes, sources, projects and how far each source is.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_words import beginning, is_complete
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]


class Watermarks:
    """Fed the facts of `handlers`."""

    def __init__(self, spill: Spill, charging: Charging) -> None:
        self._spill = spill
        self._charging = charging

    def handlers(self) -> dict[str, Callable[[int, Row, Row], None]]:
        """By tag."""
        return {
            "gpuaas.usage.source_completed.v1": self._completed,
            "gpuaas.period.sources_missing.v1": self._missing,
        }

    def _completed(self, position: int, _entry: Row, fact: Row) -> None:
        """Signed by a source that may report, of what is sealed of it, ever later, never ahead."""
        source = self._spill.get("source", "", fact["source"])
        if source is None or source["key"] is None:
            raise Invalid("books.source", "it may not report", position=position, field="source")
        if not is_complete(fact, source["key"]):
            raise Invalid("books.signed", "not signed by it", position=position, field="sig")
        epoch, sequence, chain = self._spill.get("mark", "", fact["source"]) or [0, 0, ""]
        said = [fact["epoch"], fact["sequence"]]
        if said[1] == 0:
            sealed = fact["chain"] == beginning(fact["source"], said[0])
        else:
            sealed = said < [epoch, sequence] or [*said, fact["chain"]] == [epoch, sequence, chain]
        before = self._spill.get("completed", "", fact["source"]) or 0
        for field, right in (
            ("sequence", sealed and said >= [1, 0]),
            ("until_us", before < fact["until_us"] <= fact["decided_us"]),
        ):
            if not right:
                raise Invalid("books.completed", "not so", position=position, field=field)
        self._spill.put("completed", "", fact["source"], fact["until_us"])

    def _missing(self, position: int, entry: Row, fact: Row) -> None:
        """Each, in order, may still have something to say of the period."""
        found = self._spill.get("period", "", entry["stream"])
        if found is None:
            raise Invalid("books.period", "never opened", position=position, field="stream")
        _, _, end, closed = self._charging.period(position, found[0], entry["stream"])
        sources = fact["sources"]
        silent = all(self._is_silent(name, found[0], end) for name in sources)
        if closed is not None or not silent or sources != sorted(set(sources)):
            raise Invalid("books.missing", "not so", position=position, field="sources")
        self._spill.put("missing", "", entry["stream"], sources)

    def _is_silent(self, name: str, account: str, end: int) -> bool:
        told = (self._spill.get("completed", "", name) or 0) >= end
        source = self._spill.get("source", "", name)
        if name.startswith("source-"):
            if source is None or source["key"] is None:
                return False
            return bool(source["account"] == account) and not told
        node = self._spill.get("node", "", name)
        if node is None:
            return False
        reports = self._spill.get("mark", "", name) is not None
        return bool(node["seen"] < end) or (reports and not told)
