"""What an app says to a gateway, in pieces as small as it likes: everybody else has their turns."""

import asyncio

import h11
import pytest

from api.gateway.web.peers import CHUNK, Peer

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "piece"), [(_HEAD, b"1\r\nx\r\n"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")]
)
def test_many_small_pieces_of_one_reading_leave_others_their_turns(
    head: bytes, piece: bytes
) -> None:
    """A body in chunks of one byte, and interim answers without end."""

    async def main() -> tuple[int, int]:
        reader, turns = asyncio.StreamReader(), 0
        peer = Peer(h11.CLIENT, reader, None)
        peer.conn.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        peer.conn.send(h11.EndOfMessage())
        count = (CHUNK - len(head)) // len(piece)
        reader.feed_data(head + piece * count)

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        beside = asyncio.create_task(others())
        for _ in range(count):
            await peer.event()
        beside.cancel()
        return count, turns

    events, turns = asyncio.run(main())
    assert turns >= events // 50
