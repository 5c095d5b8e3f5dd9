import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import DomainError
from evidence import signer
from evidence.signer_state import SignerState, create
from evidence.signing import SignTree, ask_status, ask_to_sign
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.merkle import consistency_proof, leaf_hash, nodes_of, root_hash
from gpuaas_verify.note import Vkey, parse_note, verify_note

LEAVES = [leaf_hash(str(n).encode()) for n in range(600)]
OTHERS = [leaf_hash(b"x"), *LEAVES[1:]]


def tree(state: SignerState, size: int, leaves: list[bytes] = LEAVES) -> SignTree:
    old = state.state.size if state.state else 0
    proof = consistency_proof(old, size, nodes_of(leaves[:size])) if 0 < old < size else []
    root = root_hash(leaves[:size]).hex()
    return SignTree(state.origin, old, size, root, tuple(p.hex() for p in proof))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "signer", "test.example")
    return tmp_path / "signer"


@pytest.fixture
def state(folder: Path) -> Iterator[SignerState]:
    state = SignerState(folder)
    yield state
    state.close()


def test_signs_a_growing_tree(state: SignerState) -> None:
    """Each tree that extends the last is signed; the note verifies against the published vkey."""
    key = Vkey.parse((state.folder / "vkey").read_text().strip())
    assert key.name == state.origin
    assert state.origin.startswith("test.example/")
    for size in (1, 2, 3, 255, 256, 257, 600):
        note = state.sign(tree(state, size))
        parsed = parse_note(note.encode())
        verify_note(parsed, [key], exact=True)
        found = parse_checkpoint(parsed.text)
        assert (found.origin, found.size) == (state.origin, size)
        assert found.root == root_hash(LEAVES[:size])
    assert state.status().refused == 0


def test_the_same_tree_is_the_same_note(state: SignerState) -> None:
    """Asked again after a lost answer, the signer gives the same bytes: nothing forks."""
    first = state.sign(tree(state, 300))
    assert state.sign(tree(state, 300)) == first


@pytest.mark.parametrize(
    ("size", "leaves", "code"),
    [
        (299, LEAVES, "signer.smaller_tree"),
        (300, OTHERS, "signer.fork"),
        (301, OTHERS, "signer.inconsistent"),
    ],
)
def test_refuses_a_tree_that_does_not_extend(
    state: SignerState, size: int, leaves: list[bytes], code: str
) -> None:
    """A smaller, other or rewritten tree is refused, counted, and the state does not move."""
    state.sign(tree(state, 300))
    before = (state.folder / "state").read_bytes()
    with pytest.raises(DomainError, match=code):
        state.sign(tree(state, size, leaves))
    assert (state.folder / "state").read_bytes() == before
    status = state.status()
    assert status.refused == 1
    assert status.last_refusal is not None
    assert status.last_refusal.startswith(code)
    assert status.last_refusal_us is not None


def test_a_proof_from_another_size_is_not_a_refusal(state: SignerState) -> None:
    """A proof that starts elsewhere is answered with the size to start from, and not counted."""
    state.sign(tree(state, 300))
    stale = SignTree(state.origin, 200, 400, "00" * 32, ())
    with pytest.raises(DomainError) as caught:
        state.sign(stale)
    assert caught.value.code == "signer.size_moved"
    assert caught.value.facts == {"size": 300}
    assert state.status().refused == 0


def test_the_state_survives_a_restart_and_its_refusals_too(folder: Path) -> None:
    """Size, root and the count of refusals are durable: a killed signer forgets nothing."""
    first = SignerState(folder)
    first.sign(tree(first, 300))
    with pytest.raises(DomainError):
        first.sign(tree(first, 299))
    first.close()
    second = SignerState(folder)
    assert second.state == first.state
    assert second.status().refused == 1
    second.sign(tree(second, 301))
    second.close()


def test_a_missing_state_signs_nothing(folder: Path) -> None:
    """Without its state the signer cannot know what it signed, so it signs nothing."""
    (folder / "state").unlink()
    state = SignerState(folder)
    with pytest.raises(DomainError, match=r"signer\.state_missing"):
        state.sign(SignTree(state.origin, 0, 1, root_hash(LEAVES[:1]).hex(), ()))
    state.close()


def test_a_state_rolled_back_under_us_is_seen(state: SignerState) -> None:
    """Compare-and-swap: a state file that is not the one we wrote stops signing."""
    before = (state.folder / "state").read_bytes()
    state.sign(tree(state, 5))
    (state.folder / "state").write_bytes(before)
    with pytest.raises(DomainError, match=r"signer\.state_changed"):
        state.sign(tree(state, 6))


def test_another_logs_tree_is_refused(state: SignerState) -> None:
    """The key signs for its own origin only."""
    with pytest.raises(DomainError, match=r"signer\.origin_differs"):
        state.sign(SignTree("other/0123456789abcdef", 0, 1, "00" * 32, ()))


def test_a_second_signer_is_refused(state: SignerState, folder: Path) -> None:
    """One process holds the state; the lock goes with the process, not with a file."""
    with pytest.raises(DomainError, match=r"signer\.second"):
        SignerState(folder)


def test_the_key_is_private_and_never_made_twice(folder: Path) -> None:
    """The key file is 0600 or the signer does not start; an existing key is never replaced."""
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(DomainError, match=r"signer\.exists"):
        create(folder, "test.example")
    (folder / "key").chmod(0o640)
    with pytest.raises(DomainError, match=r"signer\.key_exposed"):
        SignerState(folder)
    (folder / "key").unlink()
    with pytest.raises(DomainError, match=r"signer\.key_missing"):
        SignerState(folder)


def test_a_key_outlives_the_loss_of_its_state(folder: Path) -> None:
    """A lost state is restored, never made anew over the key that others trust."""
    key = (folder / "key").read_bytes()
    (folder / "state").unlink()
    with pytest.raises(DomainError, match=r"signer\.exists"):
        create(folder, "test.example")
    assert (folder / "key").read_bytes() == key


def test_a_signer_half_made_is_made_anew(folder: Path, state: SignerState) -> None:
    """A crash before the key leaves a state that has signed nothing; one that has is kept."""
    state.sign(tree(state, 3))
    (folder / "key").unlink()
    (folder / "note").unlink()
    with pytest.raises(DomainError, match=r"signer\.exists"):
        create(folder, "test.example")
    half = folder.parent / "half"
    create(half, "test.example")
    (half / "key").unlink()
    vkey = create(half, "test.example")
    made = SignerState(half)
    assert (made.vkey, made.state and made.state.size) == (vkey, 0)
    made.close()


def test_over_the_socket(folder: Path) -> None:
    """The process answers status and signatures, refuses nonsense, and a second one on
    its socket.
    """
    path = folder.parent / "s.sock"
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=signer.serve, args=(folder, path, stop, ready.set))
    thread.start()
    try:
        assert ready.wait(5)
        status = ask_status(path)
        assert status.size == 0
        request = SignTree(status.origin, 0, 2, root_hash(LEAVES[:2]).hex(), ())
        assert ask_to_sign(path, request).startswith(status.origin)
        with pytest.raises(DomainError, match=r"signer\.fork"):
            ask_to_sign(path, SignTree(status.origin, 2, 2, "00" * 32, ()))
        other = folder.parent / "other"
        create(other, "test.example")
        with pytest.raises(DomainError, match=r"signer\.second"):
            signer.serve(other, path)
    finally:
        stop.set()
        thread.join()
    with pytest.raises(DomainError, match=r"signer\.unavailable"):
        ask_status(path)
