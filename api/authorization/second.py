"""Whether two of the staff are two persons, as far as it shows by whom each came to be staff."""

from typing import Final

from api.authorization.directory import ASKING, Directory
from api.authorization.principal import Principal
from api.authorization.staff import NOT_INDEPENDENT, TOO_NEW
from domain.binding import Binding
from domain.errors import DomainError

_DETAILS: Final = {
    NOT_INDEPENDENT: "one of the two bound the other to the staff, or trusted its issuer",
    TOO_NEW: "whoever asks and whoever approves are of the staff for longer",
}


def apart(
    directory: Directory,
    approver: Principal,
    policies: tuple[str, ...],
    requester: str,
    when: tuple[int, int],
) -> None:
    """As it stands now. `policies`: that let the approver. `when`: now, and how long each has to be
    of the staff, in seconds. The embedded issuer's own operator is whoever holds its key.

    Raises: DomainError break_glass.not_independent, break_glass.too_new.
    """
    now_us, age_s = when
    before_us = now_us - age_s * 1_000_000
    if not approver.role:
        mine = [one for one in directory.staff(approver.actor) if one.id in policies]
        _settled(directory, (approver.actor, requester), mine, (now_us, before_us))
    if requester in directory.people.ever:
        theirs = [one for one in directory.staff(requester) if one.role in ASKING]
        _settled(directory, (requester, approver.actor), theirs, (now_us, before_us))


def _settled(
    directory: Directory, who: tuple[str, str], by: list[Binding], when: tuple[int, int]
) -> None:
    """One binding that stands is enough."""
    now_us, before_us = when
    why = [
        directory.people.unsettled(who[0], directory.persons.alike(who[1]), one, before_us)
        for one in by if one.stands(now_us)
    ]  # fmt: skip
    if "" not in why:
        code = next(iter(why), TOO_NEW)
        age_s = (now_us - before_us) // 1_000_000
        raise DomainError(code, _DETAILS[code], {"age_s": age_s} if code == TOO_NEW else {})
