from msgspec import Struct

from agent.store import Store

_HELD = "SELECT until_us, renewed_us FROM lease WHERE boot = :boot"
_HOLD = """
INSERT INTO lease (boot, until_us, renewed_us) VALUES (:boot, :until_us, :renewed_us)
ON CONFLICT (boot) DO UPDATE SET
  until_us = max(until_us, excluded.until_us), renewed_us = max(renewed_us, excluded.renewed_us)"""
_BEGIN = """
INSERT INTO lease (boot, until_us, renewed_us) VALUES (:boot, :until_us, :now_us)
ON CONFLICT (boot) DO UPDATE SET
  renewed_us = CASE WHEN until_us > :now_us THEN renewed_us ELSE excluded.renewed_us END,
  until_us = max(until_us, excluded.until_us)"""
_NONCE = "SELECT nonce FROM nonce WHERE boot = :boot ORDER BY id DESC LIMIT 2"
_LEARN = "INSERT INTO nonce (boot, nonce) VALUES (:boot, :nonce) ON CONFLICT DO NOTHING"
_RETIRED = "SELECT 1 FROM nonce WHERE boot = :boot AND nonce = :nonce"


class Held(Struct, frozen=True):
    """A lease ends at `until_us` of boot time, counted from `renewed_us`, before it was asked."""

    until_us: int
    renewed_us: int


def held(store: Store, boot: str) -> Held | None:
    """The lease of this boot, or None when none was ever granted."""
    row = store.conn.execute(_HELD, {"boot": boot}).fetchone()
    return None if row is None else Held(row[0], row[1])


def hold(store: Store, boot: str, until_us: int, renewed_us: int) -> None:
    """Durable on return; a late reply never shortens a lease."""
    with store.transaction() as conn:
        conn.execute(_HOLD, {"boot": boot, "until_us": until_us, "renewed_us": renewed_us})


def begin(store: Store, boot: str, until_us: int, now_us: int) -> None:
    """As `hold`, for a start: what it brings is only that runtime's, so what runs already is due
    for its renewal when it was. Starts that follow each other fast must put off nobody's.
    """
    with store.transaction() as conn:
        conn.execute(_BEGIN, {"boot": boot, "until_us": until_us, "now_us": now_us})


def latest_nonce(store: Store, boot: str) -> str:
    """The nonce the next lease request echoes; empty before the anchor's receipt."""
    row = store.conn.execute(_NONCE, {"boot": boot}).fetchone()
    return "" if row is None else str(row[0])


def learn_nonce(store: Store, boot: str, nonce: str) -> None:
    """`nonce` is the latest from here on; one seen before stays where it was."""
    with store.transaction() as conn:
        conn.execute(_LEARN, {"boot": boot, "nonce": nonce})


def nonce_is_stale(store: Store, boot: str, nonce: str) -> bool:
    """True for a nonce replaced at least twice.

    The one just replaced still counts (a command may cross a lease reply on its way), and an
    unknown one may be newer than the reply we are still waiting for.
    """
    if nonce in {row[0] for row in store.conn.execute(_NONCE, {"boot": boot}).fetchall()}:
        return False
    return store.conn.execute(_RETIRED, {"boot": boot, "nonce": nonce}).fetchone() is not None


def is_due(lease: Held | None, now_us: int, renew_us: int) -> bool:
    """True when a renewal should be asked for."""
    return lease is None or now_us - lease.renewed_us >= renew_us
