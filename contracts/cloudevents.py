"""A fact as the world hears it: a CloudEvents 1.0 envelope, over SSE, NATS and webhooks alike."""

from typing import Final

from msgspec import Raw, Struct

SPECVERSION: Final = "1.0"
SCHEMA: Final = "urn:gpuaas:fact:"  # and a tag: a fact's JSON Schema
MEDIA: Final = "application/cloudevents+json"
# Facts on NATS: `gpuaas.v1.facts.<org>.<tag>`, kept for a day in this stream.
FACTS_STREAM: Final = "FACTS"
FACTS_SUBJECTS: Final = "gpuaas.v1.facts.>"


class CloudEvent(Struct, frozen=True):
    """`source`: the log's origin; `id`: the position there, so both together are never repeated.

    `type`: the fact's tag, `dataschema`: the id of its JSON Schema, which GET /v1/schemas/<tag>
    serves, `subject`: its stream, `time`: of its entry, `data`: the fact as logged.
    Extensions of ours: `org` (`-`: the platform), `actor`, `cause` and `version` as logged.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    org: str
    actor: str
    cause: str
    version: int
    data: Raw
    dataschema: str = ""


def facts_subject(org: str, tag: str) -> str:
    """`gpuaas.v1.facts.<org>.<tag>`; the platform's own facts have org `-`."""
    return f"gpuaas.v1.facts.{org}.{tag}"
