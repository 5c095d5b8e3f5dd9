from contracts.terminal import RING


class Ring:
    """The last `capacity` bytes of an endless output, by absolute offset: `start` to `end`."""

    def __init__(self, capacity: int = RING) -> None:
        self._capacity = capacity
        self._bytes = bytearray(capacity)
        self.end = 0

    @property
    def start(self) -> int:
        """The earliest offset still held."""
        return max(0, self.end - self._capacity)

    def append(self, data: bytes) -> None:
        """`data` follows what was there; the oldest bytes make room. At most `capacity` long."""
        assert len(data) <= self._capacity, len(data)
        place = self.end % self._capacity
        first = min(len(data), self._capacity - place)
        self._bytes[place : place + first] = data[:first]
        self._bytes[: len(data) - first] = data[first:]
        self.end += len(data)

    def read(self, offset: int, most: int) -> bytes:
        """Up to `most` bytes from `offset` on, which lies between `start` and `end`."""
        assert self.start <= offset <= self.end, (self.start, offset, self.end)
        size = min(most, self.end - offset)
        place = offset % self._capacity
        first = min(size, self._capacity - place)
        return bytes(self._bytes[place : place + first] + self._bytes[: size - first])
