"""What one node may say and hear on NATS: exactly this, and nothing of any other node.

Source: FLEET.md "Messages". `api/fleet/callout.py` gives them, one connection at a time.
"""

from contracts import logs
from contracts.fleet import CMD_STREAM, inbox_prefix, subject


def may_publish(node: str) -> list[str]:
    """Its own events, heartbeats, leases, readings, terminal output, answers about logs; the pull
    and the acks of its orders.
    """
    return [
        subject(node, "evt"),
        subject(node, "hb"),
        subject(node, "lease"),
        subject(node, "use"),
        f"gpuaas.v1.node.{node}.term.*.out",
        logs.subject(node, "said"),
        f"$JS.API.CONSUMER.MSG.NEXT.{CMD_STREAM}.{node}",
        f"$JS.ACK.{CMD_STREAM}.{node}.>",
    ]


def may_subscribe(node: str) -> list[str]:
    """Its own inbox, what is typed and told to its terminals, what is asked about its logs."""
    return [
        f"{inbox_prefix(node)}.>",
        f"gpuaas.v1.node.{node}.term.*.in",
        f"gpuaas.v1.node.{node}.term.*.ctl",
        logs.subject(node, "ask"),
    ]
