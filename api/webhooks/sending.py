"""One event to one receiver: to the address that was checked, and to nothing it is sent on to."""

import asyncio
import ssl
from typing import Final

import httpx
from msgspec import Struct

from api.listened import Listened
from api.webhooks.addresses import Checked, Lookups, Network, checked
from contracts.cloudevents import MEDIA
from domain.errors import DomainError

PATIENCE_S: Final = 10.0
_LONGEST_RETRY_S: Final = 3600
# Of an answer, whose body is not read.
_MOST_BYTES: Final = 64 * 1024


class Outcome(Struct, frozen=True):
    """`status` of the answer, None without one; `again_s`: not before; `gone`: never again."""

    taken: bool
    status: int | None
    detail: str
    again_s: int = 0
    gone: bool = False


class Sender:
    """Sends for one process; no proxy of the environment is asked, no redirect followed."""

    def __init__(
        self,
        besides: tuple[Network, ...] = (),
        believing: ssl.SSLContext | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._besides = besides
        self._lookups = Lookups()
        self._patience_s = patience_s
        self._client = httpx.AsyncClient(
            transport=Listened(
                believing or ssl.create_default_context(), _MOST_BYTES, self._lookups
            ),
            trust_env=False,
            follow_redirects=False,
            timeout=patience_s,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, url: str, headers: dict[str, str], body: bytes, of: str) -> Outcome:
        """What became of `of`'s event, within the patience; the answer's body is not read."""
        try:
            async with asyncio.timeout(self._patience_s):
                to = await checked(url, self._lookups, of, self._besides)
                return await self._sent(to, headers, body)
        except DomainError as error:
            return Outcome(False, None, f"{error.code}: {error.detail}")
        except (httpx.TimeoutException, TimeoutError):
            return Outcome(False, None, f"no answer within {self._patience_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            # Whatever a stranger's URL or answer makes of itself is its own fault, not ours.
            return Outcome(False, None, f"{type(error).__name__}: {error}"[:300])

    async def _sent(self, to: Checked, headers: dict[str, str], body: bytes) -> Outcome:
        named = httpx.URL(to.url)
        request = self._client.build_request(
            "POST",
            named.copy_with(host=to.address),
            content=body,
            headers={
                **headers,
                "Host": named.netloc.decode("ascii"),
                "Content-Type": MEDIA,
                "User-Agent": "gpuaas-webhooks/1",
            },
            extensions={"sni_hostname": to.host},
        )
        answer = await self._client.send(request, stream=True)
        try:
            return _outcome(answer)
        finally:
            await answer.aclose()


def _outcome(answer: httpx.Response) -> Outcome:
    status = answer.status_code
    if 200 <= status < 300:
        return Outcome(True, status, "")
    said = answer.headers.get("retry-after", "")
    again_s = int(said) if said.isascii() and said.isdigit() and len(said) < 8 else 0
    return Outcome(
        False,
        status,
        f"answered {status}",
        again_s=min(again_s, _LONGEST_RETRY_S),
        gone=status == 410,
    )
