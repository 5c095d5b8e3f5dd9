"""Second factors as codes are checked against them: one row each, one statement a step."""

from typing import Any, Final

from msgspec import Struct

from api.factors.codes import Sealer, is_totp, matching, recovery_hash
from api.statements import Statements
from domain.errors import DomainError
from domain.factor import RECOVERY, TOTP

FREE: Final = 4  # wrong codes in a row before any wait
FIRST_S, LONGEST_S = 30, 900
# Not over one that is confirmed; wrong codes of before still count.
_ENROL: Final = """
INSERT INTO api.factor (organization, principal, sealed)
VALUES (%(organization)s, %(principal)s, %(sealed)s)
ON CONFLICT (organization, principal) DO UPDATE SET sealed = excluded.sealed, last_step = 0
WHERE NOT factor.confirmed
RETURNING 1"""
_READ: Final = """
SELECT confirmed, locked_until_us, cardinality(recovery), failures FROM api.factor
WHERE organization = %(organization)s AND principal = %(principal)s"""
# Counted as wrong before it is looked at: of many at once no more are looked at than may be.
_TRY: Final = """
UPDATE api.factor SET failures = failures + 1,
  locked_until_us = CASE WHEN failures < %(free)s THEN 0 ELSE %(now_us)s + 1000000::bigint
    * least(%(longest_s)s, %(first_s)s * (1 << least(failures - %(free)s, 10))) END
WHERE organization = %(organization)s AND principal = %(principal)s
  AND confirmed = %(confirmed)s AND locked_until_us <= %(now_us)s
RETURNING sealed, failures, locked_until_us"""
# Of two that come with the same code, one finds its step unused.
_TAKE: Final = """
UPDATE api.factor SET last_step = %(step)s, failures = 0, locked_until_us = 0, confirmed = true
WHERE organization = %(organization)s AND principal = %(principal)s AND last_step < %(step)s
RETURNING 1"""
_SPEND: Final = """
UPDATE api.factor SET recovery = array_remove(recovery, %(hash)s),
  failures = 0, locked_until_us = 0
WHERE organization = %(organization)s AND principal = %(principal)s AND %(hash)s = ANY(recovery)
RETURNING 1"""
_REPLACE: Final = """
UPDATE api.factor SET recovery = %(hashes)s
WHERE organization = %(organization)s AND principal = %(principal)s"""
_REMOVE: Final = """
DELETE FROM api.factor
WHERE organization = %(organization)s AND principal = %(principal)s RETURNING 1"""


class Whose(Struct, frozen=True):
    """A principal of one organization, `-` for the platform's own."""

    organization: str
    principal: str

    def said(self) -> dict[str, Any]:
        return {"organization": self.organization, "principal": self.principal}


class Standing(Struct, frozen=True):
    confirmed: bool
    locked_until_us: int
    recovery_codes: int


class Taken(Struct, frozen=True):
    """A code that was right."""

    means: str


class WrongCodeError(DomainError):
    """`failures` in a row; `until_us`: no code is looked at until then, 0 for at once."""

    def __init__(self, code: str, failures: int, until_us: int) -> None:
        super().__init__(code, "that is not a code of now")
        self.failures = failures
        self.until_us = until_us


class Factors:
    """Of every process of the platform: they lie in the database, secrets sealed."""

    def __init__(self, app_url: str, sealer: Sealer | None) -> None:
        self._statements = Statements(app_url)
        self._sealed_by = sealer

    @property
    def _sealer(self) -> Sealer:
        assert self._sealed_by is not None, "the embedded deployment has an issuer's key"
        return self._sealed_by

    async def close(self) -> None:
        await self._statements.close()

    async def enrol(self, whose: Whose, secret: bytes) -> None:
        """Not there before it is confirmed. Raises: DomainError mfa.enrolled, log.unavailable."""
        sealed = self._sealer.seal(secret, _named(whose))
        if await self._statements.run(_ENROL, {**whose.said(), "sealed": sealed}) is None:
            raise DomainError("mfa.enrolled", "there is one: remove it first")

    async def standing(self, whose: Whose) -> Standing | None:
        row = await self._statements.run(_READ, whose.said())
        return None if row is None else Standing(bool(row[0]), int(row[1]), int(row[2]))

    async def take(
        self, whose: Whose, code: str, now_us: int, *, confirming: bool = False
    ) -> Taken:
        """The code is used from now on. `confirming`: of one that is not confirmed yet.

        Raises: DomainError mfa.not_enrolled, mfa.enrolled, mfa.locked, mfa.code_used,
            mfa.unreadable, log.unavailable; WrongCodeError mfa.code_wrong.
        """
        said = {**whose.said(), "now_us": now_us, "confirmed": not confirming}
        said |= {"free": FREE, "first_s": FIRST_S, "longest_s": LONGEST_S}
        tried = await self._statements.run(_TRY, said)
        if tried is None:
            raise await self._why(whose, now_us, confirming=confirming)
        wrong = WrongCodeError("mfa.code_wrong", int(tried[1]), int(tried[2]))
        if not is_totp(code):
            return await self._spent(whose, code, wrong, confirming=confirming)
        step = matching(self._sealer.opened(bytes(tried[0]), _named(whose)), code, now_us)
        if step is None:
            raise wrong
        row = await self._statements.run(_TAKE, {**whose.said(), "step": step})
        if row is None:
            raise DomainError("mfa.code_used", "each code counts once: wait for the next one")
        return Taken(TOTP)

    async def _spent(
        self, whose: Whose, code: str, wrong: WrongCodeError, *, confirming: bool
    ) -> Taken:
        said = {**whose.said(), "hash": recovery_hash(code)}
        row = None if confirming else await self._statements.run(_SPEND, said)
        if row is None:
            raise wrong
        return Taken(RECOVERY)

    async def _why(self, whose: Whose, now_us: int, *, confirming: bool) -> DomainError:
        found = await self.standing(whose)
        if found is None or (not confirming and not found.confirmed):
            return DomainError("mfa.not_enrolled", "enrol and confirm one first")
        if confirming and found.confirmed:
            return DomainError("mfa.enrolled", "it is confirmed already")
        return locked(found.locked_until_us, now_us)

    async def replace(self, whose: Whose, codes: list[str]) -> None:
        """These are the recovery codes from now on, and no others."""
        hashes = [recovery_hash(one) for one in codes]
        await self._statements.run(_REPLACE, {**whose.said(), "hashes": hashes})

    async def remove(self, whose: Whose) -> bool:
        """Whether there was one, with its recovery codes."""
        return await self._statements.run(_REMOVE, whose.said()) is not None


def _named(whose: Whose) -> str:
    return f"{whose.organization}\n{whose.principal}"


def locked(until_us: int, now_us: int) -> DomainError:
    """No code is looked at until then."""
    left = max(1, -(-(until_us - now_us) // 1_000_000))
    detail = f"too many wrong codes: none is looked at for {left} s"
    return DomainError("mfa.locked", detail, {"retry_after_s": left})
