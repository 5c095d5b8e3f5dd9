"""What a deployment demands of who acts for others: a second factor, a recent sign-in, time."""

from collections.abc import Mapping

from domain.errors import DomainError


def mfa_demanded(env: Mapping[str, str]) -> bool:
    """GPUAAS_ADMIN_MFA: 1 or 0. Raises: DomainError config.malformed: a demand that somebody only
    believes to be made is worse than none.
    """
    said = env.get("GPUAAS_ADMIN_MFA") or "0"
    if said not in {"0", "1"}:
        raise DomainError("config.malformed", "GPUAAS_ADMIN_MFA is 1 or 0")
    return said == "1"


def login_age_s(env: Mapping[str, str]) -> int:
    """GPUAAS_ADMIN_LOGIN_AGE_S: a minute to a day, in seconds; by default, or 0: none is demanded.

    Raises: DomainError config.malformed.
    """
    said = env.get("GPUAAS_ADMIN_LOGIN_AGE_S") or "0"
    good = said.isdecimal() and said.isascii() and len(said) < 6
    if not good or not (int(said) == 0 or 60 <= int(said) <= 86_400):
        raise DomainError("config.malformed", "GPUAAS_ADMIN_LOGIN_AGE_S is 60 to 86400, or 0")
    return int(said)


def glass_age_s(env: Mapping[str, str], *, embedded: bool) -> int:
    """GPUAAS_BREAK_GLASS_AGE_S: seconds, by default a day; none at all in an embedded deployment
    only, whose key makes anybody anyway. Raises: DomainError config.malformed.
    """
    said = env.get("GPUAAS_BREAK_GLASS_AGE_S") or "86400"
    if not said.isdecimal() or not said.isascii() or (int(said) == 0 and not embedded):
        raise DomainError("config.malformed", "GPUAAS_BREAK_GLASS_AGE_S is a number of seconds")
    return int(said)
