"""Where volumes may appear in a runtime."""

import re
from typing import Final

from domain.errors import DomainError

_PATH: Final = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}){1,8}")
# What a runtime needs of its own image, and what the platform puts there.
_TAKEN: Final = re.compile(
    r"/(bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|root|run|sbin|sys|usr|var)(/.*)?"
)


def check_paths(paths: tuple[str, ...]) -> None:
    """Nothing when a runtime may have volumes at all of these at once.

    Raises: DomainError `volume.path_refused`.
    """
    for path in paths:
        if not _PATH.fullmatch(path) or _TAKEN.fullmatch(path):
            raise DomainError("volume.path_refused", "not a place for a volume", {"path": path})
    for one in paths:
        if sum(f"{other}/".startswith(f"{one}/") for other in paths) > 1:
            raise DomainError("volume.path_refused", "one volume inside another", {"path": one})
