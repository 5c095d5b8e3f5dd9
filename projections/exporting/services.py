"""What meters count, in FOCUS's words: services, and units that are consumed and priced.

Source: FOCUS specification 1.2 (focus.finops.org), Cost and Usage.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from projections.exporting.lines import Line

_SECOND_US: Final = 1_000_000


class Service(Struct, frozen=True):
    """What a meter counts in FOCUS's words. `consumed`: a unit, and how many of the meter's units
    it is; `priced`: the name of the unit that one `divisor` is, others are named by the number.
    """

    name: str
    category: str
    subcategory: str
    resource: str
    consumed: tuple[str, int]
    priced: Mapping[int, str]


_SERVICES: Final = {
    "gpu.time": Service(
        "GPU runtimes", "Compute", "Other (Compute)", "Runtime",
        ("GPU-Seconds", 1000 * _SECOND_US), {3_600_000_000_000: "GPU-Hours"},
    ),
    "storage.capacity": Service(
        "Volumes", "Storage", "Block Storage", "Volume",
        ("MiB-Seconds", _SECOND_US), {3_686_400_000_000: "GiB-Hours", 3_600_000_000: "MiB-Hours"},
    ),
}  # fmt: skip
# How many of the meter's units a FOCUS unit is, where it is not 1.
SIZES: Final = {meter: one.consumed[1] for meter, one in _SERVICES.items()}


def service(line: Line) -> Service:
    """Of a meter of somebody's own: its name, in units."""
    known = _SERVICES.get(line.meter)
    if known is not None:
        return known
    return Service(line.meter, "Other", "Other (Other)", line.meter, ("Units", 1), {})


def priced_unit(line: Line) -> str:
    known = service(line).priced.get(line.divisor)
    unit, size = service(line).consumed
    # A price per any other number of units is named by it, in the smallest unit there is.
    return known or (f"{line.divisor} Units" if size != 1 else f"{line.divisor} {unit}")


def consumed(line: Line) -> tuple[str, int]:
    return service(line).consumed
