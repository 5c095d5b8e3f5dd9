"""What asks for admission, inside one process and over NATS; and the answer."""

import base64
from typing import Final

import msgspec
from msgspec import Struct

from domain.errors import DomainError
from domain.explain import Verdict
from domain.facts import decode_fact, encode_fact, tag_of
from domain.funding import Purse, Renewal
from domain.launch import Launch
from domain.lending_facts import Claim, SetShare, Unclaim
from domain.relocating import MoveProject
from domain.runtime import Cancelled, Failed, Lost, Stopped
from domain.stock import Room
from domain.storage import GrowVolume, NewVolume
from domain.storage_quota import SetLimit
from domain.together import Reserve
from domain.wallet import GiveBack, Grant, Settle
from evidence.append import Appended, Write
from evidence.private import PrivateValue

SUBJECT: Final = "gpuaas.v1.admission"


class Beside(Struct, frozen=True):
    """What let whoever asks, to be written on this new stream; it loses to any of `reads`."""

    stream: str
    action: str
    scope: str
    policies: tuple[str, ...]
    decided_us: int
    reads: tuple[tuple[str, int], ...] = ()


type Held = tuple[tuple[str, int], ...]


class Asked(Struct, frozen=True, kw_only=True):
    """What every ask may say: on whose authority, where somebody asks through the door. `held`:
    streams that whoever asks named by a version (If-Match); the append loses where one moved.
    """

    beside: Beside | None = None
    held: Held = ()


class LaunchAsk(Asked, frozen=True, tag="launch"):
    """Admit a runtime; its ids and private words were made by whoever asks."""

    launch: Launch
    actor: str
    cause: str
    private: tuple[PrivateValue, ...] = ()


class LimitAsk(Asked, frozen=True, tag="limit"):
    """Set one limit of an organization's quota."""

    organization: str
    scope: str
    model: str
    limit_milli: int
    now_us: int
    actor: str
    cause: str

    def limit(self) -> tuple[str, str, int, int]:
        return self.scope, self.model, self.limit_milli, self.now_us


class StorageLimitAsk(Asked, frozen=True, tag="storage_limit"):
    """Set one limit of an organization's storage."""

    organization: str
    limit: SetLimit
    actor: str
    cause: str


class MoveAsk(Asked, frozen=True, tag="move"):
    """Move a project within its organization."""

    wanted: MoveProject
    actor: str
    cause: str


class ShareAsk(Asked, frozen=True, tag="share"):
    """Set what a scope of an organization is guaranteed, lends and may have of one model."""

    organization: str
    wanted: SetShare
    actor: str
    cause: str


class ClaimAsk(Asked, frozen=True, tag="claim"):
    """Claim what a scope has lent."""

    organization: str
    wanted: Claim
    actor: str
    cause: str


class UnclaimAsk(Asked, frozen=True, tag="unclaim"):
    """End a claim: `expired`, or given up."""

    organization: str
    wanted: Unclaim
    actor: str
    cause: str


class ReclaimAsk(Asked, frozen=True, tag="reclaim"):
    """Tell a runtime to stop that a claim has named."""

    runtime: str
    now_us: int
    actor: str
    cause: str


class ClosingAsk(Asked, frozen=True, tag="closing"):
    """Carry out what the closing of an organization asks of this stream of its own."""

    organization: str
    stream: str
    now_us: int
    actor: str
    cause: str


class OverspentAsk(Asked, frozen=True, tag="overspent"):
    """Tell a runtime to stop whose budget is spent, or end such a reservation."""

    runtime: str
    now_us: int
    actor: str
    cause: str


class OverdueAsk(Asked, frozen=True, tag="overdue"):
    """Tell a runtime to stop, or end a reservation, whose account has not paid for so long."""

    runtime: str
    now_us: int
    actor: str
    cause: str


class BlockAsk(Asked, frozen=True, tag="block"):
    """Admit all of these runtimes or none, as the block of this new id."""

    block: str
    launches: tuple[Launch, ...]
    actor: str
    cause: str
    private: tuple[PrivateValue, ...] = ()


class ReserveAsk(Asked, frozen=True, tag="reserve"):
    """Make a reservation; its id was made by whoever asks."""

    wanted: Reserve
    actor: str
    cause: str


class UnreserveAsk(Asked, frozen=True, tag="unreserve"):
    """End a reservation: `expired`, or given back."""

    reservation: str
    reason: str
    now_us: int
    actor: str
    cause: str


class VolumeAsk(Asked, frozen=True, tag="volume"):
    """Create a volume; its id and private words were made by whoever asks."""

    wanted: NewVolume
    actor: str
    cause: str
    private: tuple[PrivateValue, ...] = ()


class GrowAsk(Asked, frozen=True, tag="grow"):
    """Order a volume grown, within its quota."""

    wanted: GrowVolume
    actor: str
    cause: str


class EndAsk(Asked, frozen=True, tag="end"):
    """Append a runtime's last fact with the releases it implies; the fact travels as stored."""

    runtime: str
    fact_tag: str
    fact: bytes
    actor: str
    cause: str

    def ended(self) -> Stopped | Failed | Cancelled | Lost:
        """Raises: DomainError fact.malformed."""
        fact = decode_fact(self.fact_tag, self.fact)
        if not isinstance(fact, Stopped | Failed | Cancelled | Lost):
            raise DomainError("admission.malformed", f"{self.fact_tag} ends no runtime")
        return fact


class GrantAsk(Asked, frozen=True, tag="grant"):
    """Credit for an account's wallet; its id was made by whoever asks. `aside`: the money that it
    resolves, none when empty.
    """

    organization: str
    account: str
    wanted: Grant
    actor: str
    cause: str
    aside: str = ""


