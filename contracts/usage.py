"""Readings: what a source says was used, numbered, chained and signed (contracts/rating.md 8).

A source numbers its readings 1, 2, 3, … within an epoch, which it raises when it has lost its
state. Each reading's hash is chained to the one before; the last one of a batch is signed with the
chain behind it, so one signature vouches for the whole epoch so far. Canonical JSON everywhere:
keys in the order given here, dimensions in the order of their names, no white space.
Integers may be larger than 2^53: read them exactly.
"""

import base64
import hashlib
import re
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta, Struct

from contracts.http import Given
from contracts.signing import FleetError, decode, opened, unbase64, verify

FORMAT: Final = "gpuaas-usage/1"
COMPLETE: Final = "gpuaas-usage-complete/1"
MOST_READINGS: Final = 500
# What nodes report by themselves: bytes that a runtime sent by its network's policy.
EGRESS: Final = "network.egress"
INTERNET: Final = "internet"  # its model
_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# Patterns cost more than all the rest of decoding: texts of readings are bounded here, and looked
# at closely once for each kind of reading (`check_texts`).
_WORD: Final = re.compile(r"[A-Za-z0-9_.:-]{1,60}")
_RESOURCE: Final = re.compile(rf"(?:project|runtime)-{_UUID}")
MOST_DIMENSIONS: Final = 8

type Text = Annotated[str, Meta(max_length=60)]
type SourceId = Annotated[str, Meta(pattern=f"^(node|source)-{_UUID}$")]
type Number = Annotated[int, Meta(ge=1, le=2**53)]
type Moment = Annotated[int, Meta(ge=0, le=2**53)]
type Count = Annotated[int, Meta(ge=0, le=10**18)]
type Hex64 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
type Signature = Annotated[str, Meta(min_length=88, max_length=88)]


