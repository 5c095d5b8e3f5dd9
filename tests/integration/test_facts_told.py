"""What is told to the world on NATS is what the documents describe, all of it, whatever is killed."""

import asyncio
import json
import multiprocessing
from collections.abc import Iterable
from typing import Any

import msgspec
import nats
import psycopg
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator

from api.describing.written import ROOT
from contracts.cloudevents import FACTS_STREAM, FACTS_SUBJECTS, facts_subject
from domain.facts import TAGS, decode_fact
from projections import publisher
from projections.entries import envelope
from projections.telling import cloud_event
from projections.views import read
from tests import golden
from tests.conftest import Database
from tests.integration.projections_facts import RawLog, Told, stream_kind, uuid

pytestmark = pytest.mark.slow
SPAWN = multiprocessing.get_context("spawn")
ROUNDS = 4  # of every tag once: several batches


def one_of_each() -> list[Told]:
    """A fact of every tag, the log's opening first, as their golden bytes have them."""
    first = "gpuaas.log.opened.v1"
    facts = {tag: golden.read(tag)[0][-1][1] for tag in (first, *(set(TAGS) - {first}))}
    return [
        Told(f"{stream_kind(tag)}-{uuid(1)}", tag, decode_fact(tag, raw))
        for tag, raw in facts.items()
    ]


def publish_all(database_url: str, nats_url: str) -> None:
    """A process of its own, told to go on until it is killed."""
    asyncio.run(_published(database_url, nats_url))


async def _published(database_url: str, nats_url: str) -> None:
    client = await nats.connect(nats_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        while await publisher.publish(conn, client.jetstream(), "o/1"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await client.close()


def test_every_fact_published_is_described_and_every_one_described_is_published(
    database: Database, nats_url: str
) -> None:
    """A fact of each tag, published by processes of which one is killed: in the stream each stands
    once, in order, on its subject, as the message of its tag says, and no tag is left out; each is
    an event to the CloudEvents SDK.
    """
    log = []
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        raw = RawLog(owner)
        for _ in range(ROUNDS):
            log += one_of_each()
            raw.append(one_of_each())

    async def main() -> list[Any]:
        client = await nats.connect(nats_url)
        js = client.jetstream()
        await publisher.ensure_stream(js)
        await js.delete_stream(FACTS_STREAM)
        await publisher.ensure_stream(js)
        child = SPAWN.Process(target=publish_all, args=(database.app_url, nats_url))
        child.start()
        while not (await js.stream_info(FACTS_STREAM)).state.messages:
            assert child.is_alive(), "it publishes"
            await asyncio.sleep(0.005)
        child.kill()
        child.join()
        await _published(database.app_url, nats_url)
        subscription = await js.subscribe(FACTS_SUBJECTS, ordered_consumer=True)
        found = [await subscription.next_msg(timeout=60) for _ in log]
        assert (await js.stream_info(FACTS_STREAM)).state.messages == len(log)
        await client.close()
        return found

    messages = asyncio.run(main())
    assert [message.headers["Nats-Msg-Id"] for message in messages] == [
        str(position) for position in range(len(log))
    ]
    with psycopg.connect(database.app_url) as conn:
        for message, (_, entry) in zip(messages, read(conn, 0, len(log)), strict=True):
            assert message.data == cloud_event("o/1", envelope(entry))
    _described([(message.subject, message.data) for message in messages[-len(TAGS) :]])


def _described(told: Iterable[tuple[str, bytes]]) -> None:
    document = json.loads((ROOT / "contracts" / "asyncapi.json").read_text())
    channel = document["channels"]["facts"]
    described = set(channel["messages"])
    published = set()
    for subject, data in told:
        event = msgspec.json.decode(data)
        assert subject == facts_subject(event["org"], event["type"])
        assert subject == channel["address"].format(org=event["org"], tag=event["type"])
        payload = document["components"]["messages"][event["type"]]["payload"]
        Draft202012Validator({"components": document["components"], **payload}).validate(event)
        heard = JSONFormat().read(CloudEvent, data)
        assert (heard.get_id(), heard.get_type()) == (event["id"], event["type"])
        assert heard.get_data() == event["data"]
        published.add(event["type"])
    assert published == described == set(TAGS)
