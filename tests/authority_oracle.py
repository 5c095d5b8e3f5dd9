"""Who may do what, told a second time: from contracts/authorization/README.md, without Cedar.

Nothing of `api.authorization` is used here, and the table of actions is read by itself.
"""

import ipaddress
from pathlib import Path

from msgspec import Struct

from domain.binding import Binding, Guardrail

_TABLE = Path(__file__).parent.parent / "contracts" / "authorization" / "actions.txt"


def _holders() -> dict[str, frozenset[str]]:
    rows = [line.split("|") for line in _TABLE.read_text().splitlines() if line[0] != "#"]
    return {row[0].strip(): frozenset(row[3].split()) for row in rows}


HOLDERS = _holders()
_LISTED = _TABLE.with_name("administrative.txt").read_text().splitlines()
ADMINISTRATIVE = frozenset(line for line in _LISTED if line[0] != "#")
_DESK = Path(__file__).parent.parent / "contracts" / "authorization" / "desk.txt"


def _alone() -> dict[str, set[str]]:
    """What staff does in tenants without break-glass, by kind."""
    found: dict[str, set[str]] = {"desk": set(), "founding": set(), "embedded": set()}
    for line in _DESK.read_text().splitlines():
        if not line.startswith("#"):
            word, kind, why = line.split(" | ")
            assert why
            found[kind] |= {name for name in HOLDERS if covers(word, name)}
    return found


class Asked(Struct, frozen=True):
    """One question; `place` from the scope asked about up to the platform."""

    who: str
    groups: frozenset[str]
    action: str
    place: tuple[str, ...]
    now_us: int
    mfa: bool
    source: str
    operator: bool  # of the platform
    scopes: tuple[str, ...] | None
    mfa_demanded: bool = False  # by the platform
    elsewhere: bool = False  # than where the organization requires its people to sign in
    owned: bool = True  # somebody besides the staff has, or had, a say in the organization
    requester: str = ""  # who asked for the break-glass that is to be approved
    stale: bool = False  # it signed in longer ago than the platform takes


def covers(word: str, action: str) -> bool:
    """`*`, an area, an action itself, the administrative, or what a role holds."""
    if word.startswith("role:"):
        return word[5:] in HOLDERS[action]
    if word == "administrative":
        return action in ADMINISTRATIVE
    if word.endswith(".*"):
        return action.split(".", maxsplit=1)[0] == word[:-2]
    return word in {"*", action}


def somewhere(source: str, networks: tuple[str, ...]) -> bool:
    """The address is known, and in one of the networks."""
    if not source:
        return False
    address = ipaddress.ip_address(source)
    return any(address in ipaddress.ip_network(one) for one in networks)


ALONE = _alone()


def in_reach(asked: Asked) -> bool:
    """Staff does it without a grant of break-glass: at the platform, and some in a tenant."""
    founding = asked.action in ALONE["founding"] and not asked.owned
    return asked.place[0] == "-" or asked.action in ALONE["desk"] or founding


def persons(asked: Asked) -> list[str]:
    """What break-glass asks of whoever asks for it, or approves it."""
    no = []
    approving = asked.action == "break_glass.approve"
    program = asked.scopes is not None or asked.who.startswith("service-")
    if program and (approving or asked.action == "break_glass.request"):
        no.append("break_glass.persons")
    if approving and asked.requester == asked.who and asked.who.startswith("user-"):
        no.append("break_glass.two_persons")
    return no


def gives(binding: Binding, asked: Asked) -> bool:
    """This binding alone would let the caller."""
    if binding.principal != asked.who and binding.principal not in asked.groups:
        return False
    if binding.desk and (asked.action in ALONE["embedded"] or not in_reach(asked)):
        return False
    if binding.role not in HOLDERS[asked.action] or binding.scope not in asked.place:
        return False
    if binding.until_us and asked.now_us >= binding.until_us:
        return False
    if binding.mfa and not asked.mfa:
        return False
    return not binding.networks or somewhere(asked.source, binding.networks)


def takes(guardrail: Guardrail, asked: Asked) -> bool:
    """This guardrail forbids it, whoever lets the caller."""
    if asked.operator or guardrail.scope not in asked.place:
        return False
    if not any(covers(word, asked.action) for word in guardrail.actions):
        return False
    if not guardrail.unless_mfa and not guardrail.unless_networks:
        return True
    second = asked.mfa or not guardrail.unless_mfa
    near = not guardrail.unless_networks or somewhere(asked.source, guardrail.unless_networks)
    return not (second and near)


def decided(
    bindings: tuple[Binding, ...], guardrails: tuple[Guardrail, ...], asked: Asked
) -> tuple[bool, tuple[str, ...]]:
    """Whether it is allowed, and the ids that decided."""
    no = [*persons(asked), *(one.id for one in guardrails if takes(one, asked))]
    if asked.scopes is not None and not any(covers(one, asked.action) for one in asked.scopes):
        no.append("key.scopes")
    if asked.mfa_demanded and asked.action in ADMINISTRATIVE and not asked.mfa:
        no.append("mfa.administrative")
    if asked.stale and asked.action in ADMINISTRATIVE:
        no.append("login.stale")
    if asked.elsewhere:
        no.append("sso.required")
    yes = {one.id for one in bindings if gives(one, asked)}
    if no:
        return False, tuple(sorted(no))
    return bool(yes), tuple(sorted(yes))
