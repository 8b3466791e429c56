"""The kernel's neighbour table (ARP and IPv6 ND) over netlink: whose MAC an address on the link has.

Formats: linux/netlink.h, linux/rtnetlink.h, linux/neighbour.h; rtnetlink(7).
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

_log = logging.getLogger(__name__)

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, interface, state, flags, type
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family first
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family first
_ATTRIBUTE = struct.Struct("=HH")
_HOP = struct.Struct("=HBBi")  # rtnexthop: length, flags, hops, interface

_ERROR, _DONE = 2, 3
_NEW_ADDRESS, _DELETED_ADDRESS, _GET_ADDRESS = 20, 21, 22
_NEW_ROUTE, _DELETED_ROUTE, _GET_ROUTE = 24, 25, 26
_NEW_NEIGHBOUR, _DELETED_NEIGHBOUR, _GET_NEIGHBOUR = 28, 29, 30
_DUMP = 0x1 | 0x300  # NLM_F_REQUEST, NLM_F_DUMP
_GROUPS = 0x4 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_: neighbours, addresses and routes of both families

_KNOWN = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # NUD_: reachable, stale, delay, probe, permanent
_IS_ROUTER = 0x80  # NTF_ROUTER: it said so itself (RFC 4861, section 4.4)
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_DUMPS = (_GET_NEIGHBOUR, _GET_ROUTE, _GET_ADDRESS)
_ALIGN = 4
_BUFFER = 4 << 20  # of notices: a thousand phones that start at once are 100 KiB


def plain(address: str) -> str:
    """An address without scope; an IPv4 one that came over an IPv6 socket as IPv4."""
    return address.partition("%")[0].removeprefix("::ffff:") if ":" in address else address


class Table:
    """What the kernel told, from its messages; no I/O. `wanted`: dumps that must be asked for, one by one."""

    def __init__(self) -> None:
        self._macs: dict[
            str, dict[int, str]
        ] = {}  # address, interface: the same link-local address may be on two
        self._routers: set[str] = set()  # addresses
        self._said_so: set[str] = set()  # MACs
        self._own: set[str] = set()
        self.wanted: list[int] = list(_DUMPS)

    def forget(self) -> None:
        """Notices were lost: all must be told anew."""
        self.wanted = list(_DUMPS)

    def asking(self, dump: int) -> bytes:
        """The request for a dump; what it will tell again is forgotten."""
        if dump == _GET_NEIGHBOUR:
            self._macs.clear()
            self._said_so.clear()
        elif dump == _GET_ROUTE:
            self._routers.clear()
        else:
            self._own.clear()
        body = bytes(_NEIGHBOUR.size)  # family 0: all
        return _HEADER.pack(_HEADER.size + len(body), dump, _DUMP, dump, 0) + body

    def is_own(self, address: str) -> bool:
        """Whether the address is this host's."""
        return address in self._own or address.startswith("127.") or address == "::1"

    def mac(self, address: str) -> str:
        """The MAC of an address on the link; "" when not known, and for a router, who speaks for others."""
        held = self._macs.get(address)
        if not held or len(held) > 1 or address in self._routers:
            return ""
        (mac,) = held.values()
        return "" if mac in self._said_so or self._is_router(mac) else mac

    def hosts(self) -> list[tuple[str, str]]:
        """Addresses on the link with their MACs, but for routers."""
        found = ((address, self.mac(address)) for address in self._macs)
        return [(address, mac) for address, mac in found if mac]

    def _is_router(self, mac: str) -> bool:
        return any(mac in self._macs.get(router, {}).values() for router in self._routers)

    def feed(self, data: bytes) -> bool:
        """One datagram; whether a dump ended with it."""
        at, ended = 0, False
        while at + _HEADER.size <= len(data):
            length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, at)
            if length < _HEADER.size or at + length > len(data):
                break
            ended |= kind in (_DONE, _ERROR)
            with suppress(struct.error, ValueError):
                self._take(kind, data[at + _HEADER.size : at + length])
            at += length + -length % _ALIGN
        return ended

    def _take(self, kind: int, body: bytes) -> None:
        if kind in (_NEW_NEIGHBOUR, _DELETED_NEIGHBOUR):
            self._neighbour(kind == _NEW_NEIGHBOUR, body)
        elif kind == _NEW_ROUTE:
            self._routers.update(_gateways(body))
        elif kind == _NEW_ADDRESS:
            family = body[0]
            for name, value in _attributes(body[_ADDRESS.size :]):
                if name in (1, 2) and family in _FAMILIES:  # IFA_ADDRESS, IFA_LOCAL
                    self._own.add(socket.inet_ntop(family, value))
        elif kind == _DELETED_ROUTE and _GET_ROUTE not in self.wanted:
            self.wanted.append(_GET_ROUTE)  # another route may have the same gateway
        elif kind == _DELETED_ADDRESS and _GET_ADDRESS not in self.wanted:
            self.wanted.append(_GET_ADDRESS)

    def _neighbour(self, new: bool, body: bytes) -> None:
        family, interface, state, flags, _type = _NEIGHBOUR.unpack_from(body)
        if family not in _FAMILIES:  # a bridge's ports come on the same group
            return
        found = dict(_attributes(body[_NEIGHBOUR.size :]))
        address = socket.inet_ntop(family, found.get(1, b""))  # NDA_DST
        mac = found.get(2, b"").hex()  # NDA_LLADDR
        held = self._macs.setdefault(address, {})
        if new and state & _KNOWN and len(mac) == 12 and mac.strip("0"):
            held[interface] = mac
            if flags & _IS_ROUTER:
                self._said_so.add(mac)
        else:
            held.pop(interface, None)
            if not held:
                del self._macs[address]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += length + -length % _ALIGN


