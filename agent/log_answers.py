"""Answers what the control plane asks about runtimes' words, one question after the other."""

import asyncio

import nats.errors

from agent.link import Link
from contracts import logs
from contracts.signing import FleetError


async def answer_logs(link: Link) -> None:
    """Never returns. Reads files off the loop; who may not ask gets no answer, and is counted."""
    node = link.node
    asked = await link.client.subscribe(logs.subject(node.node, "ask"))
    async for message in asked.messages:
        try:
            ask = logs.open_ask(message.data, node.command_key, node.node)
        except FleetError as error:
            link.count(error.code)
            continue
        data = await asyncio.to_thread(node.runtimes.logs, ask.allocation, ask.most)
        try:
            await link.client.publish(
                logs.subject(node.node, "said"), logs.said_message(node.spool.key, ask, data)
            )
        except (TimeoutError, OSError, nats.errors.Error):
            link.count("logs_unsaid")
    raise nats.errors.ConnectionClosedError