class Reading(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """`quantity` of the meter used by `resource` in `[from_us, to_us)`, or at an instant when both
    are the same. The time decides period and price; `dimensions` has a `model`.
    """

    meter: Text
    resource: Text
    dimensions: Annotated[dict[str, str], Meta(max_length=MOST_DIMENSIONS)]
    from_us: Moment
    to_us: Moment
    quantity: Count


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """Readings `first`, `first` + 1, … of one epoch; `chain` and `sig` after the last one.

    Sent again, whole or with more behind it, it changes nothing that is sealed.
    """

    format: Literal["gpuaas-usage/1"]
    source: SourceId
    epoch: Number
    first: Number
    readings: Annotated[tuple[Reading, ...], Meta(min_length=1, max_length=MOST_READINGS)]
    chain: Hex64
    sig: Signature

    @property
    def last(self) -> int:
        return self.first + len(self.readings) - 1


class Complete(Struct, frozen=True, forbid_unknown_fields=True):
    """Of the time before `until_us` the source has nothing to say behind reading `sequence` of the
    epoch (0: behind none), whose chain this is. What it says all the same is taken as late.
    """

    format: Literal["gpuaas-usage-complete/1"]
    source: SourceId
    epoch: Number
    sequence: Annotated[int, Meta(ge=0, le=2**53)]
    chain: Hex64
    until_us: Moment
    sig: Signature


class Completed(Given, frozen=True):
    """Until when the source has told all; `position` of the fact that says so (null: it stood)."""

    source: str
    until_us: int
    position: int | None


class Taken(Given, frozen=True):
    """Every reading up to `sequence` is sealed, the last new one by `position` (null: none was
    new). `chain`: the head that the next reading is chained to.
    """

    source: str
    epoch: int
    sequence: int
    chain: str
    new: int
    repeated: int
    position: int | None


class Answer(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a node hears of a batch on NATS. `code` empty: every reading up to `sequence` is sealed.
    Else it was refused; for `reading.gap` `sequence` is the last one before the gap. `last`: the
    last number of the batch; 0 where the platform is of the release before. Of a word that all is
    told: `first` 0, `sequence` as it named it.
    """

    format: Literal["gpuaas-usage-answer/1"]
    source: str
    epoch: int
    first: int
    sequence: int | None
    code: str
    last: int = 0


def open_batch(raw: bytes) -> Batch:
    """A batch as a node publishes it: what is signed is its chain, whatever its bytes are like.

    Raises: FleetError reading.malformed.
    """
    return decode(raw, Batch, "reading.malformed", canonical=False)


def open_word(raw: bytes) -> Batch | Complete:
    """What a node publishes: readings, or that it has told all.

    Raises: FleetError reading.malformed.
    """
    try:
        return open_batch(raw)
    except FleetError as refused:
        try:
            return decode(raw, Complete, "reading.malformed", canonical=False)
        except FleetError:
            raise refused from None


def open_answer(raw: bytes, key: str) -> Answer:
    """What the control plane answered. Raises: FleetError answer.forged."""
    return decode(opened(raw, key, "answer.forged"), Answer, "answer.forged")


class _SignedComplete(Struct, frozen=True):
    format: str
    source: str
    epoch: int
    sequence: int
    chain: str
    until_us: int


class _Signed(Struct, frozen=True):
    format: str
    source: str
    epoch: int
    sequence: int
    chain: str


def check_texts(reading: Reading) -> None:
    """Nothing when its names are words (letters, digits, `_.:-`) and its resource is an id.

    Raises: FleetError reading.malformed.
    """
    words = (reading.meter, *reading.dimensions, *reading.dimensions.values())
    if not (all(map(_WORD.fullmatch, words)) and _RESOURCE.fullmatch(reading.resource)):
        raise FleetError("reading.malformed", "a name is no word, or the resource no id")


def payload(reading: Reading) -> bytes:
    """The canonical bytes that a reading's hash is of."""
    return msgspec.json.encode(reading, order="deterministic")


def beginning(source: str, epoch: int) -> bytes:
    """The head of an epoch's chain before its first reading: 32 bytes."""
    return hashlib.sha256(f"{FORMAT}\n{source}\n{epoch}\n".encode()).digest()


def linked(head: bytes, raw: bytes) -> bytes:
    """The head after a reading with this payload: SHA-256(head || SHA-256(payload))."""
    return hashlib.sha256(head + hashlib.sha256(raw).digest()).digest()


def signed_text(source: str, epoch: int, sequence: int, chain: str) -> bytes:
    """What is signed behind the reading with this number."""
    return msgspec.json.encode(_Signed(FORMAT, source, epoch, sequence, chain))


def check_signature(batch: Batch, key: str) -> None:
    """Nothing when the batch is signed by `key` (hex).

    Raises: FleetError reading.unsigned.
    """
    text = signed_text(batch.source, batch.epoch, batch.last, batch.chain)
    verify(key, unbase64(batch.sig, "reading.unsigned"), text, "reading.unsigned")


def complete_text(source: str, epoch: int, sequence: int, chain: str, until_us: int) -> bytes:
    """What is signed to say that all is told until then."""
    said = _SignedComplete(COMPLETE, source, epoch, sequence, chain, until_us)
    return msgspec.json.encode(said)


def check_complete(said: Complete, key: str) -> None:
    """Nothing when it is signed by `key` (hex).

    Raises: FleetError reading.unsigned.
    """
    text = complete_text(said.source, said.epoch, said.sequence, said.chain, said.until_us)
    verify(key, unbase64(said.sig, "reading.unsigned"), text, "reading.unsigned")


class Reporter:
    """A source's side: numbers, chains and signs. Keep `sequence` and `head` durable, or begin a
    higher epoch.
    """

    def __init__(
        self, key: Ed25519PrivateKey, source: str, epoch: int, sequence: int = 0, head: bytes = b""
    ) -> None:
        self._key = key
        self.source = source
        self.epoch = epoch
        self.sequence = sequence
        self.head = head or beginning(source, epoch)

    def batch(self, readings: tuple[Reading, ...]) -> Batch:
        """The next batch; the same object is sent until it is taken."""
        first = self.sequence + 1
        for reading in readings:
            self.head = linked(self.head, payload(reading))
        self.sequence += len(readings)
        text = signed_text(self.source, self.epoch, self.sequence, self.head.hex())
        sig = base64.b64encode(self._key.sign(text)).decode("ascii")
        return Batch(FORMAT, self.source, self.epoch, first, readings, self.head.hex(), sig)

    def complete(self, until_us: int) -> Complete:
        """That all so far is all until then; sent once every batch is taken."""
        chain = self.head.hex()
        text = complete_text(self.source, self.epoch, self.sequence, chain, until_us)
        sig = base64.b64encode(self._key.sign(text)).decode("ascii")
        return Complete(COMPLETE, self.source, self.epoch, self.sequence, chain, until_us, sig)
