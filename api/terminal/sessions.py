"""What all terminals of one API process share, and what is written in the log about a session."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from nats.aio.client import Client

from api.auth import unknown, within
from api.authorization.principal import Principal
from api.config import Settings
from api.edge import now_us
from api.fleet.records import count_refusal
from api.reads import Reads
from api.terminal.recorder import Recorder
from api.terminal.tickets import Tickets
from api.terminal.watch import Watch
from contracts import recording
from contracts.recording import Header
from domain import node, terminal
from domain.decider import fold
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.log import EventLog
from evidence.wake import HeadWake
from evidence.watched import Watched
from projections.reach import Place, places

ACTOR: Final = "system-terminal"
_TRIES: Final = 8
_COUNT_S: Final = 1.0


class Session(Struct, frozen=True):
    """A session as its stream says: who opened it, where it is in the log, its state."""

    session: str
    org: str
    user: str
    position: int
    version: int
    state: terminal.Live | terminal.Over

    @property
    def opened(self) -> terminal.Opened:
        return self.state.opened


class Terminals:
    """Opened with the process. `refused`: frames nobody of a session made, by (node, code)."""

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        reads: Reads,
        client: Client,
        heads: HeadWake,
        command_key: Ed25519PrivateKey,
    ) -> None:
        self.settings = settings
        self.log = log
        self.client = client
        self.command_key = command_key
        self.tickets = Tickets(settings.database_url)
        self.watch = Watch(reads, heads)
        self._reads = reads
        self.refused: Counter[tuple[str, str]] = Counter()
        self._counting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        await self.watch.close()
        if self._counting is not None:
            await self._counting
        await self.tickets.close()

    def count(self, where: str, code: str) -> None:
        """One more refused frame; kept in the database at most once a second."""
        self.refused[where, code] += 1
        if self._counting is None or self._counting.done():
            self._counting = asyncio.get_running_loop().create_task(self._keep_counts())

    async def seen(
        self, session: str, principal: Principal, as_of: int | None = None
    ) -> tuple[Session, Place]:
        """A session that the caller may do its route on, and where it is.

        Raises: DomainError resource.unknown when the caller may not know of it; auth.forbidden.
        """
        found = await self.session(session, as_of)
        place = (await self._reads.ask(places, [found.position]))[found.position]
        within(principal, found.org, "terminal", place.scope, place.resource)
        return found, place

    async def session(self, session: str, as_of: int | None = None) -> Session:
        """Raises: DomainError resource.unknown."""
        recorded = await self.log.read_stream(session) if session.startswith("access-") else []
        if as_of is not None:
            recorded = [one for one in recorded if one.position <= as_of]
        if not recorded or not isinstance(recorded[0].fact, terminal.Opened):
            raise unknown("terminal")
        facts = [one.fact for one in recorded if isinstance(one.fact, terminal.Event.__value__)]
        state = fold(terminal.DECIDER, facts)
        assert isinstance(state, terminal.Live | terminal.Over), "its first fact opened it"
        first = recorded[0]
        return Session(
            *(session, first.org, first.actor, first.position, recorded[-1].version, state)
        )

    async def say(
        self, session: str, commands: tuple[terminal.Command, ...], actor: str = ACTOR
    ) -> Session:
        """The commands' facts in one append, again when somebody was faster. Raises: log.*."""
        for _ in range(_TRIES):
            found = await self.session(session)
            state: terminal.State = found.state
            facts: list[terminal.Event] = []
            for command in commands:
                new = terminal.decide(command, state)
                facts += new
                for fact in new:
                    state = terminal.evolve(state, fact)
            if not facts:
                return found
            write = Write(session, found.org, found.version, tuple(facts))
            try:
                await self.log.append(Append((write,), actor, f"pos:{found.position}"))
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
            else:
                return found
        raise DomainError("log.version_stale", "the session keeps changing")

    async def event_key(self, node_id: str) -> str:
        """The node's enrolled key. Raises: DomainError resource.unknown."""
        facts = [one.fact for one in await self.log.read_stream(node_id)]
        keys = [fact.key for fact in facts if isinstance(fact, node.Enrolled)]
        if not keys:
            raise unknown("node")
        return keys[-1]

    def recording(self, session: str) -> Path:
        """Where the session's recording lies, outside the database."""
        return self.settings.recordings / f"{session}.rec"

    def recorder(self, found: Session) -> Recorder:
        """Raises: BlockingIOError while another connection records it."""
        opened = found.opened
        header = Header(
            format=recording.FORMAT,
            session=found.session,
            runtime=opened.runtime,
            opened_us=opened.opened_us,
            columns=opened.columns,
            rows=opened.rows,
        )
        return Recorder(self.recording(found.session), header, now_us)

    async def _keep_counts(self) -> None:
        await asyncio.sleep(_COUNT_S)
        counted, self.refused = self.refused, Counter()
        try:
            url = self.settings.database_url
            async with await Watched.connect(url, autocommit=True) as conn:
                for (where, code), times in counted.items():
                    await count_refusal(conn, where, code, now_us(), times)
        except psycopg.OperationalError:
            self.refused += counted
