"""Refusal codes of nodes and runtimes: rows of the table in problems.py."""

from typing import Final

# code | status | title | remedy
FLEET: Final = """\
node.certificate_stale|409|That certificate was replaced|Operator: two agents may hold this node's keys.
node.device_unknown|400|No such device|Name indexes of the node's devices, in order, each once.
node.doubled|403|Two agents spoke as this node|Operator: revoke it, then invite and enrol it again.
node.drain_foreign|409|Another's drain|Name the owner and the reason that the facts say, if you mean to end it.
node.fingerprint_differs|409|Not the expected machine|Operator: look at the machine, invite it with its own.
node.holds_volumes|409|Volumes lie on it|Have them deleted first; of a dead node, declare them lost.
node.inventory_invalid|400|Not an inventory|Count indexes from 0 and name each GPU once.
node.lease_foreign|409|Not this node's runtime|Renew only for what it holds.
node.model_differs|409|Not the expected model|Operator: invite with the model it has.
node.not_anchored|409|This boot has no anchor|Send the boot's anchor first.
node.not_empty|409|It is in use|Drain the node and wait for what runs to end.
node.not_placeable|409|The node takes no new work|Nothing: the platform places it elsewhere.
node.not_possible|409|Not possible for this node|Read its state and send what it allows.
node.not_revoked|409|Its identity still counts|Operator: revoke it first.
node.receipt_missing|409|No clean receipt|Request sanitizing and wait for the node's receipt.
node.region_invalid|400|Not a region|Send a short name of a-z, 0-9 and `-`, as `eu-de-1`, or `-` for none.
node.retired|409|The node is retired|Invite the machine again as a new node.
node.revoked|403|The node was revoked|Operator: invite and enrol it again.
node.shares_invalid|400|Not device shares|Name each device once, in order, 1 to 1000 milli.
node.still_held|409|Something may still run there|Wait until its leases have ended, then enrol again.
node.token_expired|409|The invitation has expired|Invite the node again.
node.token_refused|403|Not this node's token|Invite the node again.
node.token_used|409|The token was used already|Operator: was it you? If not, revoke the node.
node.topology_invalid|400|Not a topology|A group has at most as many devices as the node.
node.unknown|404|No such node|Check the id.
runtime.end_stale|409|Decided on an older state|Nothing: the end is decided again.
runtime.ended|409|The runtime has ended|Launch a new one.
runtime.exited|409|Its first process failed|Read its log; launch a new one.
runtime.foreign_boot|409|A word of another boot|Anchor the new boot first.
runtime.foreign_node|403|Not this node's runtime|Report only what runs here.
runtime.lease_not_over|409|It may still run|Wait until the instant that is named.
runtime.limits_invalid|400|Not limits|Ask for at least something of each.
runtime.lost|409|Its node is gone|Launch a new one: time is billed up to the last attestation.
runtime.may_run|409|It was started|Stop it instead of cancelling it.
runtime.never_ready|409|It never became usable|Read its log: sshd must answer, the GPU be inside.
runtime.not_possible|409|Not possible in this state|Read its state and send what it allows.
runtime.out_of_memory|409|It ran out of memory|Launch a new one with more memory.
runtime.shape_invalid|400|Not a shape|Ask for 1 to 1000 milli of one device, or whole devices.
runtime.unknown|404|No such runtime|Check the id.
runtime.vanished|409|Its container is gone|Launch a new one; the operator removed it.
"""
