"""What the agent makes of Podman's words, without Podman: how it answers is written down here."""

from collections.abc import Sequence

import pytest

from agent import podman
from agent.engine import Container, EngineError, Settings
from agent.podman import Podman

RACED = "cannot remove container 51 as it could not be stopped: container state improper: stopped"
GONE = Container("node-1", "allocation-1", 1, "1" * 32, "gpuaas-1", running=False)
SETTINGS = Settings(kind="podman", podman=("podman",), network="none")


class Saying:
    """Refuses with each of the words in turn, then does it; counts how often it was asked."""

    def __init__(self, *words: str) -> None:
        self.words, self.asked = list(words), 0

    def __call__(self, argv: Sequence[str], _timeout_s: float) -> str:
        assert argv[1] == "rm"
        self.asked += 1
        if self.words:
            raise EngineError("engine.failed", self.words.pop(0))
        return ""


@pytest.mark.parametrize(("words", "asked"), [((), 1), ((RACED,), 2), ((RACED,) * 3, 4)])
def test_a_container_that_is_being_cleaned_up_is_removed_all_the_same(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], asked: int
) -> None:
    """Podman's cleanup is waited for, a few times."""
    monkeypatch.setattr(podman, "_CLEANUP_S", 0)
    say = Saying(*words)
    Podman(SETTINGS, say).remove(GONE)
    assert say.asked == asked


@pytest.mark.parametrize("words", [("no space left on device",), (RACED,) * 4])
def test_what_hinders_for_good_is_said(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Any other refusal at once, that one after four."""
    monkeypatch.setattr(podman, "_CLEANUP_S", 0)
    say = Saying(*words)
    with pytest.raises(EngineError):
        Podman(SETTINGS, say).remove(GONE)
    assert say.asked == len(words)
