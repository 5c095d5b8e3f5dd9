"""What becomes of each thing in each state of an organization: one table, obeyed row by row.

Data: the deciders that obey it are named beside each state; `tests/unit/test_domain_effects.py`
asks them row by row. `waits` names what a row needs that is not built: nobody obeys it yet.
"""

from typing import Final

from msgspec import Struct


class Effect(Struct, frozen=True):
    """`notice`: what is said or given before; `price`: what it costs from then on."""

    state: str
    object: str
    effect: str
    notice: str
    price: str
    waits: str


STATES: Final = (
    *("active", "low balance", "zero balance", "over limit", "overdue", "long overdue"),
    *("budget spent", "suspended", "closing", "closed"),
)
OBJECTS: Final = (
    "running runtime",
    "stopped runtime",
    "volume",
    "snapshot",
    "reservation",
    "terminal or SSH",
    "route of an app",
    "network",
    "API write",
    "API read",
    "invoice",
    "API key",
    "service account",
    "session",
    "SSH certificate",
    "event stream",
    "webhook",
    "app pass",
    "invitation",
    "prepaid credit",
)

# state | object | effect | notice | price | waits for
# over limit and (long) overdue (of an account that pays afterwards; one that is suspended is as an
# overdue one): `placing.affordable` and `dunning`;
# active and suspended: `organization`, `placing.standing`, the gateway's `Doors`, terminals' watch;
# closing and closed: those and `closing`; low and zero balance (of a prepaid account):
# `launch.admit`, `together.reserve` and `funding.renew`, with the hold of each lease; `storage` and
# `locking`, with the holds of volumes; `together.hold_on`, with those of what is reserved and costs
# while idle. Budget spent: one in mode `stop`, of all that lies below its scope: `budgeting` (there
# a reservation that costs nothing while idle goes on).
_TABLE: Final = """\
active|running runtime|goes on|none|gpu.time|
active|stopped runtime|kept as a record|none|0|
active|volume|goes on|none|storage.capacity|
active|snapshot|goes on|none|0|
active|reservation|goes on|none|gpu.time (reserved)|
active|terminal or SSH|goes on|none|0|
active|route of an app|goes on|none|0|
active|network|goes on|none|0|
active|API write|allowed|none|0|
active|API read|allowed|none|0|
active|invoice|goes on|none|0|
active|API key|goes on|none|0|
active|service account|goes on|none|0|
active|session|goes on|none|0|
active|SSH certificate|goes on|none|0|
active|event stream|goes on|none|0|
active|webhook|goes on|none|0|
active|app pass|goes on|none|0|
active|invitation|goes on|none|0|
active|prepaid credit|goes on|none|0|
low balance|running runtime|goes on|a low-balance fact|gpu.time|
low balance|stopped runtime|kept as a record|none|0|
low balance|volume|goes on|a low-balance fact|storage.capacity|
low balance|snapshot|goes on|none|0|
low balance|reservation|goes on|a low-balance fact|gpu.time (reserved)|
low balance|terminal or SSH|goes on|none|0|
low balance|route of an app|goes on|none|0|
low balance|network|goes on|none|0|
low balance|API write|allowed|none|0|
low balance|API read|allowed|none|0|
low balance|invoice|goes on|none|0|
low balance|API key|goes on|none|0|
low balance|service account|goes on|none|0|
low balance|session|goes on|none|0|
low balance|SSH certificate|goes on|none|0|
low balance|event stream|goes on|none|0|
low balance|webhook|goes on|none|0|
low balance|app pass|goes on|none|0|
low balance|invitation|goes on|none|0|
low balance|prepaid credit|goes on|none|0|
zero balance|running runtime|told to stop|until its hold ends|gpu.time|
zero balance|stopped runtime|kept as a record|none|0|
zero balance|volume|locked, then wiped|a date, as a fact|0|
zero balance|snapshot|wiped with its volume|a date, as a fact|0|
zero balance|reservation|ended|until its hold ends|gpu.time (reserved)|
zero balance|terminal or SSH|ends with its runtime|until its hold ends|0|
zero balance|route of an app|ends with its runtime|until its hold ends|0|
zero balance|network|goes on|none|0|
zero balance|API write|nothing new|none|0|
zero balance|API read|allowed|none|0|
zero balance|invoice|goes on|none|0|
zero balance|API key|goes on|none|0|
zero balance|service account|goes on|none|0|
zero balance|session|goes on|none|0|
zero balance|SSH certificate|ends with its runtime|until its hold ends|0|
zero balance|event stream|goes on|none|0|
zero balance|webhook|goes on|none|0|
zero balance|app pass|ends with its runtime|until its hold ends|0|
zero balance|invitation|goes on|none|0|
zero balance|prepaid credit|used up|none|0|
over limit|running runtime|goes on|an over-limit fact|gpu.time|
over limit|stopped runtime|kept as a record|none|0|
over limit|volume|locked|an over-limit fact|storage.capacity|
over limit|snapshot|goes on|none|0|
over limit|reservation|goes on|none|gpu.time (reserved)|
over limit|terminal or SSH|goes on|none|0|
over limit|route of an app|goes on|none|0|
over limit|network|goes on|none|0|
over limit|API write|nothing new|none|0|
over limit|API read|allowed|none|0|
over limit|invoice|goes on|none|0|
over limit|API key|goes on|none|0|
over limit|service account|goes on|none|0|
over limit|session|goes on|none|0|
over limit|SSH certificate|goes on|none|0|
over limit|event stream|goes on|none|0|
over limit|webhook|goes on|none|0|
over limit|app pass|goes on|none|0|
over limit|invitation|goes on|none|0|
over limit|prepaid credit|goes on|none|0|
overdue|running runtime|goes on|reminders, as facts|gpu.time|
overdue|stopped runtime|kept as a record|none|0|
overdue|volume|locked|reminders, as facts|storage.capacity|
overdue|snapshot|goes on|none|0|
overdue|reservation|goes on|none|gpu.time (reserved)|
overdue|terminal or SSH|goes on|none|0|
overdue|route of an app|goes on|none|0|
overdue|network|goes on|none|0|
overdue|API write|nothing new|none|0|
overdue|API read|allowed|none|0|
overdue|invoice|goes on|none|0|
overdue|API key|goes on|none|0|
overdue|service account|goes on|none|0|
overdue|session|goes on|none|0|
overdue|SSH certificate|goes on|none|0|
overdue|event stream|goes on|none|0|
overdue|webhook|goes on|none|0|
overdue|app pass|goes on|none|0|
overdue|invitation|goes on|none|0|
overdue|prepaid credit|goes on|none|0|
long overdue|running runtime|told to stop|reminders, as facts|gpu.time|
long overdue|stopped runtime|kept as a record|none|0|
long overdue|volume|locked|reminders, as facts|storage.capacity|
long overdue|snapshot|goes on|none|0|
long overdue|reservation|ended|reminders, as facts|0|
long overdue|terminal or SSH|ends with its runtime|none|0|
long overdue|route of an app|ends with its runtime|none|0|
long overdue|network|goes on|none|0|
long overdue|API write|nothing new|none|0|
long overdue|API read|allowed|none|0|
long overdue|invoice|goes on|none|0|
long overdue|API key|goes on|none|0|
long overdue|service account|goes on|none|0|
long overdue|session|goes on|none|0|
long overdue|SSH certificate|ends with its runtime|none|0|
long overdue|event stream|goes on|none|0|
long overdue|webhook|goes on|none|0|
long overdue|app pass|ends with its runtime|none|0|
long overdue|invitation|goes on|none|0|
long overdue|prepaid credit|goes on|none|0|
budget spent|running runtime|told to stop|budget facts|gpu.time|
budget spent|stopped runtime|kept as a record|none|0|
budget spent|volume|locked|budget facts|storage.capacity|
budget spent|snapshot|goes on|none|0|
budget spent|reservation|ended|budget facts|0|
budget spent|terminal or SSH|ends with its runtime|budget facts|0|
budget spent|route of an app|ends with its runtime|budget facts|0|
budget spent|network|goes on|none|0|
budget spent|API write|nothing new|none|0|
budget spent|API read|allowed|none|0|
budget spent|invoice|goes on|none|0|
budget spent|API key|goes on|none|0|
budget spent|service account|goes on|none|0|
budget spent|session|goes on|none|0|
budget spent|SSH certificate|ends with its runtime|budget facts|0|
budget spent|event stream|goes on|none|0|
budget spent|webhook|goes on|none|0|
budget spent|app pass|ends with its runtime|budget facts|0|
budget spent|invitation|goes on|none|0|
budget spent|prepaid credit|goes on|none|0|
suspended|running runtime|goes on|none|gpu.time|
suspended|stopped runtime|kept as a record|none|0|
suspended|volume|locked|none|storage.capacity|
suspended|snapshot|goes on|none|0|
suspended|reservation|no new|none|gpu.time (reserved)|
suspended|terminal or SSH|cut|none|0|
suspended|route of an app|cut|none|0|
suspended|network|goes on|none|0|
suspended|API write|nothing new|none|0|
suspended|API read|allowed|none|0|
suspended|invoice|goes on|none|0|
suspended|API key|goes on|none|0|
suspended|service account|goes on|none|0|
suspended|session|goes on|none|0|
suspended|SSH certificate|opens nothing|none|0|
suspended|event stream|goes on|none|0|
suspended|webhook|goes on|none|0|
suspended|app pass|opens nothing|none|0|
suspended|invitation|goes on|none|0|
suspended|prepaid credit|goes on|none|0|
closing|running runtime|told to stop|until stop_at|gpu.time|
closing|stopped runtime|kept as a record|none|0|
closing|volume|locked, then wiped|until wipe_at|storage.capacity|
closing|snapshot|wiped with its volume|until wipe_at|0|
closing|reservation|ended|until stop_at|0|
closing|terminal or SSH|ends with its runtime|until stop_at|0|
closing|route of an app|ends with its runtime|until stop_at|0|
closing|network|goes on|none|0|
closing|API write|nothing new|none|0|
closing|API read|allowed|none|0|
closing|invoice|goes on|none|0|
closing|API key|goes on|none|0|
closing|service account|goes on|none|0|
closing|session|goes on|none|0|
closing|SSH certificate|ends with its runtime|until stop_at|0|
closing|event stream|goes on|none|0|
closing|webhook|goes on|none|0|
closing|app pass|ends with its runtime|until stop_at|0|
closing|invitation|goes on|none|0|
closing|prepaid credit|goes on|none|0|
closed|running runtime|none left|none|0|
closed|stopped runtime|kept as a record|none|0|
closed|volume|none left|none|0|
closed|snapshot|none left|none|0|
closed|reservation|none left|none|0|
closed|terminal or SSH|none left|none|0|
closed|route of an app|none left|none|0|
closed|network|goes on|none|0|
closed|API write|nothing new|none|0|
closed|API read|allowed|none|0|
closed|invoice|goes on|none|0|
closed|API key|revoked|none|0|
closed|service account|has no key|none|0|
closed|session|ended|none|0|
closed|SSH certificate|none left|none|0|
closed|event stream|ended|none|0|
closed|webhook|goes on|none|0|
closed|app pass|none left|none|0|
closed|invitation|goes on|none|0|
closed|prepaid credit|goes on|none|0|
"""

