"""The client of a program that awaits each answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from msgspec.structs import replace

from gpuaas_client import events, operations
from gpuaas_client.async_methods import AsyncMethods
from gpuaas_client.call import Call
from gpuaas_client.errors import no_proxy, refusal, unheard
from gpuaas_client.models import Page
from gpuaas_client.place import Place, place
from gpuaas_client.reading import Whole
from gpuaas_client.trial import AGENT, Headers, Patience, Trial, one_word


class AsyncClient(AsyncMethods):
    """Calls one API as one principal. Not shared between loops; closed by `async with`.

    `position` is the last position that an answer named: each GET waits until the views have it,
    so that a caller reads its own writes. `organization`: the one to act in, for who belongs to
    several; without it the one that the token is of.
    """

    def __init__(
        self,
        url: str,
        token: str,
        ca: str | Path | None = None,
        *,
        patience: Patience | None = None,
        organization: str = "",
    ) -> None:
        self.place: Place = place(url, token, ca)
        self.position = -1
        self._patience = patience or Patience()
        headers = {"User-Agent": AGENT}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if organization:
            headers["Organization"] = one_word("an organization", organization)
        verify = self.place.tls() if self.place.url.startswith("https") else False
        # A proxy of the environment would read the token of a plain connection.
        try:
            self._http = httpx.AsyncClient(
                base_url=self.place.url, headers=headers, verify=verify, trust_env=bool(verify)
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise no_proxy(error) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def do[T](
        self, call: Call[T], *, key: str = "", if_match: str = "", at_least: int | None = None
    ) -> T:
        """What the call answers, repeated as long as that is safe and patience lasts.

        Raises: Refused (its kinds by status), Unreachable, Impostor.
        """
        least = self.position if at_least is None else at_least
        trial = Trial(call, self.place.url, Headers(key, if_match, least), self._patience)
        while True:
            try:
                async with self._streamed(trial.request(self._http)) as given:
                    answer = await self._whole(given, trial)
            except httpx.RequestError as error:
                await asyncio.sleep(trial.unheard(error))
                continue
            pause = trial.heard(answer)
            if pause is None:
                self.position = max(self.position, trial.position)
                return trial.decoded(answer)
            await asyncio.sleep(pause)

    async def each[T](
        self, call: Call[Page[T]], *, at_least: int | None = None
    ) -> AsyncIterator[T]:
        """Every item of a list, page after page. Raises: as `do`."""
        turned = call
        while True:
            found = await self.do(turned, at_least=at_least)
            for item in found.items:
                yield item
            if found.next is None:
                return
            turned = turned.after(found.next)

    async def events(self, after: int = -1, *, follow: bool = True) -> AsyncIterator[events.Event]:
        """Facts after a position, and on as they are appended; resumed where a connection broke.

        Raises: as `do`.
        """
        call = operations.events(follow=follow)
        trial = Trial(call, self.place.url, Headers(), self._patience)  # for what is refused
        following = events.Following(call, self.place.url, after, self._patience)
        while True:
            try:
                async with self._streamed(following.request(self._http)) as answer:
                    if not answer.is_success:
                        whole = await self._whole(answer, trial)
                        await asyncio.sleep(following.refused(whole))
                        continue
                    lines = following.lines(answer)
                    async for piece in answer.aiter_bytes():
                        for event in lines.take(piece):
                            following.seen(event, self._patience)
                            yield event
                    if not follow:
                        return
                    raise httpx.RemoteProtocolError("the stream ended")
            except httpx.RequestError as error:
                await asyncio.sleep(following.broke(error, self._patience))

    @asynccontextmanager
    async def streamed[T](
        self, call: Call[T], headers: dict[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """The answer of a GET, read as it comes; it is not repeated. Raises: as `do`."""
        trial = Trial(call, self.place.url, Headers(at_least=self.position), self._patience)
        request = trial.request(self._http)
        request.headers.update(headers or {})
        try:
            async with self._streamed(request) as answer:
                if not answer.is_success:
                    whole = await self._whole(answer, trial)
                    raise refusal(whole.status, whole.body)
                yield answer
        except httpx.RequestError as error:
            raise unheard(self.place.url, error) from error

    @asynccontextmanager
    async def _streamed(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        answer = await self._http.send(request, stream=True)
        # Who was there before comes back: a restart is waited for as any other fault.
        self._patience = replace(self._patience, unsent_s=self._patience.whole_s)
        try:
            yield answer
        finally:
            await answer.aclose()

    @staticmethod
    async def _whole[T](answer: httpx.Response, trial: Trial[T]) -> Whole:
        reading = trial.begun(answer)
        async for piece in answer.aiter_bytes():
            reading.take(piece)
        return reading.done()
