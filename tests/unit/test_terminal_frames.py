from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.terminal.ring import Ring
from agent.terminal.wire import Unpacker, packed
from contracts import terminal
from contracts.signing import FleetError, public_hex
from contracts.terminal import Attach, Keys, Opener, Sealer
from evidence.ids import new_id

NODE, SESSION = new_id("node"), new_id("access")
COMMAND_KEY = Ed25519PrivateKey.generate()


def agreed(number: int = 1) -> tuple[Keys, Keys]:
    """The same attachment's keys as both ends have them."""
    session, fresh, there = (
        terminal.session_key(COMMAND_KEY, SESSION),
        X25519PrivateKey.generate(),
        X25519PrivateKey.generate(),
    )
    attach = Attach(
        *("gpuaas-term-attach/1", NODE, SESSION, number, terminal.exchange_hex(fresh), 0)
    )
    here = terminal.keys_here(attach, terminal.exchange_hex(there), session, fresh)
    return here, terminal.keys_there(attach, terminal.exchange_hex(session), there)


def code_of(opener: Opener, raw: bytes) -> str:
    with pytest.raises(FleetError) as refused:
        opener.open(raw)
    return refused.value.code


def test_both_ends_have_the_same_keys_and_each_direction_its_own() -> None:
    """What one end seals the other opens; input and output never share a key."""
    here, there = agreed()
    assert here == there
    assert here.in_key != here.out_key
    frame = Opener(there, "in").open(Sealer(here, "in").seal(terminal.INPUT, 7, b"ls"))
    assert (frame.kind, frame.offset, frame.data) == (terminal.INPUT, 7, b"ls")


def test_every_attachment_has_keys_of_its_own() -> None:
    """Even under the same number: both sides bring a fresh key."""
    assert agreed()[0].in_key != agreed()[0].in_key


def test_without_the_sessions_key_nobody_has_the_keys() -> None:
    """Whoever attaches without the command key shares no secret with the node."""
    fresh, there = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    attach = Attach(*("gpuaas-term-attach/1", NODE, SESSION, 1, terminal.exchange_hex(fresh), 0))
    mine = terminal.keys_here(attach, terminal.exchange_hex(there), fresh, fresh)
    named = terminal.exchange_hex(terminal.session_key(COMMAND_KEY, SESSION))
    theirs = terminal.keys_there(attach, named, there)
    raw = Sealer(mine, "in").seal(terminal.INPUT, 0, b"rm -rf /\n")
    assert code_of(Opener(theirs, "in"), raw) == "term.forged"


def changed(raw: bytes) -> Iterator[bytes]:
    for place in range(len(raw)):
        yield raw[:place] + bytes((raw[place] ^ 1,)) + raw[place + 1 :]
        yield raw[:place]
    yield raw + b"\x00"


def test_a_frame_with_any_byte_changed_or_cut_is_refused() -> None:
    """Header and body alike: kind, offset and number are sealed with the text."""
    here, there = agreed()
    raw = Sealer(here, "out").seal(terminal.OUTPUT, 10, b"secret")
    opener = Opener(there, "out")
    for wrong in changed(raw):
        code_of(opener, wrong)
    assert opener.open(raw).data == b"secret"


def test_a_frame_comes_once_in_order_and_in_its_own_direction_and_session() -> None:
    """Replayed, reordered, turned round, or of another attachment or session: each refused."""
    here, there = agreed()
    sealer, opener = Sealer(here, "in"), Opener(there, "in")
    first, second = (sealer.seal(terminal.INPUT, at, b"x") for at in (0, 1))
    assert code_of(Opener(there, "out"), first) == "term.forged"
    assert code_of(Opener(agreed(2)[0], "in"), first) == "term.foreign"
    other = Keys(NODE, new_id("access"), 1, there.in_key, there.out_key)
    assert code_of(Opener(other, "in"), first) == "term.forged"
    assert opener.open(second).offset == 1
    assert code_of(opener, first) == code_of(opener, second) == "term.replayed"


@given(st.binary(max_size=200))
def test_rubbish_is_refused_by_name(raw: bytes) -> None:
    """No bytes at all crash the reader."""
    assert code_of(Opener(agreed()[1], "in"), raw).startswith("term.")


def test_an_attachment_nobody_entitled_signed_is_refused() -> None:
    """Only the command key takes a session over, only the node's event key answers."""
    attach = Attach(*("gpuaas-term-attach/1", NODE, SESSION, 1, "0" * 64, 0))
    raw = terminal.attach_message(Ed25519PrivateKey.generate(), attach)
    with pytest.raises(FleetError, match=r"term\.forged"):
        terminal.open_attach(raw, public_hex(COMMAND_KEY))
    raw = terminal.attach_message(COMMAND_KEY, attach)
    assert terminal.open_attach(raw, public_hex(COMMAND_KEY)) == attach


@pytest.mark.parametrize("point", ["00" * 32, "01" + "00" * 31, "xyz", "AB" * 32])
def test_a_key_that_gives_no_secret_is_refused(point: str) -> None:
    """A point of small order would make a secret that everybody knows."""
    fresh = X25519PrivateKey.generate()
    attach = Attach(*("gpuaas-term-attach/1", NODE, SESSION, 1, point, 0))
    with pytest.raises(FleetError, match=r"term\.key"):
        terminal.keys_there(attach, terminal.exchange_hex(fresh), fresh)


@pytest.mark.parametrize(
    "text", ["", "gpuaas.v1.node.x.term.y.in", f"gpuaas.v1.node.{NODE}.term.{SESSION}.cmd"]
)
def test_a_foreign_subject_names_no_session(text: str) -> None:
    """Only `in`, `out` and `ctl` of a session are a terminal's."""
    with pytest.raises(FleetError, match=r"subject\.malformed"):
        terminal.session_of(text)
    assert terminal.session_of(terminal.subject(NODE, SESSION, "in")) == SESSION


@given(st.lists(st.binary(max_size=40), max_size=30), st.data())
def test_the_ring_is_the_tail_of_everything(parts: list[bytes], data: st.DataObject) -> None:
    """Whatever was appended, the last `capacity` bytes can be read from any offset still held."""
    ring, whole = Ring(64), b""
    for part in parts:
        ring.append(part)
        whole += part
    assert (ring.start, ring.end) == (max(0, len(whole) - 64), len(whole))
    offset = data.draw(st.integers(ring.start, ring.end))
    most = data.draw(st.integers(0, 100))
    assert ring.read(offset, most) == whole[offset : offset + most]


@given(st.lists(st.binary(max_size=30), max_size=10), st.integers(1, 7))
def test_messages_survive_any_cutting(bodies: list[bytes], step: int) -> None:
    """A socket's pieces are not messages."""
    raw = b"".join(packed(b"F", body) for body in bodies)
    unpacker = Unpacker()
    found = [m for at in range(0, len(raw), step) for m in unpacker.feed(raw[at : at + step])]
    assert found == [(b"F", body) for body in bodies]
