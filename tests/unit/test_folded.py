"""An organization's authority in memory: what was read once is not read again, and nothing lacks."""

import asyncio

from api.authorization import folded
from api.authorization.folded import Authorities
from domain.authority import DECIDER, authority_stream
from domain.authority_facts import BindingGranted, BindingRevoked, Event, MemberAdded
from domain.decider import fold
from evidence.reader import Recorded

ORG = "organization-00000000-0000-7000-8000-000000000001"


class Log:
    """Of one organization. `asked`: behind which versions; a reader waits while it answers."""

    def __init__(self) -> None:
        self.entries: list[Recorded] = []
        self.asked: list[int] = []

    def say(self, fact: Event) -> None:
        version = len(self.entries) + 1
        stream = authority_stream(ORG)
        said = (stream, version, "tag", ORG, "user-1", "cause", 1, fact)
        self.entries.append(Recorded(version + 9, *said))

    async def read_stream(self, stream: str, after: int = 0) -> list[Recorded]:
        self.asked.append(after)
        found = self.entries[after:] if stream == authority_stream(ORG) else []
        await asyncio.sleep(0)
        return found


def test_only_what_is_new_is_read_and_nothing_lacks() -> None:
    """After each entry it is what a fold of them all says, with where each thing began; readers at
    the same time do not take it back; another organization has nothing of it.
    """

    async def story() -> None:
        log = Log()
        known = Authorities(log)
        assert (await known.of(ORG)).version == 0
        facts: list[Event] = [MemberAdded("user-1", "", (), 1)]
        for number in range(4):
            name, said = f"binding-{number}", ("viewer", ORG, False, (), 0, (), 1)
            facts += [BindingGranted(name, "user-1", *said), BindingRevoked(name, "x", (), 1)]
        for count, fact in enumerate(facts, 1):
            log.say(fact)
            for found in await asyncio.gather(*(known.of(ORG) for _ in range(2))):
                assert found.version == count
                assert found.state == fold(DECIDER, facts[:count])
        assert log.asked == [0, *(one for one in range(len(facts)) for _ in range(2))]
        early = asyncio.create_task(known.of(ORG))
        await asyncio.sleep(0)
        log.say(MemberAdded("user-2", "", (), 1))
        late = await known.of(ORG)
        assert (await early).version == late.version - 1, "what it read, it was asked for before"
        assert (await known.of(ORG)).state.knows("user-2")
        assert late.made["user-2"].version == late.version
        assert (await known.of("organization-2")).version == 0

    asyncio.run(story())


def test_few_are_kept() -> None:
    """The one that was asked for longest ago is let go first."""

    async def story() -> None:
        known = Authorities(Log())
        for number in range(folded._KEPT + 5):
            await known.of(f"organization-{number}")
            await known.of("organization-0")
        assert len(known._known) == folded._KEPT
        assert "organization-0" in known._known

    asyncio.run(story())
