"""Second factors as codes are checked against them: one row each, one statement a step."""

import hashlib
from typing import Any, Final

from msgspec import Struct

from api.factors.codes import Sealer, is_totp, matching, recovery_hash
from api.statements import Statements
from domain.errors import DomainError
from domain.factor import RECOVERY, TOTP, Told

FREE: Final = 4  # wrong codes in a row before any wait
FIRST_S, LONGEST_S = 30, 900
# Of the fact at version `made`; an earlier one does not undo it. Wrong codes of before still count.
_ENROL: Final = """
INSERT INTO api.factor (organization, principal, sealed, made, recovered)
VALUES (%(organization)s, %(principal)s, %(sealed)s, %(made)s, 0)
ON CONFLICT (organization, principal) DO UPDATE SET sealed = excluded.sealed, last_step = 0,
  made = excluded.made, recovered = 0, recovery = '{}', taken = '{}', confirmed = false
WHERE factor.made IS NULL OR factor.made < excluded.made"""
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
  AND (made IS NULL OR made = %(made)s)
RETURNING sealed, failures, locked_until_us"""
# Of two commands with the same code, one finds its step unused; the repeat of that one passes.
_TAKE: Final = """
UPDATE api.factor SET last_step = greatest(last_step, %(step)s), failures = 0,
  locked_until_us = 0, taken = (%(by)s::bytea || array_remove(taken, %(by)s))[1:8]
WHERE organization = %(organization)s AND principal = %(principal)s
  AND (last_step < %(step)s OR %(by)s = ANY(taken)) AND (made IS NULL OR made = %(made)s)
RETURNING 1"""
_SPEND: Final = """
UPDATE api.factor SET recovery = array_remove(recovery, %(hash)s),
  failures = 0, locked_until_us = 0, taken = (%(by)s::bytea || array_remove(taken, %(by)s))[1:8]
WHERE organization = %(organization)s AND principal = %(principal)s
  AND (%(hash)s = ANY(recovery) OR %(by)s = ANY(taken)) AND (made IS NULL OR made = %(made)s)
RETURNING 1"""
_TAKEN: Final = """
SELECT 1 FROM api.factor
WHERE organization = %(organization)s AND principal = %(principal)s AND %(by)s = ANY(taken)
  AND confirmed = %(confirmed)s AND (made IS NULL OR made = %(made)s)"""
_REPLACE: Final = """
UPDATE api.factor SET recovery = %(hashes)s, recovered = %(version)s, confirmed = true
WHERE organization = %(organization)s AND principal = %(principal)s
  AND (recovered IS NULL OR recovered <= %(version)s) AND (made IS NULL OR made = %(made)s)"""
# Codes that a fact names and nobody was shown are nobody's: none counts.
_FOLLOW: Final = """
UPDATE api.factor SET confirmed = confirmed OR %(confirmed)s,
  recovery = CASE WHEN recovered < %(codes)s THEN '{}' ELSE recovery END,
  recovered = greatest(recovered, %(codes)s)
WHERE organization = %(organization)s AND principal = %(principal)s
  AND (made IS NULL OR made = %(enrolled)s)
  AND (recovered IS NULL OR recovered < %(codes)s OR (%(confirmed)s AND NOT confirmed))"""
_REMOVE: Final = """
DELETE FROM api.factor
WHERE organization = %(organization)s AND principal = %(principal)s
  AND (made IS NULL OR made < %(removed)s)"""


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


class Use(Struct, frozen=True):
    """What a code is used for: by the command `cause`, of the secret that was `made` there."""

    cause: str
    made: int


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

    async def enrol(self, whose: Whose, secret: bytes, made: int) -> None:
        """Of the fact at that version. Raises: DomainError log.unavailable."""
        sealed = self._sealer.seal(secret, _named(whose))
        await self._statements.run(_ENROL, {**whose.said(), "sealed": sealed, "made": made})

    async def follow(self, whose: Whose, told: Told) -> None:
        """The row as the log says, also where a crash cut off who was to write it.

        Raises: DomainError log.unavailable.
        """
        said = {**whose.said(), "enrolled": told.enrolled, "codes": told.codes}
        if told.enrolled:
            confirmed = {"confirmed": told.confirmed > 0}
            await self._statements.run(_FOLLOW, said | confirmed)
        elif told.removed:
            await self._statements.run(_REMOVE, {**whose.said(), "removed": told.removed})

    async def standing(self, whose: Whose) -> Standing | None:
        row = await self._statements.run(_READ, whose.said())
        return None if row is None else Standing(bool(row[0]), int(row[1]), int(row[2]))

    async def take(
        self, whose: Whose, code: str, now_us: int, use: Use, *, confirming: bool = False
    ) -> Taken:
        """The code is used up by that command from now on; its repeat is let through, uncounted.
        `confirming`: of one that is not confirmed yet.

        Raises: DomainError mfa.not_enrolled, mfa.enrolled, mfa.locked, mfa.code_used,
            mfa.unreadable, log.unavailable; WrongCodeError mfa.code_wrong.
        """
        by = hashlib.sha256(f"{use.cause}\n{code}".encode()).digest()
        mine = {**whose.said(), "by": by, "made": use.made, "confirmed": not confirming}
        means = TOTP if is_totp(code) else RECOVERY
        if await self._statements.run(_TAKEN, mine) is not None:
            return Taken(means)
        said = mine | {"now_us": now_us, "free": FREE, "first_s": FIRST_S, "longest_s": LONGEST_S}
        tried = await self._statements.run(_TRY, said)
        if tried is None:
            raise await self._why(whose, now_us, confirming=confirming)
        wrong = WrongCodeError("mfa.code_wrong", int(tried[1]), int(tried[2]))
        if means == RECOVERY:
            hashed = mine | {"hash": recovery_hash(code)}
            if confirming or await self._statements.run(_SPEND, hashed) is None:
                raise wrong
            return Taken(means)
        step = matching(self._sealer.opened(bytes(tried[0]), _named(whose)), code, now_us)
        if step is None:
            raise wrong
        if await self._statements.run(_TAKE, mine | {"step": step}) is None:
            raise DomainError("mfa.code_used", "each code counts once: wait for the next one")
        return Taken(means)

    async def _why(self, whose: Whose, now_us: int, *, confirming: bool) -> DomainError:
        found = await self.standing(whose)
        if found is None or (not confirming and not found.confirmed):
            return DomainError("mfa.not_enrolled", "enrol and confirm one first")
        if confirming and found.confirmed:
            return DomainError("mfa.enrolled", "it is confirmed already")
        if found.locked_until_us <= now_us:
            return DomainError("mfa.not_enrolled", "another was enrolled: confirm that one")
        return locked(found.locked_until_us, now_us)

    async def replace(self, whose: Whose, codes: list[str], made: int, version: int) -> None:
        """These are the recovery codes by the fact at that version, and it is confirmed."""
        said = {**whose.said(), "made": made, "version": version}
        hashes = [recovery_hash(one) for one in codes]
        await self._statements.run(_REPLACE, said | {"hashes": hashes})


def _named(whose: Whose) -> str:
    return f"{whose.organization}\n{whose.principal}"


def locked(until_us: int, now_us: int) -> DomainError:
    """No code is looked at until then."""
    left = max(1, -(-(until_us - now_us) // 1_000_000))
    detail = f"too many wrong codes: none is looked at for {left} s"
    return DomainError("mfa.locked", detail, {"retry_after_s": left})
