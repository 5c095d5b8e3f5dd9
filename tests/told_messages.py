"""What nodes and platform really say to each other over NATS, held against the AsyncAPI document."""

import asyncio
import base64
import json
import re
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from jsonschema import Draft202012Validator

from api.connecting import connected
from api.describing.written import ROOT
from contracts import terminal

# Between processes of the platform itself: no channel of a document for others.
OWN: Final = {"gpuaas.v1.admission", "gpuaas.v1.log.head", "gpuaas.v1.access.gateway"}
# What takes a lease that is renewed, and a runtime that sends bytes: test_network_stack.py.
OF_READINGS: Final = {
    ("use", "Batch"), ("inbox-usage", "UsageAnswer"),
    ("lease", "LeaseRequest"), ("inbox-reply", "Receipt"),
}  # fmt: skip
# Said once an hour is over: unit/test_agent_usage.py makes it, test_readings.py sends and takes it.
NOT_AWAITED: Final = {("use", "Complete")}
# Of frames of terminals: kinds by channel, and the bytes of their head and seal.
_KINDS: Final = {
    "term-in": {terminal.INPUT, terminal.GRANT, terminal.CLOSE},
    "term-out": {terminal.OUTPUT, terminal.STATUS, terminal.EXIT},
}
_LEAST: Final = 26 + 16
_NODE: Final = r"node-[0-9a-f-]{36}"
RENEWAL: Final = re.compile(rf"gpuaas\.v1\.node\.{_NODE}\.lease")
_WANTED: Final = re.compile(rf"gpuaas\..*|_INBOX\.{_NODE}\..*")
# NATS' own answers at a node's inbox: that something is kept, that there is nothing to fetch.
_KEPT: Final = re.compile(rb'\{"stream":\s*"NODE_(EVT|USE)",.*"seq":.*\}')

type Heard = list[tuple[str, bytes]]


@contextmanager
def listening(url: str, tls: ssl.SSLContext | None) -> Iterator[Heard]:
    """Everything that passes while the block lasts, as it comes."""
    heard: Heard = []
    ready, over = threading.Event(), threading.Event()

    async def listen() -> None:
        client = await connected(url, tls)

        async def hear(message: Any) -> None:
            if _WANTED.fullmatch(message.subject) and (message.data or not message.headers):
                heard.append((message.subject, message.data))

        for subject in ("gpuaas.>", "_INBOX.*.>"):
            await client.subscribe(subject, cb=hear, pending_bytes_limit=-1)
        await client.flush()
        ready.set()
        await asyncio.to_thread(over.wait)
        await client.drain()  # with all that was said before

    thread = threading.Thread(target=asyncio.run, args=(listen(),), daemon=True)
    thread.start()
    assert ready.wait(30), "it listens"
    try:
        yield heard
    finally:
        over.set()
        thread.join()


def described(heard: Iterable[tuple[str, bytes]]) -> "Described":
    """All that was heard is in the document. Raises: AssertionError for what is not."""
    document = Described()
    for subject, data in heard:
        document.take(subject, data)
    return document


class Described:
    """The committed document, and which of its messages were seen."""

    def __init__(self) -> None:
        document = json.loads((ROOT / "contracts" / "asyncapi.json").read_text())
        self.components = document["components"]
        self.seen: set[tuple[str, str]] = set()
        self.messages: dict[str, list[str]] = {}
        self._places: list[tuple[re.Pattern[str], str]] = []
        for name, channel in document["channels"].items():
            if channel["servers"] == [{"$ref": "#/servers/nats"}]:
                self.messages[name] = sorted(channel["messages"])
                self._places.append((_pattern(channel["address"]), name))
        # `_INBOX.{node}.{reply}` is any other place in the inbox.
        self._places.sort(key=lambda one: one[1] == "inbox-reply")

    def of_nodes(self) -> set[tuple[str, str]]:
        """Each message that nodes and platform say, with its channel."""
        return {
            (channel, one)
            for channel, messages in self.messages.items()
            for one in messages
            if channel != "facts"
        }

    def take(self, subject: str, data: bytes) -> None:
        """Raises AssertionError for what the document does not have there."""
        if subject in OWN:
            return
        name = next((name for place, name in self._places if place.fullmatch(subject)), None)
        assert name is not None, f"no channel: {subject}"
        if name == "inbox-reply" and _KEPT.fullmatch(data):
            return
        found = [one for one in self._likely(name, subject) if self._is(name, one, data)]
        assert found, f"{subject}: {data[:500]!r}"
        self.seen |= {(name, one) for one in found}

    def _likely(self, name: str, subject: str) -> list[str]:
        if name == "facts":
            return [subject.split(".", 4)[4]]
        return self.messages[name]

    def _is(self, channel: str, message: str, data: bytes) -> bool:
        said = self.components["messages"][message]
        if message == "TerminalFrame":  # whose head alone is for others' eyes
            longest = _LEAST + terminal.PIECE
            return _LEAST <= len(data) <= longest and data[0] == 1 and data[1] in _KINDS[channel]
        return self._fits(said["payload"], data)

    def _fits(self, schema: dict[str, Any], data: bytes) -> bool:
        """Also what is signed within it, by its own schema, which no validator looks into."""
        try:
            value = msgspec.json.decode(data)
        except msgspec.DecodeError:
            return False
        whole = {"components": self.components, **schema}
        if not Draft202012Validator(whole).is_valid(value):
            return False
        if "$ref" in schema:
            schema = self.components["schemas"][schema["$ref"].rpartition("/")[2]]
        inside = schema.get("properties", {}).get("body", {}).get("contentSchema")
        return inside is None or self._fits(inside, base64.b64decode(value["body"], validate=True))


def _pattern(address: str) -> re.Pattern[str]:
    words = {"node": _NODE, "org": r"[^.]+", "tag": r".+", "session": r"access-[0-9a-f-]{36}"}
    parts = re.split(r"\{(\w+)\}", address)
    named = [words.get(one, r".+") if at % 2 else re.escape(one) for at, one in enumerate(parts)]
    return re.compile("".join(named))
