"""A program that passes connections on from a loopback port of the machine into one runtime.

    python -m agent.doorway <folder> <pid> <port>

For runtimes whose network namespace holds nothing but a loopback of its own: the port stays the
machine's, the other end of each connection is made inside. Nothing inside gets hold of a socket
of the machine: one that is given away could be connected to anything. It ends with the runtime's
first process `pid`; a lock in the folder makes two of one runtime impossible.
Source: setns(2), ioctl_ns(2).
"""

import asyncio
import contextlib
import fcntl
import os
import socket
import sys
from pathlib import Path
from typing import Final

_GET_USERNS: Final = 0xB701  # NS_GET_USERNS
_CHUNK: Final = 65_536
_INSIDE_S: Final = 5.0


def is_open(folder: Path) -> bool:
    """Whether its door is there."""
    handle = _locked(folder)
    if handle < 0:
        return True
    os.close(handle)
    return False


def _locked(folder: Path) -> int:
    handle = os.open(folder / "door.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return -1
    return handle


def enter(pid: int) -> None:
    """From here on what this process connects to is inside. Raises: OSError."""
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    # Whoever is not root may enter only as root of the user namespace that it belongs to.
    user = fcntl.ioctl(network, _GET_USERNS)
    if os.fstat(user).st_ino != Path("/proc/self/ns/user").stat().st_ino:
        os.setns(user, os.CLONE_NEWUSER)
    os.setns(network, os.CLONE_NEWNET)
    os.close(user)
    os.close(network)


async def serve(listener: socket.socket, ended: int, port: int) -> None:
    """Returns when `ended`, a pidfd, says that the runtime has."""
    over = asyncio.Event()

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_INSIDE_S):
                inside, into = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # nobody listens (yet); TimeoutError is one
            writer.close()
            return
        try:
            await asyncio.gather(_pump(reader, into), _pump(inside, writer))
        finally:
            into.close()
            writer.close()

    asyncio.get_running_loop().add_reader(ended, over.set)
    server = await asyncio.start_server(taken, sock=listener)
    await over.wait()
    server.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while said := await source.read(_CHUNK):
            target.write(said)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
            return
    target.close()


def main(folder: Path, pid: int, port: int) -> int:
    """0 when the runtime has ended, or another has the door."""
    if _locked(folder) < 0:
        return 0
    ended = os.pidfd_open(pid)
    listener = socket.create_server(("127.0.0.1", port))
    enter(pid)
    asyncio.run(serve(listener, ended, port))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