_PAGE: Final = """\
# What becomes of each thing in each state of an organization

Generated from `domain/effects.py` by `python -m api.openapi`, compared by a test; served by
`GET /v1/effects`. A state holds for all that the organization has, a balance for what a prepaid
account pays. *Nothing new*: launches, reservations, new and larger volumes are refused with the
state's own code (of a balance: what it does not cover).
*Goes on*, of what one acts with (keys, accounts, sessions): it does what the other rows leave.
Nothing of it is revoked before *closed*, so a reactivation, or a closing that is withdrawn, brings
all of it back, certificates and passes too as far as they have not ended by themselves. *Closed*
revokes every key and every session for good; who signs in anew, or accepts an invitation, reads
what was billed. *Prepaid credit* that is neither spent nor held is the payer's in every state: what
was paid for is refunded on demand, of a closed organization too.
*Budget spent*: one in mode `stop`, for what lies below its scope; a reservation that costs nothing
while it is idle goes on there. A row that waits for something is not
obeyed by anything yet. Between a closing's dates things go on as before it.

| state | object | effect | notice | price | waits for |
|---|---|---|---|---|---|
"""

EFFECTS: Final = tuple(Effect(*line.split("|")) for line in _TABLE.splitlines())


def page() -> str:
    """The table as the page `contracts/effects.md`, exactly."""
    rows = (
        (one.state, one.object, one.effect, one.notice, one.price, one.waits) for one in EFFECTS
    )
    return _PAGE + "".join("| " + " | ".join(row).rstrip() + " |\n" for row in rows)
