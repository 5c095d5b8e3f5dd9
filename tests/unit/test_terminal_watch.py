import pytest
from msgspec import Struct

from api.terminal.watch import ends_by
from contracts import terminal_client as wire
from contracts.signing import FleetError
from domain import grant, organization, runtime, terminal
from domain.words import Attested, Share

WORD = Attested("node-1", "00", "11", 3, "e30=", "aa")


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (runtime.Stopping("user", 1), "runtime.ended"),
        (runtime.Stopped(1, 1, 1, WORD), "runtime.ended"),
        (runtime.Failed("x", 1, 1, 1, WORD), "runtime.ended"),
        (runtime.Lost(1, 1), "runtime.ended"),
        (runtime.Cancelled("node.silent", 1), "runtime.ended"),
        (runtime.Allocated("allocation-2", "node-2", "T4", (Share(0, 1),), 5, 1), "epoch.newer"),
        (runtime.Allocated("allocation-1", "node-1", "T4", (Share(0, 1),), 4, 1), ""),
        (runtime.Degraded(1, 1, 1, WORD), ""),
        (organization.Suspended("unpaid", 1), "organization.suspended"),
        (organization.Reactivated("paid", 1), ""),
        (grant.Revoked("user", 1), "revoked"),
        (terminal.Closed("closed", 1, 1, 1), "closed"),
        (terminal.RecordingSealed(0, "ab", 1, False, 1), ""),
    ],
)
def test_what_ends_a_terminal_of_epoch_four(fact: Struct, reason: str) -> None:
    """Its runtime's end, a newer epoch, a revocation, a suspension; nothing else."""
    assert ends_by(fact, 4) == reason


@pytest.mark.parametrize("raw", [b"", b"\x01", bytes(8), bytes(wire.MOST + 1)])
def test_a_message_of_another_length_is_refused(raw: bytes) -> None:
    """No client's bytes crash the server."""
    with pytest.raises(FleetError, match=r"term\.malformed"):
        wire.opened(raw)


def test_what_a_client_says_is_read_back() -> None:
    """Each kind's data, and no size that no terminal has."""
    assert wire.open_window(wire.opened(wire.ack(9, 77)).data) == 77
    assert wire.open_size(wire.opened(wire.resize(100, 30)).data) == (100, 30)
    assert wire.open_hello(wire.opened(wire.hello(1, 2, 3)).data) == (2, 3)
    assert wire.open_exit(wire.opened(wire.exited(5, -9)).data) == -9
    for columns, rows in ((0, 1), (1, 0), (1001, 1)):
        with pytest.raises(FleetError):
            wire.open_size(wire.opened(wire.resize(columns, rows)).data)
