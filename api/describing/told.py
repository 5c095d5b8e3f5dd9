"""The `webhooks` of the OpenAPI document: what an organization's receivers are sent."""

from typing import Any, Final

from api.describing.schemas import message_schema
from contracts.cloudevents import MEDIA

_HEADERS: Final = {
    "webhook-id": "The same for every attempt to send this fact there: drop what was seen.",
    "webhook-timestamp": "Seconds since the epoch when this attempt was signed.",
    "webhook-signature": "`v1,` and base64 of HMAC-SHA256 over id, timestamp and body, joined by"
    " full stops; two with a space between them for a day after a rotation.",
}
_ANSWERS: Final = {
    "2XX": "It is taken, and not sent again",
    "410": "Nothing more is sent: the webhook is disabled, by a fact, until a replay is asked for",
    "default": "It is tried again, at growing intervals (`Retry-After` in seconds is held to), and"
    " is a dead letter after the eighth attempt; redirects are not followed",
}


def section() -> dict[str, Any]:
    """One webhook, for whatever fact: `type` says which, `dataschema` what `data` is."""
    return {
        "fact": {
            "post": {
                "operationId": "WebhooksFact",
                "summary": "A fact of the organization",
                "description": "Signed as Standard Webhooks says; at least once, in order as long"
                " as each is taken. GET /v1/schemas/{tag} serves the JSON Schema of `data`.",
                "tags": ["webhooks"],
                "security": [],
                "parameters": [
                    {
                        "name": name,
                        "in": "header",
                        "required": True,
                        "description": words,
                        "schema": {"type": "string"},
                    }
                    for name, words in _HEADERS.items()
                ],
                "requestBody": {
                    "required": True,
                    "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/CloudEvent"}}},
                },
                "responses": {name: {"description": words} for name, words in _ANSWERS.items()},
            }
        }
    }


def schema() -> dict[str, Any]:
    """Of the envelope, as a component."""
    found = message_schema("CloudEvent")
    return {key: value for key, value in found.items() if key not in ("$schema", "$id")}
