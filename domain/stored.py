"""The admission's own part of volumes: which there are, on which runtime, what they count."""

from collections.abc import Callable

from msgspec import Struct

from domain import quota, storage_quota, volume
from domain.held import UNDOABLE, Stored


class Volumes:
    """Not shared between threads. `region`: where a node stands; `tree`: the quota of a project's
    organization, None without one.
    """

    def __init__(
        self, region: Callable[[str], str], tree: Callable[[str], quota.Tree | None]
    ) -> None:
        self.now: dict[str, Stored] = {}
        self.attached: dict[str, tuple[str, ...]] = {}  # runtime -> its volumes
        self._region = region
        self._tree = tree

    def remember(self, stream: str, fact: volume.Event) -> None:
        if isinstance(fact, volume.Created):
            made = volume.evolve(volume.Missing(), fact)
            assert isinstance(made, volume.Held)
            self.now[stream] = Stored(made, self._region(fact.node))
            return
        stored = self.now.get(stream)
        if stored is None:
            return  # it is over; read again after a decision on it was undone
        self._shelve(stream, stored.state, fact)
        after = volume.evolve(stored.state, fact)
        if not isinstance(after, volume.Held):
            del self.now[stream]
            return
        self._note(stream, stored.state, after)
        stored.past = (*stored.past[1 - UNDOABLE :], stored.state)
        stored.state = after

    def undo(self, stream: str, fact: Struct) -> None:
        """Of the last fact of the volume that was remembered."""
        if isinstance(fact, volume.Created):
            del self.now[stream]
            return
        stored = self.now.get(stream)
        if stored is None:
            return  # its end was read from the log before this decision was known to have lost
        self._note(stream, stored.state, stored.past[-1])
        stored.state, stored.past = stored.past[-1], stored.past[:-1]

    def _shelve(self, stream: str, held: volume.Held, fact: volume.Event) -> None:
        """What the volume counts against its quota falls with what its node says."""
        if not isinstance(fact, volume.Deleted | volume.Lost | volume.OrderRefused):
            return
        tree = self._tree(held.created.project)
        if tree is None:
            return
        if isinstance(fact, volume.Deleted | volume.Lost):
            storage_quota.release(tree.shelf, stream)
        else:
            storage_quota.settle(tree.shelf, stream, held.size_mib)

    def _note(self, stream: str, before: volume.Held, after: volume.Held) -> None:
        """Which runtime has which volumes, in the order of their attachments."""
        if before.attached is not None:
            mine = self.attached.pop(before.attached.runtime, ())
            left = tuple([name for name in mine if name != stream])
            if left:
                self.attached[before.attached.runtime] = left
        if after.attached is not None:
            runtime_id = after.attached.runtime
            self.attached[runtime_id] = (*self.attached.get(runtime_id, ()), stream)
