from msgspec import Struct


class FileSealed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.evidence.file_sealed.v1"
):
    name: str
    sha256: str
    bytes: int
    as_of_size: int
    supersedes: int | None


class Downloaded(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.evidence.downloaded.v1"
):
    what: str
    size: int
    index: int | None


class IntervalsSealed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.rating.batch_sealed.v1"
):
    table: str
    first_row: int
    count: int
    root: str
    prev_seal: int | None
    through: int
    quantity_sum: int


class TransfersSealed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.ledger.batch_sealed.v1"
):
    table: str
    first_row: int
    count: int
    root: str
    prev_seal: int | None
    through: int
    amount_sum_pico: int


class ReadingsSealed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.usage.batch_sealed.v1"
):
    table: str
    first_row: int
    count: int
    root: str
    prev_seal: int | None
    quantity_sum: int


class CallsSealed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.access.batch_sealed.v1"
):
    """Refused calls of who was signed in, and those that break-glass let, counted by the minute."""

    table: str
    first_row: int
    count: int
    root: str
    prev_seal: int | None
    calls_sum: int


class ReadingQuarantined(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.usage.reading_quarantined.v1"
):
    """A source sent another payload under a key that is sealed already; nothing of it is rated."""

    source: str
    epoch: int
    sequence: int
    kept: str
    refused: str
    reading: str
    decided_us: int


class SourceCompleted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.usage.source_completed.v1"
):
    """A source's signed word: of the time before `until_us` it has nothing to say behind that
    reading.
    """

    source: str
    epoch: int
    sequence: int
    chain: str
    until_us: int
    sig: str
    decided_us: int
