from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from agent.kept import KeptRuntimes
from contracts import logs
from contracts.signing import MAX_MESSAGE, FleetError, public_hex
from evidence.ids import new_id

NODE, OTHER = new_id("node"), new_id("node")
COMMAND, EVENT = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
ASK = logs.Ask("gpuaas-logs-ask/1", NODE, "allocation-1", 100, "ab" * 16)


def test_an_answer_is_to_its_own_question() -> None:
    """Signed both ways, the last bytes only; the largest answer fits one message."""
    raw = logs.ask_message(COMMAND, ASK)
    assert logs.open_ask(raw, public_hex(COMMAND), NODE) == ASK
    said = logs.said_message(EVENT, ASK, b"x" * 200 + b"end")
    assert logs.open_said(said, public_hex(EVENT), ASK) == b"x" * 97 + b"end"
    most = replace(ASK, most=logs.MOST)
    largest = logs.said_message(EVENT, most, b"z" * (logs.MOST + 1))
    assert len(largest) <= MAX_MESSAGE
    assert len(logs.open_said(largest, public_hex(EVENT), most)) == logs.MOST


@pytest.mark.parametrize(
    "wrong",
    [replace(ASK, most=logs.MOST + 1), replace(ASK, most=0), replace(ASK, node=OTHER),
     replace(ASK, nonce="")],
)  # fmt: skip
def test_a_node_answers_no_other_question(wrong: logs.Ask) -> None:
    """Another node's, for too much, without a nonce, or not signed by the command key."""
    for key, ask in ((COMMAND, wrong), (EVENT, ASK)):
        with pytest.raises(FleetError, match=r"logs\.forged"):
            logs.open_ask(logs.ask_message(key, ask), public_hex(COMMAND), NODE)


def test_nobody_else_answers() -> None:
    """Another node's key, another question's answer, more than was asked for."""
    other = replace(ASK, nonce="cd" * 16)
    for key, asked in ((COMMAND, ASK), (EVENT, other), (EVENT, replace(ASK, most=200))):
        said = logs.said_message(key, asked, b"x" * 200)
        with pytest.raises(FleetError, match=r"logs\.forged"):
            logs.open_said(said, public_hex(EVENT), ASK)


def test_an_allocation_names_no_other_file(tmp_path: Path) -> None:
    """Whatever the question says, only a runtime's own log is read."""
    kept = KeptRuntimes.__new__(KeptRuntimes)
    kept.folder = tmp_path / "runtimes"
    folder = kept.folder / "allocation-1"
    folder.mkdir(parents=True)
    (folder / "log").write_bytes(b"0123456789")
    (tmp_path / "log").write_bytes(b"secret")
    assert kept.logs("allocation-1", 4) == b"6789"
    assert kept.logs("allocation-2", 4) == b""
    for wrong in ("..", "../../etc", "", ".", "allocation-1/..", "allocation-1/../.."):
        assert kept.logs(wrong, 100) == b"", wrong
