"""What the readings of an invoice's proof are charged: rating.md section 8, of what is shown."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_usage import SEAL, TABLE, Told, Usage
from gpuaas_verify.errors import Invalid
from gpuaas_verify.proof_readings import Readings

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]

# What makes a source or a resource of one.
OF_READINGS: Final = (
    "gpuaas.meter.registered.v1",
    "gpuaas.meter.registered.v2",
    "gpuaas.source.registered.v1",
    "gpuaas.node.enrolled.v1",
    "gpuaas.project.created.v1",
    "gpuaas.runtime.requested.v1",
    "gpuaas.runtime.allocated.v1",
)
LEVEL: Final = "time-weighted"


class Read:
    """`wanted`: (sku, service period) of the lines in question; nothing else is charged here."""

    def __init__(
        self, spill: Spill, charging: Charging, readings: Readings, account: str,
        wanted: set[tuple[str, str]],
    ) -> None:  # fmt: skip
        self._spill = spill
        self._charging = charging
        self._readings = readings
        self._account = account
        self._wanted = wanted
        self._usage = Usage(spill, charging)
        self.rerate = self._usage.rereads.rerate

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        known = self._usage.handlers()
        own = {SEAL: self._sealed, "gpuaas.project.moved.v1": self._moved}
        return {**{tag: known[tag] for tag in OF_READINGS}, **own}

    def _moved(self, _position: int, entry: Row, fact: Row) -> None:
        """Who pays for what a source that is registered from now on says of the project."""
        payer = self._spill.get("payer", "", entry["stream"])
        if payer is not None:  # else no source of it is believed
            self._spill.put("payer", "", entry["stream"], {**payer, "account": fact["account"]})

    def _sealed(self, position: int, _entry: Row, _fact: Row) -> None:
        self._usage.rate(position, self._told(position))

    def _told(self, position: int) -> Iterator[Told]:
        for number, row in self._readings.at_hand:
            source = self._spill.get("source", "", row["source"])
            if source is None:
                detail = "its source is not here"
                raise Invalid("books.source", detail, table=TABLE, row=number, field="source")
            dimensions = self._usage.dimensions(row, number)
            self._readings.link(number, row, dimensions, source["key"])
            parts = list(self._parts(position, row, dimensions))
            if not parts:
                detail = "no line in question has it"
                raise Invalid("proof.needless", detail, table=TABLE, row=number)
            for part in parts:
                yield part, number, source

    def _parts(self, position: int, row: Row, dimensions: dict[str, str]) -> Iterator[Row]:
        """The row where its instant is in a period in question; of a level what lies in each."""
        sku, level = f"{row['meter']}:{dimensions['model']}", self._is_level(row)
        for name, start, end, _ in self._charging.account(position, self._account)["periods"]:
            if (sku, name) not in self._wanted:
                continue
            if level:
                within = (max(start, row["from_us"]), min(end, row["to_us"]))
                if within[0] < within[1]:
                    yield {**row, "from_us": within[0], "to_us": within[1]}
            elif start <= row["from_us"] < end:
                yield row

    def _is_level(self, row: Row) -> bool:
        return bool(self._spill.get("meter", "", row["meter"])[0] == LEVEL)
