"""The agent's loops about devices: look at them, and do what was ordered for them."""

import asyncio

from agent import device_watch, device_work
from agent.clock import boottime_us
from agent.device_watch import Desk
from agent.device_work import Means
from agent.devices import DeviceError
from agent.spool import Spool

_IDLE_S = 0.2


async def probe(desk: Desk, spool: Spool, every_us: int, wake: asyncio.Event) -> None:
    """Never returns: what changed on a device goes into the spool."""
    while True:
        try:
            seen = await desk.ask(lambda: device_watch.look(desk.source, desk.units))
        except DeviceError:
            said = device_watch.report_silence(desk, spool, boottime_us())
        else:
            said = device_watch.report(desk, spool, seen, boottime_us())
        if said:
            wake.set()
        await asyncio.sleep(every_us / 1e6)


async def work(desk: Desk, spool: Spool, means: Means, wake: asyncio.Event) -> None:
    """Never returns: one order at a time, the oldest first; none where something starts."""
    while True:
        job = device_work.waiting(desk.store)
        gpus = () if job is None else device_work.gpus_of(desk, job)
        if job is None or desk.turns.promised(gpus):
            await asyncio.sleep(_IDLE_S)
            continue
        doing = device_work.carry_out(desk, spool, means, job, boottime_us())
        try:
            if await desk.turns.work(gpus, doing):
                wake.set()
        except DeviceError:
            # The driver does not answer, which the probe says: the order stays for later.
            await asyncio.sleep(5)
