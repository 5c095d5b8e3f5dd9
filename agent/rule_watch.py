"""Whether somebody took a table of rules away: the kernel says so at once, to whoever listens.

Source: linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h.
"""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from typing import Final

_NETFILTER: Final = 12  # NETLINK_NETFILTER
_SOL_NETLINK: Final = 270
_ADD_MEMBERSHIP: Final = 1
_GROUP: Final = 7  # NFNLGRP_NFTABLES
_TABLE_DELETED: Final = 10 << 8 | 2  # NFNL_SUBSYS_NFTABLES, NFT_MSG_DELTABLE
_HEAD: Final = struct.Struct("=IHHII")  # nlmsghdr
_FAMILY: Final = 4  # nfgenmsg
_ATTRIBUTE: Final = struct.Struct("=HH")  # nlattr
_NAME: Final = 1  # NFTA_TABLE_NAME
_MOST: Final = 65_536


class RuleWatch:
    """Listens from its making on. Where the kernel does not let us, it never hears anything."""

    def __init__(self, table: str) -> None:
        self._table = table.encode()
        self._socket: socket.socket | None = None
        with contextlib.suppress(OSError):
            opened = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETFILTER
            )
            try:
                opened.bind((0, 0))
                opened.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
            except OSError:
                opened.close()
                raise
            self._socket = opened

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def fell(self) -> bool:
        """Whether the table was deleted in this namespace since the last call, or may have been."""
        found = False
        while self._socket is not None:
            try:
                said = self._socket.recv(_MOST)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                said, found = b"", True  # more was said than we could hear
            found = found or self._table in deleted(said)
        return found


def deleted(said: bytes) -> Iterator[bytes]:
    """The names of tables that these messages say are gone."""
    at = 0
    while at + _HEAD.size <= len(said):
        length, kind, *_ = _HEAD.unpack_from(said, at)
        if kind == _TABLE_DELETED:
            yield from _names(said[at + _HEAD.size + _FAMILY : at + length])
        at += max(_HEAD.size, (length + 3) & ~3)


def _names(attributes: bytes) -> Iterator[bytes]:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if kind == _NAME:
            yield attributes[at + _ATTRIBUTE.size : at + length].rstrip(b"\0")
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
