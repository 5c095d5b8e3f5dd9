"""JSON Schema 2020-12 of every fact and every message, from their structs."""

from typing import Any, Final

import msgspec

from api.describing.messages import MESSAGES, Message
from contracts.cloudevents import SCHEMA
from domain.facts import TAGS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REF: Final = "#/$defs/{name}"


def fact_schema(tag: str) -> dict[str, Any]:
    """Of the fact as it is logged: the envelope's tag decides, so it has none of its own."""
    root, below = _schema(TAGS[tag])
    root["properties"].pop("type")
    root["required"] = [name for name in root.get("required", ()) if name != "type"]
    root["title"] = tag
    return _whole(f"{SCHEMA}{tag}", root, below)


def message_schema(name: str) -> dict[str, Any]:
    """Of what a message says; where it is signed, of what the signature is over."""
    return _whole(f"urn:gpuaas:message:{name}", *_schema(MESSAGES[name].says))


def payload_schema(message: Message) -> dict[str, Any]:
    """Of the bytes on the wire: the message, or the signed envelope around it."""
    if not message.signed:
        return {"$ref": f"#/components/schemas/{message.name}"}
    return {
        "type": "object",
        "description": "Canonical JSON in base64, and its Ed25519 signature.",
        "properties": {
            "body": signed(message.name),
            "sig": {"type": "string", "contentEncoding": "base64"},
        },
        "required": ["body", "sig"],
        "additionalProperties": False,
    }


def signed(name: str) -> dict[str, Any]:
    """Base64 of the canonical JSON of a message, as signatures are made over it."""
    return {
        "type": "string",
        "contentEncoding": "base64",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": f"#/components/schemas/{name}"},
    }


def _schema(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    (root,), below = msgspec.json.schema_components([kind], ref_template=_REF)
    for one in below.values():
        _tidy(one)
    if "$ref" in root:
        root = below.pop(str(root["$ref"]).rpartition("/")[2])
    return root, below


def _tidy(schema: dict[str, Any]) -> None:
    if "description" in schema:
        schema["description"] = " ".join(str(schema["description"]).split())
    if schema.get("type") == "object" and "properties" in schema:
        # Whoever writes them writes every field; whoever reads them takes no other.
        schema["additionalProperties"] = False


def _whole(name: str, root: dict[str, Any], below: dict[str, Any]) -> dict[str, Any]:
    found = {"$schema": DIALECT, "$id": name, **root}
    return {**found, "$defs": below} if below else found
