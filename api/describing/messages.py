"""Every message that crosses between processes of different owners, and where it travels: one
table, from which its JSON Schema and its channel in the AsyncAPI document are made.
"""

from typing import Any, Final, Literal

from msgspec import Struct

from contracts import fleet, logs, terminal, usage
from contracts.cloudevents import CloudEvent


class Message(Struct, frozen=True):
    """`says`: the struct; `signed`: it travels in a signed envelope; `subject` with `{node}` in it;
    `to`: who receives it; `kept`: the JetStream stream that keeps it.
    """

    name: str
    says: Any
    subject: str
    to: Literal["platform", "node", "anyone"]
    summary: str
    signed: bool = True
    kept: str = ""


_NODE: Final = "gpuaas.v1.node.{node}"
_INBOX: Final = "_INBOX.{node}"
_TABLE: Final = (
    Message(
        "CloudEvent", CloudEvent, "gpuaas.v1.facts.{org}.{tag}", "anyone",
        "The envelope of every fact", signed=False, kept="FACTS",
    ),
    Message(
        "Attested", fleet.Attested, f"{_NODE}.evt", "platform",
        "A node's numbered word, signed inside", signed=False, kept=fleet.EVT_STREAM,
    ),
    Message(
        "Body", fleet.Body, f"{_NODE}.evt", "platform",
        "What a node signs: the base64 `body` of `Attested`", signed=False,
    ),
    Message(
        "LeaseRequest", fleet.LeaseRequest, f"{_NODE}.lease", "platform",
        "A node asks to keep what it runs; answered by `Receipt`", signed=False,
    ),
    Message("Beat", fleet.Beat, f"{_NODE}.hb", "platform", "A node lives"),
    Message(
        "Batch", usage.Batch, f"{_NODE}.use", "platform",
        "Readings of a node, signed by their chain", signed=False, kept=fleet.USE_STREAM,
    ),
    Message(
        "Complete", usage.Complete, f"{_NODE}.use", "platform",
        "A node has told all its readings up to an instant", signed=False, kept=fleet.USE_STREAM,
    ),
    Message(
        "Command", fleet.Command, f"{_NODE}.cmd", "node", "One order to one boot of one node",
        kept=fleet.CMD_STREAM,
    ),
    Message(
        "Receipt", fleet.Receipt, f"{_INBOX}.receipt", "node",
        "The platform holds a node's word, or grants its lease",
    ),
    Message("Anchor", fleet.Anchor, f"{_INBOX}.anchor", "node", "What a boot's clock means"),
    Message("UsageAnswer", usage.Answer, f"{_INBOX}.usage", "node", "What became of a batch"),
    Message("LogsAsk", logs.Ask, f"{_NODE}.logs.ask", "node", "What did a runtime say"),
    Message("LogsSaid", logs.Said, f"{_NODE}.logs.said", "platform", "What a runtime said"),
    Message(
        "TerminalAttach", terminal.Attach, f"{_NODE}.term.{{session}}.ctl", "node",
        "The platform takes a terminal over",
    ),
    Message(
        "TerminalAttached", terminal.Attached, f"{_NODE}.term.{{session}}.out", "platform",
        "The node's answer; sealed binary frames follow on the same subject",
    ),
)  # fmt: skip
MESSAGES: Final = {message.name: message for message in _TABLE}
# Beside its own subject: where a message travels, too. What a terminal shows and is typed is sealed
# (contracts/terminal.py): bytes to everybody but its two ends.
FRAME: Final = "TerminalFrame"
ALSO: Final = (
    (f"{_INBOX}.{{reply}}", "Receipt"),
    (f"{_NODE}.term.{{session}}.in", FRAME),
    (f"{_NODE}.term.{{session}}.out", FRAME),
)
