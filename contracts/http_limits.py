"""How much of a request the API's port takes, and for how long it waits for it."""

from typing import Final

HEAD_LIMIT: Final = 32_768  # bytes of a head are taken, of twice as many none; 100 fields
HEAD_S: Final = 20  # within which a head has come whole, or the connection is closed
BODY_S: Final = 20  # within which a body has