def _gateways(body: bytes) -> Iterator[str]:
    family = body[0]
    if family not in _FAMILIES:
        return
    for name, value in _attributes(body[_ROUTE.size :]):
        if name == 5:  # RTA_GATEWAY
            yield socket.inet_ntop(family, value)
        elif name == 9:  # RTA_MULTIPATH
            at = 0
            while at + _HOP.size <= len(value):
                length, *_rest = _HOP.unpack_from(value, at)
                if length < _HOP.size:
                    return
                for inner, hop in _attributes(value[at + _HOP.size : at + length]):
                    if inner == 5:
                        yield socket.inet_ntop(family, hop)
                at += length + -length % _ALIGN


class Neighbours:
    """The table, kept up to date. Each look-up first takes the notices that lie ready, and waits for none."""

    def __init__(self) -> None:
        self.table = Table()
        self._dumping = False
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Begin to listen. Without netlink all MACs are unknown, which a warning says."""
        try:
            self._socket = sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            sock.setblocking(False)
            with suppress(OSError):  # more needs no right, but the kernel's own limit may be lower
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            sock.bind((0, _GROUPS))
        except OSError as error:
            self._lost(error)
        self.refresh()

    def close(self) -> None:
        """Stop listening; nothing is known any more."""
        if self._socket:
            self._socket.close()
        self._socket = None
        self.table = Table()

    def _lost(self, error: OSError) -> None:
        _log.warning(
            "neighbours' MACs cannot be read (%s): phones prove themselves otherwise", error.strerror
        )
        self.close()

    def mac(self, address: str) -> str:
        """The MAC of an address on the link as twelve hex digits, "" when not known."""
        self.refresh()
        return self.table.mac(plain(address))

    def hosts(self) -> list[tuple[str, str]]:
        """Who is on the link: addresses with their MACs."""
        self.refresh()
        return self.table.hosts()

    def is_own(self, address: str) -> bool:
        """Whether the address is this host's."""
        return self.table.is_own(plain(address))

    def refresh(self) -> None:
        """Take what the kernel has told since."""
        sock = self._socket
        if sock is None:
            return
        while True:
            try:
                if self.table.wanted and not self._dumping:
                    self._dumping = True
                    sock.send(self.table.asking(self.table.wanted.pop(0)))
                data = sock.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # that is: more notices than the buffer holds
                    self._lost(error)
                    return
                self._dumping = False
                self.table.forget()
                continue
            if self.table.feed(data):
                self._dumping = False
