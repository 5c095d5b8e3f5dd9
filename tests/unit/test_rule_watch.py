"""What the kernel says of deleted tables, read from bytes."""

import struct

from agent.rule_watch import RuleWatch, deleted

DELETED, MADE = 0x0A02, 0x0A00


def message(kind: int, name: bytes, *, family: bytes = b"\1\0\0\0") -> bytes:
    text = name + b"\0"
    attributes = struct.pack("=HH", 8, 2) + b"\0\0\0\0"
    attributes += struct.pack("=HH", 4 + len(text), 1) + text + b"\0" * (-len(text) % 4)
    body = family + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_only_tables_that_are_gone_are_named() -> None:
    """Among others in one datagram, whatever else each says."""
    said = message(MADE, b"gpuaas_a") + message(DELETED, b"gpuaas_bc") + message(DELETED, b"x")
    assert list(deleted(said)) == [b"gpuaas_bc", b"x"]


def test_rubbish_names_nothing_and_ends() -> None:
    """Cut short anywhere, or with lengths that lie: no endless loop, no error."""
    whole = message(DELETED, b"gpuaas_a")
    for end in range(len(whole)):
        assert list(deleted(whole[:end])) in ([], [b"gpuaas_a"[: max(0, end - 32)]])
    assert list(deleted(struct.pack("=IHHII", 0, DELETED, 0, 0, 0) * 3)) == []
    lying = struct.pack("=IHHII", 28, DELETED, 0, 0, 0) + b"\1\0\0\0" + struct.pack("=HH", 0, 1)
    assert list(deleted(lying + b"\0" * 4)) == [b""]


def test_who_heard_nothing_says_so() -> None:
    """Also where nobody may listen; closing twice is none the worse."""
    watch = RuleWatch("gpuaas_never")
    assert not watch.fell()
    watch.close()
