"""The lease, epoch and fencing protocol without I/O: real deciders, simulated clocks and messages.

The control plane is the real `FleetState`, `words.meaning`, `leases`, `commands`, the deciders of
node, runtime, volume and grant; the gateway the real `Doors`, `Flows` and `relay.leading`, and
host certificates go to whom `api.ssh.hosts.entitled` lets have one. Some nodes have two devices
and a volume that every runtime wants. The agent's rules are the arithmetic of `agent/lease.py` and
those of `agent/orders.py` and `agent/watch.py` told again in memory. Clocks, network and machines
are made up from a seed: slow and fast clocks, delays, loss, repeats, partitions, crashes of the
agent, of the control plane and of the machine, a gateway that does not see the log. Everything
SIMULATED; times in us of one true clock that nobody in it can read. No signature is made or
checked here: a word arrives as it was said, or not at all.
"""

from tests.fleet_model.parts import RIGHT, BrokenError, Found, Rules
from tests.fleet_model.schedule import Schedule, broken_by, explored

__all__ = ["RIGHT", "BrokenError", "Found", "Rules", "Schedule", "broken_by", "explored"]
