"""What break-glass let is counted once a request, and written down once."""

import asyncio
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from api import stopping
from api.authorization import calls, using
from api.authorization.calls import LET, Calls, Kind
from api.authorization.cedar import PLATFORM, Verdict
from api.authorization.directory import Directory
from api.authorization.folded import Authorities
from api.authorization.principal import Principal
from api.authorization.using import GlassUse
from api.turns import Turns
from domain import authority_facts as facts
from domain.errors import DomainError
from evidence.append import Append, Appended
from evidence.reader import Recorded
from tests.unit.domain_world import NAME

ORG = "organization-00000000-0000-7000-8000-000000000001"
WHO, GRANT = "user-who", "break_glass-1"
LET_BY = Verdict(allowed=True, policies=(GRANT,))
NOW_US = 1_000


class Counted(Calls):
    """Remembers what it was told, call by call."""

    def __init__(self) -> None:
        self.told: list[Kind] = []

    def count(self, kind: Kind) -> None:
        self.told.append(kind)


class Log:
    """One organization's stream in memory; refuses as it is told to, in order."""

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        asked = facts.GlassRequested(GRANT, WHO, "member", ORG, NAME, "T-1", 60, (), 1)
        approved = facts.GlassApproved(GRANT, "user-other", NOW_US + 1, (), 1)
        self.facts: list[Struct] = [asked, approved]

    async def read_stream(self, stream: str, after: int = 0) -> list[Recorded]:
        return [
            Recorded(at, stream, at + 1, "", ORG, WHO, "", 1, fact)
            for at, fact in enumerate(self.facts)
        ][after:]

    async def append(self, append: Append) -> Appended:
        self.asked += 1
        await self.answers.wait()
        if self.refusals:
            raise DomainError(self.refusals.pop(0), "")
        [write] = append.writes
        assert write.expected == len(self.facts)
        self.facts += write.facts
        return Appended(len(self.facts) - 1, len(self.facts) - 1, b"")


def used(log: Log) -> GlassUse:
    port: Any = log
    turning = Authorities(port), Turns()
    found = GlassUse(port, Directory(), Counted(), lambda: NOW_US, turning)
    found._noted[WHO, ORG, GRANT, "network.list", ORG] = (GRANT,)
    return found


def test_interleaved_requests_are_counted_once_each() -> None:
    """However often each is decided, and whoever is decided about in between; a stream that asks
    its token again is the request that it began as.
    """
    counted = Counted()
    port: Any = None
    glass = GlassUse(port, Directory(), counted, lambda: NOW_US, (Authorities(port), Turns()))
    token = Principal(WHO, "", PLATFORM)
    first, second = (replace(token, counted=set()) for _ in range(2))
    for _ in range(3):
        for caller in (first, second, replace(first, requester="user-other")):
            glass.note(caller, "network.list", (ORG, PLATFORM), LET_BY)
    assert counted.told == [Kind(ORG, WHO, "", "network.list", LET, "", GRANT)] * 2
    glass.note(first, "volume.list", (ORG, PLATFORM), LET_BY)
    assert len(counted.told) == 3


def test_nobody_waits_for_what_another_one_did() -> None:
    """Whose use cannot be written down now is refused; others, and what can be, are not."""
    log = Log("log.unavailable", "log.unavailable")
    glass = used(log)
    asyncio.run(glass.written("user-other"))
    assert log.asked == 0
    glass._noted["user-other", ORG, GRANT, "volume.list", ORG] = (GRANT,)
    log.refusals.pop()
    with pytest.raises(DomainError, match="unavailable"):
        asyncio.run(glass.written())
    assert [fact.action for fact in log.facts if isinstance(fact, facts.GlassUsed)] == [
        "volume.list"
    ]
    assert list(glass._noted) == [(WHO, ORG, GRANT, "network.list", ORG)]


def test_only_a_stale_version_is_tried_again() -> None:
    """Another's append in between is decided anew; any other refusal is told at once."""
    log = Log(*["log.version_stale"] * 20)
    asyncio.run(used(log).written())
    assert [type(fact) for fact in log.facts[2:]] == [facts.GlassUsed]
    for refusal in ("log.unavailable", "entry.refused"):
        log = Log(refusal, refusal)
        with pytest.raises(DomainError, match=refusal):
            asyncio.run(used(log).written())
        assert log.asked == 1


def test_a_fault_ends_the_task_and_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is away is waited for; a refusal that does not pass is raised to who waits."""
    monkeypatch.setattr(using, "_EVERY_S", 0)

    async def scene() -> None:
        log = Log("log.unavailable", "log.unsigned_tail", "entry.refused")
        glass = used(log)
        glass.start()
        with pytest.raises(DomainError, match=r"entry\.refused"):
            await asyncio.wait_for(glass.broken(), 5)
        assert log.asked == 3
        await glass.close()

    asyncio.run(scene())


def test_a_stop_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is noted is written down first; of a log that does not answer it is said what may lack,
    so that what is stopped after it has its time too (api/stopping.py).
    """
    assert using._CLOSE_S + calls.CLOSE_S < stopping._GRACE_S
    monkeypatch.setattr(using, "_CLOSE_S", 0.05)

    async def scene() -> None:
        log = Log()
        glass = used(log)
        glass.start()
        await glass.close()
        assert len(log.facts) == 3
        assert not caplog.text
        for refusal in ((), ("log.unavailable",)):
            log = Log(*refusal)
            if not refusal:
                log.answers.clear()
            glass = used(log)
            glass.start()
            caplog.clear()
            await asyncio.wait_for(glass.close(), 5)
            assert "1 uses of break-glass may not be in it" in caplog.text

    asyncio.run(scene())
