"""The kernel's neighbour table: messages as it sends them, and the real one in a namespace."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import struct

import pytest

from provisioner.front import neighbours
from provisioner.front.neighbours import Neighbours, Table, plain

PHONE, ROUTER = "0004f2000101", "020000000001"
REACHABLE, STALE, INCOMPLETE, FAILED, NOARP = 0x02, 0x04, 0x01, 0x20, 0x40


def message(kind: int, body: bytes) -> bytes:
    data = struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body
    return data + bytes(-len(data) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data + bytes(-len(data) % 4)


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def neighbour(
    address: str, mac: str, state: int = REACHABLE, flags: int = 0, interface: int = 2, kind: int = 28
) -> bytes:
    body = struct.pack("=BxxxiHBB", family(address), interface, state, flags, 1)
    return message(kind, body + attribute(1, packed(address)) + attribute(2, bytes.fromhex(mac)))


def route(gateway: str, several: bool = False, kind: int = 24) -> bytes:
    hop = attribute(5, packed(gateway))
    if several:
        hop = attribute(9, struct.pack("=HBBi", 8 + len(hop), 0, 0, 2) + hop)
    return message(kind, struct.pack("=BBBBBBBBI", family(gateway), 0, 0, 0, 254, 3, 0, 1, 0) + hop)


def own(address: str, kind: int = 20) -> bytes:
    body = struct.pack("=BBBBI", family(address), 24, 0, 0, 2)
    return message(kind, body + attribute(1, packed(address)))


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "fe80::204:f2ff:fe00:101"])
def test_a_neighbour_comes_changes_and_goes(table: Table, address: str) -> None:
    assert table.mac(address) == ""
    table.feed(neighbour(address, PHONE) + own("192.0.2.1"))
    assert table.mac(address) == PHONE
    table.feed(neighbour(address, ROUTER, STALE))
    assert table.mac(address) == ROUTER
    table.feed(neighbour(address, ROUTER, FAILED))
    assert table.mac(address) == ""
    table.feed(neighbour(address, PHONE))
    table.feed(neighbour(address, PHONE, kind=29))
    assert table.mac(address) == ""
    assert table._macs == {}


def test_all_who_are_known_on_the_link(table: Table) -> None:
    table.feed(neighbour("192.0.2.7", PHONE) + neighbour("192.0.2.8", "0004f2000102", FAILED))
    assert table.hosts() == [("192.0.2.7", PHONE)]


@pytest.mark.parametrize("state", [INCOMPLETE, FAILED, NOARP])
def test_what_is_not_known_for_sure(table: Table, state: int) -> None:
    table.feed(neighbour("192.0.2.7", PHONE, state))
    assert table.mac("192.0.2.7") == ""


def test_a_mac_of_zeros_or_of_another_length_is_none(table: Table) -> None:
    table.feed(neighbour("192.0.2.7", "000000000000") + neighbour("192.0.2.8", "0004f20001010000"))
    assert table.mac("192.0.2.7") == table.mac("192.0.2.8") == ""


@pytest.mark.parametrize("several", [False, True])
def test_who_stands_behind_a_gateway_is_not_known(table: Table, several: bool) -> None:
    table.feed(
        neighbour("192.0.2.1", ROUTER) + neighbour("192.0.2.50", ROUTER) + neighbour("192.0.2.7", PHONE)
    )
    assert table.mac("192.0.2.50") == ROUTER
    table.feed(route("192.0.2.1", several))
    assert [table.mac(f"192.0.2.{last}") for last in (1, 50, 7)] == ["", "", PHONE]  # 50: proxy ARP, or NAT


def test_an_ipv6_router_says_so_itself(table: Table) -> None:
    table.feed(neighbour("fe80::1", ROUTER, flags=0x80) + neighbour("2001:db8::9", ROUTER))
    assert table.mac("fe80::1") == table.mac("2001:db8::9") == ""


def test_one_link_local_address_on_two_interfaces_is_nobody(table: Table) -> None:
    table.feed(neighbour("fe80::7", PHONE) + neighbour("fe80::7", ROUTER, interface=3))
    assert table.mac("fe80::7") == ""
    table.feed(neighbour("fe80::7", ROUTER, interface=3, kind=29))
    assert table.mac("fe80::7") == PHONE


def test_own_addresses(table: Table) -> None:
    table.feed(own("192.0.2.2") + own("2001:db8::2"))
    assert [table.is_own(each) for each in ("192.0.2.2", "2001:db8::2", "127.9.9.9", "::1")] == [True] * 4
    assert not table.is_own("192.0.2.3")


def test_what_goes_is_asked_for_again(table: Table) -> None:
    table.wanted.clear()
    table.feed(own("192.0.2.2", 21) + own("192.0.2.2", 21) + route("192.0.2.1", kind=25))
    assert table.wanted == [22, 26]
    table.feed(own("192.0.2.2") + route("192.0.2.1") + neighbour("192.0.2.7", PHONE))
    for dump in (22, 26, 30):
        assert struct.unpack("=IHHII", table.asking(dump)[:16])[1:3] == (dump, 0x301)
    assert (table._own, table._routers, table._macs) == (set(), set(), {})
    table.forget()
    assert table.wanted == [30, 26, 22]


def test_the_end_of_a_dump(table: Table) -> None:
    assert not table.feed(own("192.0.2.2"))
    assert table.feed(message(3, bytes(4)))


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        bytes(15),
        bytes(64),
        struct.pack("=IHHII", 4000, 28, 0, 0, 0) + bytes(100),
        message(28, b"\x02"),
        message(28, struct.pack("=BxxxiHBB", 2, 2, 2, 0, 1) + attribute(1, b"\x01")),
        message(28, struct.pack("=BxxxiHBB", 7, 2, 2, 0, 1) + attribute(2, bytes(6))),
        message(24, struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 0, 0, 0, 0, 0) + b"\x01\x00\x05\x00"),
        message(24, struct.pack("=BBBBBBBBI", 2, *[0] * 8) + attribute(9, bytes(8))),
        message(24, struct.pack("=BBBBBBBBI", 28, *[0] * 8) + attribute(5, bytes(4))),
        message(20, struct.pack("=BBBBI", 2, 0, 0, 0, 0) + attribute(1, b"\x01\x02")),
    ],
)
def test_junk_is_passed_over(table: Table, junk: bytes) -> None:
    table.feed(junk)
    assert (table._macs, table._routers, table._own) == ({}, set(), set())
    table.feed(neighbour("192.0.2.7", PHONE))
    assert table.mac("192.0.2.7") == PHONE


@pytest.mark.parametrize(
    ("address", "expected"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("fe80::7%eth0", "fe80::7")],
)
def test_addresses_as_sockets_give_them(address: str, expected: str) -> None:
    assert plain(address) == expected


class Kernel:
    """A netlink socket whose answers a test has written."""

    def __init__(self, *answers: bytes | OSError) -> None:
        self.answers = list(answers)
        self.sent: list[int] = []
        self.closed = False

    def send(self, data: bytes) -> int:
        self.sent.append(struct.unpack("=IHHII", data[:16])[1])
        self.answers.append(message(3, bytes(4)))
        return len(data)

    def recv(self, _size: int) -> bytes:
        answer = self.answers.pop(0) if self.answers else BlockingIOError()
        if isinstance(answer, OSError):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


def listening(kernel: Kernel) -> Neighbours:
    held = Neighbours()
    held._socket = kernel  # type: ignore[assignment]
    return held


def test_lost_notices_are_asked_for_anew() -> None:
    kernel = Kernel()
    held = listening(kernel)
    held.refresh()
    assert kernel.sent == [30, 26, 22]
    kernel.answers += [OSError(errno.ENOBUFS, "full"), neighbour("192.0.2.7", PHONE)]
    held.refresh()
    assert kernel.sent == [30, 26, 22] * 2
    assert held.mac("192.0.2.7") == PHONE


def test_a_broken_socket_makes_all_macs_unknown(caplog: pytest.LogCaptureFixture) -> None:
    kernel = Kernel()
    held = listening(kernel)
    held.refresh()
    kernel.answers.append(neighbour("192.0.2.7", PHONE))
    assert held.mac("192.0.2.7") == PHONE
    kernel.answers.append(OSError(errno.EBADF, "Bad file descriptor"))
    with caplog.at_level(logging.WARNING):
        assert held.mac("192.0.2.7") == ""
    assert "phones prove themselves otherwise" in caplog.text
    assert kernel.closed
    assert held.mac("192.0.2.7") == ""


def test_without_netlink(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_args: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(neighbours.socket, "socket", refuse)
    held = Neighbours()
    with caplog.at_level(logging.WARNING):
        held.open()
    assert "cannot be read (Address family not supported by protocol)" in caplog.text
    assert held.mac("192.0.2.7") == ""
    assert held.is_own("127.0.0.1")


def test_this_hosts_own_table() -> None:
    held = Neighbours()
    held.open()
    try:
        assert held.is_own("127.0.0.1")
        assert held.table.wanted == []
        assert held.mac("198.51.100.77") == ""
    finally:
        held.close()
