"""Who calls, in one request."""

from api.authorization.caller import Caller
from api.authorization.door import Door


class Principal(Caller, frozen=True):
    """`door`: where what it asks is decided; the guard of the route gives it."""

    door: Door | None = None
