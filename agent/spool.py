import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from agent.store import Store
from contracts.fleet import Attested, Body, LeaseRequest, Said, attest

_LAST_SEQ = "SELECT last_seq FROM numbering WHERE boot = :boot"
_NUMBER = """
INSERT INTO numbering (boot, last_seq) VALUES (:boot, :seq)
ON CONFLICT (boot) DO UPDATE SET last_seq = excluded.last_seq"""
_ADD = """
INSERT INTO spool (boot, seq, lease, refusal, message)
VALUES (:boot, :seq, :lease, :refusal, :message)"""
_PENDING = "SELECT id, boot, seq, lease, message FROM spool ORDER BY id LIMIT :limit"
_FREE = "DELETE FROM spool WHERE boot = :boot AND seq = :seq"
_HAS_LEASE = "SELECT 1 FROM spool WHERE boot = :boot AND lease = 1 LIMIT 1"
_REFUSALS = "SELECT count(*) FROM spool WHERE refusal = 1"


class Spooled(Struct, frozen=True):
    id: int
    boot: str
    seq: int
    lease: bool
    message: bytes


class Spool:
    """Signed, numbered events, on disk from the moment they are true until their receipt.

    Numbers of one boot are contiguous from 1 and never given twice: number and event are
    written in one transaction. Order of `pending` = order of `add`, over boots too, so the last
    words of an older boot leave before the anchor of the next.
    """

    def __init__(self, store: Store, key: Ed25519PrivateKey, node: str, boot: str) -> None:
        self._store = store
        self.key = key
        self.node = node
        self.boot = boot

    def is_new_boot(self) -> bool:
        """True when nothing was ever said under this boot."""
        return self._last_seq() == 0

    def add(
        self,
        tag: str,
        stream: str,
        boottime_us: int,
        said: Said,
        *,
        nonce: str | None = None,
        refusal: bool = False,
    ) -> bytes:
        """The message as it will be sent, durable with the surrounding transaction.

        `nonce` makes it a lease request (sent by request/reply instead of JetStream).
        """
        with self._store.transaction() as conn:
            seq = self._last_seq() + 1
            body = Body(
                "gpuaas-attest/1", self.node, self.boot, seq, tag, stream, boottime_us, said
            )
            event: Attested = attest(self.key, body)
            message = msgspec.json.encode(event if nonce is None else LeaseRequest(event, nonce))
            conn.execute(_NUMBER, {"boot": self.boot, "seq": seq})
            conn.execute(
                _ADD,
                {
                    "boot": self.boot,
                    "seq": seq,
                    "lease": int(nonce is not None),
                    "refusal": int(refusal),
                    "message": message,
                },
            )
        return message

    def pending(self, limit: int = 64) -> list[Spooled]:
        """The oldest events without a receipt, in order."""
        rows = self._store.conn.execute(_PENDING, {"limit": limit}).fetchall()
        return [Spooled(row[0], row[1], row[2], bool(row[3]), row[4]) for row in rows]

    def gave(self, boot: str, seq: int) -> bool:
        """True when this number of this boot was given here: it is on disk before it is sent."""
        row = self._store.conn.execute(_LAST_SEQ, {"boot": boot}).fetchone()
        return row is not None and seq <= int(row[0])

    def free(self, boot: str, seq: int) -> bool:
        """True when the event was still held. Only a receipt may call this."""
        with self._store.transaction() as conn:
            return conn.execute(_FREE, {"boot": boot, "seq": seq}).rowcount == 1

    def lease_pending(self) -> bool:
        """True while a lease request of this boot has no reply."""
        return self._store.conn.execute(_HAS_LEASE, {"boot": self.boot}).fetchone() is not None

    def refusals_pending(self) -> int:
        """How many refusals wait for a receipt; bounds what a flood of bad commands can spool."""
        return int(self._store.conn.execute(_REFUSALS).fetchone()[0])

    def _last_seq(self) -> int:
        row = self._store.conn.execute(_LAST_SEQ, {"boot": self.boot}).fetchone()
        return 0 if row is None else int(row[0])
