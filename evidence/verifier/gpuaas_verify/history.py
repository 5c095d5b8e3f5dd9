"""The log's entries as a whole: what each block says, held against the blocks before it."""

from collections.abc import Iterator

from gpuaas_verify import bulk, files
from gpuaas_verify.attest import WATCHED, Attestations
from gpuaas_verify.block import BlockResult
from gpuaas_verify.bulk import SealChain
from gpuaas_verify.commands import RECORD, Commands, record
from gpuaas_verify.entry import NO_PREV, Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.facts import OPENED
from gpuaas_verify.files import LiveFiles
from gpuaas_verify.spill import Spill

ENTRIES, ATTESTATIONS, SEALS, FILES = "entries", "attestations", "seals", "files"


class History:
    """Fed block results in order; keeps the first failure of each kind, so that kinds are told in
    their order.

    State per stream, node, runtime, live file and seal, each spilled to a temporary file.
    """

    def __init__(self) -> None:
        self.failures: dict[str, Invalid] = {}
        self.opened: Entry | None = None
        self.unknown: dict[str, int] = {}
        self.last_at_us = 0
        self.size = 0
        self.seal_count = 0
        self.attestations = Attestations()
        self.files = LiveFiles()
        self.sealed_members = Spill()
        self._chain = SealChain()
        self._seals = Spill()
        self._streams = Spill()
        self._last_leaf = NO_PREV
        self._commands = Commands()
        self._last_cause = ""

    def close(self) -> None:
        spills = (self.attestations, self.files, self.sealed_members, self._seals, self._streams)
        for spill in spills:
            spill.close()
        self._commands.close()

    def apply(self, block: BlockResult) -> None:
        if ENTRIES in self.failures:
            return
        found = (self._check_join(block), self._check_streams(block), block.entry_failure)
        failures = [failure for failure in found if failure is not None]
        if failures:
            self.failures[ENTRIES] = min(failures, key=_position)
            return
        self._last_leaf, self.last_at_us = block.last_leaf, block.last_at_us
        self._note_commands(block)
        self.size += block.count
        for tag, count in block.unknown.items():
            self.unknown[tag] = self.unknown.get(tag, 0) + count
        self._watch(block)

    def _note_commands(self, block: BlockResult) -> None:
        commands = bytes(block.commands)
        if self._last_cause[:1] == "c" and commands[:RECORD] == record(
            self._last_cause, block.first
        ):
            commands = commands[RECORD:]  # the append goes on in this block
        self._commands.add(commands)
        self._last_cause = block.last_cause

    def check_commands(self) -> None:
        """Nothing when each command caused one append. Raises: Invalid `entry.repeated_command`."""
        position = self._commands.repeated()
        if position is not None:
            detail = "an earlier append had this command id"
            raise Invalid("entry.repeated_command", detail, position=position, field="cause")

    def _check_join(self, block: BlockResult) -> Invalid | None:
        if block.prev and block.prev != self._last_leaf:
            detail = "not the leaf hash before it"
            return Invalid("entry.prev", detail, position=block.first, field="prev")
        if block.prev and block.at_us < self.last_at_us:
            detail = "earlier than the entry before"
            return Invalid("entry.at_us", detail, position=block.first, field="at_us")
        return None

    def _check_streams(self, block: BlockResult) -> Invalid | None:
        for stream, (position, first, last, org) in block.runs.items():
            version, owner = self._streams.get(stream) or (0, org)
            if org != owner:
                detail = f"the stream is of {owner}"
                return Invalid("entry.org", detail, position=position, field="org")
            if first != version + 1:
                detail = f"version {version + 1} is next"
                return Invalid("entry.version", detail, position=position, field="version")
            self._streams.put(stream, (last, org))
        return None

    def _watch(self, block: BlockResult) -> None:
        words = block.words_failure
        for entry in block.watched:
            if words is not None and words.position == entry.position:
                self.failures.setdefault(ATTESTATIONS, words)
            if entry.tag in WATCHED:
                self._guard(ATTESTATIONS, entry)
            elif entry.tag in bulk.SEALS:
                self._guard(SEALS, entry)
            elif entry.tag == files.SEALED:
                self._guard(FILES, entry)
            elif entry.tag == OPENED:
                self.opened = entry

    def _guard(self, kind: str, entry: Entry) -> None:
        """Lets the entry pass its kind's check; after a failure the kind is not looked at again."""
        if kind in self.failures:
            return
        try:
            if kind == ATTESTATIONS:
                self.attestations.apply(entry)
            elif kind == SEALS:
                self._seal(entry)
            else:
                self.files.apply(entry)
        except Invalid as error:
            self.failures[kind] = error

    def _seal(self, entry: Entry) -> None:
        self._chain.apply(entry)
        self.seal_count += 1
        member = bulk.member_name(entry.fact["table"], entry.fact["first_row"])
        self.sealed_members.put(member, entry.position)
        self._seals.put(f"{entry.position:020d}", list(entry))

    def seals(self) -> Iterator[Entry]:
        """Every seal, in order of position."""
        for fields in self._seals.values():
            yield Entry(*fields)


def _position(error: Invalid) -> int:
    assert error.position is not None
    return error.position
