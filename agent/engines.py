"""The engines that there are."""

from agent.bubblewrap import Bubblewrap
from agent.engine import Engine, Run, Settings, run_plain
from agent.podman import Podman


def engine_of(settings: Settings, run: Run = run_plain) -> Engine:
    """The engine that these settings name."""
    return Podman(settings, run) if settings.kind == "podman" else Bubblewrap(settings, run)
