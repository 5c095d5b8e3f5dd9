"""The AsyncAPI 3.0 document: facts over SSE, NATS and webhooks, and what nodes and platform say."""

from typing import Any, Final

from api.describing.messages import ALSO, FRAME, MESSAGES, Message
from api.describing.schemas import fact_schema, message_schema, payload_schema, signed
from contracts.cloudevents import MEDIA
from domain.facts import TAGS

_PARAMETERS: Final = {
    "org": "The organization's stream id; `-` for the platform's own facts",
    "tag": "The fact's tag, dots and all: it is the rest of the subject",
    "path": "Path and query of the registered URL",
    "node": "The node's stream id",
    "session": "The terminal's stream id",
    "reply": "Whatever the node named as it asked for its lease",
}
_SERVERS: Final = {
    "api": {
        "host": "{host}",
        "protocol": "https",
        "description": "The REST API of a deployment",
        "variables": {"host": {"default": "localhost:8471", "description": "Host and port"}},
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
    },
    "receivers": {
        "host": "{host}",
        "protocol": "https",
        "description": "A receiver that an organization registered; signed per Standard Webhooks",
        "variables": {"host": {"default": "hooks.example.com", "description": "Its own"}},
    },
    "nats": {
        "host": "{host}",
        "protocol": "nats",
        "description": "NATS with JetStream; nodes enter by the certificate and key they enrolled",
        "variables": {"host": {"default": "localhost:4222", "description": "Host and port"}},
    },
}
_INFO: Final = """\
Every fact of the log is published once it is on disk, as a CloudEvents 1.0 envelope, in the order
of the log. `id` is the log position: whoever has seen position N asks for what follows N. Delivery
is at least once; drop what was seen by `id`."""


_FRAME: Final = """\
Big-endian: version (1 byte, 1), kind (1 byte; to a node 1 input, 2 grant, 3 close, from it 17
output, 18 status, 19 exit), attachment, number, offset (8 bytes each); then at most 16 KiB and
their tag, ChaCha20-Poly1305, under keys that only the two ends have."""
_FACTS: Final = ("facts", "events", "webhooks")


def document() -> dict[str, Any]:
    """The whole document, the same for every deployment."""
    facts = {tag: _fact(tag) for tag in sorted(TAGS)}
    said = [one for one in MESSAGES.values() if one.name not in ("CloudEvent", "Body")]
    channels = {
        "facts": _facts_channel("gpuaas.v1.facts.{org}.{tag}", "nats"),
        "events": _facts_channel("/v1/events", "api"),
        "webhooks": _facts_channel("{path}", "receivers"),
        **_nodes_channels(said),
    }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:gpuaas:events",
        "info": {
            "title": "gpuaas events",
            "version": "1",
            "description": _INFO,
            "license": {"name": "Apache-2.0"},
            "contact": {"name": "The operator of the deployment"},
            "tags": [{"name": "facts", "description": "What the log says"},
                     {"name": "nodes", "description": "What nodes and platform say"}],
        },
        "defaultContentType": "application/json",
        "servers": _SERVERS,
        "channels": channels,
        "operations": _operations(channels),
        "components": {
            "messages": {
                **facts,
                **{one.name: _message(one) for one in said},
                FRAME: _frame(),
            },
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }  # fmt: skip


def _fact(tag: str) -> dict[str, Any]:
    typed = {
        "properties": {"type": {"const": tag}, "data": {"$ref": f"#/components/schemas/{tag}"}}
    }
    return {
        "name": tag,
        "title": tag,
        "summary": f"The fact {tag}",
        "contentType": MEDIA,
        "tags": [{"name": "facts"}],
        "payload": {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, typed]},
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "name": message.name,
        "title": message.name,
        "summary": message.summary,
        "contentType": "application/json",
        "tags": [{"name": "nodes"}],
        "payload": payload_schema(message),
    }


def _frame() -> dict[str, Any]:
    return {
        "name": FRAME,
        "title": FRAME,
        "summary": "What a terminal shows or is typed, sealed for its other end",
        "contentType": "application/octet-stream",
        "tags": [{"name": "nodes"}],
        "payload": {"type": "string", "format": "binary", "description": _FRAME},
    }


def _facts_channel(address: str, server: str) -> dict[str, Any]:
    return {
        "address": address,
        "description": "Every fact that the reader may read, in the order of the log",
        "servers": [{"$ref": f"#/servers/{server}"}],
        **_parameters(address),
        "messages": {tag: {"$ref": f"#/components/messages/{tag}"} for tag in sorted(TAGS)},
    }


def _nodes_channels(said: list[Message]) -> dict[str, Any]:
    channels: dict[str, Any] = {}
    travels = [(one.subject, one.name, one.kept) for one in said]
    for subject, message, kept in [*travels, *((*one, "") for one in ALSO)]:
        made = {
            "address": subject,
            "description": f"Kept in the stream {kept}" if kept else "Core NATS, not kept",
            "servers": [{"$ref": "#/servers/nats"}],
            **_parameters(subject),
            "messages": {},
        }
        channel = channels.setdefault(_channel(subject), made)
        channel["messages"][message] = {"$ref": f"#/components/messages/{message}"}
    return channels


def _channel(subject: str) -> str:
    name = subject.replace("gpuaas.v1.node.{node}.", "").replace("_INBOX.{node}.", "inbox.")
    return name.replace("{session}.", "").replace("{reply}", "reply").replace(".", "-")


def _parameters(address: str) -> dict[str, Any]:
    named = {
        name: {"description": text}
        for name, text in _PARAMETERS.items()
        if f"{{{name}}}" in address
    }
    return {"parameters": named} if named else {}


def _operations(channels: dict[str, Any]) -> dict[str, Any]:
    """As the platform does them: it sends facts and what is for nodes, and receives the rest."""
    found: dict[str, Any] = {}
    for name, channel in channels.items():
        to = {MESSAGES[one].to for one in channel["messages"] if one in MESSAGES} or {"anyone"}
        action = "receive" if to == {"platform"} else "send"
        found[f"{action}-{name}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": f"{'Facts' if name in _FACTS else 'Messages'} on {channel['address']}",
            "description": channel["description"],
            "messages": [
                {"$ref": f"#/channels/{name}/messages/{one}"} for one in channel["messages"]
            ],
        }
    found["receive-lease"]["reply"] = {"channel": {"$ref": "#/channels/inbox-reply"}}
    return found


def _schemas() -> dict[str, Any]:
    """Facts and messages side by side; what they share stands inside each of them."""
    facts = {tag: _inside(fact_schema(tag), tag) for tag in sorted(TAGS)}
    messages = {name: _inside(message_schema(name), name) for name in MESSAGES}
    messages["Attested"]["properties"]["body"] = signed("Body")
    return {**facts, **messages}


def _inside(schema: dict[str, Any], name: str) -> dict[str, Any]:
    moved: dict[str, Any] = _moved(schema, name)
    del moved["$schema"], moved["$id"]
    return moved


def _moved(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        if isinstance(found := value.get("discriminator"), dict):
            # AsyncAPI names the property alone; each choice says its own value of it.
            value = {**value, "discriminator": found["propertyName"]}
        return {key: _moved(below, name) for key, below in value.items()}
    if isinstance(value, list):
        return [_moved(below, name) for below in value]
    if isinstance(value, str) and value.startswith("#/$defs/"):
        return value.replace("#/", f"#/components/schemas/{name}/", 1)
    return value
