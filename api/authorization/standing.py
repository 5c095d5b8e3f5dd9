"""What an append loses to: the end of what its caller came with."""

from api.authorization.credentials import Reads
from api.authorization.directory import Directory
from api.authorization.principal import Principal
from api.edge import now_us
from domain.errors import DomainError


def rests_on(directory: Directory, credential: str) -> Reads:
    """The stream of the API key or session of this id, as it stands; nothing for neither."""
    found = directory.made(credential) or directory.signed(credential)
    return () if found is None else ((credential, found.version),)


def came_by(directory: Directory, caller: Principal) -> Reads:
    """What the caller came with, while it stands. Raises: DomainError auth.invalid."""
    if caller.credential and directory.over(caller.credential, now_us()):
        raise DomainError("auth.invalid", "what you came with has been taken back")
    return rests_on(directory, caller.credential)
