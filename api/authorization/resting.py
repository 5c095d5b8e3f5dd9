"""What an act rests on besides what it is about: who the caller is, and by what it came."""

from api.authorization.cedar import PLATFORM
from api.authorization.credentials import Reads
from api.authorization.principal import Principal
from api.authorization.standing import came_by
from api.services import Services


async def still(services: Services, caller: Principal, org: str) -> Reads:
    """What lets the caller in the organization, and what it came with: the streams that an append
    has to find as they are here, whose outcome would outlast the second in which other processes
    hear of what is taken. Whatever was taken before now counts here.

    Raises: DomainError auth.invalid, log.unavailable.
    """
    await services.following.catch_up()
    known = services.directory
    staff = known.decided_by(PLATFORM) if caller.org == PLATFORM and not caller.role else ()
    streams = (*known.decided_by(org), *staff, *came_by(known, caller))
    return tuple(dict.fromkeys(streams))
