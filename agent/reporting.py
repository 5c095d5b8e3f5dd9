"""Readings on NATS: one batch at a time, again until it is answered; so nothing piles up."""

import asyncio
import contextlib
import time
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg

from agent.clock import boottime_us
from agent.link import Link
from agent.usage import Usage, encoded
from contracts import fleet, usage
from contracts.signing import FleetError

_LOOK_S: Final = 1.0
_LONGEST_S: Final = 60.0


class Courier:
    """Over one connection. Only this process's memory: the slices on disk decide."""

    def __init__(self, link: Link, kept: Usage) -> None:
        self._link = link
        self._kept = kept
        self._wake = asyncio.Event()
        self._again_at = 0.0
        self._tries = 0

    async def send(self) -> None:
        """Never returns: counters are read, and what is not sealed is sent, ever less often.

        A stream that is full, or a platform that is away, is met with patience: counters go on.
        """
        while True:
            now_us = boottime_us()
            self._kept.read(self._link.node.runtimes.observe(now_us), now_us)
            if time.monotonic() >= self._again_at:
                await self._send(self._kept.batch() or self._kept.complete(now_us))
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()

    async def _send(self, word: usage.Batch | usage.Complete | None) -> None:
        if word is None:
            return
        subject = fleet.subject(self._link.node.node, "use")
        wait_s = self._link.config.resend_us / 1e6 * 2 ** min(self._tries, 10)
        self._again_at = time.monotonic() + min(wait_s, _LONGEST_S)
        self._tries += 1
        try:
            # No Nats-Msg-Id, as for events: its key is its source, epoch and number.
            await self._link.stream.publish(subject, encoded(word))
        except (TimeoutError, OSError, nats.errors.Error, nats.js.errors.Error):
            self._link.count("use_unsent")

    async def take_answers(self) -> None:
        """Never returns: every true answer frees what it says is sealed."""
        node = self._link.node
        subscription = await self._link.client.subscribe(fleet.usage_subject(node.node))
        async for message in subscription.messages:
            self._answered(message)
        raise nats.errors.ConnectionClosedError

    def _answered(self, message: Msg) -> None:
        try:
            answer = usage.open_answer(message.data, self._link.node.command_key)
        except FleetError as error:
            self._link.count(error.code)
            return
        self._link.count(f"use_{answer.code or 'sealed'}")
        if self._kept.obey(answer, boottime_us()):
            self._tries, self._again_at = 0, 0.0
            self._wake.set()

    async def take_anchors(self) -> None:
        """Never returns: what this boot's clock means."""
        node = self._link.node
        subscription = await self._link.client.subscribe(fleet.anchor_subject(node.node))
        async for message in subscription.messages:
            try:
                self._kept.anchor(fleet.open_anchor(message.data, node.command_key))
            except FleetError as error:
                self._link.count(error.code)
        raise nats.errors.ConnectionClosedError
