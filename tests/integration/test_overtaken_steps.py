"""Whatever is taken from somebody while they act, at whichever step: nothing of theirs comes after."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from api.admission.writer import Writer
from api.authorization.following import Following
from api.claims import Claims
from api.reads import Reads
from domain.access import Denied
from evidence.log import EventLog
from evidence.reader import decode_entry, read_entries
from tests.api_stage import Stage
from tests.conftest import Database
from tests.integration.test_authority import Owned, both, member, ok, owned

pytestmark = pytest.mark.slow

type Take = Callable[[], Awaitable[object]]
type Act = tuple[str, dict[str, Any]]  # path, and body without a name
STEPS = (
    (Claims, "take"), (Following, "catch_up"), (EventLog, "read_stream"), (Reads, "ask"),
    (EventLog, "append"),
)  # fmt: skip


class Steps:
    """Of one process: what it asks the database for, one by one, and what happens at the n-th."""

    def __init__(self, patch: pytest.MonkeyPatch, stage: Stage) -> None:
        services = stage.services
        self.mine = {id(one) for one in (services.following, services.log, services.reads)}
        self.mine.add(id(services.acting._claims))
        self.at, self.done = -1, 0
        self.take: Take | None = None
        for kind, name in STEPS:
            patch.setattr(kind, name, self._watched(getattr(kind, name)))

    def _watched(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def step(one: object, *of: Any, **named: Any) -> Any:
            if id(one) in self.mine and self.take is not None:
                self.done += 1
                if self.done == self.at:
                    take, self.take = self.take, None
                    await take()
            return await real(one, *of, **named)

        return step

    @contextmanager
    def at_step(self, number: int, take: Take) -> Iterator[None]:
        self.at, self.done, self.take = number, 0, take
        yield
        self.over = self.take is not None
        self.take = None


class Victim(Struct):
    """Somebody who acts by what is given and taken again; `what` is it as a path."""

    stage: Stage
    boss: str
    org: str
    who: str
    token: str
    role: str

    async def given(self, kind: str) -> tuple[str, str]:
        """A token, and the path to take what it acts by."""
        if kind == "key":
            made = ok(await self.stage.post("/v1/api-keys", {"name": "k"}, token=self.token))
            return made["key"], f"/v1/api-keys/{made['id']}/revoke"
        body = {"principal": self.who, "role": self.role, "scope": self.org}
        made = ok(await self.stage.post("/v1/role-bindings", body, token=self.boss))
        return self.token, f"/v1/role-bindings/{made['id']}/revoke"

    async def take(self, path: str) -> int:
        """How long the log is then."""
        body = {"organization": self.org} if path.startswith("/v1/role") else {}
        ok(await self.stage.post(path, body, token=self.boss))
        return await self.stage.size()

    async def acted(self, since: int) -> bool:
        """Whether it changed anything from that position on."""
        rows = await self.stage.services.reads.ask(read_entries, since, 100)
        found = [decode_entry(bytes(entry)) for _, entry, _ in rows]
        return any(one.actor == self.who and not isinstance(one.fact, Denied) for one in found)


async def overtaken(steps: Steps, second: Stage, victim: Victim, act: Act, kind: str) -> list[str]:
    """The steps of the act behind which it was done although what it rests on had been taken."""
    path, body = act
    after: list[str] = []
    for number in range(1, 40):
        token, taking = await victim.given(kind)
        await second.services.following.catch_up()
        sizes: list[int] = []

        async def take(taking: str = taking, sizes: list[int] = sizes) -> None:
            sizes.append(await victim.take(taking))

        named = body if "url" in body else body | {"name": f"n{number}"}
        with steps.at_step(number, take):
            answer = await second.post(path, named, token=token)
        if not sizes:
            assert answer.status_code == 201, answer.text
            assert number > 1, "it asks at least for its key"
            await victim.take(taking)
            return after
        if await victim.acted(sizes[0]) or answer.status_code not in (201, 401, 403, 404):
            after.append(f"{path} {kind} {number}: {answer.text}")
    raise AssertionError("it never ends")


def test_nothing_comes_after_what_was_taken(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that another process takes at any step of any act, and a binding at any of one whose
    outcome would outlast it, before this one hears of it: nothing its bearer does comes behind that.
    """

    async def scene(first: Stage, second: Stage) -> None:
        task = second.services.following._task
        assert task is not None
        task.cancel()  # it hears of nothing that it does not ask for
        of = await owned(first)
        await first.node()
        token, _ = await member(first, of, "user-a", "admin", of.org)
        tenant = Victim(first, of.boss, of.org, "user-a", token, "admin")
        for who in ("user-s", "user-t"):
            ok(await first.post("/v1/members", {"principal": who, "organization": "-"}))
        stays = {"principal": "user-t", "role": "operator", "scope": "-"}
        ok(await first.post("/v1/role-bindings", stays))
        staff_token = first.token("staff", None, "user-s")
        staff = Victim(first, first.operator, "-", "user-s", staff_token, "operator")
        real, lost = Writer._take_back, list[int]()

        async def counted(writer: Writer, *of: Any) -> None:
            lost.append(1)
            await real(writer, *of)

        monkeypatch.setattr(Writer, "_take_back", counted)
        steps = Steps(monkeypatch, second)
        after = []
        for victim, kind, act in acts(of, tenant, staff):
            after += await overtaken(steps, second, victim, act, kind)
        assert not after, after
        assert len(lost) == 1, "the writer tries in vain once: it would lose each time"

    both(database, nats_url, tmp_path, scene)


def acts(of: Owned, tenant: Victim, staff: Victim) -> Iterator[tuple[Victim, str, Act]]:
    hook = {"organization": of.org, "url": "https://1.1.1.1/"}
    yield tenant, "key", ("/v1/runtimes", {"project": of.project})
    yield tenant, "key", ("/v1/departments", {"organization": of.org})
    yield tenant, "binding", ("/v1/service-accounts", {})
    yield tenant, "binding", ("/v1/webhooks", hook)
    yield staff, "binding", ("/v1/nodes", {"model": "T4"})
