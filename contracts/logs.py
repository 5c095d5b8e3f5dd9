"""What a runtime said, asked of its node: a signed question, a signed answer to exactly it.

Asked on `gpuaas.v1.node.<node>.logs.ask`, answered on `.logs.said`, both core NATS: nothing of it
is kept. A question that is lost is asked again by whoever wants to know.
"""

import base64
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from contracts.enrolment import NODE
from contracts.signing import FleetError, decode, opened, sealed, unbase64

# Its two encodings in base64 stay within one message of the fleet.
MOST: Final = 32_768
NONCE_HEX: Final = 32

type Leaf = Literal["ask", "said"]


class Ask(Struct, frozen=True, forbid_unknown_fields=True):
    """The last `most` bytes of what this allocation said; `nonce` is the question's own."""

    format: Literal["gpuaas-logs-ask/1"]
    node: str
    allocation: str
    most: int
    nonce: str


class Said(Struct, frozen=True, forbid_unknown_fields=True):
    """`data` in base64, oldest first, empty where nothing is known of the allocation."""

    format: Literal["gpuaas-logs-said/1"]
    node: str
    allocation: str
    nonce: str
    data: str


def subject(node: str, leaf: Leaf) -> str:
    """`gpuaas.v1.node.<node id>.logs.<leaf>`."""
    assert NODE.fullmatch(node), node
    return f"gpuaas.v1.node.{node}.logs.{leaf}"


def ask_message(key: Ed25519PrivateKey, ask: Ask) -> bytes:
    """Signed by the command key."""
    return sealed(key, ask)


def open_ask(raw: bytes, key: str, node: str) -> Ask:
    """The question for this node, signed by the command key. Raises: FleetError logs.forged."""
    ask = decode(opened(raw, key, "logs.forged"), Ask, "logs.forged")
    if ask.node != node or not 1 <= ask.most <= MOST or len(ask.nonce) != NONCE_HEX:
        raise FleetError("logs.forged", "of another node, or for too much")
    return ask


def said_message(key: Ed25519PrivateKey, ask: Ask, data: bytes) -> bytes:
    """The answer to `ask`, signed by the node's event key."""
    text = base64.b64encode(data[-ask.most :]).decode("ascii")
    return sealed(key, Said("gpuaas-logs-said/1", ask.node, ask.allocation, ask.nonce, text))


def open_said(raw: bytes, key: str, ask: Ask) -> bytes:
    """The bytes that answer exactly `ask`. Raises: FleetError logs.forged."""
    said = decode(opened(raw, key, "logs.forged"), Said, "logs.forged")
    if (said.node, said.allocation, said.nonce) != (ask.node, ask.allocation, ask.nonce):
        raise FleetError("logs.forged", "the answer to another question")
    data = unbase64(said.data, "logs.forged")
    if len(data) > ask.most:
        raise FleetError("logs.forged", "more than was asked for")
    return data