class GiveBackAsk(Asked, frozen=True, tag="give_back"):
    """A payment of an account's credit refunded, or `taken` back by the payer's bank."""

    organization: str
    account: str
    wanted: GiveBack
    taken: bool
    actor: str
    cause: str


class SettleAsk(Asked, frozen=True, tag="settle"):
    """Meet what was charged for a prepaid runtime."""

    wallet: str
    wanted: Settle
    actor: str
    cause: str


class ExpireAsk(Asked, frozen=True, tag="expire"):
    """Lots and holds of a wallet whose time is over."""

    wallet: str
    now_us: int
    actor: str
    cause: str


class RenewAsk(Asked, frozen=True, tag="renew"):
    """A node's lease, with the holds of the prepaid runtimes on it."""

    wanted: Renewal
    actor: str
    cause: str


class KeepAsk(Asked, frozen=True, tag="keep"):
    """Carry out what is due of a prepaid volume: held on, told of, locked, unlocked, wiped; or of a
    prepaid reservation: held on, told of, ended.
    """

    volume: str
    now_us: int
    actor: str
    cause: str


class CapacityAsk(Struct, frozen=True, tag="capacity"):
    """What fits now for this organization (`""`: for one without shared devices)."""

    organization: str


class ExplainAsk(Struct, frozen=True, tag="explain"):
    """Why here, why not there: every node's answer to this launch, which is not made."""

    launch: Launch


class PurseAsk(Struct, frozen=True, tag="purse"):
    """An account's wallet as it stands."""

    account: str


type Ask = (
    LaunchAsk | LimitAsk | StorageLimitAsk | EndAsk | BlockAsk | ReserveAsk | UnreserveAsk
    | VolumeAsk | GrowAsk | ShareAsk | ClaimAsk | UnclaimAsk | ReclaimAsk
    | GrantAsk | SettleAsk | ExpireAsk | RenewAsk | ClosingAsk | OverspentAsk | KeepAsk
    | GiveBackAsk | OverdueAsk | MoveAsk
)  # fmt: skip
type Question = CapacityAsk | ExplainAsk | PurseAsk


class Admitted(Struct, frozen=True):
    """What was appended; `writes` is empty when it was appended before or elsewhere."""

    appended: Appended
    writes: tuple[Write, ...] = ()


class _Reply(Struct, omit_defaults=True):
    first: int = 0
    last: int = 0
    leaf: str = ""
    code: str = ""
    detail: str = ""
    facts: dict[str, int | str] = {}
    rooms: tuple[Room, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    purse: Purse | None = None


_DECODE: Final = msgspec.json.Decoder(
    LaunchAsk | LimitAsk | StorageLimitAsk | EndAsk | BlockAsk | ReserveAsk | UnreserveAsk
    | VolumeAsk | GrowAsk | ShareAsk | ClaimAsk | UnclaimAsk | ReclaimAsk
    | GrantAsk | SettleAsk | ExpireAsk | RenewAsk | ClosingAsk | OverspentAsk | KeepAsk
    | GiveBackAsk | OverdueAsk | MoveAsk | CapacityAsk | ExplainAsk | PurseAsk
).decode  # fmt: skip
_REPLY: Final = msgspec.json.Decoder(_Reply).decode


def end_ask(runtime: str, fact: Struct, actor: str, cause: str) -> EndAsk:
    return EndAsk(runtime, tag_of(fact), encode_fact(fact), actor, cause)


def decode_ask(raw: bytes) -> Ask | Question:
    """Raises: DomainError admission.malformed."""
    try:
        ask: Ask | Question = _DECODE(raw)
    except msgspec.MsgspecError as error:
        raise DomainError("admission.malformed", str(error)) from error
    return ask


def encode_answer(answer: Admitted | DomainError) -> bytes:
    if isinstance(answer, DomainError):
        reply = _Reply(code=answer.code, detail=answer.detail, facts=answer.facts)
    else:
        done = answer.appended
        leaf = base64.b64encode(done.leaf).decode("ascii")
        reply = _Reply(first=done.first, last=done.last, leaf=leaf)
    return msgspec.json.encode(reply)


def encode_rooms(rooms: tuple[Room, ...], position: int) -> bytes:
    return msgspec.json.encode(_Reply(first=position, rooms=rooms))


def encode_verdicts(verdicts: tuple[Verdict, ...], position: int) -> bytes:
    return msgspec.json.encode(_Reply(first=position, verdicts=verdicts))


def decode_verdicts(raw: bytes) -> tuple[tuple[Verdict, ...], int]:
    """Raises: the refusal."""
    reply = _REPLY(raw)
    if reply.code:
        raise DomainError(reply.code, reply.detail, reply.facts)
    return reply.verdicts, reply.first


def encode_purse(purse: Purse, position: int) -> bytes:
    return msgspec.json.encode(_Reply(first=position, purse=purse))


def decode_purse(raw: bytes) -> tuple[Purse, int]:
    """Raises: the refusal."""
    reply = _REPLY(raw)
    if reply.purse is None:
        raise DomainError(reply.code, reply.detail, reply.facts)
    return reply.purse, reply.first


def decode_rooms(raw: bytes) -> tuple[tuple[Room, ...], int]:
    """Raises: the refusal."""
    reply = _REPLY(raw)
    if reply.code:
        raise DomainError(reply.code, reply.detail, reply.facts)
    return reply.rooms, reply.first


def decode_answer(raw: bytes) -> Admitted:
    """Marked as a repeat, so that its reader takes the facts from the log. Raises: the refusal."""
    reply = _REPLY(raw)
    if reply.code:
        raise DomainError(reply.code, reply.detail, reply.facts)
    leaf = base64.b64decode(reply.leaf)
    return Admitted(Appended(reply.first, reply.last, leaf, repeated=True))
