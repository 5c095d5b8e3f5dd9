"""What closing an organization takes, and the table of effects gives; as http.py, whose terms they
use.
"""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Reason, Taken


class ClosingNew(Taken, frozen=True):
    """What runs is told to stop after `notice_s`; volumes are wiped after `wipe_after_s`."""

    reason: Reason
    notice_s: Annotated[int, Meta(ge=0, le=31_536_000)] = 86_400
    wipe_after_s: Annotated[int, Meta(ge=0, le=31_536_000)] = 2_592_000


class Effect(Given, frozen=True):
    """What becomes of one kind of thing in one state of its organization; `waits`: for what is not
    built yet, empty when it is so today.
    """

    state: str
    object: str
    effect: str
    notice: str
    price: str
    waits: str
