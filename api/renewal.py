"""A pair of certificate and key that is renewed while it is served, by nobody's restart.

Files are looked at every two seconds and at SIGHUP. What is wrong then is said, and the pair that
was served goes on.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from cryptography import x509

from api.tls import Pair
from domain.errors import DomainError

_LOOK_S: Final = 2.0


class Renewal:
    """The certificate that is `served`, and what is wrong with its files now (`fault`).

    Raises: DomainError as `Pair.checked`, when made.
    """

    def __init__(self, pair: Pair, who: str) -> None:
        self._who = who
        self._taken = pair.content()
        self.pair = pair.checked()
        self.served: x509.Certificate = pair.leaf()
        self.fault: DomainError | None = None
        self._told = asyncio.Event()

    def look(self) -> None:
        """The files are looked at now, not when it is time: for SIGHUP."""
        self._told.set()

    async def watch(self, take: Callable[[], Awaitable[None]]) -> None:
        """For ever: `take()` serves the files as they are, or raises DomainError and is asked again
        at the next look.
        """
        said = ""
        while True:
            try:
                await self._renewed(take)
                self.fault, said = None, ""
            except DomainError as error:
                self.fault = error
                if str(error) != said:
                    said = str(error)
                    text = f"{self._who}: {said}; the certificate stays"
                    print(text, file=sys.stderr, flush=True)
            try:
                await asyncio.wait_for(self._told.wait(), _LOOK_S)
            except TimeoutError:
                continue
            # Whoever tells us wants an answer, the same one too.
            self._told.clear()
            said = ""

    async def _renewed(self, take: Callable[[], Awaitable[None]]) -> None:
        content = self.pair.content()
        if content == self._taken:
            return
        self.pair.checked()
        found = self.pair.leaf()
        await take()
        self._taken, self.served = content, found
        until = found.not_valid_after_utc
        print(f"{self._who}: a renewed certificate, good until {until:%F}", file=sys.stderr)
